package api_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/app"
)

// townModels serve one model, and a second one that fails.
type townModels struct{}

func (townModels) Models(context.Context, mgx.WorkspaceID) (app.ModelList, error) {
	price := mgx.Money(3_000_000)
	return app.ModelList{
		Models:   []app.ModelInfo{{Model: "town/small", Capabilities: []string{"tools"}, Window: 8000, From: "TOWN_KEY", PriceKnown: true, Input: &price, Output: &price}},
		Failed:   []app.ProviderFailure{{Provider: "village", Message: "nobody answers"}},
		Policies: []app.RoutingPolicy{{Name: "auto", Strategy: "balanced", Candidates: []string{"town/small"}, Fallback: []string{}}},
	}, nil
}

func (townModels) TryModel(_ context.Context, ws mgx.WorkspaceID, user mgx.UserID, model string) (app.ModelTrial, error) {
	if model != "town/small" {
		return app.ModelTrial{}, mgx.Errorf(mgx.KindProvider, "model_not_found", "there is no such model")
	}
	return app.ModelTrial{Asked: model, Model: model, Why: string(ws) + " " + string(user)}, nil
}

// Models are listed and tried for the workspace of who asks; where the operator keeps
// what opens them is for the operator.
func TestModels(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	var list app.ModelList
	for secret, from := range map[string]string{token: "TOWN_KEY", w.tokens["admin"]: "", w.tokens["viewer"]: ""} {
		list = app.ModelList{}
		w.must(w.do(secret, "GET", "/api/v1/models", nil, &list), 200)
		if len(list.Models) != 1 || list.Models[0].From != from || list.Failed[0].Provider != "village" || list.Policies[0].Name != "auto" {
			t.Errorf("%+v, want it to be from %q", list, from)
		}
	}
	var tried app.ModelTrial
	w.must(w.do(w.tokens["developer"], "POST", "/api/v1/models/test", map[string]string{"model": "town/small"}, &tried), 200)
	if want := string(mgx.DefaultWorkspace) + " " + string(w.users["developer"]); tried.Why != want {
		t.Errorf("it is for %q, want %q", tried.Why, want)
	}
	w.do(w.tokens["developer"], "POST", "/api/v1/models/test", map[string]string{"model": "town/large"}, nil).want(404, "model_not_found")
	w.do(w.tokens["developer"], "POST", "/api/v1/models/test", map[string]string{"model": "a\x00"}, nil).want(400, "bad_body")
	w.do(w.tokens["viewer"], "POST", "/api/v1/models/test", map[string]string{"model": "town/small"}, nil).want(403, "forbidden")
}

// A policy is tried on the calls of a run in pages: each call once and in order, and
// what was approved on one page counts on the next.
func TestPolicyOnARun(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	run := w.task("developer", w.project(mgx.DefaultWorkspace, "/srv/shop"), "try it")
	scope := scopeOf(run)
	call := func(name string) mgx.Event {
		return scope.Event(mgx.ToolCalled, mgx.ToolCallData{CallID: name, Name: name, Effect: "write", Arguments: "{}", AgentRole: "implementer"})
	}
	w.tell(run, call("first"), call("second"), scope.Event(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: "decision/plan", Approved: true, By: "user"}), call("third"))
	try := func(secret, query string, body any, into any) reply {
		return w.do(secret, "POST", "/api/v1/runs/"+string(run.ID)+"/policy-trials"+query, body, into)
	}
	type page struct {
		Calls []struct {
			Tool    string
			Open    bool `json:"plan_open"`
			Verdict string
		}
		Next string `json:"next_page_token"`
	}
	got, pages := "", 0
	for query := "?limit=1"; ; pages++ {
		var p page
		w.must(try(w.tokens["viewer"], query, map[string]string{"text": "deny tool second because \"no\"\nallow effect write\n"}, &p), 200)
		for _, c := range p.Calls {
			got += c.Tool + " " + c.Verdict
			if c.Open {
				got += " open"
			}
			got += "; "
		}
		if p.Next == "" {
			break
		}
		query = "?limit=1&page_token=" + p.Next
	}
	if want := "first allow open; second deny open; third allow; "; got != want || pages != 4 {
		t.Errorf("%q in %d pages, want %q", got, pages+1, want)
	}
	try(w.tokens["viewer"], "?page_token=eA", map[string]string{"policy": "auto"}, nil).want(400, "bad_page_token")
	try(w.tokens["viewer"], "", map[string]string{}, nil).want(400, "bad_trial")
	try(w.tokens["viewer"], "", map[string]string{"policy": "nobody"}, nil).want(404, "not_found")
	try(w.tokens["other"], "", map[string]string{"policy": "auto"}, nil).want(404, "not_found")

	var tried struct {
		Calls []json.RawMessage
		Kept  []app.KeptPath
	}
	calls := []map[string]any{{"tool": "x", "effect": "write"}, {"tool": "y", "effect": "network", "expect": "deny", "at": "9"}}
	w.must(w.do(w.tokens["developer"], "POST", "/api/v1/policies/trials", map[string]any{"text": "deny path secrets/**\n", "calls": calls}, &tried), 200)
	if len(tried.Calls) != 2 || !strings.Contains(string(tried.Calls[1]), `"at":"9"`) || len(tried.Kept) != 1 || tried.Kept[0].Path != "secrets/**" {
		t.Errorf("%s %+v", tried.Calls, tried.Kept)
	}
	w.do(w.tokens["developer"], "POST", "/api/v1/policies/trials", map[string]any{"policy": "auto", "calls": append(calls, map[string]any{"tool": "z"})}, nil).want(400, "bad_call")
}

// A run is replayed by who may see it.
func TestReplayAtAServer(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	run := w.task("developer", w.project(mgx.DefaultWorkspace, "/srv/shop"), "again")
	var r app.Replay
	w.must(w.do(w.tokens["viewer"], "GET", "/api/v1/runs/"+string(run.ID)+"/replay", nil, &r), 200)
	if !r.Identical {
		t.Errorf("%+v", r)
	}
	w.do(w.tokens["other"], "GET", "/api/v1/runs/"+string(run.ID)+"/replay", nil, nil).want(404, "not_found")
}
