package llm

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
)

// other is a fake under another name.
type other struct {
	*fake
	name string
}

func (o other) Name() string { return o.name }

// works is a provider that answers everything.
func works(name string) other {
	return other{&fake{acts: []act{answers("from "+name, mgx.Usage{Prompt: 10, Completion: 5})}}, name}
}

// priced has a list of prices: name, dollars a million tokens in and out, window.
func priced(t *testing.T, models ...any) *Prices {
	t.Helper()
	var rows []string
	for i := 0; i < len(models); i += 3 {
		rows = append(rows, fmt.Sprintf(`{"models": [%q], "input": %v, "output": %v, "context": %v}`, models[i], models[i+1], models[i+1], models[i+2]))
	}
	p, err := parsePrices([]byte(`{"source": "test", "version": "1", "unit": "USD per million tokens", "prices": [` + strings.Join(rows, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// abc is a router over three models: cheap/m, good/m and near/m, which is local.
func abc(t *testing.T, policy Policy, change func(*Options)) *Router {
	o := Options{
		Providers: []Provider{works("cheap"), works("good"), works("near")},
		Of:        map[string]ProviderOptions{"near": {Local: true}},
		Policies:  map[string]Policy{"p": policy},
		Prices:    priced(t, "cheap/m", 1, 100_000, "good/m", 20, 1_000_000, "near/m", 2, 8000),
		Facts: []ModelFacts{
			{"cheap/m", Facts{Quality: 40, Capabilities: []string{CapTools, CapJSON}}},
			{"good/m", Facts{Quality: 90, Capabilities: allCapabilities}},
			{"near/m", Facts{Quality: 30, Capabilities: []string{CapTools}}},
		},
	}
	if change != nil {
		change(&o)
	}
	return NewRouter(o)
}

func candidates(names ...string) []Candidate {
	var all []Candidate
	for _, n := range names {
		all = append(all, Candidate{Model: n})
	}
	return all
}

var allThree = candidates("cheap/m", "good/m", "near/m")

func TestStrategies(t *testing.T) {
	t.Parallel()
	tool := func(r *Request) { r.Tools = []ToolSpec{{Name: "x", Schema: []byte(`{}`)}} }
	form := func(r *Request) { r.Format = &Format{Name: "f", Schema: []byte(`{}`)} }
	long := func(r *Request) { r.Messages[0].Parts[0].Text = strings.Repeat("word ", 60_000) }
	for _, c := range []struct {
		name   string
		rule   Rule
		change func(*Request)
		want   string // order of the models
		why    string // of the first
		passed string // somewhere among those passed over
	}{
		{"cost", Rule{Strategy: Cost}, nil, "cheap near good", "cheapest for this request: about $0.0008", "behind: about $0.016"},
		{"quality", Rule{Strategy: Quality}, nil, "good cheap near", "highest quality: 90", "quality 40"},
		{"latency", Rule{Strategy: Latency}, nil, "cheap good near", "fastest: about 17.5 s", ""},
		{"local", Rule{Strategy: LocalFirst}, nil, "near cheap good", "it is local", ""},
		{"ordered", Rule{Strategy: Ordered}, nil, "cheap good near", "first in the list", "later in the list"},
		{"capability", Rule{Strategy: CapabilityMatch}, nil, "near cheap good", "the least able", ""},
		{"capability with a form", Rule{Strategy: CapabilityMatch}, form, "cheap good", "", "near/m it has no json"},
		{"balanced", Rule{}, nil, "cheap good near", "best balance of price (about $0.0008), time (17.5 s) and quality (40)", ""},
		{"long", Rule{Strategy: LocalFirst}, long, "cheap good", "no local model can take it", "near/m too small: about 75001 tokens of prompt do not fit its window of 8000"},
		{"local only", Rule{Require: Require{Local: true}}, tool, "near", "", "good/m it is not local"},
		{"vision", Rule{Require: Require{Capabilities: []string{CapVision}}}, nil, "good", "", "cheap/m it has no vision"},
		{"context", Rule{Require: Require{Context: 500_000}}, nil, "good", "", "cheap/m its window of 100000 tokens is below the 500000"},
		{"fallback", Rule{Candidates: candidates("near/m"), Fallback: []string{"good/m", "cheap/m"}}, nil, "near good cheap", "", ""},
		{"unknown price", Rule{Strategy: Ordered, Candidates: candidates("good/unknown", "cheap/m")}, nil, "cheap", "", "good/unknown its price is not known"},
		{"fallback only", Rule{Candidates: candidates("near/m"), Fallback: []string{"gone/m", "good/m"}}, long, "good", "first of the fallback chain", "gone/m its provider is not configured here"},
	} {
		if c.rule.Candidates == nil {
			c.rule.Candidates = allThree
		}
		r := abc(t, Policy{Rule: c.rule}, nil)
		req := testRequest()
		req.Model, req.Conversation = "p", ""
		if c.change != nil {
			c.change(req)
		}
		targets, d, err := r.route(req, true, r.Now())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var order []string
		for _, tg := range targets {
			order = append(order, tg.provider.Name())
		}
		if got := strings.Join(order, " "); got != c.want {
			t.Errorf("%s: got %s, want %s (%+v)", c.name, got, c.want, d)
		}
		if !strings.Contains(d.Why, c.why) || d.Chosen != targets[0].name || d.Policy != "p" || len(d.Passed) != len(c.rule.Candidates)+len(c.rule.Fallback)-1 {
			t.Errorf("%s: explained as %+v, want %q", c.name, d, c.why)
		}
		if !slices.ContainsFunc(d.Passed, func(p mgx.PassedModel) bool { return strings.Contains(p.Model+" "+p.Why, c.passed) }) {
			t.Errorf("%s: passed over %+v, want %q", c.name, d.Passed, c.passed)
		}
	}
}

func TestMeasurementsCount(t *testing.T) {
	t.Parallel()
	r := abc(t, Policy{Rule: Rule{Strategy: Latency, Candidates: allThree}}, nil)
	for range 5 {
		r.State.Recall(r.Now(), "near", "m", 50*time.Millisecond, time.Second, 400)
	}
	req := testRequest()
	req.Model = "p"
	if targets, d, _ := r.route(req, false, r.Now()); targets[0].name != "near/m" || d.Why != "fastest: about 2.0 s expected" {
		t.Errorf("chose %s: %s", targets[0].name, d.Why)
	}
	r.Steady = true
	if targets, _, _ := r.route(req, false, r.Now()); targets[0].name != "cheap/m" {
		t.Errorf("a steady router chose %s", targets[0].name)
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	r := abc(t, Policy{Rule: Rule{Strategy: Cost, Candidates: allThree}, Overrides: []Override{
		{Role: "reviewer", Size: "L", Rule: Rule{Strategy: Quality}},
		{Role: "reviewer", Rule: Rule{Candidates: candidates("near/m")}},
		{Size: "XL", Rule: Rule{Require: Require{Context: 200_000}}},
	}}, nil)
	for _, c := range []struct{ role, size, chosen, override string }{
		{"implementer", "S", "cheap/m", ""},
		{"reviewer", "L", "good/m", "role reviewer, size L"},
		{"reviewer", "M", "near/m", "role reviewer"},
		{"planner", "XL", "good/m", "size XL"},
		{"planner", "", "cheap/m", ""},
	} {
		req := testRequest()
		req.Model, req.AgentRole, req.TaskSize, req.Conversation = "p", c.role, c.size, ""
		_, d, err := r.route(req, false, r.Now())
		if err != nil || d.Chosen != c.chosen || d.Override != c.override {
			t.Errorf("%s %s: %+v, %v", c.role, c.size, d, err)
		}
	}
}

// TestWeights: each conversation has its model for good, in every process; the
// shares are right; one that leaves takes only its own conversations along.
func TestWeights(t *testing.T) {
	t.Parallel()
	weighted := []Candidate{{"cheap/m", 3}, {"good/m", 1}, {"near/m", 0}}
	r := abc(t, Policy{Rule: Rule{Candidates: weighted}}, nil)
	fewer := abc(t, Policy{Rule: Rule{Candidates: weighted[:1]}}, nil)
	seeded := abc(t, Policy{Rule: Rule{Candidates: weighted}}, func(o *Options) { o.Seed = 7 })
	count, moved := map[string]int{}, 0
	const n = 1500
	for i := range n {
		req := testRequest()
		req.Model, req.Conversation = "p", fmt.Sprint("c", i)
		_, d, _ := r.route(req, false, r.Now())
		_, again, _ := abcAgain(r).route(req, false, r.Now())
		_, less, _ := fewer.route(req, false, r.Now())
		_, other, _ := seeded.route(req, false, r.Now())
		if d.Chosen != again.Chosen || (d.Chosen == "cheap/m" && less.Chosen != "cheap/m") || !strings.Contains(d.Why, "by its weight of") {
			t.Fatalf("conversation %d: %s, %s, %s (%s)", i, d.Chosen, again.Chosen, less.Chosen, d.Why)
		}
		count[d.Chosen]++
		if d.Chosen != other.Chosen {
			moved++
		}
	}
	if share := float64(count["cheap/m"]) / n; math.Abs(share-0.75) > 0.04 || count["near/m"] > 0 {
		t.Errorf("shares %v", count)
	}
	if moved < n/10 {
		t.Errorf("another seed moved %d of %d", moved, n)
	}
}

// abcAgain is a router as another process would make it.
func abcAgain(r *Router) *Router {
	o := r.Options
	o.State = nil
	return NewRouter(o)
}

func TestConversationsStay(t *testing.T) {
	t.Parallel()
	r := abc(t, Policy{Rule: Rule{Strategy: Latency, Candidates: allThree}}, nil)
	call := func(conversation, prefer string) *Result {
		t.Helper()
		req := testRequest()
		req.Model, req.Conversation, req.Prefer = "p", conversation, prefer
		res, err := r.Call(t.Context(), req, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.Response.Route != res.Decision.Chosen {
			t.Errorf("route %s, chosen %s", res.Response.Route, res.Decision.Chosen)
		}
		return res
	}
	before := call("c", "").Decision.Chosen
	for range 5 {
		r.State.Recall(r.Now(), "good", "m", time.Millisecond, time.Second, 5000) // now the fastest
	}
	if d := call("c", "").Decision; d.Chosen != before || d.Why != "the conversation already works on it" {
		t.Errorf("it left %s: %+v", before, d)
	}
	if d := call("new", "").Decision; d.Chosen != "good/m" {
		t.Errorf("a new conversation: %+v", d)
	}
	if d := call("resumed elsewhere", "near/m").Decision; d.Chosen != "near/m" {
		t.Errorf("what the journal says: %+v", d)
	}
}

func TestNothingFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		rule   Rule
		change func(*Request)
		code   string
		kind   mgx.Kind
	}{
		{"too long for all", Rule{Candidates: candidates("near/m", "cheap/m")}, func(r *Request) { r.System = strings.Repeat("a", 800_000) }, "context_length", mgx.KindProvider},
		{"no price", Rule{Candidates: candidates("good/unknown")}, nil, "price_unknown", mgx.KindBudget},
		{"none configured", Rule{Candidates: candidates("gone/m")}, nil, "no_model_fits", mgx.KindConfig},
	} {
		r := abc(t, Policy{Rule: c.rule}, nil)
		req := testRequest()
		if req.Model = "p"; c.change != nil {
			c.change(req)
		}
		res, err := r.Call(t.Context(), req, newLedger(mgx.USD), nil)
		if e := mgx.AsError(err); e == nil || e.Code != c.code || e.Kind != c.kind || res.Decision == nil || res.Attempts > 0 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
