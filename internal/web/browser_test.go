package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	devlog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/audit"
	"mgx/internal/event"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
	"mgx/internal/team"
	"mgx/internal/web"
	"mgx/internal/workflow"
)

// patience is for all that a test waits for, on a machine that does much else.
const patience = 3 * time.Minute

// chrome starts the one browser of all tests.
var chrome = sync.OnceValues(func() (context.Context, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	stopChrome = func() { end(); stop() }
	return ctx, chromedp.Do(ctx)
})

var stopChrome = func() {}

func TestMain(m *testing.M) { pgtest.Main(m, func() { stopChrome() }) }

// stage is a server with its console and a store to which tests write what runs
// did. The owner has signed in.
type stage struct {
	t      testing.TB
	url    string
	store  *store.Store
	access *app.Access
	cookie string
	host   *machine

	options web.Options
	wire    *wire
}

func newStage(t testing.TB) *stage {
	t.Helper()
	s := &stage{t: t, host: &machine{}}
	contracts, err := event.NewRegistry()
	must(t, err)
	s.store, err = store.Open(context.Background(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{Check: func(e *mgx.Event) error {
		kind, _ := contracts.Type(e.Type)
		e.Version = kind.Version
		return nil
	}})
	must(t, err)
	t.Cleanup(func() { s.store.Close() })
	s.access = app.NewAccess(app.AccessOptions{Store: s.store, Costs: access.Params{Memory: 8, Time: 1, Threads: 1}})
	engine := workflow.New(s.store, workflow.Options{Owner: "test"})
	team.Register(engine, team.Deps{})
	work := app.NewWork(app.WorkOptions{Access: s.access, Store: s.store, Engine: engine, Host: s.host})
	hub := event.NewHub(event.HubOptions{Source: s.store, Epoch: "epoch-1", Key: []byte("0123456789abcdef"), Authorize: s.access.Channels, Contracts: contracts})
	key := audit.NewKey("a secret of this test")
	log := &app.Audit{Store: s.store, Key: func(bool) (*audit.Key, error) { return key, nil }}
	server := api.New(api.Options{Hub: hub, Contracts: contracts, Access: s.access, Console: func(a *api.Server) http.Handler {
		s.options = s.places(contracts, web.Options{People: &web.People{Access: s.access, Where: a.Where}, Access: s.access, Work: work, Budgets: &app.Budgets{Store: s.store}, Audit: log, Settings: s.settings(contracts), Terms: s.store, Sample: true})
		return web.New(s.options)
	}})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { hub.Run(ctx) })
	listening := httptest.NewUnstartedServer(server)
	s.wire = &wire{Listener: listening.Listener}
	listening.Listener = s.wire
	listening.Start()
	t.Cleanup(func() { listening.CloseClientConnections(); stop(); running.Wait(); listening.Close() })
	s.url = listening.URL
	token, err := s.access.Found(t.Context(), access.Where{Address: "cli"})
	must(t, err)
	b, err := s.access.AcceptBrowser(t.Context(), app.Accepting{Token: token, Email: ownersAddress, Password: ownersPassword}, "", access.Where{Address: "127.0.0.1"})
	must(t, err)
	s.cookie = b.Cookie
	return s
}

// machine is a host with a difference to show.
type machine struct {
	mu   sync.Mutex
	text string
}

func (m *machine) show(difference string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text = difference
}

func (m *machine) Inspect(_ context.Context, dir string) (app.Checkout, error) {
	return app.Checkout{RepoInfo: mgx.RepoInfo{Path: dir, Head: strings.Repeat("a", 40), Branch: "main"}}, nil
}

func (m *machine) Settings(context.Context, mgx.WorkspaceID, string, string) (mgx.RunSettings, error) {
	return settings, nil
}
func (m *machine) CheckSetting(_, _, value string, _ bool) (string, error) { return value, nil }
func (m *machine) CheckBranch(string) error                                { return nil }
func (m *machine) CopyFiles(_, _ mgx.RunID) error                          { return nil }
func (m *machine) Diff(context.Context, mgx.Run) (app.Diff, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return app.Diff{Text: m.text}, nil
}

var settings = mgx.RunSettings{Model: "scripted/demo", Approve: "ask", Sandbox: "auto", MaxTurns: 50, Timeout: time.Hour}

// played is a run whose events a test writes.
type played struct {
	s *stage
	mgx.Scope
}

// play begins a run.
func (s *stage) play(title string, more ...func(*mgx.RunCreatedData)) *played {
	s.t.Helper()
	r := &played{s, mgx.Scope{Workspace: mgx.DefaultWorkspace, Task: mgx.NewTaskID(), Run: mgx.NewRunID(), User: mgx.LocalUser, Execution: mgx.NewExecutionID()}}
	d := mgx.RunCreatedData{
		Task: mgx.TaskInfo{ID: r.Task, Title: title, Description: title}, Settings: settings, Workflow: team.WorkflowName,
		Repo: mgx.RepoInfo{Path: "/home/ada/src/greeter", Head: strings.Repeat("a", 40), Branch: "main"},
	}
	for _, change := range more {
		change(&d)
	}
	r.Project = mgx.ProjectOf(d.Repo.Path)
	now := mgx.Now()
	x := mgx.Execution{Scope: r.Scope, Workflow: team.WorkflowName, Input: []byte("{}"), Status: mgx.ExecWaiting, CreatedAt: now}
	_, err := s.store.Commit(s.t.Context(), mgx.Change{Create: []mgx.Execution{x}, Events: []mgx.Event{r.Event(mgx.RunCreated, d), r.Event(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1})}})
	must(s.t, err)
	return r
}

// did writes what a run did: a type and its data, and so on.
func (r *played) did(pairs ...any) *played {
	r.s.t.Helper()
	var c mgx.Change
	for i := 0; i < len(pairs); i += 2 {
		c.Events = append(c.Events, r.Event(pairs[i].(mgx.EventType), pairs[i+1]))
	}
	_, err := r.s.store.Commit(r.s.t.Context(), c)
	must(r.s.t, err)
	return r
}

func (r *played) path() string { return "/runs/" + string(r.Run) }

// tab is a page in a browser. It fails its test when the page asks anybody else for
// anything, opens a dialog, breaks its own policy or throws.
type tab struct {
	t   testing.TB
	s   *stage
	ctx context.Context // ends when patience does

	whole context.Context // ends with the test
	mu    sync.Mutex
	wrong []string
	deaf  bool // what is done from now on is meant to be wrong
}

func (s *stage) tab() *tab {
	s.t.Helper()
	browser, err := chrome()
	if errors.Is(err, exec.ErrNotFound) {
		s.t.Skip("chromium is not installed; scripts/need.sh installs it")
	}
	must(s.t, err)
	ctx, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	s.t.Cleanup(stop)
	b := &tab{t: s.t, s: s, ctx: ctx, whole: ctx}
	b.do(chromedp.Func(func(context.Context, *chromedp.Target) error { return nil })) // the page stays for as long as this context
	ctx, cancel := context.WithTimeout(ctx, patience)
	s.t.Cleanup(cancel)
	b.ctx = ctx
	must(s.t, chromedp.Listen(ctx, b.hear))
	call(b, devlog.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}) // keys go to this page, whichever other is in front
	call(b, network.SetCookie, network.SetCookieParams{Name: "mgx_session", Value: s.cookie, URL: s.url})
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `addEventListener("securitypolicyviolation", (e) => console.error("policy: " + e.violatedDirective + " " + e.blockedURI + " " + e.sample));`})
	s.t.Cleanup(b.clean)
	return b
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, command, params)
	must(b.t, err)
}

func (b *tab) hear(e any) {
	complain := func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.deaf {
			b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
		}
	}
	switch e := e.(type) {
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, b.s.url) && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSIxNiIgaGVpZ2h0PSIxNSI") { // the browser draws some of its own controls so
			complain("it asked for %s", u)
		}
	case *network.EventWebSocketCreated:
		if u := e.URL; !strings.HasPrefix(u, "ws"+strings.TrimPrefix(b.s.url, "http")+"/") {
			complain("it connected to %s", u)
		}
	case *page.EventJavascriptDialogOpening:
		complain("a dialog opened: %s", e.Message)
	case *runtime.EventExceptionThrown:
		complain("it threw %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
	case *runtime.EventConsoleAPICalled:
		for _, a := range e.Args {
			complain("it said %s", a.Value)
		}
	case *devlog.EventEntryAdded:
		if !strings.Contains(e.Entry.Text, "WebSocket") && !strings.Contains(e.Entry.Text, "ERR_") && !strings.Contains(e.Entry.Text, "status of 4") {
			complain("the browser says %s %s", e.Entry.Text, e.Entry.URL)
		}
	}
}

// clean fails the test for what was wrong.
func (b *tab) clean() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wrong {
		b.t.Errorf("a page did wrong: %s", w)
	}
	b.wrong = nil
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v; the page is\n%s", err, b.words())
	}
}

// words are those of the page, for who looks at a failed test.
func (b *tab) words() string {
	whole := b.whole
	if whole == nil {
		whole = context.WithoutCancel(b.ctx)
	}
	ctx, stop := context.WithTimeout(whole, 10*time.Second)
	defer stop()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body?.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// open goes to a path, for which there is patience anew. A way there that another
// one crosses, such as that of a form which was sent just before, is begun again.
func (b *tab) open(path string) *tab {
	b.t.Helper()
	if b.whole != nil {
		ctx, cancel := context.WithTimeout(b.whole, patience)
		b.t.Cleanup(cancel)
		b.ctx = ctx
	}
	for {
		err := chromedp.Do(b.ctx, chromedp.Navigate(b.s.url+path), chromedp.WaitReady(chromedp.CSS("main")))
		if err == nil {
			return b
		}
		if b.ctx.Err() != nil || !strings.Contains(err.Error(), "net::ERR_ABORTED") {
			b.t.Fatalf("%v; the page is\n%s", err, b.words())
		}
	}
}

// visit opens one of the pages of a stage; where people sign in, as a stranger.
func (b *tab) visit(name, path string) {
	b.t.Helper()
	if name == "signin" || name == "invitation" {
		call(b, network.ClearBrowserCookies, cdp.Empty{})
		defer call(b, network.SetCookie, network.SetCookieParams{Name: "mgx_session", Value: b.s.cookie, URL: b.s.url})
	}
	b.open(path)
}

// eval is the value of an expression.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for an expression to be true, whichever pages come and go meanwhile.
func (b *tab) until(expression string) *tab {
	b.t.Helper()
	for {
		so, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if so && err == nil {
			return b
		}
		if b.ctx.Err() != nil {
			b.t.Fatalf("it did not become true that %s: %v; the page is\n%s", expression, err, b.words())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// comes waits for something to be so that the page does not show.
func (b *tab) comes(so func() bool) {
	b.t.Helper()
	for !so() {
		if b.ctx.Err() != nil {
			b.t.Fatalf("it did not come to pass; the page is\n%s", b.words())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// says waits for words on the page.
func (b *tab) says(words string) *tab {
	b.t.Helper()
	return b.until(fmt.Sprintf("document.querySelector(\"main\")?.textContent.includes(%q)", words))
}

// live waits until the page follows the stream.
func (b *tab) live() *tab {
	b.t.Helper()
	return b.until(`document.querySelector("mgx-stream")?.dataset.state === "live"`)
}

// click clicks on an element, also on one that is drawn anew just then.
func (b *tab) click(selector string) *tab {
	b.t.Helper()
	for {
		err := chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS(selector)))
		if err == nil {
			return b
		}
		if b.ctx.Err() != nil || !strings.Contains(err.Error(), "-32000") {
			b.t.Fatalf("%s: %v; the page is\n%s", selector, err, b.words())
		}
	}
}

func (b *tab) keys(keys string) *tab {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
	return b
}

// scheme shows pages in light or dark.
func (b *tab) scheme(name string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}
