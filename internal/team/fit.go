package team

import (
	"encoding/json"
	"slices"

	"mgx"
	"mgx/internal/guard"
	"mgx/internal/tool"
)

// fit makes what an agent hands over fit to be shown and delivered: in each of its
// texts nothing is hidden, nothing acts on a terminal, and of addresses only those
// whose host the person named in the task can be followed.
func (r *run) fit(args json.RawMessage) (json.RawMessage, error) {
	if r.prep.Secret == "" {
		return args, nil // the journal is from before this was done
	}
	var v any
	if err := json.Unmarshal(args, &v); err != nil {
		return nil, mgx.Errorf(mgx.KindInternal, "bad_finish", "the finish call does not decode: %w", err)
	}
	return json.Marshal(fitted(v, guard.HostsIn(r.in.Task.Description)))
}

// fitText is fit for one text that an agent hands over besides, such as a question.
func (r *run) fitText(text string) string {
	if r.prep.Secret == "" {
		return text
	}
	return guard.Links(tool.Clean(text), guard.HostsIn(r.in.Task.Description))
}

// fitPlan is fit for a plan that an agent changes while it works. Of the rest it was done
// when it was made.
func (r *run) fitPlan(p mgx.Plan) mgx.Plan {
	p.Steps = slices.Clone(p.Steps)
	for i := range p.Steps {
		p.Steps[i].Text = r.fitText(p.Steps[i].Text)
	}
	return p
}

func fitted(v any, hosts []string) any {
	switch v := v.(type) {
	case string:
		return guard.Links(tool.Clean(v), hosts)
	case []any:
		for i := range v {
			v[i] = fitted(v[i], hosts)
		}
	case map[string]any:
		for k := range v {
			v[k] = fitted(v[k], hosts)
		}
	}
	return v
}
