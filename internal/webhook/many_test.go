package webhook_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
	"mgx/internal/webhook"
)

// choosy is a store that fails for what some webhooks ask for.
type choosy struct {
	*store.Store
	types string
}

func (s choosy) EventsAfter(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID, run mgx.RunID, types []string, after int64, limit int) ([]mgx.Event, error) {
	if len(types) > 0 && types[0] == s.types {
		return nil, errDead
	}
	return s.Store.EventsAfter(ctx, ws, stream, run, types, after, limit)
}

// Endpoints for which the store fails, however many, keep nobody else's waiting.
func TestOneThatFailsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	rec := newReceiver(t, status(200))
	web := httptest.NewServer(rec)
	defer web.Close()
	for range 20 {
		l.add(web.URL, func(n *webhook.NewEndpoint) { n.Types = []string{"agent.bad"} })
	}
	good, _ := l.add(web.URL)
	l.run(webhook.Options{Store: choosy{l.s, "agent.bad"}})
	for i := range 3 {
		l.say("task_a", "agent.message", 1)
		l.delivered(good.ID, i+1)
	}
	if said := l.said.String(); strings.Contains(said, "webhooks cannot be delivered") {
		t.Errorf("all wait:\n%s", said)
	}
	if n := strings.Count(l.said.String(), "cannot be served"); n < 20 {
		t.Errorf("told %d times", n)
	}
}

// dying is the store of a process that dies between sending and recording: from
// that moment on nothing that it does reaches the database.
type dying struct {
	*store.Store
	after int32 // records that still succeed
	dead  atomic.Bool
}

var errDead = errors.New("the process is dead")

func (s *dying) RecordDelivery(ctx context.Context, l mgx.WebhookLease, o mgx.WebhookOutcome) (bool, error) {
	if atomic.AddInt32(&s.after, -1) < 0 {
		s.dead.Store(true)
	}
	if s.dead.Load() {
		return false, errDead
	}
	return s.Store.RecordDelivery(ctx, l, o)
}

func (s *dying) AddDeliveries(ctx context.Context, l mgx.WebhookLease, e []mgx.Event, cursor int64) error {
	if s.dead.Load() {
		return errDead
	}
	return s.Store.AddDeliveries(ctx, l, e, cursor)
}

func (s *dying) RenewWebhooks(ctx context.Context, owner string, until time.Time, read map[mgx.WebhookID]int64) error {
	if s.dead.Load() {
		return errDead
	}
	return s.Store.RenewWebhooks(ctx, owner, until, read)
}

func (s *dying) ReleaseWebhook(ctx context.Context, l mgx.WebhookLease, cursor int64) error {
	if s.dead.Load() {
		return errDead
	}
	return s.Store.ReleaseWebhook(ctx, l, cursor)
}

// What was sent and not recorded is sent again by whoever takes over, under the
// same id and with the same bytes.
func TestCrashBetweenSendingAndRecording(t *testing.T) {
	t.Parallel()
	for after := range 4 {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			onEach(t, func(t *testing.T, l *lab) { testCrash(t, l, after) })
		})
	}
}

func testCrash(t *testing.T, l *lab, after int) {
	rec := newReceiver(t, status(200))
	web := httptest.NewServer(rec)
	defer web.Close()
	w, secret := l.add(web.URL)
	events := l.say("task_a", "agent.message", 4)
	first := &dying{Store: l.open(), after: int32(after)}
	stop := l.run(webhook.Options{Store: first, Owner: "own_first"})
	l.until("it dies", first.dead.Load)
	stop()
	if d := l.deliveries(w.ID, mgx.DeliveryDelivered); len(d) != after {
		t.Fatalf("%d deliveries are recorded, want %d", len(d), after)
	}
	l.run(webhook.Options{Alive: func(owner string) bool { return owner != "own_first" }})
	l.delivered(w.ID, len(events))
	got := rec.messages()
	if len(got) != len(events)+1 || got[after].id != got[after+1].id || string(got[after].body) != string(got[after+1].body) {
		t.Errorf("after %d: %d messages", after, len(got))
	}
	for _, m := range got {
		if err := verify(secret, m.header, m.body, time.Now()); err != nil {
			t.Error(err)
		}
	}
	inOrder(t, got)
}

// Nobody takes over before the lease has run out, unless its owner is known to
// be dead; who lost a lease records nothing more.
func TestLeases(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	w, _ := l.add("http://127.0.0.1:1/")
	e := l.say("task_a", "agent.message", 1)
	ctx, now := t.Context(), mgx.Now()
	first, ok, err := l.s.ClaimWebhook(ctx, l.hook(w.ID).Lease, "own_a", now.Add(time.Minute))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, ok, _ := l.s.ClaimWebhook(ctx, w.Lease, "own_b", now.Add(time.Minute)); ok {
		t.Error("claimed on an outdated look")
	}
	seen := l.hook(w.ID).Lease
	if err := l.s.RenewWebhooks(ctx, "own_a", now.Add(2*time.Minute), nil); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := l.s.ClaimWebhook(ctx, seen, "own_b", now.Add(time.Minute)); ok {
		t.Error("claimed although it was renewed meanwhile")
	}
	if err := l.s.AddDeliveries(ctx, first, e, 1); err != nil {
		t.Fatal(err)
	}
	second, ok, err := l.s.ClaimWebhook(ctx, l.hook(w.ID).Lease, "own_b", now.Add(time.Minute))
	if err != nil || !ok || second.Term != first.Term+1 {
		t.Fatal(second, ok, err)
	}
	o := mgx.WebhookOutcome{Attempt: mgx.WebhookAttempt{Event: e[0].ID, At: now}, Status: mgx.DeliveryDelivered}
	for name, try := range map[string]func(mgx.WebhookLease) error{
		"record": func(l1 mgx.WebhookLease) error { _, err := l.s.RecordDelivery(ctx, l1, o); return err },
		"add":    func(l1 mgx.WebhookLease) error { return l.s.AddDeliveries(ctx, l1, e, 9) },
		"prune":  func(l1 mgx.WebhookLease) error { _, err := l.s.PruneDeliveries(ctx, l1, now, now, 1); return err },
	} {
		if err := try(first); !mgx.IsCode(err, mgx.CodeFenced) {
			t.Errorf("%s under a lost lease: %v", name, err)
		}
	}
	if err := l.s.ReleaseWebhook(ctx, first, 99); err != nil {
		t.Error(err)
	}
	if h := l.hook(w.ID); h.Lease.Owner != "own_b" || h.Cursor != 1 || h.Pending != 1 {
		t.Errorf("a lost lease changed %+v", h)
	}
	if err := l.ends.Disable(ctx, w.ID); err != nil {
		t.Fatal(err)
	}
	if err := l.s.ReleaseWebhook(ctx, second, 1); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := l.s.ClaimWebhook(ctx, l.hook(w.ID).Lease, "own_c", now.Add(time.Minute)); ok {
		t.Error("claimed a disabled endpoint")
	}
}

// Who loses the lease while it works ends its request and sends nothing more.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ended := make(chan struct{})
	rec := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ message, _, _ int) {
		<-r.Context().Done()
		close(ended) // a second request would panic
	})
	web := httptest.NewServer(rec)
	defer web.Close()
	w, _ := l.add(web.URL)
	e := l.say("task_a", "agent.message", 1)
	l.run(webhook.Options{})
	l.until("a request", func() bool { return len(rec.messages()) == 1 })
	thief, ok, err := l.s.ClaimWebhook(t.Context(), l.hook(w.ID).Lease, "own_thief", mgx.Now().Add(time.Hour))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second): // less than the request may take
		t.Error("the request goes on")
	}
	l.until("it is told", func() bool { return strings.Contains(l.said.String(), "taken") })
	more := l.say("task_b", "agent.message", 1)
	if err := l.s.AddDeliveries(t.Context(), thief, more, more[0].Position); err != nil {
		t.Fatal(err)
	}
	if a := l.attempts(w.ID, e[0].ID); len(a) != 0 {
		t.Errorf("recorded under a lost lease: %+v", a)
	}
}

// Several deliverers on one database never have the same event under way at the
// same time, and none is sent twice while nobody dies.
func TestManyDeliverers(t *testing.T) { onEach(t, testManyDeliverers) }

func testManyDeliverers(t *testing.T, l *lab) {
	var mu sync.Mutex
	under := map[string]bool{}
	answer := func(w http.ResponseWriter, r *http.Request, m message, _, again int) {
		key := r.Host + " " + string(m.id)
		mu.Lock()
		twice := under[key]
		under[key] = true
		mu.Unlock()
		if twice || again > 0 {
			t.Errorf("%s is sent twice (at the same time: %v)", key, twice)
		}
		time.Sleep(time.Millisecond)
		mu.Lock()
		under[key] = false
		mu.Unlock()
	}
	var hooks []mgx.Webhook
	var recs []*receiver
	for range 6 {
		rec := newReceiver(t, answer)
		web := httptest.NewServer(rec)
		t.Cleanup(web.Close)
		w, _ := l.add(web.URL)
		hooks, recs = append(hooks, w), append(recs, rec)
	}
	var stops []func()
	for range 3 {
		stops = append(stops, l.run(webhook.Options{Store: l.open(), Poll: 10 * time.Millisecond}))
	}
	for i := range 10 {
		l.say(mgx.StreamID(fmt.Sprintf("task_%d", i%5)), "agent.message", 4)
		if i == 5 {
			stops[0]() // in good order: others go on at once
			stops[0] = l.run(webhook.Options{Store: l.open(), Poll: 10 * time.Millisecond})
		}
	}
	for i, w := range hooks {
		l.delivered(w.ID, 40)
		inOrder(t, recs[i].messages())
	}
	if strings.Contains(l.said.String(), "taken") {
		t.Errorf("a lease was taken from the living:\n%s", l.said)
	}
}

// Processes are killed at random while they deliver: everything arrives, in
// order, and only what was under way arrives twice.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes")
	}
	onEach(t, testKilled)
}

func testKilled(t *testing.T, l *lab) {
	const streams, each, kills = 4, 15, 5
	var victim atomic.Pointer[os.Process]
	var left, killed atomic.Int32
	rec := newReceiver(t, func(w http.ResponseWriter, r *http.Request, m message, _, _ int) {
		if p := victim.Load(); p != nil && left.Add(-1) == 0 {
			victim.Store(nil)
			killed.Add(1)
			p.Kill()
		}
	})
	web := httptest.NewServer(rec)
	defer web.Close()
	w, _ := l.add(web.URL)
	for i := range streams {
		l.say(mgx.StreamID(fmt.Sprintf("task_%d", i)), "agent.message", each)
	}
	for i := range kills {
		child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), "MGX_WEBHOOK_CHILD="+l.path, fmt.Sprintf("MGX_WEBHOOK_OWNER=own_%d", i))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		left.Store(int32(3 + i*2))
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		victim.Store(child.Process)
		for s := bufio.NewScanner(out); s.Scan(); {
			t.Error("the child says", s.Text())
		}
		child.Wait()
	}
	if killed.Load() != kills {
		t.Fatalf("%d of %d were killed", killed.Load(), kills)
	}
	l.run(webhook.Options{Alive: func(string) bool { return false }})
	l.delivered(w.ID, streams*each)
	all := rec.messages()
	inOrder(t, all)
	seen := map[mgx.EventID]bool{}
	for _, m := range all {
		seen[m.id] = true
	}
	if twice := len(all) - len(seen); len(seen) != streams*each || twice > kills*streams {
		t.Errorf("%d events in %d messages", len(seen), len(all))
	}
}

// TestMain lets this binary also be a process that delivers until it is killed.
func TestMain(m *testing.M) {
	path := os.Getenv("MGX_WEBHOOK_CHILD")
	if path == "" {
		flag.Set("rapid.checks", "30") // each opens a database; the command line may say otherwise
		pgtest.Main(m)
	}
	s, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	self := os.Getenv("MGX_WEBHOOK_OWNER")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	webhook.New(webhook.Options{Store: s, Guard: local, Owner: self, Alive: func(owner string) bool { return owner == self }}).Run(ctx)
	fmt.Println("nobody killed it")
}
