package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/store"
)

var hubKey = []byte("0123456789abcdef0123456789abcdef")

// startHub runs a hub over a store until the test ends.
func startHub(t testing.TB, o event.HubOptions) *event.Hub {
	t.Helper()
	h := newHub(o)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { h.Run(ctx) })
	t.Cleanup(func() { stop(); wg.Wait() })
	return h
}

func newHub(o event.HubOptions) *event.Hub {
	if o.Epoch == "" {
		o.Epoch = "epoch-1"
	}
	if o.Key == nil {
		o.Key = hubKey
	}
	if o.Authorize == nil {
		o.Authorize = event.OneWorkspace(mgx.DefaultWorkspace)
	}
	return event.NewHub(o)
}

func channels(t testing.TB, list ...string) []event.Channel {
	t.Helper()
	if len(list) == 0 {
		list = []string{"all"}
	}
	c, err := event.ParseChannels(list)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func subscribe(t testing.TB, h *event.Hub, r event.SubscribeRequest) *event.Subscription {
	t.Helper()
	if r.Channels == nil {
		r.Channels = channels(t)
	}
	s, err := h.Subscribe(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Slow, fast and impatient subscribers with tiny queues, while several writers
// append: each gets every event it asked for once, in order, whatever happens.
func TestHubDeliversEachEventOnce(t *testing.T) {
	t.Parallel()
	const writers, rounds, subscribers = 4, 60, 12
	s := open(t, filepath.Join(t.TempDir(), "mgx.db"))
	a, b := begin(t, s), begin(t, s)
	h := startHub(t, event.HubOptions{Source: s, QueueEvents: 8, RecentEvents: 32, Checkpoint: 20 * time.Millisecond, SlowAfter: time.Hour})
	last := int64(2 + 2*writers*rounds)

	// Once it has caught up its queue overflows, whatever the others do.
	idle := subscribe(t, h, event.SubscribeRequest{After: new(int64)})
	if list, err := idle.Next(t.Context()); err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	var readers sync.WaitGroup
	for i := range subscribers {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			r := event.SubscribeRequest{Channels: channels(t), After: new(int64)}
			want := func(e mgx.Event) bool { return true }
			switch i % 3 {
			case 1:
				r.Channels = channels(t, "run:"+string(b.Run))
				want = func(e mgx.Event) bool { return e.Run == b.Run }
			case 2:
				r.Types = []string{"run.cre*"}
				want = func(e mgx.Event) bool { return e.Type == mgx.RunCreated }
			}
			got := follow(t, h, r, random, last)
			n := 0
			for e, err := range s.EachEvent(t.Context(), store.EventQuery{}) {
				if err != nil || !want(e) {
					continue
				}
				if n >= len(got) || got[n] != e.Position {
					t.Errorf("subscriber %d: got %d events, %d is not position %d", i, len(got), n, e.Position)
					return
				}
				n++
			}
			if n != len(got) {
				t.Errorf("subscriber %d: got %d events, want %d", i, len(got), n)
			}
		})
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range rounds {
				commit(t, s, note(a, fmt.Sprint(i)), note(b, fmt.Sprint(i)))
			}
		})
	}
	wg.Wait()
	readers.Wait()
	idle.Close()
	// Who is far behind reads the store, who is a little behind the memory.
	for _, after := range []int64{0, last - 10} {
		follow(t, h, event.SubscribeRequest{Channels: channels(t), After: &after}, rand.New(rand.NewPCG(2, 2)), last)
	}
	if m := h.Metrics(); m.Drops == 0 || m.FromStore == 0 || m.FromMemory == 0 || m.Subscribers != 0 {
		t.Errorf("not every way was taken: %+v", m)
	}
}

// follow reads up to a position, now and then slowly, now and then connecting
// anew with the token of what it got last.
func follow(t *testing.T, h *event.Hub, r event.SubscribeRequest, random *rand.Rand, last int64) (got []int64) {
	t.Helper()
	for {
		sub, err := h.Subscribe(t.Context(), r)
		if err != nil {
			t.Error(err)
			return got
		}
		for again := false; !again; {
			if sub.Position() >= last {
				sub.Close()
				return got
			}
			list, err := sub.Next(t.Context()) // checkpoints come when nothing else does
			if err != nil {
				t.Errorf("at %d of %d: %v", sub.Position(), last, err)
				return got
			}
			for _, d := range list {
				if d.Kind != event.DeliverEvent {
					continue
				}
				got = append(got, d.Position)
				if random.IntN(40) == 0 {
					r.Resume, r.After, again = sub.RecordToken(d.Record), nil, true
					break
				}
			}
			if random.IntN(10) == 0 {
				time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
			}
		}
		sub.Close()
	}
}

// A subscriber that stands still costs its queue, holds nobody up, is let go
// after 30 s and resumes where it was.
func TestHubLetsTheSlowGo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		sc := begin(t, s)
		h := startHub(t, event.HubOptions{Source: s, QueueEvents: 4, RecentEvents: 4})
		slow := subscribe(t, h, event.SubscribeRequest{After: new(int64)})
		first, err := slow.Next(t.Context())
		if err != nil || len(first) != 1 {
			t.Fatalf("got %v %v", first, err)
		}
		token := slow.RecordToken(first[0].Record)
		fast := subscribe(t, h, event.SubscribeRequest{})
		for i := range 50 {
			commit(t, s, note(sc, fmt.Sprint(i)))
			got, err := fast.Next(t.Context())
			if err != nil || len(got) != 1 || got[0].Position != int64(i+2) {
				t.Fatalf("the fast one got %v %v at %d", got, err, i)
			}
		}
		if m := h.Metrics(); m.Lag != 50 {
			t.Errorf("lag %d", m.Lag)
		}
		time.Sleep(30*time.Second - time.Nanosecond)
		synctest.Wait()
		if err := slow.Err(); err != nil {
			t.Errorf("let go too early: %v", err)
		}
		time.Sleep(time.Nanosecond)
		<-slow.Done()
		if _, err := slow.Next(t.Context()); !mgx.IsCode(err, event.CodeTooSlow) {
			t.Errorf("got %v", err)
		}
		slow.Close()
		again := subscribe(t, h, event.SubscribeRequest{Resume: token})
		for want := int64(2); want <= 51; {
			list, err := again.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				if d.Kind == event.DeliverEvent {
					if d.Position != want {
						t.Fatalf("got %d, want %d", d.Position, want)
					}
					want++
				}
			}
		}
		again.Close()
		fast.Close()
	})
}

// Who hears nothing because of a filter is told every 10 s how far the log was
// read for them, and can resume from there.
func TestHubCheckpoints(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		sc := begin(t, s)
		h := startHub(t, event.HubOptions{Source: s})
		sub := subscribe(t, h, event.SubscribeRequest{Types: []string{"tool.*"}})
		defer sub.Close()
		start := time.Now()
		go func() {
			for range 25 {
				commit(t, s, note(sc, "passed over"))
				time.Sleep(time.Second)
			}
		}()
		for i, want := range []int64{11, 21, 26, 26} { // the last when nothing has happened for 10 s
			list, err := sub.Next(t.Context())
			if err != nil || len(list) != 1 || list[0].Kind != event.DeliverCheckpoint {
				t.Fatalf("got %v %v", list, err)
			}
			if took := time.Since(start); took != time.Duration(i+1)*10*time.Second || list[0].Position < want-1 || list[0].Position > want+1 {
				t.Errorf("%d: position %d after %v", i, list[0].Position, took)
			}
		}
		commit(t, s, sc.Event(mgx.ToolCalled, mgx.ToolCallData{}))
		again := subscribe(t, h, event.SubscribeRequest{Types: []string{"tool.*"}, Resume: sub.Token(26)})
		defer again.Close()
		list, err := again.Next(t.Context())
		if err != nil || len(list) != 1 || list[0].Position != 27 {
			t.Errorf("got %v %v", list, err)
		}
	})
}

func TestHubTokens(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "mgx.db"))
	sc := begin(t, s)
	for range 5 {
		commit(t, s, note(sc, "x"))
	}
	h := startHub(t, event.HubOptions{Source: s})
	sub := subscribe(t, h, event.SubscribeRequest{})
	defer sub.Close()
	token := sub.Token(3)
	far := int64(7)
	other := startHub(t, event.HubOptions{Source: s, Epoch: "another"})
	key := startHub(t, event.HubOptions{Source: s, Key: []byte("ffffffffffffffffffffffffffffffff")})
	pruned := startHub(t, event.HubOptions{Source: earliest{s, 5}})
	for name, c := range map[string]struct {
		h    *event.Hub
		r    event.SubscribeRequest
		want string
	}{
		"good":          {h, event.SubscribeRequest{Resume: token}, ""},
		"other order":   {h, event.SubscribeRequest{Resume: token, Types: nil}, ""},
		"garbage":       {h, event.SubscribeRequest{Resume: "x"}, event.ResetToken},
		"longer":        {h, event.SubscribeRequest{Resume: token + "A"}, event.ResetToken},
		"other filter":  {h, event.SubscribeRequest{Resume: token, Types: []string{"run.*"}}, event.ResetFilter},
		"other channel": {h, event.SubscribeRequest{Resume: token, Channels: channels(t, "run:*")}, event.ResetFilter},
		"other epoch":   {other, event.SubscribeRequest{Resume: token}, event.ResetEpoch},
		"other key":     {key, event.SubscribeRequest{Resume: token}, event.ResetToken},
		"ahead":         {h, event.SubscribeRequest{Resume: sub.Token(7)}, event.ResetAhead},
		"ahead, bare":   {h, event.SubscribeRequest{After: &far}, event.ResetAhead},
		"too old":       {pruned, event.SubscribeRequest{Resume: token}, event.ResetTooOld},
		"old enough":    {pruned, event.SubscribeRequest{Resume: sub.Token(4)}, ""},
		"all there is":  {pruned, event.SubscribeRequest{After: new(int64)}, ""},
		"all, by token": {pruned, event.SubscribeRequest{Resume: sub.Token(0)}, event.ResetTooOld},
	} {
		if c.r.Channels == nil {
			c.r.Channels = channels(t)
		}
		got, err := c.h.Subscribe(t.Context(), c.r)
		if got != nil && err == nil {
			got.Close()
		}
		reset, _ := errors.AsType[*event.Reset](err)
		if c.want == "" && err != nil || c.want != "" && (reset == nil || reset.Reason != c.want || reset.Head != 6) {
			t.Errorf("%s: got %+v %v, want %q", name, reset, err, c.want)
		}
	}
	// No bit of a token can be changed.
	for i := range token {
		bad := []byte(token)
		if bad[i]++; bad[i] > 'z' || bad[i] == ':' || bad[i] == '[' {
			bad[i] = 'A'
		}
		got, err := h.Subscribe(t.Context(), event.SubscribeRequest{Channels: channels(t), Resume: string(bad)})
		if reset, _ := errors.AsType[*event.Reset](err); reset == nil || reset.Reason != event.ResetToken {
			t.Fatalf("character %d changed: %v %v", i, got, err)
		}
	}
}

// earliest is a source from which old events were removed.
type earliest struct {
	*store.Store
	first int64
}

func (e earliest) Earliest(context.Context) (int64, error) { return e.first, nil }

func TestHubChannels(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"all": true, "run:*": true, "task:task_01": true, "workspace:ws_default": true, "workflow:exec_1": true, "agent:*": true,
		"": false, "all:": false, "all:*": false, "run": false, "run:": false, "run:**": false, "run:a*": false, "tenant:x": false, "run:a b": false, "run:\x00": false,
	} {
		c, err := event.ParseChannel(text)
		if (err == nil) != ok || ok && c.String() != text {
			t.Errorf("%q: got %q %v", text, c, err)
		}
	}
	s := open(t, filepath.Join(t.TempDir(), "mgx.db"))
	begin(t, s)
	foreign := begin(t, s).Run
	commit(t, s, mgx.Scope{Workspace: "ws_other", Run: "run_x"}.Event(mgx.RunCreated, mgx.RunCreatedData{}))
	h := startHub(t, event.HubOptions{Source: s})
	for _, c := range []struct {
		channels []string
		want     int
		code     string
	}{
		{[]string{"all"}, 2, ""},
		{[]string{"run:*"}, 2, ""},
		{[]string{"workspace:*"}, 2, ""},
		{[]string{"workspace:ws_default"}, 2, ""},
		{[]string{"run:" + string(foreign), "run:run_x"}, 1, ""},
		{[]string{"task:*", "project:*", "agent:*"}, 0, ""},
		{[]string{"all", "workspace:ws_other"}, 0, event.CodeChannelRefused},
	} {
		p, err := h.Page(t.Context(), event.PageRequest{Channels: channels(t, c.channels...)})
		if c.code != "" && !mgx.IsCode(err, c.code) || c.code == "" && (err != nil || len(p.Events) != c.want) {
			t.Errorf("%v: got %d %v", c.channels, len(p.Events), err)
		}
	}
	// An authoriser that forgets to say which workspace lets nobody in.
	open := startHub(t, event.HubOptions{Source: s, Authorize: func(_ context.Context, _ string, c []event.Channel) ([]event.Channel, error) { return c, nil }})
	if _, err := open.Page(t.Context(), event.PageRequest{Channels: channels(t)}); !mgx.IsCode(err, event.CodeChannelRefused) {
		t.Errorf("got %v", err)
	}
}

func TestHubPages(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "mgx.db"))
	sc := begin(t, s)
	for i := range 99 {
		commit(t, s, note(sc, fmt.Sprint(i)))
	}
	src := &counting{Store: s}
	h := startHub(t, event.HubOptions{Source: src, RecentEvents: 10})
	var got []int64
	r := event.PageRequest{Channels: channels(t), Limit: 7}
	for {
		p, err := h.Page(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range p.Events {
			var e mgx.Event
			if err := json.Unmarshal(text, &e); err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Position)
		}
		r.Resume, r.After = p.Resume, nil
		if !p.More {
			break
		}
	}
	for i, p := range got {
		if p != int64(i+1) {
			t.Fatalf("got %v", got)
		}
	}
	if len(got) != 100 {
		t.Fatalf("got %d", len(got))
	}
	if n := src.read.Load(); n > 150 {
		t.Errorf("%d events were read for pages of 100 together", n)
	}
	// A page ends where a subscription goes on.
	sub := subscribe(t, h, event.SubscribeRequest{Resume: r.Resume})
	defer sub.Close()
	commit(t, s, note(sc, "next"))
	if list, err := sub.Next(t.Context()); err != nil || list[0].Position != 101 {
		t.Errorf("got %v %v", list, err)
	}
}

// Live frames reach those who asked, at most once, and never hold anything up.
func TestHubLive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		h := startHub(t, event.HubOptions{Source: s, LiveFrames: 3})
		asked := subscribe(t, h, event.SubscribeRequest{Live: true, Channels: channels(t, "run:run_1")})
		others := []*event.Subscription{
			subscribe(t, h, event.SubscribeRequest{}),
			subscribe(t, h, event.SubscribeRequest{Live: true, Channels: channels(t, "run:run_2")}),
		}
		ctx, stop := context.WithCancel(t.Context())
		frames := make(chan event.Delivery)
		go func() {
			defer close(frames)
			for {
				list, err := asked.Next(ctx)
				if err != nil {
					return
				}
				for _, d := range list {
					frames <- d
				}
			}
		}()
		for _, o := range others {
			go func() {
				if list, err := o.Next(ctx); err == nil {
					t.Errorf("somebody else got %v", list)
				}
			}()
		}
		synctest.Wait()
		for i := range 10 {
			h.Live(event.Live{Workspace: mgx.DefaultWorkspace, Run: "run_1", Text: fmt.Sprint(i)})
			synctest.Wait()
		}
		h.Live(event.Live{Workspace: "ws_other", Run: "run_1", Text: "foreign"})
		for _, want := range []string{"0", "1", "2", "3"} {
			if d := <-frames; d.Kind != event.DeliverLive || d.Live.Text != want || d.Missed != 0 {
				t.Fatalf("got %+v, want %s", d, want)
			}
		}
		synctest.Wait()
		h.Live(event.Live{Workspace: mgx.DefaultWorkspace, Run: "run_1", Text: "later"})
		if d := <-frames; d.Live.Text != "later" || d.Missed != 6 {
			t.Errorf("got %+v", d)
		}
		stop()
		<-frames
	})
}

// The hub of another store's process sees what any process commits, and ends its
// subscriptions when it stops.
func TestHubRestarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	s, other := open(t, path), open(t, path)
	sc := begin(t, other)
	ctx, stop := context.WithCancel(t.Context())
	h := newHub(event.HubOptions{Source: s})
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	sub := subscribe(t, h, event.SubscribeRequest{})
	commit(t, other, note(sc, "by another process"))
	list, err := sub.Next(t.Context())
	if err != nil || list[0].Position != 2 {
		t.Fatalf("got %v %v", list, err)
	}
	token := sub.RecordToken(list[0].Record)
	stop()
	<-done
	if _, err := sub.Next(t.Context()); !mgx.IsCode(err, event.CodeRestarting) {
		t.Errorf("got %v", err)
	}
	if _, err := h.Subscribe(t.Context(), event.SubscribeRequest{Channels: channels(t)}); !mgx.IsCode(err, event.CodeRestarting) {
		t.Errorf("got %v", err)
	}
	commit(t, other, note(sc, "while it was away"))
	next := startHub(t, event.HubOptions{Source: s})
	again := subscribe(t, next, event.SubscribeRequest{Resume: token})
	defer again.Close()
	if list, err := again.Next(t.Context()); err != nil || list[0].Position != 3 {
		t.Errorf("got %v %v", list, err)
	}
}

// counting is a source that counts the events that are read.
type counting struct {
	*store.Store
	read atomic.Int64
}

func (c *counting) EventsAfter(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID, run mgx.RunID, types []string, position int64, limit int) ([]mgx.Event, error) {
	page, err := c.Store.EventsAfter(ctx, ws, stream, run, types, position, limit)
	c.read.Add(int64(len(page)))
	return page, err
}

// failing is a source that can be made to fail or to hide an event.
type failing struct {
	*store.Store
	mu   sync.Mutex
	err  error
	hide int64
	hid  int
}

func (f *failing) set(err error, hide int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.hide = err, hide
}

func (f *failing) EventsAfter(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID, run mgx.RunID, types []string, position int64, limit int) ([]mgx.Event, error) {
	f.mu.Lock()
	err, hide := f.err, f.hide
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	page, err := f.Store.EventsAfter(ctx, ws, stream, run, types, position, limit)
	if len(page) > 0 && page[0].Position == hide {
		f.hid++
		if f.hid == 3 {
			f.set(nil, 0)
		}
		return page[1:], err
	}
	return page, err
}

// A database that fails for a while is waited for; a position that is missing is
// looked for again, so that nobody sees a later event first.
func TestHubOutlivesTrouble(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		src := &failing{Store: open(t, path)}
		sc := begin(t, src.Store)
		h := startHub(t, event.HubOptions{Source: src})
		sub := subscribe(t, h, event.SubscribeRequest{})
		defer sub.Close()
		synctest.Wait() // or the hub's first look may come after the commit
		cause := errors.New("the disk is gone")
		src.set(cause, 0)
		commit(t, src.Store, note(sc, "1"))
		time.Sleep(time.Minute)
		if !errors.Is(h.Trouble(), cause) {
			t.Errorf("trouble is %v", h.Trouble())
		}
		commit(t, src.Store, note(sc, "2")) // before 2 goes missing, or nobody could tell that it does
		src.set(nil, 2)
		for want := int64(2); want <= 3; {
			list, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				if d.Position != want {
					t.Fatalf("got %d, want %d", d.Position, want)
				}
				want++
			}
		}
		synctest.Wait()
		if m := h.Metrics(); m.Holes != 3 || h.Trouble() != nil {
			t.Errorf("holes %d, trouble %v", m.Holes, h.Trouble())
		}
	})
}
