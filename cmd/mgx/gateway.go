package main

import (
	"context"
	"sync"
	"time"

	"mgx"
	"mgx/internal/gateway"
	"mgx/internal/llm"
	"mgx/internal/store"
)

// lostAfter is when a call's reservation counts as lost: longer than any call
// lasts, with all its attempts.
const lostAfter = 2 * time.Hour

// gateway offers the models of this node to other programs with keys.
func (n *node) gateway(keys gateway.Keys) *gateway.Server {
	return gateway.New(gateway.Options{
		Keys:   keys,
		Models: &gateway.Routed{Router: n.models.gatewayRouter(), Log: n.log},
		Books:  &books{store: n.store, owner: n.owner.id, owed: &n.owed},
		Log:    n.log,
		Drain:  gatewayDrain,
	})
}

// gatewayDrain is how long calls may go on when the server goes down: less than their
// connections last then.
const gatewayDrain = 7 * time.Second

// routerFresh is how long the router of a workspace serves before it is made anew,
// beside the calls that go on with it: secrets may have been rotated since, and
// providers may serve what they did not.
const routerFresh = time.Minute

// gatewayRouter finds the router of a workspace, which is made when it is first
// needed.
func (m *models) gatewayRouter() func(context.Context, mgx.WorkspaceID) (*llm.Router, error) {
	var mu sync.Mutex
	routers := map[mgx.WorkspaceID]*renewed{}
	return func(_ context.Context, ws mgx.WorkspaceID) (*llm.Router, error) {
		mu.Lock()
		r := routers[ws]
		if r == nil {
			r = &renewed{make: func() (*llm.Router, error) { return m.routerOf(ws) }}
			routers[ws] = r
		}
		mu.Unlock()
		return r.get(time.Now())
	}
}

// renewed is a router that is made anew from time to time. Why none could be made is
// not kept.
type renewed struct {
	make func() (*llm.Router, error)

	mu     sync.Mutex
	router *llm.Router
	made   time.Time
	making bool
}

func (r *renewed) get(now time.Time) (*llm.Router, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.router == nil {
		router, err := r.make()
		if err == nil {
			r.router, r.made = router, now
		}
		return router, err
	}
	if now.Sub(r.made) >= routerFresh && !r.making {
		r.making = true
		go r.renew(now)
	}
	return r.router, nil
}

func (r *renewed) renew(now time.Time) {
	router, err := r.make()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.making, r.made = false, now
	if err == nil {
		r.router = router
	}
}

// routerOf makes the router of a workspace. What the environment of this process
// names is the installation's; any other workspace has what the file of models
// says for it or for all.
func (m *models) routerOf(ws mgx.WorkspaceID) (*llm.Router, error) {
	if m.trouble != nil {
		return nil, m.trouble
	}
	all := m.found
	if ws != mgx.DefaultWorkspace {
		var err error
		if all, err = fromFile(m.file, m.path, ws, m.getenv, m.keys, m.tape.client()); err != nil {
			return nil, err
		}
	}
	o := m.options(all, ws)
	o.Keep = llm.Keep{} // what a caller says goes out as it came
	if ws == mgx.DefaultWorkspace && len(all) > 0 {
		addAuto(o.Policies, m.auto)
	}
	return llm.NewRouter(o), nil
}

// books keep account of the gateway's calls in the store.
type books struct {
	store *store.Store
	owner string
	owed  *owed // nil: what cannot be written is lost with the process
}

func (b *books) Open(ctx context.Context, key mgx.APIKey, call string) gateway.Account {
	ctx = mgx.InWorkspace(ctx, key.Workspace)
	return &callAccount{books: b, ctx: ctx, key: key, note: "gateway " + string(key.ID) + " req_" + call, ids: map[string]string{}}
}

// callAccount pays for one call. Its context does not end with the call, so that
// a call which is broken off is settled too.
type callAccount struct {
	*books
	ctx  context.Context
	key  mgx.APIKey
	note string
	ids  map[string]string // of reservations, by attempt
}

func (a *callAccount) Capped() bool { return a.key.Budget != nil }

// capPeriods are the periods of budgets by those of keys.
var capPeriods = map[string]mgx.BudgetPeriod{"daily": mgx.PeriodDay, "monthly": mgx.PeriodMonth}

// Reserve sets money aside in the key's own account, once what is owed is settled.
func (a *callAccount) Reserve(s llm.Spend) error {
	if a.owed != nil {
		if _, err := a.owed.settle(a.store); err != nil {
			return err
		}
	}
	id := mgx.NewID[string]("rsv")
	a.ids[s.ID] = id
	_, err := a.store.Commit(a.ctx, mgx.Change{Reserve: &mgx.Reservation{
		ID: id, Workspace: a.key.Workspace, Run: mgx.RunID(a.key.ID), User: a.key.User, Amount: s.Amount, Cap: a.key.Budget, CapPeriod: capPeriods[a.key.Period], Note: a.note,
		Provider: s.Provider, Model: s.Model, Role: s.Role, PriceVersion: s.PriceVersion, Unpriced: !s.PriceKnown,
		Owner: a.owner, Until: mgx.Now().Add(lostAfter),
	}})
	return err
}

func (a *callAccount) SettleNow(s mgx.Settlement) error {
	s.ID = a.ids[s.ID]
	return a.settle(mgx.Change{Settle: []mgx.Settlement{s}})
}

func (a *callAccount) Close(s mgx.Settlement, events []mgx.Event) error {
	change := mgx.Change{Events: events}
	if s.ID != "" {
		s.ID = a.ids[s.ID]
		change.Settle = []mgx.Settlement{s}
	}
	return a.settle(change)
}

// settle writes what a call cost, now or when the database can again.
func (a *callAccount) settle(c mgx.Change) error {
	_, err := a.store.Commit(a.ctx, c)
	if err != nil && a.owed != nil && len(c.Settle) > 0 {
		a.owed.add(a.ctx, c)
	}
	return err
}
