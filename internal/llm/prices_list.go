package llm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/lazy"
)

// priceList is one list of prices, such as the embedded one.
type priceList struct {
	PriceLayer
	names    map[string]Price
	patterns []pricePattern // of names, the longest first
}

type pricePattern struct {
	pattern string // provider/model, with the wildcards of path.Match
	price   Price
}

// priceFile is the form of a list; docs/prices.md describes it.
type priceFile struct {
	Source    string            `json:"source"`
	Version   string            `json:"version"`
	Effective string            `json:"effective"`
	Unit      string            `json:"unit"`
	Prices    []json.RawMessage `json:"prices"`
}

const priceUnit = "USD per million tokens"

type priceEntry struct {
	Models []string `json:"models"`
	rateFile
	Long *struct {
		Above int64 `json:"above"`
		rateFile
	} `json:"long"`
	Context   int      `json:"context"`
	MaxOutput int      `json:"max_output"`
	Can       []string `json:"can"`
}

type rateFile struct {
	Input      *mgx.Money `json:"input"`
	Output     *mgx.Money `json:"output"`
	Cached     *mgx.Money `json:"cached"`
	CacheWrite *mgx.Money `json:"cache_write"`
}

// maxPrice is far above any price of a million tokens, so that a slip of the pen
// is noticed.
const maxPrice = 100_000 * mgx.USD

// rates fills what the list leaves out of what is cached with the price of plain
// input. Input and output it must have.
func (f rateFile) rates() (Rates, error) {
	if f.Input == nil || f.Output == nil {
		return Rates{}, errors.New("its price for input or output is missing")
	}
	r := Rates{Input: *f.Input, Output: *f.Output, Cached: *f.Input, CacheWrite: *f.Input}
	if f.Cached != nil {
		r.Cached = *f.Cached
	}
	if f.CacheWrite != nil {
		r.CacheWrite = *f.CacheWrite
	}
	if max(r.Input, r.Output, r.Cached, r.CacheWrite) > maxPrice {
		return Rates{}, fmt.Errorf("a price is above %s a million tokens", maxPrice)
	}
	return r, nil
}

// parseList reads a list, strictly: what it does not understand is an error.
func parseList(data []byte) (*priceList, error) {
	var file priceFile
	if err := decodeExact(data, &file); err != nil {
		return nil, err
	}
	switch {
	case file.Unit != "" && file.Unit != priceUnit:
		return nil, fmt.Errorf("its unit is %q; write prices in %s", file.Unit, priceUnit)
	case len(file.Prices) == 0:
		return nil, errors.New("it holds no prices")
	}
	digest := sha256.Sum256(data)
	l := &priceList{
		PriceLayer: PriceLayer{Source: file.Source, Version: file.Version, Effective: file.Effective, SHA256: hex.EncodeToString(digest[:])},
		names:      map[string]Price{},
	}
	for i, raw := range file.Prices {
		var e priceEntry
		err := decodeExact(raw, &e)
		if err == nil {
			err = l.add(e)
		}
		if err != nil {
			return nil, fmt.Errorf("entry %d%s: %w", i+1, named(e.Models), err)
		}
	}
	slices.SortStableFunc(l.patterns, func(a, b pricePattern) int { return len(b.pattern) - len(a.pattern) })
	l.Models = len(l.names) + len(l.patterns)
	return l, nil
}

func named(models []string) string {
	if len(models) == 0 {
		return ""
	}
	return " (" + Clean(models[0]) + ")"
}

// decodeExact decodes one JSON value without fields that v does not have.
func decodeExact(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("something follows the JSON value")
	}
	return nil
}

func (l *priceList) add(e priceEntry) error {
	rates, err := e.rates()
	if err != nil {
		return err
	}
	p := Price{Rates: rates, ContextWindow: e.Context, MaxOutput: e.MaxOutput, Capabilities: e.Can}
	if e.Long != nil {
		if p.Long, err = e.Long.rates(); err != nil {
			return err
		}
		p.LongAbove = e.Long.Above
		if p.LongAbove <= 0 || p.Long.Input < p.Input || p.Long.Output < p.Output {
			return errors.New("long prompts need a length above 0 and prices that are not lower")
		}
	}
	if e.Context < 0 || e.MaxOutput < 0 || len(e.Models) == 0 {
		return errors.New("it names no models, or a negative number of tokens")
	}
	for _, name := range e.Models {
		if err := l.put(name, p); err != nil {
			return err
		}
	}
	return nil
}

func (l *priceList) put(name string, p Price) error {
	name = strings.ToLower(name)
	provider, model, _ := strings.Cut(name, "/")
	_, err := path.Match(name, "")
	switch {
	case provider == "" || model == "" || err != nil:
		return fmt.Errorf("%s does not read provider/model", strconv.Quote(Clean(name)))
	case strings.ContainsAny(name, `*?[\`):
		l.patterns = append(l.patterns, pricePattern{name, p})
		return nil
	}
	if _, twice := l.names[name]; twice {
		return fmt.Errorf("%s is listed twice", Clean(name))
	}
	l.names[name] = p
	return nil
}

// snapshot is the date that ends the name of a dated snapshot.
var snapshot = lazy.Regexp(`[-@]20\d\d-?[01]\d-?[0-3]\d$`)

// find returns the price of a model: that of its very name, else of the model
// that it is a dated snapshot of, else of the longest pattern that matches.
// Upper and lower case are the same: lists do not agree on them.
func (l *priceList) find(name string) (Price, bool) {
	name = strings.ToLower(name)
	if p, ok := l.names[name]; ok {
		return p, true
	}
	if p, ok := l.names[snapshot().ReplaceAllString(name, "")]; ok {
		return p, true
	}
	for _, e := range l.patterns {
		if ok, _ := path.Match(e.pattern, name); ok {
			return e.price, true
		}
	}
	return Price{}, false
}
