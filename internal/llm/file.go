package llm

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/lazy"
)

// File is what a person writes about models: docs/routing.md explains it. What
// is under Workspaces holds for one workspace, over what holds for all.
type File struct {
	FilePart
	Retry      FileRetry                    `json:"retry"`
	Breaker    FileBreaker                  `json:"breaker"`
	Cache      FileCache                    `json:"cache"`
	Workspaces map[mgx.WorkspaceID]FilePart `json:"workspaces"`
}

// FilePart is the part of a File that a workspace can have of its own.
type FilePart struct {
	Providers map[string]FileProvider `json:"providers"`
	Models    map[string]Facts        `json:"models"` // by pattern: provider/model with wildcards
	Policies  map[string]Policy       `json:"policies"`
	Limits    *FileLimits             `json:"limits"` // of all calls of the workspace, or of each
}

// FileProvider is an endpoint. At most one of the four ways to a key may be
// given, or none for servers that need none.
type FileProvider struct {
	Dialect    string            `json:"dialect"` // openai, responses, anthropic, gemini, azure
	BaseURL    string            `json:"base_url"`
	APIVersion string            `json:"api_version"` // azure only
	Key        string            `json:"key"`         // itself: only in a file that nobody else can read
	KeyEnv     string            `json:"key_env"`     // the variable that holds it
	KeyFile    string            `json:"key_file"`    // the file that holds it
	KeySecret  string            `json:"key_secret"`  // the secret that it is, see docs/secrets.md
	Headers    map[string]string `json:"headers"`
	Local      bool              `json:"local"` // on one's own machines: it costs nothing
	Default    string            `json:"default_model"`
	Limits     FileLimits        `json:"limits"`
	Timeouts   FileTimeouts      `json:"timeouts"`
}

// FileLimits are Limits.
type FileLimits = Limits

// FileTimeouts are Timeouts.
type FileTimeouts struct {
	FirstByte Span `json:"first_byte"`
	Idle      Span `json:"idle"`
	Total     Span `json:"total"`
}

// FileRetry is Options.Retries, Patience and Faults.
type FileRetry struct {
	Retries    *int               `json:"retries"`
	SameModel  *int               `json:"same_model"`
	WithOthers Span               `json:"wait_with_others"`
	Alone      Span               `json:"wait_alone"`
	Faults     map[Fault]Reaction `json:"faults"`
}

// FileBreaker are BreakerOptions.
type FileBreaker struct {
	Window   Span    `json:"window"`
	MinCalls int     `json:"min_calls"`
	Ratio    float64 `json:"ratio"`
	Open     Span    `json:"open"`
	MaxOpen  Span    `json:"max_open"`
	Refused  Span    `json:"refused"`
}

// FileCache says whether and where answers are kept. Without it none is.
type FileCache struct {
	MemoryMB int  `json:"memory_mb"` // 0: not in memory
	Redis    bool `json:"redis"`     // in the Redis that the configuration names
	TTL      Span `json:"ttl"`       // default 24 h
	Sampled  bool `json:"sampled"`
}

// Lifetime is how long an answer is kept.
func (c FileCache) Lifetime() time.Duration { return cmp.Or(time.Duration(c.TTL), 24*time.Hour) }

// Span is a duration in words, such as 90s or 10m.
type Span time.Duration

func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 || d > 30*24*time.Hour {
		return fmt.Errorf("it must be a duration from 1ns to 720h, such as 90s or 10m")
	}
	*s = Span(d)
	return nil
}

// MaxFile bounds a File, in bytes.
const MaxFile = 1 << 20

// ParseFile reads a File. name is what errors call it; they say the path of the
// field that is wrong and how to mend it.
func ParseFile(data []byte, name string) (*File, error) {
	var f File
	err := strictly(data, &f)
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, "bad_models_file", "the file of models %s cannot be used: %w", name, err)
	}
	return &f, nil
}

var (
	providerName = lazy.Regexp(`^[a-z0-9][a-z0-9_.-]{0,63}$`)
	headerName   = lazy.Regexp(`^[A-Za-z0-9-]{1,100}$`)
	dialects     = []string{"openai", "responses", "anthropic", "gemini", "azure"}
	sizes        = []string{"XS", "S", "M", "L", "XL"}
	faults       = []Fault{FaultTimeout, FaultRate, FaultQuota, FaultAuth, FaultConnection, FaultRequest, FaultOverloaded, FaultBad, FaultTooLong}
)

func (f *File) check() error {
	if err := f.FilePart.check(""); err != nil {
		return err
	}
	for _, ws := range slices.Sorted(maps.Keys(f.Workspaces)) {
		if err := f.Workspaces[ws].check(join("workspaces", string(ws))); err != nil {
			return err
		}
	}
	for _, fault := range slices.Sorted(maps.Keys(f.Retry.Faults)) {
		if err := checkReaction("retry.faults."+string(fault), fault, f.Retry.Faults[fault]); err != nil {
			return err
		}
	}
	for at, n := range map[string]*int{"retry.retries": f.Retry.Retries, "retry.same_model": f.Retry.SameModel} {
		if n != nil && (*n < 0 || *n > 20) {
			return wrong(at, "it must be from 0 to 20")
		}
	}
	switch {
	case f.Breaker.Ratio < 0 || f.Breaker.Ratio > 1:
		return wrong("breaker.ratio", "it must be from 0 to 1")
	case f.Breaker.MinCalls < 0 || f.Breaker.MinCalls > 10_000:
		return wrong("breaker.min_calls", "it must be from 1 to 10000")
	case f.Cache.MemoryMB < 0 || f.Cache.MemoryMB > 1<<20:
		return wrong("cache.memory_mb", "it must be from 0 to 1048576")
	}
	return nil
}

func checkReaction(at string, fault Fault, r Reaction) error {
	switch {
	case !slices.Contains(faults, fault):
		return wrong("retry.faults", "there is no fault %q; the faults are %s", fault, listed(faults))
	case !slices.Contains([]Reaction{ReactRetry, ReactFallback, ReactDrop, ReactFail}, r):
		return wrong(at, "it must be retry, fallback, drop or fail")
	case (r == ReactRetry || r == ReactFallback) && !(&CallError{Fault: fault}).Retryable():
		return wrong(at, "trying the same again does not help against it, so it must be drop or fail")
	}
	return nil
}

func listed[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

func (p FilePart) check(at string) error {
	for _, name := range slices.Sorted(maps.Keys(p.Providers)) {
		if err := p.Providers[name].check(join(at, "providers."+name), name); err != nil {
			return err
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(p.Models)) {
		if err := p.Models[pattern].check(join(at, "models."+pattern), pattern); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Policies)) {
		if err := p.Policies[name].check(join(at, "policies."+name), name); err != nil {
			return err
		}
	}
	if p.Limits != nil {
		return checkLimits(join(at, "limits"), *p.Limits)
	}
	return nil
}

func checkLimits(at string, l Limits) error {
	if l.Requests < 0 || l.Tokens < 0 {
		return wrong(at, "limits cannot be negative; leave one out for no limit")
	}
	return nil
}

func (p FileProvider) check(at, name string) error {
	u, err := url.Parse(p.BaseURL)
	keys := 0
	for _, k := range []string{p.Key, p.KeyEnv, p.KeyFile, p.KeySecret} {
		if k != "" {
			keys++
		}
	}
	switch {
	case !providerName().MatchString(name):
		return wrong(at, "a provider's name has small letters, digits, and - _ . only")
	case !slices.Contains(dialects, p.Dialect):
		return wrong(at+".dialect", "it must be one of %s", listed(dialects))
	case p.BaseURL == "" && p.Dialect == "azure":
		return wrong(at+".base_url", "it is missing: azure has no address that is everyone's")
	case p.BaseURL != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")):
		return wrong(at+".base_url", "it must be an address that begins with https:// or http://")
	case u != nil && u.User != nil:
		return wrong(at+".base_url", "it must hold no user and password; give the key by key_secret, key_env or key_file")
	case keys > 1:
		return wrong(at, "give one of key_secret, key_env, key_file and key")
	case p.APIVersion != "" && p.Dialect != "azure":
		return wrong(at+".api_version", "only azure has one")
	}
	for h, v := range p.Headers {
		if !headerName().MatchString(h) || strings.ContainsAny(v, "\r\n\x00") {
			return wrong(at+".headers", "%q is not a header that can be sent", cutText(h, 100))
		}
	}
	return checkLimits(at+".limits", p.Limits)
}

func (f Facts) check(at, pattern string) error {
	_, err := path.Match(pattern, "")
	switch {
	case err != nil || !strings.Contains(pattern, "/"):
		return wrong(at, "it must name models as provider/model, with * for any text")
	case f.Context < 0 || f.MaxOutput < 0:
		return wrong(at, "numbers of tokens cannot be negative")
	case f.Quality < 0 || f.Quality > 100:
		return wrong(at+".quality", "it must be from 0 to 100")
	}
	return checkCapabilities(at+".capabilities", f.Capabilities)
}

func checkCapabilities(at string, all []string) error {
	for i, c := range all {
		if !slices.Contains(Capabilities, c) {
			return wrong(fmt.Sprintf("%s[%d]", at, i), "there is no capability %q; they are %s", cutText(c, 100), listed(Capabilities))
		}
	}
	return nil
}

func (p Policy) check(at, name string) error {
	if !providerName().MatchString(name) {
		return wrong(at, "a policy's name has small letters, digits, and - _ . only")
	}
	if len(p.Candidates) == 0 && len(p.Fallback) == 0 {
		return wrong(at, "it names no model; list some under candidates")
	}
	if err := p.Rule.check(at); err != nil {
		return err
	}
	for i, o := range p.Overrides {
		at := fmt.Sprintf("%s.overrides[%d]", at, i)
		if o.Role == "" && o.Size == "" {
			return wrong(at, "it must say for which role or size it is")
		}
		if o.Size != "" && !slices.Contains(sizes, o.Size) {
			return wrong(at+".size", "it must be one of %s", listed(sizes))
		}
		if err := o.Rule.check(at); err != nil {
			return err
		}
	}
	return nil
}

func (r Rule) check(at string) error {
	if r.Strategy != "" && !slices.Contains(Strategies, r.Strategy) {
		return wrong(at+".strategy", "it must be one of %s", listed(Strategies))
	}
	seen := map[string]bool{}
	for i, c := range r.Candidates {
		at := fmt.Sprintf("%s.candidates[%d]", at, i)
		if err := checkName(at+".model", c.Model); err != nil {
			return err
		}
		if seen[c.Model] {
			return wrong(at+".model", "%s is listed twice", c.Model)
		}
		seen[c.Model] = true
		if c.Weight < 0 || c.Weight > 1e6 {
			return wrong(at+".weight", "it must be from 0 to 1000000")
		}
	}
	for i, name := range r.Fallback {
		if err := checkName(fmt.Sprintf("%s.fallback[%d]", at, i), name); err != nil {
			return err
		}
	}
	if r.Require.Context < 0 {
		return wrong(at+".require.context", "it cannot be negative")
	}
	return checkCapabilities(at+".require.capabilities", r.Require.Capabilities)
}

func checkName(at, name string) error {
	provider, model, _ := strings.Cut(name, "/")
	if !providerName().MatchString(provider) || model == "" || len(name) > 200 || strings.ContainsAny(name, " \t\r\n") {
		return wrong(at, "it must read provider/model, such as openai/gpt-5")
	}
	return nil
}

// For is what holds for a workspace: what is said for all, and over it, name by
// name, what is said for it alone.
func (f *File) For(ws mgx.WorkspaceID) FilePart {
	all, own := f.FilePart, f.Workspaces[ws]
	merged := FilePart{Providers: overlay(all.Providers, own.Providers), Models: overlay(all.Models, own.Models), Policies: overlay(all.Policies, own.Policies), Limits: all.Limits}
	if own.Limits != nil {
		merged.Limits = own.Limits
	}
	return merged
}

func overlay[K comparable, V any](under, over map[K]V) map[K]V {
	m := map[K]V{}
	maps.Copy(m, under)
	maps.Copy(m, over)
	return m
}

// StateOptions are the part of the file that all Routers of a process share.
func (f *File) StateOptions() StateOptions {
	b := f.Breaker
	o := StateOptions{
		Breaker: BreakerOptions{
			Window: time.Duration(b.Window), MinCalls: b.MinCalls, Ratio: b.Ratio,
			Open: time.Duration(b.Open), MaxOpen: time.Duration(b.MaxOpen), Refused: time.Duration(b.Refused),
		},
		Workspace: map[mgx.WorkspaceID]Limits{},
	}
	if f.Limits != nil {
		o.Workspace[""] = *f.Limits
	}
	for ws, p := range f.Workspaces {
		if p.Limits != nil {
			o.Workspace[ws] = *p.Limits
		}
	}
	if f.Cache.MemoryMB > 0 {
		o.Cache = NewMemoryCache(int64(f.Cache.MemoryMB)<<20, f.Cache.Lifetime(), nil)
	}
	return o
}

// Apply sets what the file says about a workspace's calls; the providers
// themselves are the caller's to make.
func (f *File) Apply(o *Options, ws mgx.WorkspaceID) {
	part := f.For(ws)
	o.Policies = overlay(o.Policies, part.Policies)
	for _, pattern := range slices.Sorted(maps.Keys(part.Models)) {
		o.Facts = append(o.Facts, ModelFacts{pattern, part.Models[pattern]})
	}
	if o.Of == nil {
		o.Of = map[string]ProviderOptions{}
	}
	for name, p := range part.Providers {
		id := name
		if _, own := f.Workspaces[ws].Providers[name]; own {
			id = string(ws) + ":" + name
		}
		t := p.Timeouts
		o.Of[name] = ProviderOptions{
			ID: id, Local: p.Local, Limits: p.Limits,
			Timeouts: Timeouts{time.Duration(t.FirstByte), time.Duration(t.Idle), time.Duration(t.Total)},
		}
	}
	r := f.Retry
	o.Retries = counted(r.Retries, o.Retries)
	o.Patience = Patience{time.Duration(r.WithOthers), time.Duration(r.Alone), counted(r.SameModel, 0)}
	o.Faults = r.Faults
	o.Keep = Keep{On: f.Cache.MemoryMB > 0 || f.Cache.Redis, Sampled: f.Cache.Sampled}
}

// counted is a number that was given, where 0 means none, or the default.
func counted(n *int, otherwise int) int {
	switch {
	case n == nil:
		return otherwise
	case *n == 0:
		return -1
	}
	return *n
}
