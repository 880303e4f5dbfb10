package main

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/anthropic"
	"mgx/internal/llm/gemini"
	"mgx/internal/llm/openai"
)

// found is a provider that the environment configures.
type found struct {
	llm.Provider
	From    string // the variable that it was found by
	Local   bool   // it runs on this machine, so it costs nothing
	Default string // the model to use when none is named; empty: what it serves, if that is one
	Plain   bool   // no model of it has a slash in its name
}

// connector makes a provider of some dialect.
type connector func(llm.Connection) llm.Provider

// endpoints lists every provider that mgx can find, in the order of preference.
// Which models of OpenAI's are spoken to in Responses is the dialect's own affair.
var endpoints = []struct {
	name    string
	key     string            // variable with the API key
	address string            // variable with the base URL
	baseURL string            // when that is not set; empty: the provider exists only where it is
	both    bool              // it exists only where both variables are set
	model   string            // default
	plain   bool              // no model has a slash in its name, at baseURL
	more    map[string]string // other variables, by what they are for
	connect connector         // nil: openai.New
}{
	{name: "openai", key: "OPENAI_API_KEY", address: "OPENAI_BASE_URL", baseURL: openai.DefaultBaseURL, model: "gpt-5", plain: true},
	{name: "anthropic", key: "ANTHROPIC_API_KEY", address: "ANTHROPIC_BASE_URL", baseURL: anthropic.DefaultBaseURL, model: "claude-sonnet-5", plain: true, connect: anthropic.New},
	{name: "gemini", key: "GEMINI_API_KEY", baseURL: gemini.DefaultBaseURL, connect: gemini.New},
	{
		name: "azure", key: "AZURE_OPENAI_API_KEY", address: "AZURE_OPENAI_ENDPOINT", both: true, plain: true,
		more: map[string]string{"version": "AZURE_OPENAI_API_VERSION", "model": "AZURE_OPENAI_DEPLOYMENT"},
	},
	{name: "mistral", key: "MISTRAL_API_KEY", baseURL: "https://api.mistral.ai/v1", plain: true},
	{name: "together", key: "TOGETHER_API_KEY", baseURL: "https://api.together.xyz/v1"},
	{name: "openrouter", key: "OPENROUTER_API_KEY", baseURL: "https://openrouter.ai/api/v1"},
	{name: "ollama", address: "OLLAMA_HOST"},
}

// discover finds providers by the customary variables: one with a key at its own
// address, or one whose address is set, for servers that need no key. It also
// returns the names of all variables that it looked for, less those that change
// nothing without the others. A nil client is one for the network.
func discover(getenv func(string) string, client *http.Client) (all []found, lookedFor []string) {
	get := func(name string) string {
		if name == "" {
			return ""
		}
		return strings.TrimSpace(getenv(name))
	}
	for _, e := range endpoints {
		key, address := get(e.key), get(e.address)
		switch names := []string{e.key, e.address}; {
		case e.both && (key == "") != (address == ""):
			lookedFor = append(lookedFor, e.address+" with "+e.key+" (one of these is set, the other is not)")
		case e.both:
			lookedFor = append(lookedFor, e.address+" with "+e.key)
		default:
			lookedFor = append(lookedFor, slices.DeleteFunc(names, func(name string) bool { return name == "" })...)
		}
		if (key == "" && address == "") || (e.both && (key == "" || address == "")) {
			continue
		}
		f := found{From: e.key, Default: cmp.Or(get(e.more["model"]), e.model), Plain: e.plain}
		if key == "" {
			f.From = e.address
		}
		base := e.baseURL
		if address != "" {
			base = serverURL(address, e.name == "ollama")
		}
		if base != e.baseURL && !e.both {
			f.Default, f.Plain = "", false // another server, with models of its own
		}
		f.Local = e.name == "ollama" || isLoopback(base)
		connect := e.connect
		switch {
		case e.name == "azure":
			connect = func(c llm.Connection) llm.Provider { return openai.NewAzure(c, get(e.more["version"])) }
		case connect == nil:
			connect = openai.New
		}
		f.Provider = connect(llm.Connection{
			Name: e.name, BaseURL: base, APIKey: key, KeySetting: cmp.Or(e.key, e.address), Client: client,
		})
		all = append(all, f)
	}
	return all, lookedFor
}

// serverURL completes an address such as 127.0.0.1:11434, localhost:8080/v1 or
// :11434. Ollama's variable is also what its server listens on, so it may be 0.0.0.0.
func serverURL(address string, ollama bool) string {
	if !strings.Contains(address, "://") {
		scheme := "https://"
		if ollama || isLoopback("http://"+address) {
			scheme = "http://"
		}
		address = scheme + address
	}
	address = strings.TrimRight(address, "/")
	u, err := url.Parse(address)
	if !ollama || err != nil {
		return address
	}
	host, port := u.Hostname(), cmp.Or(u.Port(), "11434")
	if u.Scheme == "https" && u.Port() == "" {
		port = "443"
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	u.Host = net.JoinHostPort(host, port)
	return u.String()
}

// isLoopback reports whether a URL is on this machine.
func isLoopback(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	host := u.Hostname()
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}

// chooseModel turns what the user asked for into PROVIDER/MODEL: that itself, a
// model alone when only one provider was found, which may have a slash in its name at
// many, or nothing, which means the first provider's default or its only model.
func chooseModel(ctx context.Context, asked string, providers []found, lookedFor []string) (string, error) {
	if len(providers) == 0 {
		return "", noProvider("", lookedFor, "")
	}
	if asked == "" {
		return defaultModel(ctx, providers[0])
	}
	prefix, model, slash := strings.Cut(asked, "/")
	switch {
	case slash && model != "" && isFound(prefix, providers):
		return asked, nil
	case slash && isEndpoint(prefix):
		instead := ", of " + strings.Join(providerNames(providers), ", ")
		if len(providers) == 1 && !providers[0].Plain {
			instead = ", such as " + providers[0].Name() + "/" + asked
		}
		return "", noProvider(prefix, lookedFor, instead)
	case len(providers) == 1 && !(slash && providers[0].Plain):
		return providers[0].Name() + "/" + asked, nil
	}
	return "", mgx.Errorf(mgx.KindUsage, "model_unclear",
		"--model %s is no policy and does not say whose model it is; write PROVIDER/MODEL with one of the providers found: %s",
		asked, strings.Join(providerNames(providers), ", "))
}

func isFound(name string, providers []found) bool {
	return slices.Contains(providerNames(providers), name)
}

func providerNames(providers []found) []string {
	var all []string
	for _, p := range providers {
		all = append(all, p.Name())
	}
	return all
}

func isEndpoint(name string) bool {
	for _, e := range endpoints {
		if e.name == name {
			return true
		}
	}
	return false
}

// defaultModel is the model to use when none is named.
func defaultModel(ctx context.Context, p found) (string, error) {
	if p.Default != "" {
		return p.Name() + "/" + p.Default, nil
	}
	models, err := p.Models(ctx)
	if err != nil {
		return "", asksModels(p, err)
	}
	switch len(models) {
	case 0:
		return "", mgx.Errorf(mgx.KindConfig, "no_model", "%s serves no model; load one there, or choose another provider with --model PROVIDER/MODEL", p.Name())
	case 1:
		return p.Name() + "/" + models[0].ID, nil
	}
	return "", mgx.Errorf(mgx.KindUsage, "model_unclear", "%s serves %d models; choose one with --model %s/NAME: %s",
		p.Name(), len(models), p.Name(), someOf(models))
}

// asksModels explains why a provider could not be asked what it serves.
func asksModels(p found, err error) error {
	if e, ok := err.(*llm.CallError); ok {
		return e.AsMGX(nil)
	}
	return err
}

// someOf lists up to twenty models.
func someOf(models []llm.ModelInfo) string {
	const most = 20
	var ids []string
	for _, m := range models[:min(len(models), most)] {
		ids = append(ids, llm.Clean(m.ID))
	}
	list := strings.Join(ids, ", ")
	if more := len(models) - most; more > 0 {
		list += " and " + strconv.Itoa(more) + " more"
	}
	return list
}

// noProvider says that a provider, or any at all when name is empty, was not
// found, and how to change that; instead: which there are, after that.
func noProvider(name string, lookedFor []string, instead string) error {
	if name == "" {
		return mgx.Errorf(mgx.KindConfig, "no_provider",
			"no model provider was found; set one of %s, or try mgx demo, which needs none", strings.Join(lookedFor, ", "))
	}
	for _, e := range endpoints {
		if e.name == name {
			needs := cmp.Or(e.key, e.address)
			if e.both {
				needs = e.address + " and " + e.key
			}
			return mgx.Errorf(mgx.KindConfig, "no_provider",
				"the provider %s is not configured; set %s, or choose another with --model PROVIDER/MODEL%s", name, needs, instead)
		}
	}
	return mgx.Errorf(mgx.KindConfig, "no_provider",
		"there is no provider %s; set one of %s and write --model PROVIDER/MODEL, or try mgx demo, which needs none",
		strconv.Quote(name), strings.Join(lookedFor, ", "))
}
