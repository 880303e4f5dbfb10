package api

import (
	"net/http"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/app"
)

// money are the budgets and the ledger of whoever asks, where they are kept.
func (s *Server) money(r *http.Request) (*app.Budgets, error) {
	if s.o.Budgets == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server keeps no budgets")
	}
	theirs, actor := *s.o.Budgets, actorOf(r)
	theirs.By, theirs.Actor = actor.Doer(), actor.User
	return &theirs, nil
}

// budgeted makes a handler of one that works on the budget in the path.
func (s *Server) budgeted(f func(w http.ResponseWriter, r *http.Request, b *app.Budgets, id mgx.BudgetID) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		b, err := s.money(r)
		if err != nil {
			return err
		}
		return f(w, r, b, mgx.BudgetID(r.PathValue("id")))
	}
}

const budgetsPage = 100

// getBudgets lists budgets and how they stand, by id.
func (s *Server) getBudgets(w http.ResponseWriter, r *http.Request) error {
	b, err := s.money(r)
	if err != nil {
		return err
	}
	values := query{Values: r.URL.Query()}
	if err := values.only("scope", "scope_id", "limit", "page_token"); err != nil {
		return err
	}
	q := mgx.BudgetQuery{ScopeID: values.Get("scope_id"), After: mgx.BudgetID(values.Get("page_token"))}
	for _, one := range list(values.Values["scope"]) {
		if !slices.Contains(mgx.BudgetScopes, mgx.BudgetScope(one)) || len(q.Scopes) == len(mgx.BudgetScopes) {
			return badQuery("scope is workspace, project, user, task or run, each named once")
		}
		q.Scopes = append(q.Scopes, mgx.BudgetScope(one))
	}
	if q.Limit, err = values.number("limit", budgetsPage, 1, 1000); err != nil {
		return err
	}
	all, err := b.List(r.Context(), q)
	if err != nil {
		return err
	}
	out := map[string]any{"budgets": append([]mgx.BudgetUse{}, all...)}
	if len(all) == q.Limit {
		out["next_page_token"] = all[len(all)-1].ID
	}
	return writeJSON(w, out)
}

// only refuses parameters that are not named.
func (q query) only(names ...string) error {
	for name := range q.Values {
		if !slices.Contains(names, name) {
			return badQuery("there is no parameter %q; there are %s", clip(name), strings.Join(names, ", "))
		}
	}
	return nil
}

// longestKey bounds an Idempotency-Key, in bytes.
const longestKey = 255

// postBudget makes a budget; with an Idempotency-Key once, however often it is
// sent.
func (s *Server) postBudget(w http.ResponseWriter, r *http.Request) error {
	b, err := s.money(r)
	if err != nil {
		return err
	}
	key := r.Header.Get("Idempotency-Key")
	if len(key) > longestKey {
		return mgx.Errorf(mgx.KindUsage, codeQuery, "an Idempotency-Key has at most %d bytes", longestKey)
	}
	var n app.NewBudget
	if err := readJSON(r, &n); err != nil {
		return err
	}
	made, created, err := b.Create(r.Context(), n, key)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", "/api/v1/budgets/"+string(made.ID))
	if created {
		w.WriteHeader(http.StatusCreated)
	}
	return writeJSON(w, made)
}

func getBudget(w http.ResponseWriter, r *http.Request, b *app.Budgets, id mgx.BudgetID) error {
	found, err := b.Get(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, found)
}

func patchBudget(w http.ResponseWriter, r *http.Request, b *app.Budgets, id mgx.BudgetID) error {
	var c app.BudgetChange
	if err := readJSON(r, &c); err != nil {
		return err
	}
	changed, err := b.Change(r.Context(), id, c)
	if err != nil {
		return err
	}
	return writeJSON(w, changed)
}

func deleteBudget(w http.ResponseWriter, r *http.Request, b *app.Budgets, id mgx.BudgetID) error {
	return done(w, b.Remove(r.Context(), id))
}
