package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
	"mgx/internal/webhook"
)

func TestDeliver(t *testing.T) { onEach(t, testDeliver) }

func testDeliver(t *testing.T, l *lab) {
	l.say("task_a", "agent.message", 3) // before there was an endpoint
	rec := newReceiver(t, status(200))
	web := httptest.NewServer(rec)
	defer web.Close()
	w, secret := l.add(web.URL+"/hook?x=1", func(n *webhook.NewEndpoint) { n.Types = []string{"agent.*"} })
	l.run(webhook.Options{})
	var sent []mgx.Event
	for range 3 {
		sent = append(sent, l.say("task_a", "agent.message", 2)...)
		l.say("task_b", "tool.call", 2)
	}
	l.delivered(w.ID, len(sent))

	got := rec.messages()
	if len(got) != len(sent) {
		t.Fatalf("%d messages for %d events", len(got), len(sent))
	}
	for i, m := range got {
		if m.id != sent[i].ID || m.event.Position != sent[i].Position || m.event.Workspace != ws {
			t.Errorf("message %d is %s", i, m.body)
		}
		if err := verify(secret, m.header, m.body, time.Now()); err != nil {
			t.Error(err)
		}
		if verify(webhook.NewSecret(), m.header, m.body, time.Now()) == nil {
			t.Error("any secret verifies")
		}
	}
	all := l.deliveries(w.ID)
	if len(all) != len(sent) || all[0].Attempts != 1 || all[0].Event != sent[0].ID || all[0].Status != mgx.DeliveryDelivered {
		t.Errorf("deliveries %+v", all)
	}
	if a := l.attempts(w.ID, sent[0].ID); len(a) != 1 || a[0].Status != 200 || a[0].Error != "" || a[0].Duration <= 0 {
		t.Errorf("attempts %+v", a)
	}
	if out := l.said.String() + mustJSON(t, l.hook(w.ID)) + mustJSON(t, all); strings.Contains(out, secret[6:]) || strings.Contains(out, "whsec_") {
		t.Error("the secret is in logs or lists")
	}
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The data goes out byte for byte as it is stored.
func TestEnvelopeKeepsTheStoredBytes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	data := "{ \"html\": \"<b>&\u2028</b>\",\n\t\"n\": 1.50, \"null}\": null}"
	e := mgx.NewEvent("agent.message", nil)
	e.Workspace, e.Stream, e.Data = ws, "task_a", json.RawMessage(data)
	out, err := l.s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{e}})
	if err != nil {
		t.Fatal(err)
	}
	body, err := webhook.Envelope(out.Events[0])
	if err != nil || !bytes.HasSuffix(body, []byte(`"data":`+data+`}`)) {
		t.Errorf("%s %v", body, err)
	}
	var back mgx.Event
	if err := json.Unmarshal(body, &back); err != nil || back.ID != e.ID || back.Position != 1 {
		t.Errorf("%+v %v", back, err)
	}
	e.Data = json.RawMessage(`{"cut`)
	if _, err := webhook.Envelope(e); err == nil {
		t.Error("a damaged event is sent")
	}
}

// faults are what a receiver may do to a request, and what is then recorded.
// After the fault it answers 200.
var faults = map[string]struct {
	do     func(w http.ResponseWriter, r *http.Request)
	status int
	error  string
}{
	"500": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops\x1b[31m\u202e\x00", 500) }, 500, "the endpoint answered 500 Internal Server Error"},
	"404": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, 404, "the endpoint answered 404 Not Found"},
	"599": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) }, 599, "the endpoint answered 599"},
	"redirect": {func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}, 307, "a redirect, which is not followed"},
	"reset":    {func(w http.ResponseWriter, _ *http.Request) { reset(w) }, 0, "closed the connection without an answer"},
	"nonsense": {func(w http.ResponseWriter, _ *http.Request) { raw(w, "SSH-2.0-OpenSSH_9.6\r\n") }, 0, "the connection to the endpoint failed"},
	"huge header": {func(w http.ResponseWriter, _ *http.Request) {
		raw(w, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20))
	}, 0, "the connection to the endpoint failed"},
	"huge body": {func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		for range 1 << 10 {
			io.WriteString(w, strings.Repeat("0123456789", 1<<10))
		}
	}, 500, "the endpoint answered 500 Internal Server Error"},
}

func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

func raw(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	io.WriteString(conn, text)
	conn.Close()
}

func TestFaultsAreRetried(t *testing.T) {
	t.Parallel()
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			rec := newReceiver(t, func(w http.ResponseWriter, r *http.Request, _ message, nth, _ int) {
				if nth == 0 {
					f.do(w, r)
				}
			})
			web := httptest.NewServer(rec)
			defer web.Close()
			w, _ := l.add(web.URL)
			e := l.say("task_a", "agent.message", 1)[0]
			l.run(webhook.Options{})
			l.until("the first attempt", func() bool { return len(l.attempts(w.ID, e.ID)) == 1 })
			a := l.attempts(w.ID, e.ID)[0]
			if a.Status != f.status || !strings.Contains(a.Error, f.error) || len(a.Response) > 2048 || strings.ContainsAny(a.Response, "\x1b\x00\n\u202e") {
				t.Errorf("recorded %+v", a)
			}
			if d := l.deliveries(w.ID)[0]; d.Status == mgx.DeliveryPending && (d.LastError != a.Error || !d.NextAt.Equal(a.NextAt) || a.NextAt.Sub(a.At) > 11*time.Second) {
				t.Errorf("delivery %+v", d)
			}
			if l.hook(w.ID).FailingSince.IsZero() && len(l.deliveries(w.ID, mgx.DeliveryDelivered)) == 0 {
				t.Error("the endpoint does not count as failing")
			}
			l.ends.Retry(t.Context(), w.ID, e.ID) // now, not in up to 10 s
			l.delivered(w.ID, 1)
			if got := rec.messages(); len(got) != 2 || got[0].id != got[1].id || !bytes.Equal(got[0].body, got[1].body) {
				t.Errorf("%d messages", len(got))
			}
			if !l.hook(w.ID).FailingSince.IsZero() {
				t.Error("the endpoint still counts as failing")
			}
		})
	}
}

func TestNoAnswerFromNobody(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ear, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ear.Addr().String()
	ear.Close()
	for url, want := range map[string]string{
		"http://" + closed:              "the endpoint refused the connection",
		"https://no-such-host.invalid/": "the endpoint's host name was not found",
	} {
		w, _ := l.add(url)
		a, err := l.ends.Test(t.Context(), w.ID)
		if err != nil || a.Error != want || a.Status != 0 {
			t.Errorf("%s: %+v %v", url, a, err)
		}
	}
}

// A name may lead anywhere, so the guard looks at what it was resolved to.
func TestGuardLooksAtTheConnection(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	rec := newReceiver(t, status(200))
	web := httptest.NewTLSServer(rec)
	defer web.Close()
	_, port, _ := net.SplitHostPort(web.Listener.Addr().String())
	plain := httptest.NewServer(rec)
	defer plain.Close()
	_, plainPort, _ := net.SplitHostPort(plain.Listener.Addr().String())
	l.ends.Guard = webhook.Guard{}
	w, _ := l.add("https://localhost:" + port)
	a, err := l.ends.Test(t.Context(), w.ID)
	if err != nil || !strings.Contains(a.Error, "not public") || strings.Contains(a.Error, "127.") {
		t.Errorf("%+v %v", a, err)
	}
	l.ends.Guard = local // now it is reached, and fails for its certificate
	if a, err = l.ends.Test(t.Context(), w.ID); err != nil || !strings.Contains(a.Error, "certificate") {
		t.Errorf("%+v %v", a, err)
	}
	w, _ = l.add("http://localhost:" + plainPort)
	if a, err = l.ends.Test(t.Context(), w.ID); err != nil || a.Status != 200 || a.Error != "" {
		t.Errorf("%+v %v", a, err)
	}
	l.ends.Guard = guardOf("192.0.2.0/24")
	if a, err = l.ends.Test(t.Context(), w.ID); err != nil || !strings.Contains(a.Error, "not public") {
		t.Errorf("%+v %v", a, err)
	}
	l.ends.Guard = local // a public address, over http: refused before anything is sent
	rawSQL(t, l.path, `UPDATE webhooks SET url = 'http://192.31.195.1/' WHERE id = ?`, w.ID)
	if a, err = l.ends.Test(t.Context(), w.ID); err != nil || !strings.Contains(a.Error, "use https") {
		t.Errorf("%+v %v", a, err)
	}
	if n := len(rec.messages()); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

// Proxies from the environment would see the messages, and go where they like.
func TestNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	l := newLab(t)
	web := httptest.NewServer(newReceiver(t, status(204)))
	defer web.Close()
	w, _ := l.add(web.URL)
	if a, err := l.ends.Test(t.Context(), w.ID); err != nil || a.Status != 204 || a.Error != "" {
		t.Errorf("%+v %v", a, err)
	}
}

func TestGoneDisables(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	web := httptest.NewServer(newReceiver(t, status(410, 200)))
	defer web.Close()
	w, _ := l.add(web.URL)
	l.say("task_a", "agent.message", 2)
	l.run(webhook.Options{})
	l.until("it is disabled, and the log says so", func() bool { return !l.hook(w.ID).Enabled && strings.Contains(l.said.String(), "410") })
	if why := l.hook(w.ID).DisabledWhy; !strings.Contains(why, "410") {
		t.Errorf("disabled because %q", why)
	}
	told, err := l.s.EventsAfter(t.Context(), w.Workspace, "", "", []string{"webhook.disabled"}, 0, 10)
	var d mgx.WebhookDisabledData
	if err != nil || len(told) != 1 || told[0].Decode(&d) != nil || d.WebhookID != w.ID || d.Reason != "answered_gone" || !d.FailingSince.IsZero() {
		t.Errorf("told %+v %v", told, err)
	}
	l.say("task_b", "agent.message", 1) // kept for later
	if err := l.ends.Enable(t.Context(), w.ID, false); err != nil {
		t.Fatal(err)
	}
	l.delivered(w.ID, 3)
}

func TestEnableAndSkip(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	rec := newReceiver(t, status(200))
	web := httptest.NewServer(rec)
	defer web.Close()
	w, _ := l.add(web.URL)
	if err := l.ends.Disable(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	l.run(webhook.Options{})
	l.say("task_a", "agent.message", 3)
	if err := l.ends.Enable(t.Context(), w.ID, true); err != nil {
		t.Fatal(err)
	}
	e := l.say("task_a", "agent.message", 1)[0]
	l.delivered(w.ID, 1)
	if got := rec.messages(); len(got) != 1 || got[0].id != e.ID {
		t.Errorf("%d messages", len(got))
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "1e9": 0, "soon": 0, "99999999999999999999": 0,
		"2000000000": 24 * time.Hour, "Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2025 03:05:05 GMT": 0,
	} {
		if got := webhook.RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	for _, code := range []int{429, 503, 500} {
		l := newLab(t)
		web := httptest.NewServer(newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ message, _, _ int) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(code)
		}))
		defer web.Close()
		w, _ := l.add(web.URL)
		e := l.say("task_a", "agent.message", 1)[0]
		l.run(webhook.Options{})
		l.until("an attempt", func() bool { return len(l.attempts(w.ID, e.ID)) > 0 })
		a := l.attempts(w.ID, e.ID)[0]
		if waits := a.NextAt.Sub(a.At) >= time.Hour; waits != (code != 500) {
			t.Errorf("after %d the next attempt is in %s", code, a.NextAt.Sub(a.At))
		}
	}
}

// Old and new secrets both sign until the overlap has passed; see also the
// schedule's test for its end.
func TestRotate(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	rec := newReceiver(t, status(200))
	web := httptest.NewServer(rec)
	defer web.Close()
	w, first := l.add(web.URL)
	test := func() message {
		t.Helper()
		if a, err := l.ends.Test(t.Context(), w.ID); err != nil || a.Error != "" {
			t.Fatalf("%+v %v", a, err)
		}
		all := rec.messages()
		return all[len(all)-1]
	}
	second, err := l.ends.Rotate(t.Context(), w.ID, false)
	if err != nil || second == first {
		t.Fatal(err)
	}
	m := test()
	for _, s := range []string{first, second} {
		if err := verify(s, m.header, m.body, time.Now()); err != nil {
			t.Error(err)
		}
	}
	third, err := l.ends.Rotate(t.Context(), w.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	m = test()
	if verify(third, m.header, m.body, time.Now()) != nil || verify(first, m.header, m.body, time.Now()) == nil || verify(second, m.header, m.body, time.Now()) == nil {
		t.Errorf("after revoking: %s", m.header)
	}
	for range 4 {
		if _, err := l.ends.Rotate(t.Context(), w.ID, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.ends.Rotate(t.Context(), w.ID, false); !mgx.IsCode(err, "rotated_too_often") {
		t.Errorf("rotated without end: %v", err)
	}
	if m.event.Type != webhook.TestEvent {
		t.Errorf("tested with %s", m.body)
	}
}

// A stream waits for its first event; other streams and other endpoints do not.
func TestOrderPerStream(t *testing.T) { onEach(t, testOrderPerStream) }

func testOrderPerStream(t *testing.T, l *lab) {
	var mended atomic.Bool
	rec := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, m message, _, _ int) {
		if m.event.Stream == "task_bad" && !mended.Load() {
			w.WriteHeader(500)
		}
	})
	web := httptest.NewServer(rec)
	defer web.Close()
	w, _ := l.add(web.URL)
	bad := l.say("task_bad", "agent.message", 5)
	l.say("task_good", "agent.message", 5)
	l.run(webhook.Options{})
	l.delivered(w.ID, 5)
	for _, m := range rec.messages() {
		if m.event.Stream == "task_bad" && m.id != bad[0].ID {
			t.Errorf("event %d was sent before the one before it was accepted", m.event.Sequence)
		}
	}
	mended.Store(true)
	if err := l.ends.Retry(t.Context(), w.ID, bad[0].ID); err != nil {
		t.Fatal(err)
	}
	l.delivered(w.ID, 10)
	inOrder(t, rec.messages())
}

// inOrder checks that, leaving repetitions away, every stream came in order, and
// that within a stream one request ended before the next began.
func inOrder(t testing.TB, all []message) {
	t.Helper()
	last := map[mgx.StreamID]message{}
	for _, m := range all {
		before, ok := last[m.event.Stream]
		if ok && m.event.Sequence < before.event.Sequence {
			t.Errorf("%s: %d came after %d", m.event.Stream, m.event.Sequence, before.event.Sequence)
		}
		if ok && m.id != before.id && m.start.Before(before.end) {
			t.Errorf("%s: %d began before %d had ended", m.event.Stream, m.event.Sequence, before.event.Sequence)
		}
		last[m.event.Stream] = m
	}
}

// Endpoints that hang do not take the slots of one that works.
func TestHangingEndpointsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	release := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hang.Close()
	defer close(release)
	good := newReceiver(t, status(200))
	web := httptest.NewServer(good)
	defer web.Close()
	for i := range 6 {
		w, _ := l.add(fmt.Sprintf("%s/%d", hang.URL, i))
		rawSQL(t, l.path, `UPDATE webhooks SET failing_since = 1 WHERE id = ?`, w.ID) // they hang for some time already
	}
	w, _ := l.add(web.URL)
	for i := range 50 {
		l.say(mgx.StreamID(fmt.Sprintf("task_%d", i)), "agent.message", 1)
	}
	start := time.Now()
	l.run(webhook.Options{InAll: 8})
	l.delivered(w.ID, 50)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

// With a full window an endpoint stops reading the log, and goes on later.
func TestWindow(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var mended atomic.Bool
	rec := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ message, _, _ int) {
		if !mended.Load() {
			w.WriteHeader(500)
		}
	})
	web := httptest.NewServer(rec)
	defer web.Close()
	w, _ := l.add(web.URL)
	l.run(webhook.Options{Window: 10})
	l.say("task_a", "agent.message", 35)
	l.until("an attempt", func() bool { return len(rec.messages()) > 0 })
	l.until("the window is full", func() bool { return l.hook(w.ID).Pending == 10 })
	if c := l.hook(w.ID).Cursor; c != 11 { // ten, and the entry that the endpoint was added
		t.Errorf("read up to %d", c)
	}
	mended.Store(true)
	if err := l.ends.Retry(t.Context(), w.ID, l.deliveries(w.ID)[0].Event); err != nil {
		t.Fatal(err)
	}
	l.delivered(w.ID, 35)
	inOrder(t, rec.messages())
}

func TestUpdateAndRemove(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	rec := newReceiver(t, status(200))
	web := httptest.NewServer(rec)
	defer web.Close()
	w, _ := l.add(web.URL, func(n *webhook.NewEndpoint) { n.Channels = []string{"task:task_a"} })
	l.run(webhook.Options{})
	l.say("task_b", "agent.message", 1)
	l.say("task_a", "agent.message", 1)
	l.delivered(w.ID, 1)
	to := []string{"task:task_b"}
	if _, err := l.ends.Update(t.Context(), w.ID, webhook.Change{Channels: &to}); err != nil {
		t.Fatal(err)
	}
	bad := "https://10.0.0.1/"
	if _, err := l.ends.Update(t.Context(), w.ID, webhook.Change{URL: &bad}); !mgx.IsCode(err, webhook.CodeAddressRefused) {
		t.Errorf("changed to a private address: %v", err)
	}
	l.say("task_a", "agent.message", 1)
	e := l.say("task_b", "agent.message", 1)[0]
	l.delivered(w.ID, 2)
	if got := rec.messages(); len(got) != 2 || got[1].id != e.ID {
		t.Errorf("%d messages", len(got))
	}
	if err := l.ends.Remove(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ends.Get(t.Context(), w.ID); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("after removal: %v", err)
	}
	l.say("task_b", "agent.message", 1)
	if err := l.s.Verify(context.Background()); err != nil {
		t.Error(err)
	}
}

// Another workspace's endpoints are nowhere.
func TestTenants(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	rec := newReceiver(t, status(200))
	web := httptest.NewServer(rec)
	defer web.Close()
	w, _ := l.add(web.URL)
	l.run(webhook.Options{})
	other := webhook.Endpoints{By: mgx.Doer{Workspace: "ws_other", Actor: "user_1"}, Store: l.s, Guard: local}
	e := mgx.NewEvent("agent.message", map[string]int{})
	e.Workspace, e.Stream = "ws_other", "task_other"
	if _, err := l.s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{e}}); err != nil {
		t.Fatal(err)
	}
	mine := l.say("task_a", "agent.message", 1)[0]
	l.delivered(w.ID, 1)
	if got := rec.messages(); len(got) != 1 || got[0].id != mine.ID {
		t.Errorf("%d messages", len(got))
	}
	ctx := t.Context()
	if list, err := other.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
	for name, try := range map[string]func() error{
		"get":        func() error { _, err := other.Get(ctx, w.ID); return err },
		"update":     func() error { _, err := other.Update(ctx, w.ID, webhook.Change{}); return err },
		"enable":     func() error { return other.Enable(ctx, w.ID, false) },
		"disable":    func() error { return other.Disable(ctx, w.ID) },
		"remove":     func() error { return other.Remove(ctx, w.ID) },
		"rotate":     func() error { _, err := other.Rotate(ctx, w.ID, false); return err },
		"deliveries": func() error { _, err := other.Deliveries(ctx, mgx.DeliveryQuery{Webhook: w.ID}); return err },
		"attempts":   func() error { _, err := other.Attempts(ctx, w.ID, mine.ID); return err },
		"retry":      func() error { return other.Retry(ctx, w.ID, mine.ID) },
		"retry dead": func() error { _, err := other.RetryDead(ctx, w.ID); return err },
		"test":       func() error { _, err := other.Test(ctx, w.ID); return err },
	} {
		if err := try(); !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a workspace may send on a day is sent, in order; the rest waits in the log, and
// goes out when the quota is raised.
func TestQuotaOfTheDay(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *lab) {
		rec := newReceiver(t, status(200))
		web := httptest.NewServer(rec)
		defer web.Close()
		quota := func(n int64) {
			if err := l.s.SetQuotas(t.Context(), l.ends.By, map[mgx.Quota]*int64{mgx.QuotaDeliveriesADay: &n}); err != nil {
				t.Fatal(err)
			}
		}
		quota(5)
		w, _ := l.add(web.URL, func(n *webhook.NewEndpoint) { n.Types = []string{"agent.*"} })
		l.run(webhook.Options{})
		l.say("task_a", "agent.message", 12)
		l.delivered(w.ID, 5)
		l.until("it is said that the others wait", func() bool { return strings.Contains(l.said.String(), "as its quota allows") })
		if n := len(rec.messages()); n != 5 {
			t.Errorf("%d were sent", n)
		}
		quota(100)
		about := "another description" // of a change the endpoint hears at once, of a quota within a minute
		if _, err := l.ends.Update(t.Context(), w.ID, webhook.Change{Description: &about}); err != nil {
			t.Fatal(err)
		}
		l.delivered(w.ID, 12)
		inOrder(t, rec.messages())
	})
}
