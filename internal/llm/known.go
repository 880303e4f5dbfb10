package llm

import "strings"

// Known is what is known of the model named "provider/model"; ok is false when no
// such provider is configured.
func (r *Router) Known(name string) (f Facts, ok bool) {
	prefix, model, cut := strings.Cut(name, "/")
	if !cut || model == "" || r.byName[prefix] == nil {
		return f, false
	}
	price, _ := r.Prices.Lookup(prefix, model)
	return r.facts(prefix, model, price), true
}

// Passed lists the dialects in which requests for the model named
// "provider/model" are sent on as they are.
func (r *Router) Passed(name string) []string {
	prefix, model, _ := strings.Cut(name, "/")
	p, ok := r.byName[prefix].(PassThrough)
	if !ok {
		return nil
	}
	var all []string
	for _, dialect := range []string{DialectChat, DialectResponses, DialectMessages} {
		if p.Passes(dialect, model) {
			all = append(all, dialect)
		}
	}
	return all
}

// Models lists every model that the policy can choose, as "provider/model".
func (p Policy) Models() []string { return p.models() }
