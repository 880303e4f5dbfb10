package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// setting is one thing that can be configured.
type setting struct {
	name     string // of the flag and in the file
	help     string
	fallback func(getenv func(string) string) string
	set      func(*Config, string, origin) error // validates
	show     func(*Config) string
}

func (s setting) env() string {
	return "MGX_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// settings lists them all, in the order of `mgx config`.
var settings = []setting{
	{
		"data", "directory that keeps the database, the clones of runs and their outputs",
		func(getenv func(string) string) string {
			return xdg(getenv, getenv("HOME"), "XDG_DATA_HOME", ".local/share", "")
		},
		func(c *Config, v string, from origin) (err error) { c.Data, err = from.path(v); return err },
		func(c *Config) string { return c.Data },
	},
	{
		"database", "SQLite file, or postgres://user@host/name of a PostgreSQL database; empty: the file in the data directory",
		always(""), setDatabase, showDatabase,
	},
	{
		"nats", "nats://user:password@host:port of a NATS server, by which processes on one PostgreSQL database wake each other, or tls:// for TLS, see docs/nats.md; empty: none, PostgreSQL does it",
		always(""), setNATS, showNATS,
	},
	{
		"redis", "redis://user:password@host:port/number?timeout=100ms of a Redis in which several processes share limits and kept answers, or rediss:// for TLS, see docs/routing.md; empty: none",
		always(""), setRedis, showRedis,
	},
	{
		"model", "model to use, as provider/model, or a policy such as auto; empty: the first provider found",
		always(""), setModel,
		func(c *Config) string { return c.Model },
	},
	{
		"models-file", "file of providers, policies and facts about models, see docs/routing.md; empty: models.json beside the user's configuration, if it is there",
		always(""),
		func(c *Config, v string, from origin) (err error) {
			if c.ModelsFile = ""; v != "" {
				c.ModelsFile, err = from.path(v)
			}
			return err
		},
		func(c *Config) string { return c.ModelsFile },
	},
	{
		"prices", "file of your own prices, which have the last word, see docs/prices.md; empty: none",
		always(""),
		func(c *Config, v string, from origin) (err error) {
			if c.Prices = ""; v != "" {
				c.Prices, err = from.path(v)
			}
			return err
		},
		func(c *Config) string { return c.Prices },
	},
	{
		"prices-url", "address from which mgx models prices --refresh fetches prices; empty: nowhere",
		always(""), setPricesURL, showPricesURL,
	},
	{
		"mcp", "file of servers of the Model Context Protocol whose pinned tools agents may call, see docs/mcp.md; empty: none",
		always(""),
		func(c *Config, v string, from origin) (err error) {
			if c.MCP = ""; v != "" {
				c.MCP, err = from.path(v)
			}
			return err
		},
		func(c *Config) string { return c.MCP },
	},
	oneOf("approve", "who approves plans and the calls that the policy asks about: auto (plans by themselves, calls nobody), ask (a person), never (nobody)",
		func(c *Config) *string { return &c.Approve }, "ask", "auto", "never"),
	{
		"policy", "permission policy of tool calls, see docs/policy.md: plan, ask, accept-edits, auto, never, or a file",
		always("auto"), setPolicy,
		func(c *Config) string { return c.Policy },
	},
	{
		"budget", "most that one run may spend, in US dollars; none: no cap",
		always("none"), setBudget, showBudget,
	},
	{
		"max-turns", "most model turns in one run",
		always("200"),
		func(c *Config, v string, _ origin) (err error) {
			if c.MaxTurns, err = strconv.Atoi(v); err != nil || c.MaxTurns < 1 || c.MaxTurns > 10_000 {
				err = errors.New("it must be a whole number from 1 to 10000")
			}
			return err
		},
		func(c *Config) string { return strconv.Itoa(c.MaxTurns) },
	},
	{
		"timeout", "longest that one run may work, such as 90s, 45m or 2h",
		always("2h"),
		func(c *Config, v string, _ origin) (err error) {
			if c.Timeout, err = time.ParseDuration(v); err != nil || c.Timeout < time.Second || c.Timeout > 30*24*time.Hour {
				err = errors.New("it must be a duration from 1s to 720h, such as 90s, 45m or 2h")
			}
			return err
		},
		func(c *Config) string { return c.Timeout.String() },
	},
	{
		"sandbox", "walls around tools: auto (the strongest that MGX builds by itself here), docker, gvisor, or off (only as a flag)",
		always("auto"), setSandbox,
		func(c *Config) string { return c.Sandbox },
	},
	oneOf("sandbox-minimum", "weakest sandbox in which anything may run: off (any), lite, basic, docker, full, gvisor; see docs/sandbox.md",
		func(c *Config) *string { return &c.LeastSandbox }, "off", "lite", "basic", "docker", "full", "gvisor"),
	{
		"allow-host", "hosts that commands of agents may reach, such as registry.npmjs.org:443, with commas between, see docs/network.md; none: no network",
		always("none"), setAllowHosts, showAllowHosts,
	},
	{
		"link-host", "hosts to which links in what agents and people write lead in the console, such as github.com, with commas between; none: such links are text",
		always("none"), setLinkHosts, showLinkHosts,
	},
	{
		"sandbox-limits", "limits of each command of agents, such as memory=4GB,processes=512,cpus=1.5,disk=20GB,files=500000; see docs/sandbox.md",
		always("default"), setLimits, showLimits,
	},
	{
		"rate-limits", "how much a server is asked by one key, user, workspace or address a minute, and at once, such as user=6000,address=600; off: no limits; see docs/limits.md",
		always("default"), setRates, showRates,
	},
	{
		"webhook-allow", "address ranges that webhooks may reach although they are not public, also over http, such as 10.1.0.0/16; with commas between",
		always(""), setWebhookAllow, showWebhookAllow,
	},
	{
		"secrets-keys", "file of the key ring that opens the secrets, see docs/secrets.md; empty: secrets.keys in the data directory",
		always(""),
		func(c *Config, v string, from origin) (err error) {
			if c.SecretsKeys = ""; v != "" {
				c.SecretsKeys, err = from.path(v)
			}
			return err
		},
		func(c *Config) string { return c.SecretsKeys },
	},
	{
		"secrets-vault", "JSON file that says which HashiCorp Vault has the key ring of the secrets, see docs/secrets.md; empty: the file of secrets-keys has it",
		always(""),
		func(c *Config, v string, from origin) (err error) {
			if c.SecretsVault = ""; v != "" {
				c.SecretsVault, err = from.path(v)
			}
			return err
		},
		func(c *Config) string { return c.SecretsVault },
	},
	{
		"sentry-dsn", "https://KEY@HOST/PROJECT of a service that speaks the protocol of Sentry, to which errors are reported, see docs/reference/logs.md; empty: none",
		always(""), setSentry, showSentry,
	},
	{
		"audit-checkpoints", "file to which mgx serve also adds each checkpoint of the audit log, on another machine at best, see docs/audit.md; empty: none",
		always(""),
		func(c *Config, v string, from origin) (err error) {
			if c.AuditCheckpoints = ""; v != "" {
				c.AuditCheckpoints, err = from.path(v)
			}
			return err
		},
		func(c *Config) string { return c.AuditCheckpoints },
	},
	oneOf("log-format", "how log lines on stderr look: text, json",
		func(c *Config) *string { return &c.LogFormat }, "text", "json"),
	{
		"log-level", "least level of the log on stderr: debug, info, warn, error",
		always("warn"),
		func(c *Config, v string, _ origin) error {
			if !slices.Contains([]string{"debug", "info", "warn", "error"}, v) {
				return errors.New("it must be debug, info, warn or error")
			}
			return c.LogLevel.UnmarshalText([]byte(v))
		},
		func(c *Config) string { return strings.ToLower(c.LogLevel.String()) },
	},
}

func always(v string) func(func(string) string) string {
	return func(func(string) string) string { return v }
}

// oneOf is a setting that takes one of a few words, by default the first.
func oneOf(name, help string, field func(*Config) *string, words ...string) setting {
	return setting{
		name, help, always(words[0]),
		func(c *Config, v string, _ origin) error {
			if !slices.Contains(words, v) {
				return fmt.Errorf("it must be one of %s", strings.Join(words, ", "))
			}
			*field(c) = v
			return nil
		},
		func(c *Config) string { return *field(c) },
	}
}

// scheme matches what makes a database more than a file name to some driver.
var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

func setDatabase(c *Config, v string, from origin) (err error) {
	if strings.HasPrefix(v, "postgres://") || strings.HasPrefix(v, "postgresql://") {
		c.Database = v
		return postgresAddress(v)
	}
	if scheme.MatchString(v) || strings.Contains(v, "?") {
		return errors.New("it must be the path of a SQLite file, or an address that begins with postgres://, or empty")
	}
	if v != "" {
		c.Database, err = from.path(v)
	}
	return err
}

// postgresAddress checks what can be seen without asking the server.
func postgresAddress(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Fragment != "" || strings.ContainsRune(v, 0) {
		return errors.New("it must read postgres://user:password@host:port/name?parameter=value, with signs in it such as @ written as %40")
	}
	if u.Host == "" && u.Query().Get("host") == "" {
		return errors.New("it must name the host of the database server: postgres://user@host/name")
	}
	return nil
}

// showDatabase leaves out what an address must not show.
func showDatabase(c *Config) string {
	u, err := url.Parse(c.Database)
	if err != nil || u.Host == "" && u.RawQuery == "" {
		return c.Database
	}
	q := u.Query()
	for _, name := range []string{"password", "sslpassword"} {
		if q.Has(name) {
			q.Set(name, "xxxxx")
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}

// setPricesURL takes an https address, or an http one of this machine.
func setPricesURL(c *Config, v string, _ origin) error {
	c.PricesURL = v
	u, err := url.Parse(v)
	if v == "" || err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil
	}
	return errors.New("it must be an address that begins with https://, or with http:// on this machine")
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// showPricesURL leaves out what may be a credential.
func showPricesURL(c *Config) string {
	u, err := url.Parse(c.PricesURL)
	if err != nil {
		return ""
	}
	if u.RawQuery != "" {
		u.RawQuery = "xxxxx"
	}
	return u.Redacted()
}

var modelName = regexp.MustCompile(`^[a-z0-9_.-]+(/[[:graph:]]+)?$`)

func setModel(c *Config, v string, _ origin) error {
	if v != "" && (!modelName.MatchString(v) || len(v) > 200) {
		return errors.New("it must read provider/model, such as openai/gpt-5 or anthropic/claude-sonnet-4-5, or name a policy, such as auto")
	}
	c.Model = v
	return nil
}

func setBudget(c *Config, v string, _ origin) error {
	if v == "none" { // and nothing that a script may have left empty
		c.Budget = nil
		return nil
	}
	m, err := mgx.ParseMoney(v)
	if err != nil || m == 0 {
		return errors.New("it must be an amount of US dollars above 0, such as 2.50, or none")
	}
	c.Budget = &m
	return nil
}

func showBudget(c *Config) string {
	if c.Budget == nil {
		return "none"
	}
	return strconv.FormatFloat(c.Budget.Dollars(), 'f', -1, 64)
}

// setPolicy takes one of the built-in names, or a path, which has a slash or a dot.
func setPolicy(c *Config, v string, from origin) (err error) {
	names := []string{"plan", "ask", "accept-edits", "auto", "never"}
	if slices.Contains(names, v) {
		c.Policy = v
		return nil
	}
	if !strings.ContainsAny(v, "/.") {
		return fmt.Errorf("it must be one of %s, or the path of a file, such as ../mgx.policy", strings.Join(names, ", "))
	}
	c.Policy, err = from.path(v)
	return err
}

// setSandbox lets only a person at the command line take the walls away.
func setSandbox(c *Config, v string, from origin) error {
	if !slices.Contains([]string{"auto", "docker", "gvisor", "off"}, v) {
		return errors.New("it must be auto, docker, gvisor or off")
	}
	if v == "off" && from.kind != fromFlag {
		return errors.New("off is accepted only when it is typed as --sandbox=off")
	}
	c.Sandbox = v
	return nil
}

func known(name string) bool { return slices.Contains(names(), name) }

func names() []string {
	all := make([]string, len(settings))
	for i, s := range settings {
		all[i] = s.name
	}
	return all
}

// origin is where a value was found.
type origin struct {
	kind  int
	label string // as shown to people
	home  string
}

const (
	fromDefault = iota
	fromFlag
	fromEnv
	fromProject
	fromFile
)

// path makes a path absolute. ~/ is the home directory, since only a shell
// would have expanded it; a relative path in the file has no directory to be
// relative to.
func (o origin) path(v string) (string, error) {
	switch {
	case v == "" && o.kind == fromDefault:
		return "", errors.New("HOME is not set, so it must be given")
	case v == "" || strings.ContainsRune(v, 0):
		return "", errors.New("it must be a path")
	}
	if rest, ok := strings.CutPrefix(v, "~/"); ok && filepath.IsAbs(o.home) {
		return filepath.Join(o.home, rest), nil
	}
	if (o.kind == fromFile || o.kind == fromProject) && !filepath.IsAbs(v) {
		return "", errors.New("a path in the file must be absolute or begin with ~/")
	}
	return filepath.Abs(v)
}

// refuse says which setting from where is wrong. The value is not repeated: it
// may be a misplaced secret.
func (o origin) refuse(s setting, why error) error {
	kind, where := mgx.KindConfig, o.label
	switch o.kind {
	case fromFlag:
		kind = mgx.KindUsage
	case fromFile:
		where = fmt.Sprintf("%q in %s", s.name, o.label)
	case fromProject:
		where = fmt.Sprintf("%q of the project", s.name)
	case fromDefault:
		where = "--" + s.name
	}
	return mgx.Errorf(kind, "bad_setting", "%s: %w", where, why)
}
