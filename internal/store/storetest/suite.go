// Package storetest is the conformance suite of a store: what the rest of MGX
// relies on, told as tests that every driver must pass. It says nothing about
// files and dialects; those are each driver's own tests.
package storetest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// Store is the contract under test; *store.Store documents it.
type Store interface {
	Commit(context.Context, mgx.Change) (mgx.Committed, error)
	Claim(context.Context, mgx.ClaimRequest) (mgx.Execution, bool, error)
	Heartbeat(ctx context.Context, l mgx.Lease, until time.Time) (cancelWhy string, err error)
	Execution(context.Context, mgx.ExecutionID) (mgx.Execution, error)
	Executions(context.Context, store.ExecutionQuery) ([]mgx.Execution, error)
	NextWake(context.Context, mgx.RunID) (at time.Time, ok bool, err error)
	Journal(context.Context, mgx.ExecutionID) ([]mgx.StepRecord, error)
	Signals(ctx context.Context, id mgx.ExecutionID, name string) ([]mgx.Signal, error)
	Events(context.Context, store.EventQuery) ([]mgx.Event, error)
	Head(context.Context) (int64, error)
	Changed() <-chan struct{}
	Version(context.Context) (int64, error)
	Run(context.Context, mgx.WorkspaceID, mgx.RunID) (mgx.Run, error)
	FindRun(ctx context.Context, ws mgx.WorkspaceID, part string) (mgx.Run, error)
	Runs(context.Context, store.RunQuery) ([]mgx.Run, error)
	Spent(context.Context, mgx.RunID) (settled, open mgx.Money, err error)
	CreateBudget(context.Context, mgx.Doer, mgx.Budget) (b mgx.Budget, created bool, err error)
	UpdateBudget(context.Context, mgx.Doer, mgx.Budget) (mgx.Budget, error)
	RemoveBudget(context.Context, mgx.Doer, mgx.WorkspaceID, mgx.BudgetID) error
	Budget(context.Context, mgx.WorkspaceID, mgx.BudgetID) (mgx.BudgetUse, error)
	Budgets(context.Context, mgx.BudgetQuery) ([]mgx.BudgetUse, error)
	Reap(context.Context) (int, error)
	ReapDead(ctx context.Context, alive func(owner string) bool) (int, error)
	Usage(context.Context, mgx.UsageQuery) ([]mgx.UsageLine, error)
	Ledger(context.Context, mgx.UsageQuery) ([]mgx.LedgerEntry, error)
	Verify(context.Context) error
	Close() error
}

// Opener opens another handle on one database, as another process would, with
// the options set. The handle is closed when the test that asked for it ends.
type Opener func(t testing.TB, set ...func(*store.Options)) Store

// Options returns what the functions set.
func Options(set []func(*store.Options)) (o store.Options) {
	for _, f := range set {
		f(&o)
	}
	return o
}

// clock is a store's time in the hands of a test: days pass at once.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: mgx.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *clock) set(o *store.Options) { o.Now = c.now }

// Run runs the suite. create makes a new, empty database.
func Run(t *testing.T, create func(testing.TB) Opener) {
	for name, test := range map[string]func(*testing.T, Opener){
		"AllOrNothing":          allOrNothing,
		"AppendConcurrently":    appendConcurrently,
		"ExpectVersions":        expectVersions,
		"ExpectConcurrently":    expectConcurrently,
		"EventsOnce":            eventsOnce,
		"EventsQuery":           eventsQuery,
		"EventsNewest":          eventsNewest,
		"StreamOfOneWorkspace":  streamOfOneWorkspace,
		"RunIsFold":             runIsFold,
		"RunBeginsWithCreation": runBeginsWithCreation,
		"FindRun":               findRun,
		"RunsByPage":            runsByPage,
		"Fencing":               fencing,
		"Heartbeat":             heartbeat,
		"ClaimOnce":             claimOnce,
		"ClaimOrder":            claimOrder,
		"ClaimDeadOwner":        claimDeadOwner,
		"ClaimExpired":          claimExpired,
		"WaitingUsesNoTime":     waitingUsesNoTime,
		"SleepForDays":          sleepForDays,
		"NextWake":              nextWake,
		"Cancel":                cancel,
		"EndedStaysEnded":       endedStaysEnded,
		"ExecutionsQuery":       executionsQuery,
		"StepsOnce":             stepsOnce,
		"JournalKeepsValues":    journalKeepsValues,
		"SignalWakes":           signalWakes,
		"SignalBeforeParking":   signalBeforeParking,
		"SignalsOnce":           signalsOnce,
		"CapNeverExceeded":      capNeverExceeded,
		"SettleOnce":            settleOnce,
		"BudgetsOfEveryScope":   budgetsOfEveryScope,
		"BudgetsOfKeys":         budgetsOfKeys,
		"BudgetPeriods":         budgetPeriods,
		"BudgetChanges":         budgetChanges,
		"BudgetHistory":         budgetHistory,
		"BudgetOfUnpriced":      budgetOfUnpriced,
		"ThresholdsOnce":        thresholdsOnce,
		"ThresholdsBefore":      thresholdsReachedBefore,
		"ThresholdsEverywhere":  thresholdsEverywhere,
		"Forecasts":             forecasts,
		"AlertsHourly":          alertsHourly,
		"DearCalls":             dearCalls,
		"LostReservations":      lostReservations,
		"Reap":                  reap,
		"ReapDead":              reapDead,
		"UsageSums":             usageSums,
		"ContextEnds":           contextEnds,
		"CloseAnswers":          closeAnswers,
		"Changed":               changed,
		"TwoHandles":            twoHandles,
		"WorkLists":             workLists,
		"Searches":              searches,
		"AskedRuns":             askedRuns,
		"DueRuns":               dueRuns,
		"Queues":                queuesStand,
		"ProjectsGiven":         projectsGiven,
		"AuditTree":             auditTree,
		"AuditSealed":           auditSealed,
		"SecretsKept":           secretsKept,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, create(t))
		})
	}
}

const ws = mgx.DefaultWorkspace

// doer is who acts in the suite.
var doer = mgx.Doer{Workspace: ws, Actor: "user_1", From: "test"}

func scope() mgx.Scope {
	return mgx.Scope{Workspace: ws, Task: mgx.NewTaskID(), Run: mgx.NewRunID(), Execution: mgx.NewExecutionID()}
}

// created is the change that begins a run with its root execution.
func created(s mgx.Scope) mgx.Change {
	task := mgx.TaskInfo{ID: s.Task, Title: "a task"}
	return mgx.Change{
		Create: []mgx.Execution{{Scope: s, Workflow: "team", Status: mgx.ExecReady}},
		Events: []mgx.Event{s.Event(mgx.RunCreated, mgx.RunCreatedData{Task: task})},
	}
}

// begin starts a run and returns its scope.
func begin(t testing.TB, s Store) mgx.Scope {
	t.Helper()
	sc := scope()
	commit(t, s, created(sc))
	return sc
}

func note(s mgx.Scope, text string) mgx.Event {
	return s.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: text})
}

func noteText(t testing.TB, e mgx.Event) string {
	t.Helper()
	var d mgx.NotedData
	if err := e.Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d.Text
}

func step(s mgx.Scope, name string) mgx.StepRecord {
	return mgx.StepRecord{Execution: s.Execution, Name: name, Kind: mgx.StepWork, Attempts: 1}
}

func commit(t testing.TB, s Store, c mgx.Change) mgx.Committed {
	t.Helper()
	out, err := s.Commit(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func refused(t testing.TB, s Store, code string, c mgx.Change) {
	t.Helper()
	if _, err := s.Commit(context.Background(), c); !mgx.IsCode(err, code) {
		t.Errorf("got %v, want code %s", err, code)
	}
}

func claim(t testing.TB, s Store, r mgx.ClaimRequest) (mgx.Execution, bool) {
	t.Helper()
	if r.TTL == 0 {
		r.TTL = time.Minute
	}
	if r.Now.IsZero() {
		r.Now = mgx.Now()
	}
	e, ok, err := s.Claim(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return e, ok
}

// lease claims an execution that must be free.
func lease(t testing.TB, s Store, sc mgx.Scope, owner string) *mgx.Lease {
	t.Helper()
	e, ok := claim(t, s, mgx.ClaimRequest{Owner: owner, Only: sc.Execution})
	if !ok {
		t.Fatalf("%s could not claim %s", owner, sc.Execution)
	}
	return &mgx.Lease{Execution: e.Execution, Owner: owner, Term: e.Term}
}

func execution(t testing.TB, s Store, sc mgx.Scope) mgx.Execution {
	t.Helper()
	e, err := s.Execution(context.Background(), sc.Execution)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func events(t testing.TB, s Store, q store.EventQuery) []mgx.Event {
	t.Helper()
	list, err := s.Events(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func run(t testing.TB, s Store, sc mgx.Scope) mgx.Run {
	t.Helper()
	r, err := s.Run(context.Background(), ws, sc.Run)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func verify(t testing.TB, s Store) {
	t.Helper()
	if err := s.Verify(context.Background()); err != nil {
		t.Error(err)
	}
}

func texts(t testing.TB, list []mgx.Event) string {
	t.Helper()
	var all []string
	for _, e := range list {
		if e.Type == mgx.RunNoted {
			all = append(all, noteText(t, e))
		}
	}
	return strings.Join(all, " ")
}
