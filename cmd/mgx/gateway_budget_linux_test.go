package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
	"mgx/internal/llm/llmtest"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// Two servers on one database spend from one budget: of many calls at once exactly as
// many go out as it allows, through whichever server, also when one of them is killed
// with its calls under way; what that one had set aside is spent, and nothing stays open.
//
// The provider answers no call before all have come to it or were refused, so that how
// many the budget allows is known: what is left, over the most that a call can cost.
func TestGatewayBudgetAcrossServers(t *testing.T) {
	t.Parallel()
	const calls = 40
	l := newGatewayLab(t)
	address := pgtest.New(t).NewDatabase(t)
	l.env = append(l.env, "MGX_DATABASE="+address)
	up := &gate{arrived: make(chan struct{}, 4*calls)}
	l.server.Faults = up.hold
	one, two := l.serve("127.0.0.1:0", "--workers", "0"), l.serve("127.0.0.1:0", "--workers", "0")
	_, key := l.newKey()
	s, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	stands := func() mgx.BudgetUse {
		t.Helper()
		all, err := s.Budgets(t.Context(), mgx.BudgetQuery{Workspace: mgx.DefaultWorkspace})
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0]
	}

	up.shut()
	first := askAll(t.Context(), key, 1, one)
	<-up.arrived
	l.must("budget", "set", "--period", "absolute", "--limit", "100")
	most := stands().Reserved // of one call
	up.open()
	if got := first.wait(1); got[http.StatusOK] != 1 || most <= 0 {
		t.Fatalf("answered %v, and %s was set aside", got, most)
	}
	limit := stands().Settled + 25*most/2 // twelve calls and a half
	l.must("budget", "set", "--period", "absolute", "--limit", exact(limit))

	// round makes the calls and returns when those that fit are under way and the others
	// are answered. A few of each server's are under way before all the others come at once.
	round := func(fit int, servers ...*served) *asked {
		t.Helper()
		up.shut()
		few := min(fit, 2*len(servers))
		a := askAll(t.Context(), key, few, servers...)
		for range few {
			<-up.arrived
		}
		a.more(t.Context(), key, calls-few, servers...)
		if got := a.wait(calls - fit); got[http.StatusPaymentRequired] != calls-fit {
			t.Fatalf("%d fit, and of the others are answered %v", fit, got)
		}
		for range fit - few {
			<-up.arrived
		}
		if u := stands(); u.Reserved != mgx.Money(fit)*most || u.Settled+u.Reserved > u.Limit || u.Left() >= most {
			t.Errorf("with %d calls under way it stands at %s and %s of %s", fit, u.Settled, u.Reserved, u.Limit)
		}
		return a
	}
	a := round(12, one, two)
	one.kill()
	up.open()
	got := a.wait(12)
	if done, lost := got[http.StatusOK], got[0]; done+lost != 12 || done == 0 || lost == 0 {
		t.Errorf("answered %v", got)
	}
	l.must("budget", "list") // finds that one is dead
	u := stands()
	if u.Reserved != 0 || u.Settled <= mgx.Money(got[0])*most || u.Settled > u.Limit {
		t.Errorf("one was killed, and it stands at %s and %s of %s", u.Settled, u.Reserved, u.Limit)
	}
	left := int(u.Left() / most)
	b := round(left, two)
	up.open()
	if got := b.wait(left); got[http.StatusOK] != left {
		t.Errorf("of %d calls that fit are answered %v", left, got)
	}
	if u := stands(); u.Reserved != 0 || u.Settled > u.Limit {
		t.Errorf("in the end it stands at %s and %s of %s", u.Settled, u.Reserved, u.Limit)
	}
	if problems := l.must("verify"); strings.Contains(problems, "inconsistent") {
		t.Error(problems)
	}
}

// exact is an amount to the nanodollar.
func exact(m mgx.Money) string {
	text, _ := m.MarshalJSON()
	return string(text)
}

// gate is where calls to a provider wait while it is shut.
type gate struct {
	mu      sync.Mutex
	opened  chan struct{} // nil: it is open
	arrived chan struct{}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.opened)
	g.opened = nil
}

func (g *gate) hold(_ int, r *http.Request) *llmtest.Fault {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if opened == nil {
		return nil
	}
	g.arrived <- struct{}{}
	select {
	case <-opened:
	case <-r.Context().Done():
	}
	return nil
}

// asked are calls of the gateway that were made at once.
type asked struct {
	answered chan int // their status; 0: the server went away
	counts   map[int]int
}

// hello numbers what is said, so that no call goes on with another and is estimated by it.
var hello atomic.Int64

// askAll makes calls through servers in turn.
func askAll(ctx context.Context, key string, calls int, servers ...*served) *asked {
	a := &asked{answered: make(chan int, 64), counts: map[int]int{}}
	a.more(ctx, key, calls, servers...)
	return a
}

func (a *asked) more(ctx context.Context, key string, calls int, servers ...*served) {
	for i := range calls {
		go func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, servers[i%len(servers)].url+"/v1/chat/completions", strings.NewReader(strings.Replace(gatewayCall, "hello", fmt.Sprintf("hello %08d", hello.Add(1)), 1)))
			if err != nil {
				a.answered <- 0
				return
			}
			r.Header.Set("Authorization", "Bearer "+key)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				a.answered <- 0
				return
			}
			resp.Body.Close()
			a.answered <- resp.StatusCode
		}()
	}
}

// wait waits until n more are answered and counts all that are, by status.
func (a *asked) wait(n int) map[int]int {
	late := time.After(2 * time.Minute)
	for range n {
		select {
		case status := <-a.answered:
			a.counts[status]++
		case <-late:
			return a.counts
		}
	}
	return a.counts
}
