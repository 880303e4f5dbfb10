package webhook_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/webhook"
)

// bubble is a lab whose time is the bubble's, with a receiver that is reached
// through memory.
type bubble struct {
	*lab
	rec  *receiver
	net  *pipes
	stop func()
}

func newBubble(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, m message, nth, again int)) *bubble {
	b := &bubble{lab: newLabOn(t, filepath.Join(memory(t), "mgx.db")), rec: newReceiver(t, answer), net: newPipes()}
	web := &http.Server{Handler: b.rec}
	go web.Serve(b.net)
	b.stop = func() { web.Close(); b.s.Close() }
	return b
}

// memory is a directory that costs no disk writes, where there is one: these
// tests commit for months.
func memory(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "mgx-webhook-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// run delivers with timers that suit days of waiting.
func (b *bubble) run() (stop func()) {
	d := b.deliverer(webhook.Options{Lease: 24 * time.Hour, Poll: 24 * time.Hour})
	d.Dial(b.net.dial)
	return b.drive(d)
}

// An endpoint that always fails: the waits are those of the schedule, the event
// becomes a dead letter after about two days, and the next of its stream comes.
func TestScheduleOfTwoDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, status(503))
		defer b.stop()
		w, _ := b.add("http://127.0.0.1/hook")
		events := b.say("task_a", "agent.message", 2)
		stop := b.run()
		defer stop()
		for len(b.deliveries(w.ID, mgx.DeliveryDead)) == 0 {
			time.Sleep(10 * time.Minute)
		}
		all := b.attempts(w.ID, events[0].ID)
		if len(all) != len(webhook.Schedule)+1 {
			t.Fatalf("%d attempts, want %d", len(all), len(webhook.Schedule)+1)
		}
		for i, a := range all[:len(all)-1] {
			if late := all[i+1].At.Sub(a.NextAt); late < 0 || late > 2*time.Second {
				t.Errorf("attempt %d is %s late", i+2, late)
			}
			if wait := a.NextAt.Sub(a.At); wait < 0 || wait > 2*webhook.Schedule[i]+time.Second {
				t.Errorf("wait %d is %s, and should be about %s", i+1, wait, webhook.Schedule[i])
			}
		}
		if last := all[len(all)-1]; !last.NextAt.IsZero() || last.At.Sub(all[0].At) > 4*24*time.Hour+time.Hour {
			t.Errorf("the last attempt is %+v", last)
		}
		if !strings.Contains(b.said.String(), "dead letter") {
			t.Error("nothing was logged")
		}
		synctest.Wait()
		if d := b.deliveries(w.ID); d[0].Status != mgx.DeliveryDead || d[1].Attempts == 0 || d[1].Status != mgx.DeliveryPending {
			t.Errorf("after the dead letter: %+v", d)
		}
	})
}

// On average it is two days.
func TestScheduleIsAboutTwoDays(t *testing.T) {
	t.Parallel()
	var sum time.Duration
	for _, d := range webhook.Schedule {
		sum += d
	}
	if sum < 47*time.Hour || sum > 49*time.Hour {
		t.Errorf("the schedule takes %s", sum)
	}
}

// After five days without any success the endpoint is disabled, for all to see: by the
// first attempt after them.
func TestDisabledAfterFiveDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, status(500))
		defer b.stop()
		w, _ := b.add("http://127.0.0.1/hook")
		start := time.Now()
		stop := b.run()
		defer stop()
		const step = 4 * time.Hour
		for b.hook(w.ID).Enabled && time.Since(start) < 10*24*time.Hour {
			b.say("task_a", "agent.message", 1)
			time.Sleep(step)
		}
		latest := 5*24*time.Hour + 2*slices.Max(webhook.Schedule) + step
		if after := time.Since(start); after < 5*24*time.Hour || after > latest {
			t.Errorf("disabled after %s", after)
		}
		if why := b.hook(w.ID).DisabledWhy; !strings.Contains(why, "5 days") || !strings.Contains(b.said.String(), "5 days") {
			t.Errorf("disabled because %q", why)
		}
		n := len(b.rec.messages())
		time.Sleep(24 * time.Hour)
		if len(b.rec.messages()) != n {
			t.Error("a disabled endpoint gets messages")
		}
	})
}

// The old secret signs beside the new one for 24 hours and no longer.
func TestRotationOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, status(200))
		defer b.stop()
		w, old := b.add("http://127.0.0.1/hook")
		stop := b.run()
		defer stop()
		fresh, err := b.ends.Rotate(t.Context(), w.ID, false)
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		both := func() (oldOK, freshOK bool) {
			b.say("task_a", "agent.message", 1)
			sent++
			b.delivered(w.ID, sent)
			all := b.rec.messages()
			m := all[len(all)-1]
			return verify(old, m.header, m.body, time.Now()) == nil, verify(fresh, m.header, m.body, time.Now()) == nil
		}
		if o, f := both(); !o || !f {
			t.Errorf("at once: old %v, new %v", o, f)
		}
		time.Sleep(webhook.Overlap - time.Minute)
		if o, f := both(); !o || !f {
			t.Errorf("after nearly 24 h: old %v, new %v", o, f)
		}
		time.Sleep(2 * time.Minute)
		if o, f := both(); o || !f {
			t.Errorf("after 24 h: old %v, new %v", o, f)
		}
	})
}

// An attempt takes 15 seconds at most, whatever the receiver does with its time.
func TestSlowReceivers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		status int
		error  string
	}{
		"no answer": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, "did not answer within 15s"},
		"slow body": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			for r.Context().Err() == nil {
				io.WriteString(w, "drop ")
				http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
		}, 200, ""},
		"slow header": {func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(14 * time.Second)
			w.WriteHeader(202)
		}, 202, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, func(w http.ResponseWriter, r *http.Request, _ message, _, _ int) { c.answer(w, r) })
				defer b.stop()
				w, _ := b.add("http://127.0.0.1/hook")
				e := b.say("task_a", "agent.message", 1)[0]
				stop := b.run()
				defer stop()
				time.Sleep(16 * time.Second)
				synctest.Wait()
				all := b.attempts(w.ID, e.ID)
				if len(all) == 0 || all[0].Status != c.status || !strings.Contains(all[0].Error, c.error) || (c.error == "") != (all[0].Error == "") || all[0].Duration > 15*time.Second+time.Millisecond {
					t.Errorf("attempts %+v", all)
				}
			})
		})
	}
}

// A request that the deliverer ends itself says nothing about the endpoint.
func TestStopInTheMiddle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, func(_ http.ResponseWriter, r *http.Request, _ message, _, _ int) { <-r.Context().Done() })
		defer b.stop()
		w, _ := b.add("http://127.0.0.1/hook")
		e := b.say("task_a", "agent.message", 1)[0]
		stop := b.run()
		time.Sleep(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("stopping took %s", took)
		}
		if a := b.attempts(w.ID, e.ID); len(a) != 0 {
			t.Errorf("recorded %+v", a)
		}
		if h := b.hook(w.ID); h.Pending != 1 || !h.FailingSince.IsZero() || h.Lease.Owner != "" {
			t.Errorf("left behind %+v %+v", h, h.Lease)
		}
	})
}

func TestRetryDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := true
		b := newBubble(t, func(w http.ResponseWriter, _ *http.Request, _ message, _, _ int) {
			if down {
				w.WriteHeader(500)
			}
		})
		defer b.stop()
		w, _ := b.add("http://127.0.0.1/hook")
		for i := range 3 {
			b.say(mgx.StreamID(fmt.Sprintf("task_%d", i)), "agent.message", 1)
		}
		stop := b.run()
		defer stop()
		for len(b.deliveries(w.ID, mgx.DeliveryDead)) < 3 {
			time.Sleep(time.Hour)
		}
		if h := b.hook(w.ID); h.Dead != 3 || h.Pending != 0 || !h.Enabled {
			t.Errorf("%+v", h)
		}
		down = false
		dead := b.deliveries(w.ID)
		if err := b.ends.Retry(t.Context(), w.ID, dead[1].Event); err != nil {
			t.Fatal(err)
		}
		b.delivered(w.ID, 1)
		if err := b.ends.Retry(t.Context(), w.ID, dead[1].Event); !mgx.IsCode(err, "nothing_to_retry") {
			t.Errorf("retried what was delivered: %v", err)
		}
		if n, err := b.ends.RetryDead(t.Context(), w.ID); err != nil || n != 2 {
			t.Errorf("retried %d %v", n, err)
		}
		b.delivered(w.ID, 3)
		if a := b.attempts(w.ID, dead[0].Event); len(a) != len(webhook.Schedule)+2 {
			t.Errorf("%d attempts are remembered", len(a))
		}
	})
}

// What was dealt with is forgotten in time, and dead letters only later.
func TestThePastIsPruned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, func(w http.ResponseWriter, _ *http.Request, m message, _, _ int) {
			if m.event.Stream == "task_bad" {
				w.WriteHeader(400)
			}
		})
		defer b.stop()
		w, _ := b.add("http://127.0.0.1/hook")
		bad := b.say("task_bad", "agent.message", 1)[0]
		good := b.say("task_good", "agent.message", 1)[0]
		stop := b.run()
		defer stop()
		b.delivered(w.ID, 1)
		for range 10 { // a success now and then, so that it stays enabled
			time.Sleep(24 * time.Hour)
			b.say("task_good", "agent.message", 1)
		}
		synctest.Wait()
		if a := b.attempts(w.ID, good.ID); len(a) != 0 {
			t.Errorf("a delivery of 10 days ago is kept: %+v", a)
		}
		if dead := b.deliveries(w.ID, mgx.DeliveryDead); len(dead) != 1 || dead[0].Event != bad.ID {
			t.Errorf("dead letters %+v", dead)
		}
		for range 26 {
			time.Sleep(24 * time.Hour)
			b.say("task_good", "agent.message", 1)
		}
		synctest.Wait()
		if dead := b.deliveries(w.ID, mgx.DeliveryDead); len(dead) != 0 || !strings.Contains(b.said.String(), "forgotten") {
			t.Errorf("dead letters after a month: %+v", dead)
		}
	})
}

// Whatever fails at random, every matching event is delivered or a dead letter
// in the end, and each stream came in order.
func TestAnyFailures(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		rate := rapid.Float64Range(0, 0.95).Draw(rt, "failures")
		streams := rapid.IntRange(1, 4).Draw(rt, "streams")
		steps := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 6).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			if msg := anyFailures(t, seed, rate, streams, steps); msg != "" {
				rt.Fatal(msg)
			}
		})
	})
}

func anyFailures(t *testing.T, seed uint64, rate float64, streams int, steps []int) string {
	chance := rand.New(rand.NewPCG(seed, 1))
	b := newBubble(t, nil)
	defer b.stop()
	b.rec.answer = func(w http.ResponseWriter, r *http.Request, _ message, _, _ int) {
		b.rec.mu.Lock()
		fails, how := chance.Float64() < rate, chance.IntN(3)
		b.rec.mu.Unlock()
		switch {
		case !fails:
		case how == 0:
			w.WriteHeader(500)
		case how == 1:
			panic(http.ErrAbortHandler)
		default:
			<-r.Context().Done()
		}
	}
	w, secret := b.add("http://127.0.0.1/hook", func(n *webhook.NewEndpoint) { n.Types = []string{"agent.*"} })
	var want []mgx.Event
	stop := func() {}
	for i, step := range steps {
		stream := mgx.StreamID(fmt.Sprintf("task_%d", i%streams))
		want = append(want, b.say(stream, "agent.message", step)...)
		b.say(stream, "tool.call", 1)
		if i%3 == 0 { // a restart now and then
			stop()
			stop = b.run()
		}
		time.Sleep(time.Duration(step*step) * time.Minute)
	}
	defer func() { stop() }()
	for end := time.Now().Add(200 * 24 * time.Hour); b.hook(w.ID).Pending > 0 && time.Now().Before(end); {
		time.Sleep(6 * time.Hour)
		if !b.hook(w.ID).Enabled {
			b.ends.Enable(t.Context(), w.ID, false)
		}
	}
	synctest.Wait()
	all := b.rec.messages()
	seen := map[mgx.EventID]bool{}
	for _, m := range all {
		seen[m.id] = true
		if err := verify(secret, m.header, m.body, m.start); err != nil {
			return err.Error()
		}
	}
	inOrder(t, all)
	for _, e := range want {
		if !seen[e.ID] {
			return fmt.Sprintf("%s was never sent", e.ID)
		}
	}
	if h := b.hook(w.ID); h.Pending != 0 {
		return fmt.Sprintf("left over: %+v", h)
	}
	if len(seen) != len(want) {
		return fmt.Sprintf("%d events were sent, %d match", len(seen), len(want))
	}
	return ""
}
