package api_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// What is wrong with a request is said in a sentence, with where it is in front.
func TestSentencesOfWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	budget := func(more string) string { return `{"limit_usd": 5` + more + `}` }
	for _, c := range []struct{ at, body, detail string }{
		{"POST /api/v1/templates", `{"name": ""}`, "body.name must not be empty"},
		{"POST /api/v1/templates", `{"name": "` + strings.Repeat("é", 81) + `"}`, "body.name must have 80 characters at most"},
		{"POST /api/v1/templates", `{"name": 7}`, "body.name must be a string"},
		{"POST /api/v1/templates", `{}`, "body.name is missing"},
		{"POST /api/v1/templates", `[]`, "body must be an object"},
		{"POST /api/v1/templates", ``, "a body is required"},
		{"POST /api/v1/budgets", `{"limit_usd": "5"}`, "body.limit_usd must be a number"},
		{"POST /api/v1/budgets", `{"limit_usd": -1}`, "body.limit_usd must be 0 or more"},
		{"POST /api/v1/budgets", `{"limit_usd": 1e10}`, "body.limit_usd must be 1000000000 or less"},
		{"POST /api/v1/budgets", budget(`, "period": "week"`), "body.period must be one of day, month, absolute"},
		{"POST /api/v1/budgets", budget(`, "thresholds": 50`), "body.thresholds must be a list"},
		{"POST /api/v1/budgets", budget(`, "thresholds": [50, 0.5]`), "body.thresholds[1] must be a whole number"},
		{"POST /api/v1/budgets", budget(`, "thresholds": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]`), "body.thresholds must have 10 entries at most"},
		{"POST /api/v1/budgets", budget(`, "limit": 5`), "body.limit is not known here; there are limit_usd, period, scope, scope_id, soft_limit_usd, thresholds"},
		{"POST /api/v1/keys", `{"name": "ci", "expires_in": "soon"}`, "body.expires_in must be a whole number"},
		{"POST /api/v1/keys", `{"name": "ci", "budget_period": "week"}`, "body.budget_period must be one of daily, monthly"},
		{"POST /api/v1/policies/trials", `{"calls": [{"tool": "shell", "toll": "x"}]}`, "body.calls[0].toll is not known here"},
		{"GET /api/v1/budgets?limit=0", ``, "query.limit must be 1 or more"},
		{"GET /api/v1/budgets?limit=ten", ``, "query.limit must be a whole number"},
		{"GET /api/v1/budgets?scope=run,run", ``, "query.scope must not have an entry twice"},
		{"GET /api/v1/budgets?scope=room", ``, "query.scope[0] must be one of workspace, project, user, task, run, key"},
		{"GET /api/v1/audit?denied=perhaps", ``, "query.denied must be true or false"},
		{"GET /api/v1/audit?since=" + url.QueryEscape("31.1.2026"), ``, "query.since must be a time such as 2026-01-31T09:30:00Z"},
		{"GET /api/v1/audit/first", ``, "path.sequence must be a whole number"},
	} {
		method, path, _ := strings.Cut(c.at, " ")
		var p struct{ Detail string }
		got := w.do(admin, method, path, json.RawMessage(c.body), nil)
		json.Unmarshal([]byte(got.body), &p)
		if got.status != 400 || p.Detail != c.detail {
			t.Errorf("%s %s: %d %s\nwant %q", c.at, c.body, got.status, got.body, c.detail)
		}
	}
}
