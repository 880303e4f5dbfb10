package config

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"mgx"
)

// Config is every setting, validated.
type Config struct {
	Data          string         // directory of the database, clones and artifacts
	Database      string         // SQLite file or postgres:// address; empty: the file in Data
	NATS          string         // nats:// or tls:// addresses; empty: none
	Redis         string         // redis:// or rediss:// address; empty: none
	Model         string         // provider/model or a policy; empty: the first provider found
	ModelsFile    string         // of providers and policies; empty: models.json beside the user's file, if there is one
	Prices        string         // file of the operator's own prices; empty: none
	PricesURL     string         // where prices are fetched from; empty: nowhere
	MCP           string         // file of servers of tools; empty: none
	Approve       string         // auto, ask, never
	Policy        string         // permission policy: a built-in name, or an absolute path
	Budget        *mgx.Money     // per run; nil: no cap
	MaxTurns      int            // model turns per run
	Timeout       time.Duration  // of a run while it works
	Sandbox       string         // auto, off
	LeastSandbox  string         // level below which nothing runs; off: any
	AllowHosts    []string       // HOST:PORT that commands may reach; none by default
	LinkHosts     []string       // to which links on pages of the console may lead; none by default
	Rates         map[string]int // of what a server is asked, by the names of RateLimits
	SandboxLimits Limits         // of one command; those that are not set are the driver's
	WebhookAllow  []netip.Prefix // addresses that webhooks may reach although they are not public

	AuditCheckpoints string // file in a second place; "": none
	SentryDSN        string // where errors are reported; "": nowhere
	SecretsKeys      string // file of the key ring; "": in the data directory
	SecretsVault     string // file that says which HashiCorp Vault has it; "": none
	LogFormat        string // text, json
	LogLevel         slog.Level

	sources map[string]string // by setting
	said    map[string]bool   // settings that a flag or the environment says
}

// Load settles the configuration. Flags holds what was typed, by flag name
// without dashes; names that are no setting are ignored.
func Load(getenv func(string) string, flags map[string]string) (*Config, error) {
	return LoadFor(getenv, flags, nil)
}

// LoadFor is Load for the runs of a project, of which this was set: flags come
// before the environment, that before the project, that before the user's file.
func LoadFor(getenv func(string) string, flags map[string]string, project mgx.ProjectSettings) (*Config, error) {
	home := getenv("HOME")
	path := xdg(getenv, home, "XDG_CONFIG_HOME", ".config", "config.json")
	file, err := readFile(path)
	if err != nil {
		return nil, err
	}
	for name := range project {
		if !slices.Contains(ofProjects, name) {
			return nil, mgx.Errorf(mgx.KindConfig, "bad_setting", "%q is set for the project, and this version of mgx knows no such setting of projects; take it back: mgx project unset %s", name, name)
		}
	}
	c := &Config{sources: map[string]string{}, said: map[string]bool{}}
	for _, s := range settings {
		from := origin{kind: fromDefault, home: home, label: "default"}
		value := s.fallback(getenv)
		if v, ok := flags[s.name]; ok {
			value, from.kind, from.label = v, fromFlag, "--"+s.name
		} else if v := getenv(s.env()); v != "" {
			value, from.kind, from.label = v, fromEnv, s.env()
		} else if v, ok := project[s.name]; ok {
			value, from.kind, from.label = v, fromProject, "project"
		} else if v, ok := file[s.name]; ok {
			value, from.kind, from.label = v, fromFile, path
		}
		if err := s.set(c, value, from); err != nil {
			return nil, from.refuse(s, err)
		}
		c.sources[s.name], c.said[s.name] = from.label, from.kind == fromFlag || from.kind == fromEnv
	}
	return c, nil
}

// Entry is one setting as `mgx config` shows it.
type Entry struct {
	Name   string `json:"name"`
	Env    string `json:"env"`
	Value  string `json:"value"`
	Source string `json:"source"` // --flag, variable, path of the file, or "default"
	Help   string `json:"help"`
}

// Dump lists every setting in a fixed order. Values pass through redact.
func (c *Config) Dump(redact func(string) string) []Entry {
	entries := make([]Entry, len(settings))
	for i, s := range settings {
		entries[i] = Entry{s.name, s.env(), redact(s.show(c)), c.sources[s.name], s.help}
	}
	return entries
}

// xdg returns a path of ours below one of the user's base directories
// (https://specifications.freedesktop.org/basedir-spec/: relative values of the
// variable are ignored), or "" when there is no home.
func xdg(getenv func(string) string, home, variable, fallback, name string) string {
	if base := getenv(variable); filepath.IsAbs(base) {
		return filepath.Join(base, "mgx", name)
	}
	if !filepath.IsAbs(home) {
		return ""
	}
	return filepath.Join(home, fallback, "mgx", name)
}
