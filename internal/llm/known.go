package llm

import (
	"strings"
	"sync"
)

// Known is what is known of the model named "provider/model"; ok is false when no
// such provider is configured.
func (r *Router) Known(name string) (f Facts, ok bool) {
	prefix, model, cut := strings.Cut(name, "/")
	if !cut || model == "" || r.byName[prefix] == nil {
		return f, false
	}
	return r.about(prefix, model).facts, true
}

// about is what a Router finds in its lists about a model.
type about struct {
	price  Price
	priced bool
	facts  Facts
}

// abouts remembers it: the lists of a Router do not change, and to match all
// patterns against a name takes longer than all else that a call does here.
type abouts struct {
	mu   sync.RWMutex
	find map[string]about // by provider/model
}

func (r *Router) about(provider, model string) about {
	name := provider + "/" + model
	r.abouts.mu.RLock()
	a, found := r.abouts.find[name]
	r.abouts.mu.RUnlock()
	if found {
		return a
	}
	a.price, a.priced = r.Prices.Lookup(provider, model)
	a.facts = r.facts(provider, model, a.price)
	r.abouts.mu.Lock()
	defer r.abouts.mu.Unlock()
	forgetOne(r.abouts.find)
	r.abouts.find[strings.Clone(name)] = a
	return a
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
