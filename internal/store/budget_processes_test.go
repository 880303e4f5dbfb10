package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// callers says how much the test below does; MGX_SOAK=1 makes it much.
type callers struct {
	processes, each, calls, kills int
	limit                         mgx.Money
}

func howMany() callers {
	if os.Getenv("MGX_SOAK") != "" {
		return callers{processes: 8, each: 250, calls: 40, kills: 12, limit: 5_000_000}
	}
	return callers{processes: 4, each: 250, calls: 1, kills: 2, limit: 60_000}
}

// A thousand calls at once against one budget, from several processes, some of
// which are killed: the budget is never exceeded, no reservation is left when
// others have taken over, and none is refused that was not too much.
//
// That is proved from the order in which the ledger was written: triggers keep a
// record of it, and every refusal says what it found. A refusal is just if that is
// what the ledger said at some moment in that order, and the call did not fit.
func TestBudgetAcrossProcesses(t *testing.T) {
	if address, yes := inChild(); yes {
		callModels(t, address)
		return
	}
	t.Parallel()
	n := howMany()
	address := pgtest.NewDatabase(t)
	s := open(t, address, store.Options{})
	b, _, err := s.CreateBudget(t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "user_1"}, mgx.Budget{
		ID: "bgt_all", Workspace: mgx.DefaultWorkspace, Scope: mgx.ScopeWorkspace, ScopeID: string(mgx.DefaultWorkspace), Period: mgx.PeriodAbsolute, Limit: n.limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	pgtest.SQL(t, address, ledgerHistory)

	said := &claims{settled: map[string]string{}, reserved: map[string]bool{}}
	var alive []*caller
	for range n.processes {
		alive = append(alive, startCaller(t, address, said))
	}
	for range n.kills {
		i := rand.IntN(len(alive))
		<-alive[i].holding // so that it leaves something behind
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		alive[i].kill()
		alive[i] = startCaller(t, address, said)
	}
	for _, c := range alive {
		c.finish()
	}

	// Others take over: executions are claimed, and what had none is reaped.
	for {
		x, ok, err := s.Claim(t.Context(), mgx.ClaimRequest{Owner: "heir", TTL: time.Hour, Now: mgx.Now(), Alive: func(string) bool { return false }})
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		commit(t, s, mgx.Change{
			Lease:  &mgx.Lease{Execution: x.Execution, Owner: "heir", Term: x.Term},
			Update: &mgx.ExecutionUpdate{Execution: x.Execution, Status: mgx.ExecDone, Release: true},
		})
	}
	later := open(t, address, store.Options{Now: func() time.Time { return mgx.Now().Add(2 * time.Hour) }})
	if _, err := later.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := pgtest.SQL(t, address, `SELECT COUNT(*) FROM ledger WHERE settled IS NULL`); left != "0" {
		t.Errorf("%s reservations are left", left)
	}
	u, err := s.Budget(t.Context(), b.Workspace, b.ID)
	if err != nil || u.Reserved != 0 || u.Settled > b.Limit {
		t.Errorf("in the end %d and %d, %v", u.Settled, u.Reserved, err)
	}
	lost, err := strconv.Atoi(pgtest.SQL(t, address, `SELECT COUNT(*) FROM ledger WHERE outcome = 'lost'`))
	if err != nil {
		t.Fatal(err)
	}
	if lost < n.processes+n.kills {
		t.Errorf("%d reservations were lost, but %d processes left one", lost, n.processes+n.kills)
	}
	said.check(t, address, int64(n.limit))
	t.Logf("%d calls were made, %d settled and %d lost; %d were refused, on %d states of the budget; %d of %d spent",
		len(said.reserved), len(said.settled), lost, len(said.refused), said.states, u.Settled, b.Limit)
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// ledgerHistory records every change of the ledger. Whoever makes one holds the
// row of the one budget until the commit, so the numbers are in the order of the
// commits.
const ledgerHistory = `CREATE TABLE history (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, settled BIGINT NOT NULL, reserved BIGINT NOT NULL);
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF TG_OP = 'INSERT' THEN INSERT INTO history (settled, reserved) VALUES (0, NEW.reserved);
	ELSE INSERT INTO history (settled, reserved) VALUES (NEW.settled, -NEW.reserved); END IF;
	RETURN NULL; END $$;
CREATE TRIGGER remember AFTER INSERT OR UPDATE ON ledger FOR EACH ROW EXECUTE FUNCTION remember();`

// claims are what the processes said they were told.
type claims struct {
	mu       sync.Mutex
	reserved map[string]bool
	settled  map[string]string // amounts by id
	refused  []refused
	states   int
}

type refused struct{ settled, reserved, limit, asked int64 }

func (c *claims) hear(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var id, budget string
	var amount string
	var r refused
	if n, _ := fmt.Sscanf(line, "reserved %s", &id); n == 1 {
		c.reserved[id] = true
	} else if n, _ := fmt.Sscanf(line, "settled %s %s", &id, &amount); n == 2 {
		c.settled[id] = amount
	} else if n, _ := fmt.Sscanf(line, "refused %s settled %d reserved %d limit %d refused %d", &budget, &r.settled, &r.reserved, &r.limit, &r.asked); n == 5 {
		c.refused = append(c.refused, r)
	}
}

// check replays the ledger and holds what was said against it.
func (c *claims) check(t *testing.T, address string, limit int64) {
	t.Helper()
	type state struct{ settled, reserved int64 }
	states := map[state]bool{{}: true}
	var now state
	for line := range strings.Lines(pgtest.SQL(t, address, `SELECT settled, reserved FROM history ORDER BY n`)) {
		var d state
		if _, err := fmt.Sscanf(line, "%d|%d", &d.settled, &d.reserved); err != nil {
			t.Fatal(line, err)
		}
		now.settled, now.reserved = now.settled+d.settled, now.reserved+d.reserved
		states[now] = true
		if now.settled+now.reserved > limit {
			t.Fatalf("%d spent and %d reserved of %d", now.settled, now.reserved, limit)
		}
	}
	c.states = len(states)
	for _, r := range c.refused {
		if !states[state{r.settled, r.reserved}] || r.settled+r.reserved+r.asked <= limit || r.limit != limit {
			t.Errorf("falsely refused: %+v", r)
		}
	}
	if len(c.refused) == 0 || len(c.settled) == 0 {
		t.Errorf("%d refused, %d settled: nothing is shown", len(c.refused), len(c.settled))
	}
	known := map[string]string{}
	for line := range strings.Lines(pgtest.SQL(t, address, `SELECT id, settled, outcome FROM ledger`)) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), "|")
		known[id] = rest
	}
	for id := range c.reserved {
		if _, there := known[id]; !there {
			t.Errorf("%s was reserved and is not in the ledger", id)
		}
	}
	for id, amount := range c.settled {
		if known[id] != amount+"|done" {
			t.Errorf("%s was settled at %s, and the ledger says %s", id, amount, known[id])
		}
	}
}

// caller is a process that makes calls.
type caller struct {
	t       *testing.T
	cmd     *exec.Cmd
	in      io.WriteCloser
	holding chan struct{}
	ended   chan struct{}
	done    bool
}

func startCaller(t *testing.T, address string, said *claims) *caller {
	t.Helper()
	c := &caller{t: t, cmd: child(t, address), holding: make(chan struct{}), ended: make(chan struct{})}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	go func() {
		defer close(c.ended)
		holding := sync.OnceFunc(func() { close(c.holding) })
		defer holding()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			switch line := lines.Text(); line {
			case "holding":
				holding()
			case "all calls made":
				c.done = true
			default:
				said.hear(line)
			}
		}
	}()
	return c
}

func (c *caller) kill() {
	c.cmd.Process.Kill()
	<-c.ended
	c.cmd.Wait()
}

// finish lets it make all its calls; it ends and leaves something behind.
func (c *caller) finish() {
	c.in.Close()
	<-c.ended
	if err := c.cmd.Wait(); err != nil || !c.done {
		c.t.Errorf("a caller failed: %v", err)
	}
}

// callModels makes calls: half of them under the lease of an execution, half on
// account of this process alone. One reservation is never settled.
func callModels(t *testing.T, address string) {
	s := open(t, address, store.Options{})
	n := howMany()
	owner := mgx.NewID[string]("proc")
	sc := begin(t, s)
	x, ok, err := s.Claim(t.Context(), mgx.ClaimRequest{Owner: owner, TTL: time.Hour, Now: mgx.Now(), Only: sc.Execution})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	lease := &mgx.Lease{Execution: x.Execution, Owner: owner, Term: x.Term}
	if err := reserveOnce(s, sc, lease, owner+"-left", 0); err != nil { // nothing always fits
		t.Fatal(err)
	}
	fmt.Println("holding")
	var wg sync.WaitGroup
	for g := range n.each {
		own := lease
		if g%2 == 0 {
			own = nil
		}
		wg.Go(func() {
			for i := range n.calls {
				callOnce(t, s, sc, own, fmt.Sprint(owner, "-", g, "-", i))
			}
		})
	}
	wg.Wait()
	fmt.Println("all calls made")
	io.Copy(io.Discard, os.Stdin) // until the test lets go
}

func reserveOnce(s *store.Store, sc mgx.Scope, lease *mgx.Lease, id string, amount mgx.Money) error {
	r := mgx.Reservation{ID: id, Workspace: sc.Workspace, Amount: amount, Provider: "p", Model: "m", Owner: "process", Until: mgx.Now().Add(time.Hour)}
	if lease != nil {
		r.Run, r.Task = sc.Run, sc.Task
	}
	_, err := s.Commit(context.Background(), mgx.Change{Lease: lease, Reserve: &r})
	return err
}

func callOnce(t *testing.T, s *store.Store, sc mgx.Scope, lease *mgx.Lease, id string) {
	most := 1 + rand.Int64N(1000)
	switch err := reserveOnce(s, sc, lease, id, mgx.Money(most)); {
	case mgx.IsCode(err, mgx.CodeBudgetExceeded):
		fmt.Println("refused", errors.Unwrap(err))
		return
	case err != nil:
		t.Error(err)
		return
	}
	fmt.Println("reserved", id)
	time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond) // the call
	spent := rand.Int64N(most + 1)
	change := mgx.Change{Lease: lease, Settle: []mgx.Settlement{{ID: id, Amount: mgx.Money(spent)}}}
	if lease != nil { // with the record of the turn
		change.Events = []mgx.Event{note(sc, "turn")}
	}
	if _, err := s.Commit(context.Background(), change); err != nil {
		t.Error(err)
		return
	}
	fmt.Println("settled", id, spent)
}
