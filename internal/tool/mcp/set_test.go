package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
	"mgx/internal/sandbox/native"
	"mgx/internal/tool"
)

// lab is a set of servers and a workspace with a box.
type lab struct {
	t      *testing.T
	ws     *tool.Workspace
	box    sandbox.Box
	work   string
	set    *Set
	alarms []mgx.SuspicionData
	hidden []string
	mu     sync.Mutex
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, work: t.TempDir()}
	if err := os.WriteFile(filepath.Join(l.work, "file.txt"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.ws = &tool.Workspace{Root: root(t, l.work), Outputs: root(t, t.TempDir()), Step: "implementer/001/1-x"}
	return l
}

func root(t *testing.T, dir string) *os.Root {
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// boxed gives the lab a real sandbox.
func (l *lab) boxed(gate ...sandbox.Gate) *lab {
	l.t.Helper()
	spec := sandbox.Spec{ID: "test", Work: l.work, State: l.t.TempDir()}
	if len(gate) > 0 {
		spec.Gate = gate[0]
	}
	box, err := native.New().Open(l.t.Context(), spec)
	if err != nil {
		l.t.Skipf("this machine gives no sandbox: %v", err)
	}
	l.t.Cleanup(func() { box.Close() })
	l.box = box
	return l
}

// stdio is this program as a server of some kind.
func stdio(t *testing.T, name, kind string) mgx.MCPServer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return mgx.MCPServer{Name: name, Command: self, Show: []string{self}, Env: map[string]string{serveVariable: kind}, Timeout: time.Minute}
}

// open connects nothing yet.
func (l *lab) open(servers ...mgx.MCPServer) *Set {
	l.t.Helper()
	if l.set != nil {
		l.set.Close()
	}
	l.set = Open(servers, Options{
		Run: "run_test", Box: l.box, Lifetime: time.Hour, Version: "test", flood: 4 << 20, start: time.Hour,
		Getenv: func(name string) string { return map[string]string{"MGX_TEST_TOKEN": "tok-0123456789"}[name] },
		Secret: func(s string) { l.mu.Lock(); l.hidden = append(l.hidden, s); l.mu.Unlock() },
	})
	l.t.Cleanup(func() { l.set.Close() })
	return l.set
}

// pinned pins what servers say now, as an operator who finds it right.
func (l *lab) pinned(servers ...mgx.MCPServer) []mgx.MCPServer {
	l.t.Helper()
	set := l.open(servers...)
	var out []mgx.MCPServer
	for _, s := range servers {
		all, err := set.Describe(l.t.Context(), s.Name)
		if err != nil {
			l.t.Fatal(err)
		}
		s.Pins = map[string]string{}
		for _, d := range all {
			s.Pins[d.Tool] = d.Pin
		}
		out = append(out, s)
	}
	return out
}

// offered pins, opens anew and offers.
func (l *lab) offered(servers ...mgx.MCPServer) []tool.Foreign {
	l.t.Helper()
	offer, err := l.open(l.pinned(servers...)...).Offer(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return offer.Tools
}

func named(t *testing.T, tools []tool.Foreign, name string) tool.Foreign {
	t.Helper()
	i := slices.IndexFunc(tools, func(f tool.Foreign) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no tool %s among %d", name, len(tools))
	}
	return tools[i]
}

func (l *lab) call(f tool.Foreign, text string) tool.Result {
	l.t.Helper()
	res, err := l.callIn(l.t.Context(), f, text)
	if err != nil {
		l.t.Fatal(err)
	}
	return res
}

func (l *lab) callIn(ctx context.Context, f tool.Foreign, text string) (tool.Result, error) {
	l.t.Helper()
	sent, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		l.t.Fatal(err)
	}
	args, err := tool.ParseArgs(f.Spec(), string(sent))
	if err != nil {
		l.t.Fatal(err)
	}
	return l.set.Call(ctx, l.ws, f, args, func(d mgx.SuspicionData) { l.alarms = append(l.alarms, d) })
}

func want(t *testing.T, res tool.Result, status tool.Status, parts ...string) {
	t.Helper()
	if res.Status != status {
		t.Errorf("status %q, want %q", res.Status, status)
	}
	for _, p := range parts {
		if !strings.Contains(res.Text, p) {
			t.Errorf("no %q in the result", p)
		}
	}
	if strings.ContainsAny(res.Text, "\x1b\u200b\u202e") {
		t.Error("hidden characters in the result")
	}
	if t.Failed() {
		t.Logf("result: %.500s", res.Text)
	}
}

func TestProgram(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	s := stdio(t, "lab", "good")
	s.Env["TOKEN"] = "Bearer ${MGX_TEST_TOKEN}"
	tools := l.offered(s)
	echo := named(t, tools, "mcp__lab__echo")
	if spec := echo.Spec(); spec.Source != "mcp:lab" || spec.Effect != tool.Network || strings.Contains(spec.Description, "Ignore") {
		t.Errorf("a server's own word changed what it is: %+v", spec)
	}
	want(t, l.call(echo, "hello"), tool.Success, "hello")
	want(t, l.call(named(t, tools, "mcp__lab__fail"), ""), tool.Failure, "it failed")
	want(t, l.call(named(t, tools, "mcp__lab__mixed"), ""), tool.Success,
		"one\n", "[an image, image/png, 3 bytes: not shown]", "[a link to a resource, not followed: file:///etc/passwd]", "two", "[a resource", "4 bytes: not shown: doc://2]")
	big := l.call(named(t, tools, "mcp__lab__big"), "")
	want(t, big, tool.Success, "start", "end", "left out")
	if len(big.Text) > 40_000 {
		t.Errorf("a result of %d bytes", len(big.Text))
	}
	ask := l.call(named(t, tools, "mcp__lab__ask"), "")
	if want(t, ask, tool.Success, "sampling: ", "elicitation: ", "roots: "); strings.Contains(ask.Text, "<nil>") {
		t.Errorf("a server was given something: %s", ask.Text)
	}
}

func TestProgramMeetsTheWalls(t *testing.T) {
	t.Parallel()
	listener := httptest.NewServer(http.NotFoundHandler())
	defer listener.Close()
	l := newLab(t).boxed()
	s := stdio(t, "lab", "good")
	s.Env["TOKEN"] = "Bearer ${MGX_TEST_TOKEN}"
	walls := l.call(named(t, l.offered(s), "mcp__lab__walls"), listener.Listener.Addr().String())
	want(t, walls, tool.Success, "begins in /\n", "write: open /workspace/planted: read-only file system", "read: content", "TOKEN=Bearer tok-0123456789 HOME_TOKEN=")
	if strings.Contains(walls.Text, "dial: <nil>") {
		t.Error("it reached the network")
	}
	if _, err := os.Stat(filepath.Join(l.work, "planted")); err == nil {
		t.Error("it wrote into the workspace")
	}
	if !slices.Contains(l.hidden, "tok-0123456789") {
		t.Error("nobody was told of the secret that was handed out")
	}
}

// TestProgramTellsOfTheNetwork calls a program that lives through several calls:
// each tells what was asked of the gate in it, and no more.
func TestProgramTellsOfTheNetwork(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "from outside") }))
	t.Cleanup(page.Close)
	port := page.Listener.Addr().(*net.TCPAddr).Port
	list, err := egress.NewList(fmt.Sprintf("localhost:%d+private", port))
	if err != nil {
		t.Fatal(err)
	}
	l.boxed(egress.New(list, egress.Options{}))
	offered := l.offered(stdio(t, "lab", "good"))
	fetch := named(t, offered, "mcp__lab__fetch")
	res := l.call(named(t, offered, "mcp__lab__echo"), "x")
	if len(res.Visits) != 0 {
		t.Errorf("a call that asked for nothing: %+v", res.Visits)
	}
	for range 2 {
		res := l.call(fetch, fmt.Sprintf("http://localhost:%d/", port))
		want(t, res, tool.Success, "from outside")
		if v := res.Visits; len(v) != 1 || v[0].Host != "localhost" || v[0].Port != port || !v[0].Allowed || v[0].Times != 1 {
			t.Errorf("a call tells %+v", v)
		}
	}
	res = l.call(fetch, "http://evil.test/")
	if v := res.Visits; len(v) != 1 || v[0].Host != "evil.test" || v[0].Allowed || v[0].Reason != egress.NotListed || v[0].Times != 1 {
		t.Errorf("a refused one tells %+v", v)
	}
}

func TestNothingIsOfferedUnseen(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	offer, err := l.open(stdio(t, "lab", "good")).Offer(t.Context())
	if err != nil || len(offer.Tools) != 0 || len(offer.Refused) != 1 || !strings.Contains(offer.Refused[0].Why, "not pinned") {
		t.Errorf("without pins: %+v, %v", offer, err)
	}
}

func TestAllowListAndEffects(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	s := stdio(t, "lab", "good")
	s.Tools, s.Effects = []string{"echo", "fail"}, map[string]string{"echo": "read", "*": "deliver"}
	tools := l.offered(s)
	if len(tools) != 2 || named(t, tools, "mcp__lab__echo").Effect != tool.Read || named(t, tools, "mcp__lab__fail").Effect != tool.Deliver {
		t.Errorf("offered %+v", tools)
	}
}

func TestChangedDescriptionIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	s := l.pinned(stdio(t, "lab", "good"))[0]
	for _, kind := range []string{"changed", "promising less"} {
		s.Env = map[string]string{serveVariable: kind}
		offer, err := l.open(s).Offer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range offer.Tools {
			if f.Tool == "echo" {
				t.Errorf("%s: a tool that is described otherwise is offered", kind)
			}
		}
		if i := slices.IndexFunc(offer.Refused, func(r tool.Refusal) bool { return r.Changed && r.Tool == "echo" }); i < 0 {
			t.Errorf("%s: nobody is told: %+v", kind, offer.Refused)
		}
	}
}

// A server that changes a tool while it is used.
func TestRugPull(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	tools := l.offered(stdio(t, "lab", "good"))
	echo := named(t, tools, "mcp__lab__echo")
	want(t, l.call(echo, "before"), tool.Success, "before")
	want(t, l.call(named(t, tools, "mcp__lab__mutate"), ""), tool.Success, "done")
	for live := l.set.servers["lab"].live; !live.stale.Load(); { // the notice comes when it comes
		time.Sleep(time.Millisecond)
	}
	want(t, l.call(echo, "after"), tool.Denied, "otherwise than it was pinned")
	if len(l.alarms) != 1 || !l.alarms[0].Blocked || l.alarms[0].What != "tampering" {
		t.Errorf("alarms: %+v", l.alarms)
	}
	want(t, l.call(named(t, tools, "mcp__lab__big"), ""), tool.Success)
}

func TestCrash(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	tools := l.offered(stdio(t, "lab", "good"))
	crash := named(t, tools, "mcp__lab__crash")
	for range maxStarts {
		want(t, l.call(crash, ""), tool.Failure, "lost during the call", "exit code 3", "out of cheese", "not known")
	}
	want(t, l.call(named(t, tools, "mcp__lab__echo"), "x"), tool.Failure, "not started again", "Nothing was called")
}

func TestCrashIsRepaired(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	tools := l.offered(stdio(t, "lab", "good"))
	want(t, l.call(named(t, tools, "mcp__lab__crash"), ""), tool.Failure, "lost")
	want(t, l.call(named(t, tools, "mcp__lab__echo"), "again"), tool.Success, "again")
}

func TestSlowCall(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	s := l.pinned(stdio(t, "lab", "good"))[0]
	s.Timeout = 50 * time.Millisecond
	offer, err := l.open(s).Offer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want(t, l.call(named(t, offer.Tools, "mcp__lab__wait"), ""), tool.TimedOut, "within 50ms")

	l.set.servers["lab"].server.Timeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := l.callIn(ctx, named(t, offer.Tools, "mcp__lab__wait"), ""); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	want(t, l.call(named(t, offer.Tools, "mcp__lab__echo"), "still there"), tool.Success, "still there")
}

func TestDeafServer(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	s := stdio(t, "lab", "deaf")
	hear := named(t, l.offered(s), "mcp__lab__hear")
	l.set.servers["lab"].server.Timeout = 50 * time.Millisecond
	// The time may be over before anything is written; then nobody is held up.
	for live := l.set.servers["lab"].live; !live.broken.Load(); {
		want(t, l.call(hear, strings.Repeat("x", 1<<20)), tool.TimedOut)
	}
}

func TestServerIsToldNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	all, err := l.open(stdio(t, "lab", "curious")).Describe(t.Context(), "lab")
	if err != nil || len(all) != 1 || !strings.Contains(all[0].Description, `"error":{"code":-32601`) {
		t.Errorf("it was told %+v, %v", all, err)
	}
}

func TestUnrulyServers(t *testing.T) {
	t.Parallel()
	for kind, says := range map[string]string{
		"flood": errFlood.Error(), "endless line": "", "asking": "64 things",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newLab(t).boxed()
			_, err := l.open(stdio(t, "lab", kind)).Offer(t.Context())
			if !mgx.IsCode(err, CodeUnavailable) || !strings.Contains(err.Error(), says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSilentServerCanBeLeft(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := l.open(stdio(t, "lab", "silent")).Offer(ctx); err == nil {
		t.Error("a server that never answered is offered")
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	_, err := l.open(mgx.MCPServer{Name: "lab", Command: "no-such-program-anywhere"}).Offer(t.Context())
	if !mgx.IsCode(err, CodeUnavailable) || !strings.Contains(err.Error(), "no such program") {
		t.Errorf("a program that is not there: %v", err)
	}
	s := stdio(t, "lab", "good")
	s.Env["TOKEN"] = "${NOT_SET}"
	if _, err = l.open(s).Offer(t.Context()); !mgx.IsCode(err, CodeUnavailable) || !strings.Contains(err.Error(), "NOT_SET is not set") {
		t.Errorf("a variable that is not set: %v", err)
	}
}

func TestTwoServersWithTheSameTools(t *testing.T) {
	t.Parallel()
	l := newLab(t).boxed()
	a, b := stdio(t, "one", "good"), stdio(t, "two", "good")
	tools := l.offered(a, b)
	names := map[string]bool{}
	for _, f := range tools {
		names[f.Name] = true
	}
	if len(names) != len(tools) || !names["mcp__one__echo"] || !names["mcp__two__echo"] {
		t.Errorf("names: %v", names)
	}
	want(t, l.call(named(t, tools, "mcp__two__echo"), "from two"), tool.Success, "from two")
}

// site serves streamable HTTP on this machine.
type site struct {
	*httptest.Server
	kind atomic.Value
	mu   sync.Mutex
	keys []any
	seen http.Header
}

func newSite(t *testing.T) *site {
	s := &site{}
	s.kind.Store("good")
	handler := sdk.NewStreamableHTTPHandler(func(r *http.Request) *sdk.Server {
		return newServer(s.kind.Load().(string), func(_ string, meta sdk.Meta) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.keys = append(s.keys, meta["mgx/idempotency-key"])
		})
	}, nil)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = r.Header.Clone()
		s.mu.Unlock()
		switch s.kind.Load() {
		case "redirect":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		case "unauthorized":
			http.Error(w, "no", http.StatusUnauthorized)
		case "flood":
			w.Header().Set("Content-Type", "application/json")
			block := []byte(strings.Repeat(" ", 1<<20))
			for range 64 {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		default:
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) server() mgx.MCPServer {
	return mgx.MCPServer{
		Name: "web", URL: s.URL + "/mcp", Allow: []string{"127.0.0.0/8"}, Timeout: time.Minute,
		Headers: map[string]string{"Authorization": "Bearer ${MGX_TEST_TOKEN}"},
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	web := newSite(t)
	l := newLab(t)
	tools := l.offered(web.server())
	echo := named(t, tools, "mcp__web__echo")
	want(t, l.call(echo, "over http"), tool.Success, "over http")
	want(t, l.call(echo, "once more"), tool.Success, "once more")
	web.mu.Lock()
	if got := web.seen.Get("Authorization"); got != "Bearer tok-0123456789" {
		t.Errorf("authorization %q", got)
	}
	if len(web.keys) != 2 || web.keys[0] != web.keys[1] || web.keys[0] == nil {
		t.Errorf("keys of the same step: %v", web.keys)
	}
	web.mu.Unlock()
	if !slices.Contains(l.hidden, "tok-0123456789") {
		t.Error("nobody was told of the secret that was handed out")
	}

	// The server was replaced while nobody looked.
	web.kind.Store("changed")
	web.CloseClientConnections()
	l.set.servers["web"].live.broken.Store(true)
	want(t, l.call(echo, "x"), tool.Denied, "otherwise than it was pinned")
	if len(l.alarms) != 1 {
		t.Errorf("alarms: %+v", l.alarms)
	}
}

func TestWhatIsShownHasToBeThere(t *testing.T) {
	t.Parallel()
	s := stdio(t, "docs", "good")
	s.Show = append(s.Show, "/nowhere/at/all")
	_, err := newLab(t).open(s).Offer(t.Context())
	if !mgx.IsCode(err, CodeUnavailable) || !strings.Contains(err.Error(), "show names /nowhere/at/all, which is not there") {
		t.Errorf("got %v", err)
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	web := newSite(t)
	for name, c := range map[string]struct {
		kind, says string
		change     func(*mgx.MCPServer)
	}{
		"loopback":     {"good", errPrivate.Error(), func(s *mgx.MCPServer) { s.Allow = nil }},
		"by name":      {"good", errPrivate.Error(), func(s *mgx.MCPServer) { s.Allow = nil; s.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1) }},
		"metadata":     {"good", errPrivate.Error(), func(s *mgx.MCPServer) { s.Allow = []string{"0.0.0.0/0"}; s.URL = "http://169.254.169.254/mcp" }},
		"redirect":     {"redirect", errRedirect.Error(), nil},
		"unauthorized": {"unauthorized", "Unauthorized", nil},
		"flood":        {"flood", errFlood.Error(), nil},
		"nobody":       {"good", "cannot be reached: connection refused", func(s *mgx.MCPServer) { s.URL = "http://127.0.0.1:1/mcp" }},
		"no such name": {"good", "cannot be reached: there is no address for the name nowhere.invalid", func(s *mgx.MCPServer) { s.URL = "https://nowhere.invalid/mcp" }},
	} {
		t.Run(name, func(t *testing.T) {
			web := web
			if c.kind != "good" {
				web = newSite(t)
				web.kind.Store(c.kind)
			}
			s := web.server()
			if c.change != nil {
				c.change(&s)
			}
			_, err := newLab(t).open(s).Offer(t.Context())
			if !mgx.IsCode(err, CodeUnavailable) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "transport") {
				t.Errorf("got %v", err)
			}
		})
	}
}
