package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/store"
)

func newMoneySite(t *testing.T) *hookSite {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	hub := event.NewHub(event.HubOptions{Source: s, Epoch: "epoch-1", Key: []byte("0123456789abcdef"), Authorize: event.OneWorkspace(mgx.DefaultWorkspace), Contracts: contracts})
	web := api.New(api.Options{
		Hub: hub, Contracts: contracts, Token: token, Actor: "user_local", Terms: s,
		Budgets: &app.Budgets{By: mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "user_local"}, Actor: "user_local", Store: s},
	})
	return &hookSite{t, s, web}
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	s := newMoneySite(t)
	const root = "/api/v1/budgets"
	var made, again mgx.BudgetUse
	s.ask("POST", root, `{"limit_usd":100}`, 201, &made)
	if made.Scope != mgx.ScopeWorkspace || made.Period != mgx.PeriodMonth || made.Limit != 100*mgx.USD || len(made.Thresholds) != 3 || made.CreatedBy != "user_local" || made.End == nil {
		t.Errorf("made %+v", made)
	}
	s.ask("POST", root, `{"limit_usd":5}`, 409, nil) // there is one for this
	one := root + "/" + string(made.ID)
	if s.ask("PATCH", one, `{"limit_usd":1.5,"soft_limit_usd":0.5,"thresholds":[90]}`, 200, &again); again.Limit != 3*mgx.USD/2 || *again.Soft != mgx.USD/2 || again.Thresholds[0] != 90 {
		t.Errorf("changed %+v", again)
	}
	again = mgx.BudgetUse{}
	if s.ask("PATCH", one, `{"soft_limit_usd":null}`, 200, &again); again.Soft != nil || again.Limit != 3*mgx.USD/2 || len(again.Thresholds) != 1 {
		t.Errorf("changed back %+v", again)
	}
	for body, want := range map[string]int{
		`{}`: 400, `{"limit_usd":-1}`: 400, `{"limit_usd":1,"period":"year"}`: 400, `{"limit_usd":1,"scope":"project"}`: 400, `{"limit_usd":1,"scope_id":"ws_other"}`: 400,
		`{"limit_usd":1,"soft_limit_usd":2}`: 400, `{"limit_usd":1,"thresholds":[0]}`: 400, `{"limit":1}`: 400, `{"limit_usd":"much"}`: 400, `{"limit_usd":1e99}`: 400,
	} {
		s.ask("POST", root, body, want, nil)
	}
	s.ask("PATCH", one, `{"soft_limit_usd":"x"}`, 400, nil)
	s.ask("PATCH", root+"/bgt_none", `{"limit_usd":1}`, 404, nil)
	for i := range 3 {
		id := fmt.Sprint("proj_", i)
		_, _, err := s.store.CreateProject(t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "user_local"}, mgx.Project{ID: mgx.ProjectID(id), Workspace: mgx.DefaultWorkspace, Name: id, Path: "/srv/" + id})
		must(t, err)
		s.ask("POST", root, fmt.Sprintf(`{"limit_usd":1,"scope":"project","scope_id":"proj_%d"}`, i), 201, nil)
	}
	var page struct {
		Budgets []mgx.BudgetUse
		Next    string `json:"next_page_token"`
	}
	seen := 0
	for next := root + "?limit=2&scope=project"; next != ""; {
		page.Next = ""
		s.ask("GET", next, "", 200, &page)
		if seen += len(page.Budgets); page.Next == "" {
			break
		}
		next = root + "?limit=2&scope=project&page_token=" + page.Next
	}
	if seen != 3 {
		t.Errorf("%d on all pages", seen)
	}
	if s.ask("GET", root+"?scope_id=proj_1", "", 200, &page); len(page.Budgets) != 1 {
		t.Errorf("of one project %+v", page)
	}
	s.ask("GET", root+"?scope=team", "", 400, nil)
	s.ask("GET", root+"?what=1", "", 400, nil)
	s.ask("DELETE", one, "", 204, nil)
	s.ask("GET", one, "", 404, nil)
	s.ask("DELETE", one, "", 404, nil)
}

// The same key makes one budget, and only ever this one.
func TestBudgetOnce(t *testing.T) {
	t.Parallel()
	s := newMoneySite(t)
	post := func(key, body string, want int) string {
		r := httptest.NewRequest("POST", "http://localhost/api/v1/budgets", strings.NewReader(body))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		w := httptest.NewRecorder()
		s.web.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s %s: %d %s, want %d", key, body, w.Code, w.Body, want)
		}
		return w.Header().Get("Location")
	}
	const user = `{"limit_usd":1,"scope":"user","scope_id":"user_local","period":"day"}`
	if a, b := post("k1", user, 201), post("k1", user, 201); a != b {
		t.Errorf("made %s and %s", a, b)
	}
	post("k1", `{"limit_usd":1,"scope":"user","scope_id":"user_local"}`, 422)
	post("k2", user, 409)
	post(strings.Repeat("k", 300), user, 400)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	s := newMoneySite(t)
	models := []string{"m", "=cmd|' /C calc'!A0", "@x", "plain,\"quoted\""}
	var total mgx.Money
	for i, model := range models {
		id, amount := fmt.Sprint("r", i), mgx.Money(i+1)
		total += amount
		for _, c := range []mgx.Change{
			{Reserve: &mgx.Reservation{ID: id, Workspace: mgx.DefaultWorkspace, User: "user_local", Amount: 100, Provider: "p", Model: model, Note: "+note"}},
			{Settle: []mgx.Settlement{{ID: id, Amount: amount, Usage: mgx.Usage{Prompt: 10, Completion: 3}}}},
		} {
			if _, err := s.store.Commit(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	const root = "/api/v1/usage"
	var page struct {
		Usage []app.UsageRow
		Next  string `json:"next_page_token"`
	}
	var sum mgx.UsageLine
	pages := 0
	for next := root + "?limit=2"; ; pages++ {
		page.Next = ""
		s.ask("GET", next, "", 200, &page)
		for _, row := range page.Usage {
			row.Key = ""
			sum = sum.Add(row.UsageLine)
		}
		if page.Next == "" {
			break
		}
		next = root + "?limit=2&page_token=" + url.QueryEscape(page.Next)
	}
	if sum.Cost != total || sum.Calls != 4 || sum.Usage.Prompt != 40 || pages != 2 {
		t.Errorf("in all %+v on %d pages", sum, pages+1)
	}
	if s.ask("GET", root+"?by=call&user=user_local", "", 200, &page); len(page.Usage) != 4 || page.Usage[0].Call == nil || page.Usage[0].Call.Model != "m" {
		t.Errorf("calls %+v", page.Usage)
	}
	if s.ask("GET", root+"?by=day&until=2020-01-01", "", 200, &page); len(page.Usage) != 0 {
		t.Errorf("long ago %+v", page.Usage)
	}
	for _, bad := range []string{"by=colour", "since=soon", "limit=0", "page_token=!", "x=1"} {
		s.ask("GET", root+"?"+bad, "", 400, nil)
	}

	for _, by := range []string{"model", "call"} {
		r := httptest.NewRequest("GET", "http://localhost"+root+"?by="+by, nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept", "text/csv")
		w := httptest.NewRecorder()
		s.web.ServeHTTP(w, r)
		lines, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || len(lines) != 5 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") || w.Header().Get("Vary") == "" {
			t.Fatalf("%v %q %v", w.Header(), lines, err)
		}
		cost := mgx.Money(0)
		for _, line := range lines[1:] {
			m, err := mgx.ParseMoney(line[7])
			if err != nil {
				t.Error(err)
			}
			cost += m
			for _, cell := range line {
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
					t.Errorf("a spreadsheet takes %q for a formula", cell)
				}
			}
		}
		if cost != total {
			t.Errorf("by %s the CSV sums to %d, want %d", by, cost, total)
		}
	}
}

// A budget is for what the workspace has. What another has is as if it was nowhere.
func TestBudgetsAreForWhatIsThere(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	there := w.things()
	var other struct{ ID string }
	w.must(w.do(admin, "POST", "/api/v1/workspaces", map[string]string{"name": "other"}, &other), 201)
	ask := func(ws, scope, id string) reply {
		body := map[string]any{"limit_usd": 1, "period": "absolute", "scope": scope, "scope_id": id}
		return w.call(admin, "POST", "/api/v1/budgets", body, nil, with("Mgx-Workspace", ws))
	}
	for scope, id := range map[string]string{
		"project": there["projects"], "user": string(w.users["viewer"]), "task": there["tasks"], "run": there["runs"], "key": there["keys"],
	} {
		nowhere := id[:len(id)-3] + "ZZZ"
		elsewhere, none := ask(other.ID, scope, id), ask(other.ID, scope, nowhere)
		elsewhere.want(400, "bad_budget")
		none.want(400, "bad_budget")
		want := fmt.Sprintf("there is no %s %s in this workspace", scope, id)
		if p := detailOf(elsewhere); p != want || detailOf(none) != strings.Replace(want, id, nowhere, 1) {
			t.Errorf("%q and %q, want %q", p, detailOf(none), want)
		}
		ask("ws_default", scope, nowhere).want(400, "bad_budget")
		w.must(ask("ws_default", scope, id), 201)
	}
}

func detailOf(r reply) string {
	var p struct{ Detail string }
	json.Unmarshal([]byte(r.body), &p)
	return p.Detail
}
