package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"mgx"
	"mgx/internal/guard"
	"mgx/internal/llm"
	"mgx/internal/llm/anthropic"
	"mgx/internal/llm/gemini"
	"mgx/internal/llm/openai"
)

// autoPolicy is the policy that is always there: over every provider found,
// unless the file of models says otherwise.
const autoPolicy = "auto"

// addAuto adds the policy auto where the file of models has none.
func addAuto(policies map[string]llm.Policy, auto func() llm.Policy) {
	if _, own := policies[autoPolicy]; !own {
		policies[autoPolicy] = auto()
	}
}

// loadModelsFile reads the file that MGX_MODELS_FILE names, or models.json beside
// the user's configuration, which need not be there.
func loadModelsFile(getenv func(string) string) (*llm.File, string, error) {
	path := getenv("MGX_MODELS_FILE")
	named := path != ""
	if !named {
		base := getenv("XDG_CONFIG_HOME")
		if !filepath.IsAbs(base) {
			if base = getenv("HOME"); !filepath.IsAbs(base) {
				return &llm.File{}, "", nil
			}
			base = filepath.Join(base, ".config")
		}
		path = filepath.Join(base, "mgx", "models.json")
	}
	data, private, err := readPrivately(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return &llm.File{}, "", nil
	}
	if err != nil {
		return nil, path, mgx.Errorf(mgx.KindConfig, "bad_models_file", "the file of models %s cannot be read: %w", path, err)
	}
	file, err := llm.ParseFile(data, path)
	if err != nil {
		return nil, path, err
	}
	return file, path, keysArePrivate(file, path, private)
}

// readPrivately reads a small file and reports whether nobody else can.
func readPrivately(path string) (data []byte, private bool, err error) {
	info, err := os.Stat(path) // before opening, which would wait on a pipe
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() {
		return nil, false, errors.New("it is not a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, llm.MaxFile+1))
	if err == nil && len(data) > llm.MaxFile {
		err = errors.New("it is larger than 1 MB")
	}
	return data, info.Mode().Perm()&0o077 == 0, err
}

// keysArePrivate refuses keys in a file that others can read.
func keysArePrivate(f *llm.File, path string, private bool) error {
	parts := map[string]llm.FilePart{"": f.FilePart}
	for ws, p := range f.Workspaces {
		parts["workspaces."+string(ws)+"."] = p
	}
	for at, part := range parts {
		for name, p := range part.Providers {
			if p.Key != "" && !private {
				return mgx.Errorf(mgx.KindConfig, "bad_models_file",
					"the file of models %s cannot be used: %sproviders.%s.key: others can read the file; use key_env or key_file instead, or: chmod 600 %s", path, at, name, path)
			}
		}
	}
	return nil
}

// fromFile makes the providers that the file names for a workspace. One that it
// names for that workspace alone takes its key from the secrets of the workspace, any
// other from those of the default one.
func fromFile(f *llm.File, path string, ws mgx.WorkspaceID, getenv func(string) string, keys *keyholder, client *http.Client) (all []found, err error) {
	part := f.For(ws)
	for name, p := range part.Providers {
		key, setting, err := keyOf(name, p, path, getenv)
		if err != nil {
			return nil, err
		}
		hide(key)
		for header, value := range p.Headers {
			hide(guard.SecretsIn(header + "=" + value)...)
		}
		o := llm.Connection{Name: name, BaseURL: p.BaseURL, APIKey: key, KeySetting: setting, Client: client, Headers: p.Headers}
		one := found{From: path, Local: p.Local, Default: p.Default}
		whose := mgx.DefaultWorkspace
		if _, own := f.Workspaces[ws].Providers[name]; own {
			whose = ws
		}
		if p.KeySecret == "" {
			one.Provider = dial(p, o)
		} else {
			one.Provider = &locked{Provider: dial(p, o), dial: func(ctx context.Context) (llm.Provider, error) {
				own := o
				own.KeySetting = "the secret " + p.KeySecret
				var err error
				own.APIKey, err = keys.key(ctx, whose, p.KeySecret, "provider "+name)
				return dial(p, own), err
			}}
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}

func dial(p llm.FileProvider, o llm.Connection) llm.Provider {
	switch p.Dialect {
	case "responses":
		return openai.NewResponses(o)
	case "anthropic":
		return anthropic.New(o)
	case "gemini":
		return gemini.New(o)
	case "azure":
		return openai.NewAzure(o, p.APIVersion)
	}
	return openai.New(o)
}

// keyOf finds the key of a provider, and what a person would look at to change it.
func keyOf(name string, p llm.FileProvider, path string, getenv func(string) string) (key, setting string, err error) {
	at := "providers." + name
	switch {
	case p.KeyEnv != "":
		if key = strings.TrimSpace(getenv(p.KeyEnv)); key == "" {
			return "", "", mgx.Errorf(mgx.KindConfig, "no_key", "%s.key_env in %s names the variable %s, which is not set", at, path, strconv.Quote(p.KeyEnv))
		}
		return key, p.KeyEnv, nil
	case p.KeyFile != "":
		data, _, err := readPrivately(p.KeyFile)
		if err != nil {
			return "", "", mgx.Errorf(mgx.KindConfig, "no_key", "%s.key_file in %s cannot be read: %w", at, path, err)
		}
		return strings.TrimSpace(string(data)), p.KeyFile, nil
	}
	return p.Key, path, nil
}

// automatic is the policy auto where the file has none: the default model of
// each provider that was found, or its only one.
func automatic(ctx context.Context, all []found) llm.Policy {
	var p llm.Policy
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, f := range all {
		if model, err := defaultModel(ctx, f); err == nil {
			p.Candidates = append(p.Candidates, llm.Candidate{Model: model})
		}
	}
	return p
}
