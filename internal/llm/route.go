package llm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// Decision says which model a call went to and why, and which were passed over.
type Decision = mgx.RoutingData

// Recorded is what an event keeps of a decision, in bounded words. Only one that a
// policy made is worth it; of any other it is nil.
func Recorded(d *Decision) *Decision {
	if d == nil || d.Policy == "" {
		return nil
	}
	why := func(s string) string { return cutText(strings.ToValidUTF8(s, "\uFFFD"), 1000) }
	own := *d
	own.Why, own.Passed = why(d.Why), nil
	for _, p := range d.Passed[:min(len(d.Passed), 50)] {
		own.Passed = append(own.Passed, mgx.PassedModel{Model: p.Model, Why: why(p.Why)})
	}
	return &own
}

// target is one model that a call may go to, and what this call expects of it.
type target struct {
	name     string // provider/model
	provider Provider
	model    string
	options  ProviderOptions
	price    Price
	priced   bool
	facts    Facts
	weight   float64
	steady   bool     // measurements do not count
	key      *limiter // of the provider's key
	state    *modelState
	// Of the workspace that calls: of the provider's key, and of the model.
	keyBreaker, breaker *breaker

	expected expectation

	tries   int
	rested  time.Time // not to be tried again before then: backoff, or what the provider asked for
	blocked time.Time // a breaker or a limit lets nothing through before then
}

// needs are what a request asks of a model.
type needs struct {
	capabilities []string
	prompt       int64 // tokens, estimated
	answer       int64 // tokens, expected
	most         int64 // tokens that the answer may have
	rule         Require
}

func needsOf(req *Request, rule Require) needs {
	n := needs{prompt: estimatePrompt(req), most: int64(req.MaxTokens), answer: min(int64(req.MaxTokens), usualAnswer), rule: rule}
	n.capabilities = slices.Clone(rule.Capabilities)
	if len(req.Tools) > 0 {
		n.capabilities = append(n.capabilities, CapTools)
	}
	if req.Format != nil {
		n.capabilities = append(n.capabilities, CapJSON)
	}
	return n
}

// estimatePrompt guesses the tokens of a prompt: a quarter of its bytes.
func estimatePrompt(req *Request) int64 {
	n := int64(len(req.System))
	for _, t := range req.Tools {
		n += int64(len(t.Name) + len(t.Description) + len(t.Schema))
	}
	for _, m := range req.Messages {
		for _, p := range m.Parts {
			n += int64(len(p.Text))
			if p.Call != nil {
				n += int64(len(p.Call.Name) + len(p.Call.Args))
			}
			if p.Result != nil {
				n += int64(len(p.Result.Text))
			}
			if p.Opaque != nil {
				n += int64(len(p.Opaque.Raw))
			}
		}
	}
	return n/bytesAToken + 1
}

// unfit says why a model cannot take a request, or "".
func (t *target) unfit(need needs, capped bool) string {
	for _, c := range need.capabilities {
		if !slices.Contains(t.facts.Capabilities, c) {
			return "it has no " + c
		}
	}
	switch {
	case need.rule.Local && !t.options.Local:
		return "it is not local"
	case need.rule.Context > 0 && t.facts.Context > 0 && t.facts.Context < need.rule.Context:
		return fmt.Sprintf("its window of %d tokens is below the %d that the policy requires", t.facts.Context, need.rule.Context)
	case !t.holds(need):
		return fmt.Sprintf("%s: about %d tokens of prompt do not fit its window of %d", tooSmall, need.prompt, t.facts.Context)
	case capped && !t.priced:
		return "its price is not known, so a budget cannot be kept"
	}
	return ""
}

const tooSmall = "too small"

// holds reports whether prompt and answer fit the window, as far as known. An
// answer may be cut shorter than asked for, down to what is usual.
func (t *target) holds(need needs) bool {
	return t.facts.Context == 0 || need.prompt+need.answer <= int64(t.facts.Context)
}

// route finds the models that a call may go to, best first.
func (r *Router) route(req *Request, capped bool, now time.Time) ([]*target, *Decision, error) {
	d := &Decision{Asked: req.Model}
	if t, ok := r.direct(req.Workspace, req.Model); ok {
		d.Chosen, d.Why = t.name, "it was asked for"
		return []*target{t}, d, nil
	}
	policy, ok := r.Policies[req.Model]
	if !ok {
		return nil, d, r.unknown(req.Model)
	}
	d.Policy = req.Model
	rule, override := policy.rule(req)
	d.Override, d.Strategy = override, string(cmp.Or(rule.Strategy, Balanced))
	need := needsOf(req, rule.Require)
	chosen := r.fitting(req, rule.Candidates, need, capped, d)
	rank(rule.Strategy, chosen, need)
	why := ""
	if len(chosen) > 0 {
		why = reason(rule.Strategy, chosen[0])
	}
	chosen, why = first(chosen, why, r.drawn(chosen, req))
	var rest []Candidate
	for _, name := range rule.Fallback {
		if !slices.ContainsFunc(rule.Candidates, func(c Candidate) bool { return c.Model == name }) {
			rest = append(rest, Candidate{Model: name})
		}
	}
	fallback := r.fitting(req, rest, need, capped, d)
	if len(chosen) == 0 && len(fallback) > 0 {
		why = "no candidate can take it; first of the fallback chain"
	}
	chosen = append(chosen, fallback...)
	if len(chosen) == 0 {
		return nil, d, nothingFits(req.Model, d.Passed)
	}
	chosen, why = first(chosen, why, r.stuck(chosen, req))
	chosen, why = r.healthyFirst(chosen, why, now, d)
	for _, t := range chosen[1:] {
		d.Passed = append(d.Passed, mgx.PassedModel{Model: t.name, Why: t.passedFor(rule.Strategy)})
	}
	d.Chosen, d.Why = chosen[0].name, why
	return chosen, d, nil
}

// passedFor says what a strategy held against a target that could have done it.
func (t *target) passedFor(s Strategy) string {
	e := t.expected
	switch {
	case s == Ordered:
		return "later in the list"
	case !e.priced:
		return fmt.Sprintf("behind: no known price, %.1f s, quality %g", e.seconds, t.facts.Quality)
	}
	return fmt.Sprintf("behind: about %s, %.1f s, quality %g", e.cost, e.seconds, t.facts.Quality)
}

// direct is the target for a workspace of a name that is provider/model itself.
func (r *Router) direct(ws mgx.WorkspaceID, name string) (*target, bool) {
	prefix, model, ok := strings.Cut(name, "/")
	p := r.byName[prefix]
	if !ok || model == "" || p == nil {
		return nil, false
	}
	t := &target{name: name, provider: p, model: model, options: r.Of[prefix], steady: r.Steady}
	t.options.ID = cmp.Or(t.options.ID, prefix)
	a := r.about(prefix, model)
	t.price, t.priced = a.price, a.priced
	t.key = r.State.key(t.options.ID, t.options.Limits)
	t.state = r.State.model(t.options.ID, prefix, model)
	t.keyBreaker = r.State.breaker(breakerKey{ws, t.options.ID, ""})
	t.breaker = r.State.breaker(breakerKey{ws, t.options.ID, model})
	return t, true
}

// fitting are the targets of those candidates that can take the request; it
// notes why the others cannot.
func (r *Router) fitting(req *Request, candidates []Candidate, need needs, capped bool, d *Decision) []*target {
	var out []*target
	for _, c := range candidates {
		t, ok := r.direct(req.Workspace, c.Model)
		if !ok {
			d.Passed = append(d.Passed, mgx.PassedModel{Model: c.Model, Why: "its provider is not configured here"})
			continue
		}
		t.weight = c.Weight
		t.facts = r.about(t.provider.Name(), t.model).facts
		t.expected = t.expect(need.prompt, need.answer)
		why := t.unfit(need, capped)
		if err := Suits(t.provider, t.model, req); err != nil {
			why = err.Error()
		}
		if why != "" {
			d.Passed = append(d.Passed, mgx.PassedModel{Model: t.name, Why: why})
			continue
		}
		out = append(out, t)
	}
	return out
}

// preference is a target that goes before the order of the strategy.
type preference struct {
	target *target
	why    string
}

func (r *Router) drawn(targets []*target, req *Request) preference {
	conversation := req.conversation()
	if req.Conversation == "" {
		conversation = anyone()
	}
	if t := draw(targets, r.Seed, conversation); t != nil {
		return preference{t, fmt.Sprintf("drawn for this conversation by its weight of %g", t.weight)}
	}
	return preference{}
}

// stuck is the target that the conversation already works on.
func (r *Router) stuck(targets []*target, req *Request) preference {
	name := req.Prefer
	if name == "" && req.Conversation != "" {
		name = r.State.stickies.get(req.Model + "\x00" + req.conversation())
	}
	for _, t := range targets {
		if t.name == name {
			return preference{t, "the conversation already works on it"}
		}
	}
	return preference{}
}

// conversation names the conversation of a request within the process.
func (req *Request) conversation() string {
	return string(req.Workspace) + "\x00" + string(req.Run) + "\x00" + req.Conversation
}

// first moves a preferred target to the front.
func first(targets []*target, why string, p preference) ([]*target, string) {
	if p.target == nil {
		return targets, why
	}
	i := slices.Index(targets, p.target)
	targets = slices.Delete(targets, i, i+1)
	return slices.Insert(targets, 0, p.target), p.why
}

// healthyFirst moves those that a breaker keeps calls from behind the others.
func (r *Router) healthyFirst(targets []*target, why string, now time.Time, d *Decision) ([]*target, string) {
	var well, ill []*target
	for _, t := range targets {
		if sick := t.ill(now); sick != "" {
			ill = append(ill, t)
			if len(well) == 0 && len(targets) > 1 {
				why = fmt.Sprintf("the better %s is left alone: %s", t.name, sick)
			}
			continue
		}
		well = append(well, t)
	}
	if len(well) == 0 {
		return ill, why
	}
	return append(well, ill...), why
}

// ill says why a breaker keeps calls from a target now, or "".
func (t *target) ill(now time.Time) string {
	for _, b := range []*breaker{t.keyBreaker, t.breaker} {
		if state, until, _, why := b.look(now); state == BreakerOpen && now.Before(until) {
			return why
		}
	}
	return ""
}

// nothingFits is the error when every model of a policy was passed over. When
// all were too small the history is too long, which the caller can mend.
func nothingFits(policy string, passed []mgx.PassedModel) error {
	var list []string
	long, priceless := 0, 0
	for _, p := range passed {
		list = append(list, p.Model+": "+p.Why)
		if strings.HasPrefix(p.Why, tooSmall) {
			long++
		} else if strings.HasPrefix(p.Why, "its price") {
			priceless++
		}
	}
	switch {
	case long > 0 && long+priceless == len(passed):
		return mgx.Errorf(mgx.KindProvider, "context_length", "no model of policy %s has a window that is large enough (%s); make the request smaller or add a model with a larger one", policy, strings.Join(list, "; "))
	case priceless > 0 && priceless == len(passed):
		return mgx.Errorf(mgx.KindBudget, "price_unknown", "no model of policy %s has a known price, so a budget cannot be kept (%s): the operator says them in the file of the setting prices (MGX_PRICES), a run with --price IN,OUT", policy, strings.Join(list, "; "))
	}
	return mgx.Errorf(mgx.KindConfig, "no_model_fits", "no model of policy %s can take this request (%s); add one that can to the policy", policy, cmp.Or(strings.Join(list, "; "), "it names none"))
}

func (r *Router) unknown(name string) error {
	names := slices.Sorted(maps.Keys(r.byName))
	also := ""
	if policies := slices.Sorted(maps.Keys(r.Policies)); len(policies) > 0 {
		also = "; policies: " + strings.Join(policies, ", ")
	}
	return mgx.Errorf(mgx.KindConfig, "no_such_provider",
		"%s does not name a model as PROVIDER/MODEL of a configured provider, nor a policy (configured: %s%s)",
		strconv.Quote(name), cmp.Or(strings.Join(names, ", "), "none"), also)
}
