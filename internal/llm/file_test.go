package llm

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"mgx"
)

const wholeFile = `{
 "providers": {
  "work": {"dialect": "openai", "base_url": "https://models.example.com/v1", "key_env": "WORK_KEY", "headers": {"X-Team": "a"},
   "limits": {"requests_per_minute": 60, "tokens_per_minute": 100000}, "timeouts": {"first_byte": "30s"}},
  "box": {"dialect": "openai", "base_url": "http://127.0.0.1:8080/v1", "local": true, "default_model": "qwen3"}
 },
 "models": {"box/*": {"context": 32000, "quality": 55, "capabilities": ["tools"]}},
 "policies": {
  "auto": {
   "strategy": "balanced", "candidates": [{"model": "work/large", "weight": 3}, {"model": "box/qwen3", "weight": 1}], "fallback": ["work/small"],
   "require": {"capabilities": ["tools"], "context": 16000},
   "overrides": [{"role": "reviewer", "size": "L", "strategy": "quality"}]
  }
 },
 "limits": {"tokens_per_minute": 500000},
 "retry": {"retries": 3, "same_model": 0, "wait_with_others": "5s", "wait_alone": "30s", "faults": {"timeout": "retry"}},
 "breaker": {"window": "30s", "min_calls": 5, "ratio": 0.4, "open": "5s", "max_open": "1m", "refused": "2m"},
 "cache": {"memory_mb": 16, "ttl": "1h"},
 "workspaces": {"ws_a": {"providers": {"work": {"dialect": "anthropic", "key_env": "A_KEY"}}, "limits": {"requests_per_minute": 10}}}
}`

func TestFile(t *testing.T) {
	t.Parallel()
	f, err := ParseFile([]byte(wholeFile), "models.json")
	if err != nil {
		t.Fatal(err)
	}
	var o Options
	f.Apply(&o, "ws_b")
	if of := o.Of["work"]; of.ID != "work" || of.Limits != (Limits{60, 100_000}) || of.Timeouts.FirstByte != 30*time.Second || !o.Of["box"].Local {
		t.Errorf("providers %+v", o.Of)
	}
	if p := o.Policies["auto"]; p.Strategy != Balanced || p.Candidates[0] != (Candidate{"work/large", 3}) || p.Overrides[0].Strategy != Quality || p.Require.Context != 16000 ||
		!reflect.DeepEqual(p.Models(), []string{"box/qwen3", "work/large", "work/small"}) {
		t.Errorf("policy %+v", p)
	}
	if o.Retries != 3 || o.Patience != (Patience{5 * time.Second, 30 * time.Second, -1}) || o.Faults[FaultTimeout] != ReactRetry || !o.Keep.On || o.Keep.Sampled {
		t.Errorf("options %+v", o)
	}
	if f := NewRouter(o).facts("box", "qwen3", Price{}); f.Context != 32000 || f.Quality != 55 || len(f.Capabilities) != 1 {
		t.Errorf("facts %+v", f)
	}
	s := f.StateOptions()
	if s.Breaker != (BreakerOptions{30 * time.Second, 5, 0.4, 5 * time.Second, time.Minute, 2 * time.Minute}) || s.Cache == nil ||
		s.Workspace[""] != (Limits{Tokens: 500_000}) || s.Workspace["ws_a"] != (Limits{Requests: 10}) {
		t.Errorf("state %+v", s)
	}

	// A workspace's own provider of the same name has its own key, so its own
	// limits and health.
	var own Options
	f.Apply(&own, "ws_a")
	if f.For("ws_a").Providers["work"].Dialect != "anthropic" || own.Of["work"].ID != "ws_a:work" || own.Of["box"].ID != "box" || len(own.Policies) != 1 {
		t.Errorf("workspace %+v", own)
	}
}

// The example of the documentation is one.
func TestDocumentedFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "```json\n")
	example, _, ok := strings.Cut(after, "```")
	f, err := ParseFile([]byte(example), "docs/routing.md")
	if !ok || err != nil {
		t.Fatal(err)
	}
	var o Options
	f.Apply(&o, "")
	for _, name := range []string{"work", "box", "anthropic", "openai"} {
		o.Providers = append(o.Providers, works(name))
	}
	o.Prices = (*Prices)(nil).WithUser(testRates)
	r := NewRouter(o)
	for _, c := range []struct{ policy, role, size, chosen string }{
		{"auto", "reviewer", "S", "work/large-2"},
		{"auto", "implementer", "L", "work/large-2"},
		{"trial", "", "", "work/large-"},
	} {
		req := testRequest()
		req.Model, req.AgentRole, req.TaskSize = c.policy, c.role, c.size
		if _, d, err := r.route(req, true, r.Now()); err != nil || !strings.HasPrefix(d.Chosen, c.chosen) {
			t.Errorf("%+v: %+v, %v", c, d, err)
		}
	}
}

// A * covers the slashes in a model's own name, not the one behind the provider.
func TestFactsOfNestedNames(t *testing.T) {
	t.Parallel()
	r := NewRouter(Options{Facts: []ModelFacts{{"openrouter/*", Facts{Context: 7}}, {"*/x", Facts{Context: 8}}}})
	if f := r.facts("openrouter", "openai/gpt-5", Price{}); f.Context != 7 || f.Quality != 85 {
		t.Errorf("got %+v", f)
	}
	if f := r.facts("a", "b/x", Price{}); f.Context != 0 || f.Quality != commonQuality {
		t.Errorf("got %+v", f)
	}
}

func TestFileSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                         "it is not valid JSON",
		`[]`:                       "it is not a JSON object",
		`{"policy": {}}`:           `there is no field "policy"; the fields are providers, models, policies, limits, retry`,
		`{"cache": {}, "cache":1}`: `it has the field "cache" twice`,
		`{"providers": {"x": {"dialect": "openai", "key_enf": "K"}}}`:                                   `providers.x: there is no field "key_enf"`,
		`{"providers": {"x": {"dialect": "grok"}}}`:                                                     "providers.x.dialect: it must be one of openai, responses",
		`{"providers": {"x": {"dialect": "openai", "base_url": "ftp://x"}}}`:                            "providers.x.base_url: it must be an address",
		`{"providers": {"x": {"dialect": "openai", "base_url": "https://u:hunter2@x"}}}`:                "providers.x.base_url: it must hold no user and password",
		`{"providers": {"x": {"dialect": "azure"}}}`:                                                    "providers.x.base_url: it is missing",
		`{"providers": {"x": {"dialect": "openai", "key_env": "A", "key_file": "/b"}}}`:                 "providers.x: give one of key_secret, key_env, key_file and key",
		`{"providers": {"x": {"dialect": "openai", "headers": {"A B": "c"}}}}`:                          `providers.x.headers: "A B" is not a header`,
		`{"providers": {"X": {"dialect": "openai"}}}`:                                                   "providers.X: a provider's name has small letters",
		`{"providers": {"x": {"dialect": "openai", "timeouts": {"idle": 5}}}}`:                          "providers.x.timeouts.idle: it must be a text",
		`{"providers": {"x": {"dialect": "openai", "timeouts": {"idle": "5"}}}}`:                        "providers.x.timeouts.idle: it must be a duration",
		`{"providers": {"x": {"dialect": "openai", "limits": {"requests_per_minute": "many"}}}}`:        "providers.x.limits.requests_per_minute: it must be a whole number",
		`{"limits": {"tokens_per_minute": -1}}`:                                                         "limits: limits cannot be negative",
		`{"models": {"gpt-5": {"quality": 9}}}`:                                                         "models.gpt-5: it must name models as provider/model",
		`{"models": {"a/b": {"quality": 101}}}`:                                                         "models.a/b.quality: it must be from 0 to 100",
		`{"models": {"a/b": {"capabilities": ["tools", "taste"]}}}`:                                     `models.a/b.capabilities[1]: there is no capability "taste"`,
		`{"policies": {"p": {}}}`:                                                                       "policies.p: it names no model",
		`{"policies": {"a/b": {"candidates": [{"model": "a/b"}]}}}`:                                     "policies.a/b: a policy's name has small letters",
		`{"policies": {"p": {"candidates": {"model": "a/b"}}}}`:                                         "policies.p.candidates: it must be a list",
		`{"policies": {"p": {"candidates": [{"model": "a/b"}, {"model": "gpt"}]}}}`:                     "policies.p.candidates[1].model: it must read provider/model",
		`{"policies": {"p": {"candidates": [{"model": "a/b"}, {"model": "a/b"}]}}}`:                     "policies.p.candidates[1].model: a/b is listed twice",
		`{"policies": {"p": {"candidates": [{"model": "a/b", "weight": -1}]}}}`:                         "policies.p.candidates[0].weight: it must be from 0",
		`{"policies": {"p": {"candidates": [{"model": "a/b", "weight": null}]}}}`:                       "policies.p.candidates[0].weight: it must be a number",
		`{"policies": {"p": {"fallback": ["a/b"], "strategy": "luck"}}}`:                                "policies.p.strategy: it must be one of cost, latency",
		`{"policies": {"p": {"fallback": ["a/b"], "overrides": [{"strategy": "cost"}]}}}`:               "policies.p.overrides[0]: it must say for which role or size",
		`{"policies": {"p": {"fallback": ["a/b"], "overrides": [{"size": "huge"}]}}}`:                   "policies.p.overrides[0].size: it must be one of XS",
		`{"policies": {"p": {"fallback": ["a/b"], "overrides": [{"role": "r", "fallback": ["c"]}]}}}`:   "policies.p.overrides[0].fallback[0]: it must read",
		`{"retry": {"faults": {"boredom": "retry"}}}`:                                                   `retry.faults: there is no fault "boredom"`,
		`{"retry": {"faults": {"quota_exceeded": "retry"}}}`:                                            "retry.faults.quota_exceeded: trying the same again does not help",
		`{"retry": {"faults": {"timeout": "panic"}}}`:                                                   "retry.faults.timeout: it must be retry, fallback, drop or fail",
		`{"retry": {"retries": 99}}`:                                                                    "retry.retries: it must be from 0 to 20",
		`{"breaker": {"ratio": 2}}`:                                                                     "breaker.ratio: it must be from 0 to 1",
		`{"workspaces": {"ws_a": {"providers": {"x": {"dialect": 1}}}}}`:                                "workspaces.ws_a.providers.x.dialect: it must be a text",
		`{"workspaces": {"ws_a": {"policies": {"p": {"fallback": ["a/b"], "require": {"local": 1}}}}}}`: "workspaces.ws_a.policies.p.require.local: it must be true or false",
	} {
		_, err := ParseFile([]byte(text), "models.json")
		e := mgx.AsError(err)
		if err == nil || e.Kind != mgx.KindConfig || e.Code != "bad_models_file" || !strings.HasPrefix(e.Message, "the file of models models.json cannot be used: "+want) {
			t.Errorf("%s\n\tgot  %v\n\twant %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a secret is repeated: %v", err)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(wholeFile))
	f.Add([]byte(`{"policies": {"p": {"candidates": [{"model": "a/b", "weight": 1e999}]}}}`))
	f.Add([]byte(`{"models": {"a/[": {}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ParseFile(data, "f")
		if err != nil {
			if mgx.AsError(err).Kind != mgx.KindConfig {
				t.Fatal(err)
			}
			return
		}
		var o Options
		file.Apply(&o, "ws")
		NewState(file.StateOptions())
		r := NewRouter(o)
		req := testRequest()
		for name := range o.Policies {
			req.Model = name
			r.route(req, true, r.Now())
		}
	})
}
