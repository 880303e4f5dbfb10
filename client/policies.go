package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"mgx"
)

// Policies are the permission policies of tool calls.
type Policies struct{ c *Client }

// Policies is what can be done with policies.
func (c *Client) Policies() Policies { return Policies{c} }

// Policy is one that the server brings along.
type Policy struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Text  string `json:"text"`  // as it is written
	Rules string `json:"rules"` // as the server reads it
	Hash  string `json:"hash"`
}

// List lists those by which runs may be started by name.
func (p Policies) List(ctx context.Context) ([]Policy, error) {
	var all struct {
		Policies []Policy `json:"policies"`
	}
	return all.Policies, p.c.get(ctx, "/api/v1/policies", nil, &all)
}

// Get returns one.
func (p Policies) Get(ctx context.Context, name string) (one Policy, err error) {
	return one, p.c.get(ctx, "/api/v1/policies/"+url.PathEscape(name), nil, &one)
}

// TriedPolicy is a policy of the server by its name, or the text of one.
type TriedPolicy struct {
	Policy string `json:"policy,omitempty"`
	Text   string `json:"text,omitempty"`
}

// TryCall is a call that nobody makes.
type TryCall struct {
	At        string          `json:"at,omitempty"` // how it is named; empty: its number
	Tool      string          `json:"tool"`
	Effect    string          `json:"effect,omitempty"` // may be empty for tools that the server brings along
	Role      string          `json:"role,omitempty"`
	Paths     []string        `json:"paths,omitempty"`
	Command   string          `json:"command,omitempty"`
	Hosts     []string        `json:"hosts,omitempty"`
	Label     mgx.Label       `json:"label,omitzero"`
	Outside   bool            `json:"outside,omitempty"`
	Vague     bool            `json:"vague,omitempty"`
	PlanOpen  bool            `json:"plan_open,omitempty"`
	Own       bool            `json:"own,omitempty"`
	Arguments json.RawMessage `json:"arguments,omitempty"` // what it touches follows from them
	Expect    string          `json:"expect,omitempty"`    // what it should come to
}

// Tried is a call and what a policy makes of it.
type Tried struct {
	TryCall
	Verdict    string `json:"verdict"` // allow, ask, deny
	Rule       string `json:"rule"`
	Why        string `json:"why"`
	Unanswered bool   `json:"unanswered"` // it would have been asked, and the policy asks nobody
}

// TriedCalls are calls, what a policy makes of them, and what it keeps from programs.
type TriedCalls struct {
	Calls       []Tried    `json:"calls"`
	Kept        []KeptPath `json:"kept"`
	AllowsPaths bool       `json:"allows_paths"`
	Next        string     `json:"next_page_token"`
}

// KeptPath is a pattern of paths that programs do not see, or do not write.
type KeptPath struct {
	Path  string `json:"path"`
	Write bool   `json:"write"`
}

// Try says what a policy makes of calls: 500 at most, and 1 MB.
func (p Policies) Try(ctx context.Context, policy TriedPolicy, calls []TryCall) (t TriedCalls, err error) {
	if calls == nil {
		calls = []TryCall{}
	}
	body := struct {
		TriedPolicy
		Calls []TryCall `json:"calls"`
	}{policy, calls}
	return t, p.c.send(ctx, http.MethodPost, "/api/v1/policies/trials", nil, body, &t)
}

// TryRun says what a policy makes of the calls that a run made, a page at a time.
func (p Policies) TryRun(ctx context.Context, id mgx.RunID, policy TriedPolicy, page string) (t TriedCalls, err error) {
	q := url.Values{"limit": {"500"}}
	if page != "" {
		q.Set("page_token", page)
	}
	return t, p.c.send(ctx, http.MethodPost, runPath(id)+"/policy-trials", q, policy, &t)
}
