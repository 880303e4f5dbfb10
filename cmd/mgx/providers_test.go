package main

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
)

// environment is a getenv over pairs.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		env   []string
		want  string // names, a + behind local ones
		first string // default model of the first
	}{
		{"nothing", nil, "", ""},
		{"openai", []string{"OPENAI_API_KEY", "k"}, "openai", "gpt-5"},
		{"blank is not set", []string{"OPENAI_API_KEY", " \n"}, "", ""},
		{"anthropic", []string{"ANTHROPIC_API_KEY", "k"}, "anthropic", "claude-sonnet-5"},
		{"local server without key", []string{"OPENAI_BASE_URL", "http://localhost:8080/v1"}, "openai+", ""},
		{"local server without scheme", []string{"OPENAI_BASE_URL", "127.0.0.1:8080"}, "openai+", ""},
		{"remote server", []string{"OPENAI_BASE_URL", "https://llm.example/v1", "OPENAI_API_KEY", "k"}, "openai", ""},
		{"own address spelled out", []string{"OPENAI_BASE_URL", "https://api.openai.com/v1/", "OPENAI_API_KEY", "k"}, "openai", "gpt-5"},
		{"ollama elsewhere", []string{"OLLAMA_HOST", "gpu.example"}, "ollama+", ""},
		{
			"several",
			[]string{"MISTRAL_API_KEY", "k", "OPENROUTER_API_KEY", "k", "TOGETHER_API_KEY", "k", "GEMINI_API_KEY", "k", "ANTHROPIC_API_KEY", "k"},
			"anthropic gemini mistral together openrouter", "claude-sonnet-5",
		},
		{"azure", []string{"AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com/", "AZURE_OPENAI_API_KEY", "k"}, "azure", ""},
		{"azure with a deployment", []string{"AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com/", "AZURE_OPENAI_API_KEY", "k", "AZURE_OPENAI_DEPLOYMENT", "mine"}, "azure", "mine"},
		{"azure without its endpoint", []string{"AZURE_OPENAI_API_KEY", "k"}, "", ""},
		{"azure without its key", []string{"AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com/"}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, lookedFor := discover(environment(c.env...), nil)
			var got []string
			for _, f := range all {
				name := f.Name()
				if f.Local {
					name += "+"
				}
				got = append(got, name)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if len(all) > 0 && all[0].Default != c.first {
				t.Errorf("default %q, want %q", all[0].Default, c.first)
			}
			for _, v := range []string{"OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "OLLAMA_HOST"} {
				if !slices.Contains(lookedFor, v) {
					t.Errorf("%s is not among what was looked for", v)
				}
			}
		})
	}
}

// Of a provider that takes two variables it is said that both are needed.
func TestHalfAProvider(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]string{
		"":                       "AZURE_OPENAI_ENDPOINT with AZURE_OPENAI_API_KEY, ",
		"AZURE_OPENAI_API_KEY k": "AZURE_OPENAI_ENDPOINT with AZURE_OPENAI_API_KEY (one of these is set, the other is not), ",
	} {
		all, lookedFor := discover(environment(strings.Fields(env)...), nil)
		if err := noProvider("", lookedFor, ""); len(all) > 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q: %v, %d found", env, err, len(all))
		}
	}
}

func TestServerURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in     string
		ollama bool
		want   string
	}{
		{"127.0.0.1:11434", true, "http://127.0.0.1:11434"},
		{"0.0.0.0", true, "http://127.0.0.1:11434"},
		{":9999", true, "http://127.0.0.1:9999"},
		{"http://gpu:80/", true, "http://gpu:80"},
		{"https://ollama.example", true, "https://ollama.example:443"},
		{"[::1]:8080", false, "http://[::1]:8080"},
		{"localhost:8080/v1", false, "http://localhost:8080/v1"},
		{"llm.example/v1", false, "https://llm.example/v1"},
	} {
		if got := serverURL(c.in, c.ollama); got != c.want {
			t.Errorf("serverURL(%q, %v) = %q, want %q", c.in, c.ollama, got, c.want)
		}
	}
}

// local is a server on this machine that serves the named models.
func local(t *testing.T, models ...string) func(string) string {
	script := llmtest.Script{Models: models, Roles: map[string][]llmtest.Turn{"x": {}}}
	server := httptest.NewServer(&llmtest.Server{Provider: llmtest.NewScripted(script)})
	t.Cleanup(server.Close)
	return environment("OPENAI_BASE_URL", server.URL)
}

func choose(getenv func(string) string, asked string) (string, error) {
	all, lookedFor := discover(getenv, nil)
	return chooseModel(context.Background(), asked, all, lookedFor)
}

func TestChooseModel(t *testing.T) {
	t.Parallel()
	one := environment("ANTHROPIC_API_KEY", "k")
	two := environment("ANTHROPIC_API_KEY", "k", "OPENAI_API_KEY", "k")
	router := environment("OPENROUTER_API_KEY", "k")
	for _, c := range []struct {
		name   string
		getenv func(string) string
		asked  string
		want   string // a model, or the code of an error
		says   string
	}{
		{"default of the first", two, "", "openai/gpt-5", ""},
		{"explicit", two, "anthropic/claude-opus-5", "anthropic/claude-opus-5", ""},
		{"model alone, one provider", one, "claude-opus-5", "anthropic/claude-opus-5", ""},
		{"model alone, two providers", two, "gpt-5", "model_unclear", "openai, anthropic"},
		{"a model's own slash", router, "meta-llama/llama-4", "openrouter/meta-llama/llama-4", ""},
		{"a slash where no model has one", one, "nope/claude-opus-5", "model_unclear", "one of the providers found: anthropic"},
		{"a slash at a server of one's own", local(t, "llama"), "nope/llama", "openai/nope/llama", ""},
		{"a slash, and another provider's name", router, "openai/gpt-5", "no_provider", "PROVIDER/MODEL, such as openrouter/openai/gpt-5"},
		{"explicit with a slash of its own", router, "openrouter/anthropic/claude-sonnet-5", "openrouter/anthropic/claude-sonnet-5", ""},
		{"known provider, not configured", one, "mistral/devstral-2512", "no_provider", "MISTRAL_API_KEY, or choose another with --model PROVIDER/MODEL, of anthropic"},
		{"known provider, half configured", environment("AZURE_OPENAI_API_KEY", "k", "OPENAI_API_KEY", "k"), "azure/mine", "no_provider", "AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY"},
		{"nothing found", environment(), "", "no_provider", "mgx demo"},
		{"nothing found, model named", environment(), "openai/gpt-5", "no_provider", "OPENAI_API_KEY"},
		{"server with one model", local(t, "llama"), "", "openai/llama", ""},
		{"server with two", local(t, "llama", "qwen"), "", "model_unclear", "llama, qwen"},
		{"server that is not there", environment("OPENAI_BASE_URL", "http://127.0.0.1:1/v1"), "", "provider_unreachable", "127.0.0.1:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := choose(c.getenv, c.asked)
			if err != nil {
				got = mgx.AsError(err).Code
			}
			if got != c.want {
				t.Fatalf("got %q (%v), want %q", got, err, c.want)
			}
			if c.says != "" && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
		})
	}
}

func TestManyModelsAreCutToTwenty(t *testing.T) {
	t.Parallel()
	models := make([]llm.ModelInfo, 50)
	for i := range models {
		models[i].ID = "m"
	}
	if got := someOf(models); strings.Count(got, "m,")+1 != 20 || !strings.HasSuffix(got, "and 30 more") {
		t.Errorf("got %q", got)
	}
}

func TestDefaultModelsHavePrices(t *testing.T) {
	t.Parallel()
	prices := llm.BuiltinPrices()
	for _, e := range endpoints {
		if e.model == "" {
			continue
		}
		if _, ok := prices.Lookup(e.name, e.model); !ok {
			t.Errorf("%s/%s: a budget could not be kept on the default model", e.name, e.model)
		}
	}
}
