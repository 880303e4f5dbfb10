package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
	"mgx/internal/webhook"
)

const ws = mgx.DefaultWorkspace

// local lets tests reach their own servers.
var local = webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

// lab is a workspace on a real database.
type lab struct {
	t    testing.TB
	path string
	s    *store.Store
	ends webhook.Endpoints
	log  *slog.Logger
	said *lines
}

// lines is what was logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newLab(t testing.TB) *lab {
	t.Helper()
	return newLabOn(t, filepath.Join(t.TempDir(), "mgx.db"))
}

// onEach runs a test on either kind of database.
func onEach(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newLab(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newLabOn(t, pgtest.NewDatabase(t)))
	})
}

func newLabOn(t testing.TB, path string) *lab {
	t.Helper()
	l := &lab{t: t, path: path, said: &lines{}}
	l.log = slog.New(slog.NewTextHandler(l.said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l.s = l.open()
	l.ends = webhook.Endpoints{By: mgx.Doer{Workspace: ws, Actor: "user_1"}, Store: l.s, Guard: local}
	return l
}

// open opens the database once more, as another process would.
func (l *lab) open() *store.Store {
	l.t.Helper()
	s, err := store.Open(context.Background(), l.path, store.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { s.Close() })
	return s
}

func (l *lab) add(url string, change ...func(*webhook.NewEndpoint)) (mgx.Webhook, string) {
	l.t.Helper()
	n := webhook.NewEndpoint{URL: url}
	for _, f := range change {
		f(&n)
	}
	w, secret, err := l.ends.Add(context.Background(), n)
	if err != nil {
		l.t.Fatal(err)
	}
	return w, secret
}

// say appends events of a type to a stream.
func (l *lab) say(stream mgx.StreamID, typ mgx.EventType, n int) []mgx.Event {
	l.t.Helper()
	var c mgx.Change
	for i := range n {
		e := mgx.NewEvent(typ, map[string]int{"n": i})
		e.Workspace, e.Stream, e.Task, e.Version = ws, stream, mgx.TaskID(stream), "1.0.0"
		c.Events = append(c.Events, e)
	}
	out, err := l.s.Commit(context.Background(), c)
	if err != nil {
		l.t.Fatal(err)
	}
	return out.Events
}

// run delivers until the test or the returned function ends it.
func (l *lab) run(o webhook.Options) (stop func()) {
	return l.drive(l.deliverer(o))
}

func (l *lab) deliverer(o webhook.Options) *webhook.Deliverer {
	if o.Store == nil {
		o.Store = l.s
	}
	if len(o.Guard.Allow) == 0 {
		o.Guard = local
	}
	o.Log = l.log
	return webhook.New(o)
}

func (l *lab) drive(d *webhook.Deliverer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	l.t.Cleanup(stop)
	return stop
}

// until waits for something that a deliverer does.
func (l *lab) until(what string, ok func() bool) {
	l.t.Helper()
	end := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(end) {
			l.t.Fatalf("waited in vain: %s\n%s", what, l.said)
		}
		changed := l.s.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (l *lab) hook(id mgx.WebhookID) mgx.Webhook {
	l.t.Helper()
	w, err := l.ends.Get(context.Background(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	return w
}

func (l *lab) deliveries(id mgx.WebhookID, statuses ...mgx.DeliveryStatus) []mgx.WebhookDelivery {
	l.t.Helper()
	all, err := l.ends.Deliveries(context.Background(), mgx.DeliveryQuery{Webhook: id, Statuses: statuses})
	if err != nil {
		l.t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

func (l *lab) attempts(id mgx.WebhookID, e mgx.EventID) []mgx.WebhookAttempt {
	l.t.Helper()
	all, err := l.ends.Attempts(context.Background(), id, e)
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

// delivered waits until an endpoint has answered all of these with success.
func (l *lab) delivered(id mgx.WebhookID, n int) {
	l.t.Helper()
	l.until(fmt.Sprintf("%d deliveries of %s", n, id), func() bool {
		return len(l.deliveries(id, mgx.DeliveryDelivered)) >= n
	})
}

// message is one request as a receiver got it.
type message struct {
	id     mgx.EventID
	event  mgx.Event
	header http.Header
	body   []byte
	start  time.Time
	end    time.Time
}

// receiver is somebody's web server. It keeps what it was sent; answer decides
// what it says, given how many requests came before and how often this event did.
type receiver struct {
	t      testing.TB
	answer func(w http.ResponseWriter, r *http.Request, m message, nth, again int)

	mu   sync.Mutex
	got  []message
	seen map[mgx.EventID]int
}

func newReceiver(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, m message, nth, again int)) *receiver {
	return &receiver{t: t, answer: answer, seen: map[mgx.EventID]int{}}
}

// status answers with the numbers given, then with the last of them.
func status(codes ...int) func(http.ResponseWriter, *http.Request, message, int, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ message, nth, _ int) {
		w.WriteHeader(codes[min(nth, len(codes)-1)])
	}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	m := message{id: mgx.EventID(req.Header.Get("webhook-id")), header: req.Header, body: body, start: time.Now()}
	if err == nil {
		err = json.Unmarshal(body, &m.event)
	}
	if err != nil || req.Method != http.MethodPost || m.event.ID != m.id || req.Header.Get("Content-Type") != "application/json" {
		r.t.Errorf("a strange request: %s %v %q %v", req.Method, req.Header, body, err)
	}
	r.mu.Lock()
	nth, again := len(r.got), r.seen[m.id]
	r.got = append(r.got, m)
	r.seen[m.id]++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got[nth].end = time.Now()
	}()
	r.answer(w, req, m, nth, again)
}

func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// verify is written from the specification alone, for the tests:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func verify(secret string, h http.Header, body []byte, now time.Time) error {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		return err
	}
	if age := now.Sub(time.Unix(seconds, 0)).Abs(); age > 5*time.Minute {
		return fmt.Errorf("signed %s ago", age)
	}
	mac := hmac.New(sha256.New, raw)
	fmt.Fprintf(mac, "%s.%d.%s", h.Get("webhook-id"), seconds, body)
	for one := range strings.SplitSeq(h.Get("webhook-signature"), " ") {
		version, text, _ := strings.Cut(one, ",")
		got, err := base64.StdEncoding.DecodeString(text)
		if version == "v1" && err == nil && hmac.Equal(got, mac.Sum(nil)) {
			return nil
		}
	}
	return fmt.Errorf("no signature of %q is ours", h.Get("webhook-signature"))
}

// pipes is a network in memory, whose waiting is the bubble's.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// rawSQL does what no method of the store does.
func rawSQL(t testing.TB, path, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}
