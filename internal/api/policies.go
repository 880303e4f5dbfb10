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

// trial is a call that nobody makes.
type trial struct {
	Policy    string          `json:"policy,omitempty" doc:"Name of a built-in policy" maxLength:"100" example:"auto"`
	Text      string          `json:"text,omitempty" doc:"Or a policy as it is written" maxLength:"65536"`
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

type verdictOut struct {
	Body app.Verdict
}

func (s *Server) testPolicy(_ context.Context, in *struct{ Body trial }) (*verdictOut, error) {
	t := in.Body
	v, err := s.o.Trial.Try(t.Policy, t.Text, app.Call{
		Tool: t.Tool, Effect: t.Effect, Role: t.Role, Paths: t.Paths, Command: t.Command, Hosts: t.Hosts, Outside: t.Outside,
		Vague: t.Vague, PlanOpen: t.PlanOpen, Own: t.Own, Label: t.Label, Arguments: t.Arguments,
	})
	return &verdictOut{v}, err
}
