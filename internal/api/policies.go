package api

import (
	"context"
	"encoding/json"

	"mgx"
	"mgx/internal/app"
)

func (s *Server) policyRoutes() []route {
	const group = "Policies"
	return []route{
		op("GET /api/v1/policies", to("read", "runs"), listPolicies, about{
			ID: "listPolicies", Group: group, Short: "List the permission policies that runs may be started with by name",
		}),
		op("GET /api/v1/policies/{id}", to("read", "runs"), getPolicy, about{ID: "getPolicy", Group: group, Short: "Show a policy"}),
		op("POST /api/v1/policies/test", to("execute", "runs"), s.testPolicy, about{
			ID: "testPolicy", Group: group, Short: "Say what a policy makes of a call, without making it", Codes: codes{"bad_policy": 400, "bad_trial": 400},
			Long: "Names a built-in policy, or sends the text of one. Of a built-in tool it takes the arguments; of any other what it touches.",
		}),
		op("POST /api/v1/policies/trials", to("execute", "runs"), s.tryPolicy, about{
			ID: "tryPolicy", Group: group, Short: "Say what a policy makes of several calls, and what it keeps from programs", Status: 200, Codes: codes{"bad_policy": 400, "bad_trial": 400, "bad_call": 400},
			Long: "As testPolicy does of one call. Either all calls are sound, or none is tried.",
		}),
		op("POST /api/v1/runs/{id}/policy-trials", to("read", "runs"), with(s.work, s.tryRun), about{
			ID: "tryPolicyOnRun", Group: group, Short: "Say what a policy makes of the calls that a run made", Status: 200, Codes: codes{"bad_policy": 400, "bad_trial": 400, mgx.CodeErased: 410},
			Long: "In their order, a page at a time. A page may have no calls and still have a next.",
		}, finer),
	}
}

type policiesOut struct {
	Body struct {
		Policies []app.BuiltInPolicy `json:"policies"`
	} `nameHint:"PolicyList"`
}

func listPolicies(context.Context, *none) (*policiesOut, error) {
	out := &policiesOut{}
	out.Body.Policies = app.Policies()
	return out, nil
}

type policyOut struct {
	Body app.BuiltInPolicy
}

func getPolicy(_ context.Context, in *At[string]) (*policyOut, error) {
	p, err := app.Policy(in.ID)
	return &policyOut{p}, err
}

// TriedPolicy is the policy that calls are tried with.
type TriedPolicy struct {
	Policy string `json:"policy,omitempty" doc:"Name of a built-in policy" maxLength:"100" example:"auto"`
	Text   string `json:"text,omitempty" doc:"Or a policy as it is written" maxLength:"65536"`
}

// TrialCall is a call that nobody makes.
type TrialCall struct {
	Tool      string          `json:"tool" doc:"Name of the tool" minLength:"1" maxLength:"200" example:"shell"`
	Arguments json.RawMessage `json:"arguments,omitempty" doc:"What a built-in tool would be called with"`
	Effect    string          `json:"effect,omitempty" doc:"Of a tool that is not built in" enum:"read,write,execute,network,deliver"`
	Role      string          `json:"role,omitempty" doc:"Of the agent" maxLength:"100"`
	Paths     []string        `json:"paths,omitempty" doc:"That it touches, in the workspace" maxItems:"1000"`
	Command   string          `json:"command,omitempty" doc:"A line of shell that it runs" maxLength:"65536"`
	Hosts     []string        `json:"hosts,omitempty" doc:"HOST:PORT that it reaches" maxItems:"1000"`
	Outside   bool            `json:"outside,omitempty" doc:"It acts beyond the sandbox"`
	Vague     bool            `json:"vague,omitempty" doc:"What it touches is not known"`
	PlanOpen  bool            `json:"plan_open,omitempty" doc:"The run's plan is not approved, or there is none"`
	Own       bool            `json:"own,omitempty" doc:"It delivers the run's own branch"`
	Label     mgx.Label       `json:"label,omitzero" doc:"Of all that the model was given"`
}

func (c TrialCall) call() app.Call {
	return app.Call{
		Tool: c.Tool, Effect: c.Effect, Role: c.Role, Paths: c.Paths, Command: c.Command, Hosts: c.Hosts, Outside: c.Outside,
		Vague: c.Vague, PlanOpen: c.PlanOpen, Own: c.Own, Label: c.Label, Arguments: c.Arguments,
	}
}

// trial is one call and the policy that it is tried with.
type trial struct {
	TriedPolicy
	TrialCall
}

type verdictOut struct {
	Body app.Verdict
}

func (s *Server) testPolicy(_ context.Context, in *struct{ Body trial }) (*verdictOut, error) {
	v, err := s.o.Trial.Try(in.Body.Policy, in.Body.Text, in.Body.call())
	return &verdictOut{v}, err
}

// namedTrial is one of several calls.
type namedTrial struct {
	TrialCall
	At     string `json:"at,omitempty" doc:"How you name it: without it, its number" maxLength:"20"`
	Expect string `json:"expect,omitempty" doc:"What it should come to, which comes back with it" enum:"allow,ask,deny"`
}

type trialsIn struct {
	Body struct {
		TriedPolicy
		Calls []namedTrial `json:"calls" doc:"That nobody makes" maxItems:"500"`
	} `nameHint:"PolicyTrials"`
}

type trialsOut struct {
	Body app.TriedCalls
}

func (s *Server) tryPolicy(_ context.Context, in *trialsIn) (*trialsOut, error) {
	calls := make([]app.TryCall, len(in.Body.Calls))
	for i, c := range in.Body.Calls {
		calls[i] = app.TryCall{Call: c.call(), At: c.At, Expect: app.PolicyVerdict(c.Expect)}
	}
	tried, err := s.o.Trial.TryAll(in.Body.Policy, in.Body.Text, calls)
	return &trialsOut{tried}, err
}

type runTrialIn struct {
	At[mgx.RunID]
	Paged
	Body struct {
		TriedPolicy
	} `nameHint:"PolicyRunTrial"`
}

func (s *Server) tryRun(ctx context.Context, w *app.Work, in *runTrialIn) (*trialsOut, error) {
	tried, err := w.TryRun(ctx, actor(ctx), s.o.Trial, in.ID, app.TryQuery{Policy: in.Body.Policy, Text: in.Body.Text, After: in.Page, Limit: in.Limit})
	return &trialsOut{tried}, err
}
