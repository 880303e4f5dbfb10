package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/guard/policy"
	"mgx/internal/limit"
	"mgx/internal/store"
	"mgx/internal/webhook"
)

// limitedTown is a town whose server has limits. Its clock stands still, so that
// nothing fills up again.
func limitedTown(t *testing.T, l api.Limits) *town { return pagedTown(t, l, nil) }

// pagedTown is one whose server has pages, too.
func pagedTown(t *testing.T, l api.Limits, pages http.HandlerFunc, edits ...func(*api.Options)) *town {
	t.Helper()
	w := newTown(t)
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	hub := event.NewHub(event.HubOptions{Source: w.store, Epoch: "epoch-1", Key: []byte("0123456789abcdef"), Authorize: w.access.Channels, Contracts: contracts})
	o := api.Options{
		Hub: hub, Contracts: contracts, Access: w.access, Budgets: &app.Budgets{Store: w.store}, Webhooks: &webhook.Endpoints{Store: w.store}, Consumers: w.store,
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Limits:  l, Limiter: limit.New(limit.Options{Now: func() time.Time { return start }}),
	}
	if pages != nil {
		o.Console = func(*api.Server) http.Handler { return pages }
	}
	for _, edit := range edits {
		edit(&o)
	}
	w.web = api.New(o)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	ran := make(chan struct{})
	go func() { defer close(ran); hub.Run(ctx) }()
	go func() { defer close(ended); w.web.Serve(ctx, listener) }()
	t.Cleanup(func() { stop(); <-ended; <-ran })
	return w
}

func perMinute(n int) limit.Rate { return limit.Rate{PerMinute: n} }

// suspicions are those that the log has, as "what actor-or-address".
func (w *town) suspicions() (all []string) {
	w.t.Helper()
	for _, e := range w.eventsOf(mgx.SuspiciousActivity) {
		var d mgx.SuspicionData
		json.Unmarshal(e.Data, &d)
		who := d.Actor
		if who == "" {
			who = d.Address
		}
		all = append(all, strings.TrimSpace(fmt.Sprint(d.What, " ", who, " ", d.Target)))
	}
	return all
}

func (w *town) eventsOf(typ mgx.EventType) []mgx.Event {
	w.t.Helper()
	events, err := w.store.Events(w.t.Context(), store.EventQuery{Types: []string{string(typ)}})
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

// Whoever asks too often is told so, and how long to wait; others are not kept out
// by that, until all in the workspace together ask too often.
func TestLimitsOfActors(t *testing.T) {
	t.Parallel()
	w := limitedTown(t, api.Limits{Key: perMinute(10), User: perMinute(20), Workspace: perMinute(100)})
	admin, viewer := w.tokens[mgx.RoleAdmin], w.tokens[mgx.RoleViewer]
	ask := func(secret string) reply { return w.do(secret, "GET", "/api/v1/members", nil, nil) }

	first := ask(admin)
	first.want(200, "")
	if p, l := first.header.Get("RateLimit-Policy"), first.header.Get("RateLimit"); p != `"user";q=20;w=60, "workspace";q=100;w=60` || l != `"user";r=19;t=3` {
		t.Errorf("policy %s, limit %s", p, l)
	}
	for range 19 {
		ask(admin).want(200, "")
	}
	over := ask(admin)
	over.want(429, "rate_limited")
	if over.header.Get("Retry-After") != "3" || over.header.Get("RateLimit") != `"user";r=0;t=60` || !strings.Contains(over.body, "user") {
		t.Errorf("%v %s", over.header, over.body)
	}
	ask(viewer).want(200, "")
	w.do(viewer, "GET", "/health/live", nil, nil).want(200, "")

	_, key := w.key(mgx.RoleDeveloper, nil)
	for range 10 {
		ask(key).want(200, "")
	}
	if over := ask(key); over.status != 429 || !strings.Contains(over.body, "of this key") {
		t.Errorf("%d %s", over.status, over.body)
	}
	developer := w.tokens[mgx.RoleDeveloper]
	for range 5 { // writing costs two
		w.do(developer, "POST", "/api/v1/webhooks", map[string]any{}, nil).want(403, access.CodeForbidden)
	}
	ask(developer).want(429, "rate_limited")
	for range 19 {
		ask(viewer).want(200, "")
	}
	for range 20 {
		ask(w.tokens[mgx.RoleAuditor]).want(200, "")
	}
	ask(w.tokens["other"]).want(200, "")
}

// All of a workspace together are bounded, and others are not by that.
func TestLimitsOfWorkspaces(t *testing.T) {
	t.Parallel()
	w := limitedTown(t, api.Limits{Workspace: perMinute(6)})
	for _, role := range []string{mgx.RoleAdmin, mgx.RoleViewer, mgx.RoleDeveloper} {
		for range 2 {
			w.do(w.tokens[role], "GET", "/api/v1/members", nil, nil).want(200, "")
		}
	}
	w.do(w.tokens[mgx.RoleAuditor], "GET", "/api/v1/members", nil, nil).want(429, "rate_limited")
	w.do(w.tokens["other"], "GET", "/api/v1/members", nil, nil).want(200, "")
}

// Who has not said who they are is bounded by their network. Secrets that are none
// are answered as such, and then as too many; good ones from there always count.
func TestLimitsOfAddresses(t *testing.T) {
	t.Parallel()
	w := limitedTown(t, api.Limits{Address: perMinute(30), User: perMinute(1000)})
	signIn := func(address string) reply {
		return w.call("", "POST", "/api/v1/auth/sign-in", map[string]string{"email": "nobody@example.com", "password": "x"}, nil, from(address))
	}
	for _, address := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"} {
		signIn(address).want(401, "bad_credentials")
	}
	signIn("2001:db8::3").want(429, "rate_limited")
	signIn("2001:db8:0:1::3").want(401, "bad_credentials")
	signIn("192.0.2.1").want(401, "bad_credentials")

	guess := func() reply {
		return w.call("mgx_"+strings.Repeat("a", 43), "GET", "/api/v1/me", nil, nil, from("198.51.100.1"))
	}
	for range 6 {
		guess().want(401, "unauthenticated")
	}
	guess().want(429, "rate_limited")
	w.call(w.tokens[mgx.RoleViewer], "GET", "/api/v1/me", nil, nil, from("198.51.100.1")).want(200, "")
}

// What there is no room for is refused as ours, for a short while; health answers.
func TestRefusesBeyondItsMeans(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	w := pagedTown(t, api.Limits{AtOnce: 1, Queue: 1, QueueWait: time.Millisecond}, func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-leave
	})
	answered := make(chan int, 1)
	go func() { answered <- w.do("", "GET", "/page", nil, nil).status }()
	<-entered
	full := w.do(w.tokens[mgx.RoleViewer], "GET", "/api/v1/me", nil, nil)
	full.want(503, "overloaded")
	if full.header.Get("Retry-After") == "" {
		t.Error("nobody says when to try again")
	}
	w.do("", "GET", "/health/live", nil, nil).want(200, "")
	close(leave)
	if status := <-answered; status != 200 {
		t.Errorf("the one that had the place was answered with %d", status)
	}
	w.do(w.tokens[mgx.RoleViewer], "GET", "/api/v1/me", nil, nil).want(200, "")
}

// The log is told, once, of who tries what is another tenant's, asks far too often,
// or shows secrets that are none.
func TestTellsOfSuspicions(t *testing.T) {
	t.Parallel()
	w := limitedTown(t, api.Limits{User: perMinute(50)})
	var made struct{ Webhook mgx.Webhook }
	w.must(w.do(w.tokens["other"], "POST", "/api/v1/webhooks", map[string]any{"url": "https://example.com/hook"}, &made), 201)
	hook := made.Webhook

	viewer, admin := w.users[mgx.RoleViewer], w.users[mgx.RoleAdmin]
	for range 3 {
		w.call(w.tokens[mgx.RoleViewer], "GET", "/api/v1/me", nil, nil, func(r *http.Request) { r.Header.Set("Mgx-Workspace", string(w.other)) }).want(403, access.CodeNotMember)
		w.do(w.tokens[mgx.RoleAdmin], "GET", "/api/v1/webhooks/"+string(hook.ID), nil, nil).want(404, mgx.CodeNotFound)
	}
	w.do(w.tokens[mgx.RoleDeveloper], "GET", "/api/v1/keys/key_that_nobody_has", nil, nil).want(404, mgx.CodeNotFound)
	for range 160 {
		w.do(w.tokens[mgx.RoleAuditor], "GET", "/api/v1/me", nil, nil)
	}
	for range 25 {
		w.call("mgxa_"+strings.Repeat("b", 43), "GET", "/api/v1/me", nil, nil, from("192.0.2.9")).want(401, "unauthenticated")
	}
	for i := range 25 { // one attempt on each account, from all over one network
		email := fmt.Sprintf("nobody%d@example.com", i)
		w.call("", "POST", "/api/v1/auth/sign-in", map[string]string{"email": email, "password": "x"}, nil, from(fmt.Sprintf("2001:db8::%x", i)))
	}
	want := []string{
		"authentication_failures 192.0.2.9",
		"authentication_failures 2001:db8::13",
		"cross_tenant " + string(admin) + " " + string(hook.ID),
		"cross_tenant " + string(viewer) + " " + string(w.other),
		"unusual_volume " + string(w.users[mgx.RoleAuditor]),
	}
	slices.Sort(want)
	got := w.suspicions()
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
	for _, e := range w.eventsOf(mgx.SuspiciousActivity) {
		if e.Workspace != mgx.DefaultWorkspace {
			t.Errorf("%s is told of %s", e.Workspace, e.Data)
		}
	}
}

// inBrowser is a request of a browser in which a member with a role is signed in.
func (w *town) inBrowser(role string) func(*http.Request) {
	w.t.Helper()
	signedIn, err := w.access.SignInBrowser(w.t.Context(), role+"@example.com", townPassword, "", access.Where{})
	must(w.t, err)
	h := httptest.NewRecorder()
	access.Cookies{}.SetSession(h, signedIn.Cookie, time.Now().Add(time.Hour))
	cookie, _, _ := strings.Cut(h.Header().Get("Set-Cookie"), ";")
	return func(r *http.Request) { r.Header.Set("Cookie", cookie) }
}

// Pages cost whoever is signed in what requests do, and the address of who is not:
// nobody walks around a limit by asking a page.
func TestPagesCost(t *testing.T) {
	t.Parallel()
	w := pagedTown(t, api.Limits{Address: perMinute(25), User: perMinute(24)}, func(http.ResponseWriter, *http.Request) {})
	cookie := w.inBrowser(mgx.RoleViewer)
	ask := func(method, path string, edit func(*http.Request)) reply {
		return w.call("", method, path, nil, nil, func(r *http.Request) { edit(r); from("192.0.2.1")(r) })
	}
	page := func(method, path string) reply { return ask(method, path, func(*http.Request) {}) }
	for range 2 {
		page("GET", "/signin/with/corp").want(200, "")
	}
	page("GET", "/signin/with/corp").want(429, "rate_limited")
	for range 5 {
		page("GET", "/signin").want(200, "")
	}
	page("GET", "/signin").want(429, "rate_limited")

	ask("GET", "/runs", cookie).want(200, "")                    // 1
	ask("GET", "/audit/export?format=csv", cookie).want(200, "") // 10
	ask("POST", "/tasks", cookie).want(200, "")                  // 2
	ask("GET", "/usage", cookie).want(200, "")                   // 10
	ask("POST", "/tasks", cookie).want(429, "rate_limited")
	w.do(w.tokens[mgx.RoleViewer], "GET", "/api/v1/me", nil, nil).want(200, "") // the last of 24
	w.do(w.tokens[mgx.RoleViewer], "GET", "/api/v1/me", nil, nil).want(429, "rate_limited")
}

// One person has only some of the places for what may take long.
func TestSharesOfPlaces(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 8), make(chan struct{})
	w := pagedTown(t, api.Limits{AtOnce: 32, Queue: 1, QueueWait: time.Minute}, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/usage" {
			entered <- struct{}{}
			<-leave
		}
	})
	cookie := w.inBrowser(mgx.RoleViewer)
	page := func(path string) reply {
		return w.call("", "GET", path, nil, nil, func(r *http.Request) { cookie(r); from("192.0.2.1")(r) })
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { page("/usage").want(200, "") })
		<-entered
	}
	full := page("/usage")
	full.want(429, limit.CodeTooManyAtOnce)
	if full.header.Get("Retry-After") == "" {
		t.Error("nobody says when to try again")
	}
	page("/runs").want(200, "")
	w.do(w.tokens[mgx.RoleAdmin], "GET", "/api/v1/usage", nil, nil).want(200, "")
	close(leave)
	all.Wait()
	page("/runs").want(200, "")
}

// Who does not read an export keeps nobody else waiting: neither for a place nor, as it
// is whole before it is sent, for the database. Of one person only some are under way.
func TestUnreadExports(t *testing.T) {
	t.Parallel()
	const many, size = 4, 32 << 20 // more than sockets hold
	made, piece := make(chan struct{}, many+1), make([]byte, 1<<20)
	w := pagedTown(t, api.Limits{AtOnce: 1, Queue: 8, QueueWait: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/audit/export" {
			for range size / len(piece) {
				w.Write(piece)
			}
			made <- struct{}{}
		}
	})
	cookie := w.inBrowser(mgx.RoleAuditor)
	begin := func() *bufio.Reader {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		r, err := http.NewRequest("GET", w.url+"/audit/export", nil)
		must(t, err)
		cookie(r)
		from("192.0.2.1")(r)
		must(t, r.Write(conn))
		return bufio.NewReader(conn)
	}
	var first *bufio.Reader
	for range many {
		if in := begin(); first == nil {
			first = in
		}
		<-made
	}
	w.do(w.tokens[mgx.RoleViewer], "GET", "/api/v1/me", nil, nil).want(200, "")
	if a, err := http.ReadResponse(begin(), nil); err != nil || a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one more: %v, %v", a, err)
	}
	a, err := http.ReadResponse(first, nil)
	must(t, err)
	if n, err := io.Copy(io.Discard, a.Body); n != size || err != nil {
		t.Errorf("who reads it has %d bytes, %v", n, err)
	}
}

// Work that goes on after nobody waited for it any more keeps its place, so that who
// asks for it again and again is stopped by that.
func TestLateWorkKeepsItsPlace(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	w := pagedTown(t, api.Limits{AtOnce: 1, Queue: 1, QueueWait: time.Millisecond}, nil, func(o *api.Options) {
		o.WorkWait, o.GraceWait = time.Second, time.Millisecond
		o.Trial = app.Trial{Facts: func(f policy.Facts, _ json.RawMessage) (policy.Facts, app.Taken) {
			<-release
			return f, app.Taken{}
		}}
	})
	call := func(path string, body any) reply {
		return w.call(w.tokens[mgx.RoleDeveloper], map[bool]string{true: "GET", false: "POST"}[body == nil], path, body, nil, from("192.0.2.1"))
	}
	call("/api/v1/policies/test", map[string]string{"policy": "auto", "tool": "x", "effect": "read"}).want(503, mgx.CodeTimedOut)
	call("/api/v1/me", nil).want(503, limit.CodeOverloaded)
	close(release)
	for until := time.Now().Add(patience); call("/api/v1/me", nil).status != 200; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the place is not given back")
		}
	}
}

// Who has not said who it is takes no room from anybody who has.
func TestStrangersHaveRoomOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := limitedTown(t, api.Limits{})
	large := `{"email":"` + strings.Repeat("x", 16<<10) + `"}`
	w.call("", "POST", "/api/v1/auth/sign-in", json.RawMessage(large), nil, from("192.0.2.1")).want(413, "body_too_large")
	const each, addresses = 8, 33 // of 16 kB
	for i := range each * addresses {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		_, err = fmt.Fprintf(conn, "POST /api/v1/auth/sign-in HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 198.51.100.%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			1+i%addresses, 16<<10, strings.Repeat(" ", 16<<10-1))
		must(t, err)
	}
	signIn := map[string]string{"email": "a@example.com", "password": strings.Repeat("x", 16_000)}
	for until := time.Now().Add(patience); w.call("", "POST", "/api/v1/auth/sign-in", signIn, nil, from("203.0.113.1")).status != 503; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the room of strangers is without bound")
		}
	}
	w.call(w.tokens[mgx.RoleDeveloper], "POST", "/api/v1/policies/test", map[string]string{"policy": "auto", "tool": "x", "effect": "read"}, nil, from("203.0.113.1")).want(200, "")
}
