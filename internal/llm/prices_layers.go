package llm

import (
	"cmp"
	_ "embed"
	"maps"
	"slices"
	"sync"

	"mgx"
)

//go:embed prices.json
var builtinPrices []byte

// Prices knows what models cost. It is made of lists, one over the other: the
// embedded one, one that was fetched from where the operator says, and one that
// the operator wrote; the first that knows a model, from the top, speaks. Above
// them is what the user said on the command line, and below the operator's what runs
// on the user's own machine: that is but a guess by its address. A Prices is never changed. The zero value and nil know nothing.
type Prices struct {
	// Of the embedded list, when it is among them.
	Source, Version, SHA256 string

	layers []*priceList // the top one last
	free   map[string]bool
	user   *Price // for every model
}

// PriceLayer says what a list is and where it is from.
type PriceLayer struct {
	Name      string `json:"name"` // embedded, refresh, operator
	Source    string `json:"source"`
	Version   string `json:"version"` // as the record of each use has it
	Effective string `json:"effective,omitempty"`
	SHA256    string `json:"sha256"`
	Models    int    `json:"models"`
}

// Names of layers.
const (
	LayerEmbedded = "embedded"
	LayerRefresh  = "refresh"
	LayerOperator = "operator"
)

// BuiltinPrices returns the embedded list.
func BuiltinPrices() *Prices { return embedded() }

var embedded = sync.OnceValue(func() *Prices {
	p, err := parsePrices(builtinPrices)
	if err != nil {
		panic("llm: embedded prices: " + err.Error())
	}
	return p
})

// parsePrices makes prices of one list, as the embedded one.
func parsePrices(data []byte) (*Prices, error) {
	l, err := parseList(data)
	if err != nil {
		return nil, err
	}
	l.Name = LayerEmbedded
	p := (*Prices)(nil).over(l, l.Version)
	p.Source, p.Version, p.SHA256 = l.Source, l.Version, l.SHA256
	return p, nil
}

// over returns a copy with another list on top, whose prices have this version.
func (p *Prices) over(l *priceList, version string) *Prices {
	own := *l
	own.Version, own.names, own.patterns = version, maps.Clone(l.names), slices.Clone(l.patterns)
	for name, price := range own.names {
		price.Version = version
		own.names[name] = price
	}
	for i := range own.patterns {
		own.patterns[i].price.Version = version
	}
	q := p.clone()
	q.layers = append(slices.Clip(q.layers), &own)
	return q
}

// WithOperator returns a copy in which the operator's own list has the last word
// on the models that it names. Windows and abilities that it leaves out stay as
// they were. Its name is for people.
func (p *Prices) WithOperator(name string, data []byte) (*Prices, error) {
	l, err := parseList(data)
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, "bad_prices", "the prices in %s cannot be used: %w", name, err)
	}
	l.Name = LayerOperator
	if l.Source == "" {
		l.Source = name
	}
	return p.over(l, "operator-"+l.SHA256[:12]), nil
}

// Layers describes the lists, the top one first.
func (p *Prices) Layers() []PriceLayer {
	var all []PriceLayer
	if p != nil {
		for _, l := range slices.Backward(p.layers) {
			all = append(all, l.PriceLayer)
		}
	}
	return all
}

// Names are the models that a list names, sorted; patterns are not among them.
func (p *Prices) Names() []string {
	all := map[string]bool{}
	if p != nil {
		for _, l := range p.layers {
			for name := range l.names {
				all[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Patterns are those that a list names models by, sorted.
func (p *Prices) Patterns() []string {
	all := map[string]bool{}
	if p != nil {
		for _, l := range p.layers {
			for _, e := range l.patterns {
				all[e.pattern] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Lookup returns the price of a model: the user's, else the operator's, else zero
// for a free provider, else that of the top list that knows it: by its very name, as a dated
// snapshot of a name, or by the longest pattern. Never by likeness: a version to
// come is unknown until a list has it.
func (p *Prices) Lookup(provider, model string) (Price, bool) {
	if p == nil {
		return Price{}, false
	}
	found, known, by := p.listed(provider + "/" + model)
	switch {
	case p.user != nil:
		user := *p.user
		user.ContextWindow, user.MaxOutput, user.Capabilities = found.ContextWindow, found.MaxOutput, found.Capabilities
		return user, true
	case p.free[provider] && by != LayerOperator:
		return Price{Version: "local"}, true
	}
	return found, known
}

// listed is what the lists know of a model, and the name of that which has its price.
func (p *Prices) listed(name string) (price Price, known bool, by string) {
	for _, l := range slices.Backward(p.layers) {
		found, ok := l.find(name)
		switch {
		case !ok:
			continue
		case !known:
			price, known, by = found, true, l.Name
		}
		price.ContextWindow = cmp.Or(price.ContextWindow, found.ContextWindow)
		price.MaxOutput = cmp.Or(price.MaxOutput, found.MaxOutput)
		if price.Capabilities == nil {
			price.Capabilities = found.Capabilities
		}
	}
	return price, known, by
}

// WithFree returns a copy in which a provider's models cost nothing where the
// operator's list does not say otherwise, as those of the user's own machine. Their records say "local".
func (p *Prices) WithFree(provider string) *Prices {
	q := p.clone()
	q.free[provider] = true
	return q
}

// WithUser returns a copy in which every model has the price the user gave.
func (p *Prices) WithUser(r Rates) *Prices {
	q := p.clone()
	q.user = &Price{Rates: r, Version: "user"}
	return q
}

func (p *Prices) clone() *Prices {
	q := new(Prices)
	if p != nil {
		*q = *p
	}
	free := map[string]bool{}
	maps.Copy(free, q.free)
	q.free = free
	return q
}
