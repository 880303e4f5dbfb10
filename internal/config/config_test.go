package config_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mgx"
	"mgx/internal/config"
)

// machine is a home directory with an optional configuration file.
type machine struct {
	home string
	env  map[string]string
}

func newMachine(t *testing.T, file string) *machine {
	t.Helper()
	home := t.TempDir()
	if file != "" {
		dir := filepath.Join(home, ".config", "mgx")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &machine{home, map[string]string{"HOME": home}}
}

func (m *machine) load(flags map[string]string) (*config.Config, error) {
	return config.Load(func(k string) string { return m.env[k] }, flags)
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "")
	c, err := m.load(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != m.home+"/.local/share/mgx" || c.Database != "" || c.Model != "" || c.Approve != "ask" || c.Budget != nil ||
		c.MaxTurns != 200 || c.Timeout != 2*time.Hour || c.Sandbox != "auto" || c.LeastSandbox != "off" || c.LogFormat != "text" || c.LogLevel != slog.LevelWarn {
		t.Errorf("got %+v", c)
	}
	if entries, _ := os.ReadDir(m.home); len(entries) != 0 {
		t.Errorf("loading made %v", entries)
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	const file = `{"model":"file/m","max-turns":7,"budget":1.5,"approve":"never","data":"~/d"}`
	m := newMachine(t, file)
	m.env["MGX_MODEL"], m.env["MGX_MAX_TURNS"], m.env["MGX_TIMEOUT"] = "env/m", "8", "90s"
	m.env["MGX_APPROVE"] = "" // empty is unset
	c, err := m.load(map[string]string{"model": "flag/m", "json": "true"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Model != "flag/m" || c.MaxTurns != 8 || c.Timeout != 90*time.Second || *c.Budget != 3*mgx.USD/2 || c.Approve != "never" {
		t.Errorf("got %+v", c)
	}
	got := map[string]string{}
	for _, e := range c.Dump(strings.ToUpper) {
		got[e.Name] = e.Value + " < " + e.Source
	}
	path := m.home + "/.config/mgx/config.json"
	for name, want := range map[string]string{
		"model": "FLAG/M < --model", "max-turns": "8 < MGX_MAX_TURNS", "budget": "1.5 < " + path, "log-level": "WARN < default",
		"timeout": "1M30S < MGX_TIMEOUT", "data": strings.ToUpper(m.home+"/d") + " < " + path, "database": " < default",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
}

func TestFlagsCanTakeACapAway(t *testing.T) {
	t.Parallel()
	c, err := newMachine(t, `{"budget":"$1"}`).load(map[string]string{"budget": "none"})
	if err != nil || c.Budget != nil {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestXDG(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "")
	m.env["XDG_DATA_HOME"], m.env["XDG_CONFIG_HOME"] = "/xdg", "relative/is/ignored"
	if c, err := m.load(nil); err != nil || c.Data != "/xdg/mgx" {
		t.Errorf("got %v, %v", c, err)
	}
	m.env["XDG_DATA_HOME"] = "relative"
	if c, err := m.load(nil); err != nil || c.Data != m.home+"/.local/share/mgx" {
		t.Errorf("a relative base is not ignored: %v, %v", c, err)
	}
	m.env["XDG_DATA_HOME"], m.env["HOME"] = "/xdg", ""
	if c, err := m.load(nil); err != nil || c.Data != "/xdg/mgx" {
		t.Errorf("without HOME: got %v, %v", c, err)
	}
	m.env["XDG_DATA_HOME"] = ""
	if _, err := m.load(nil); err == nil || !strings.Contains(err.Error(), "--data: HOME is not set") {
		t.Errorf("got %v", err)
	}
}

func TestPathsBecomeAbsolute(t *testing.T) {
	t.Parallel()
	wd, _ := os.Getwd()
	m := newMachine(t, "")
	m.env["MGX_DATA"] = "~/elsewhere"
	c, err := m.load(map[string]string{"database": "x.db"})
	if err != nil || c.Database != wd+"/x.db" || c.Data != m.home+"/elsewhere" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestDatabaseAddress(t *testing.T) {
	t.Parallel()
	for given, shown := range map[string]string{
		"postgres://me:hunter22@db:5432/mgx?sslmode=verify-full": "postgres://me:xxxxx@db:5432/mgx?sslmode=verify-full",
		"postgresql://me@db/mgx":                                 "postgresql://me@db/mgx",
		"postgres://me@/mgx?host=/run/pg&password=hunter22":      "postgres://me@/mgx?host=%2Frun%2Fpg&password=xxxxx",
	} {
		c, err := newMachine(t, "").load(map[string]string{"database": given})
		if err != nil || c.Database != given {
			t.Fatalf("%s: %v", given, err)
		}
		for _, e := range c.Dump(func(s string) string { return s }) {
			if e.Name == "database" && e.Value != shown {
				t.Errorf("%s is shown as %s", given, e.Value)
			}
		}
	}
}

func TestNATSAddress(t *testing.T) {
	t.Parallel()
	for given, shown := range map[string]string{
		"":                            "",
		"nats://me:hunter22@n:4222":   "nats://me:xxxxx@n:4222",
		"tls://hunter22@n":            "tls://xxxxx@n",
		"nats://n,nats://hunter22@m/": "nats://n,nats://xxxxx@m/",
	} {
		c, err := newMachine(t, "").load(map[string]string{"nats": given})
		if err != nil || c.NATS != given {
			t.Fatalf("%s: %v", given, err)
		}
		for _, e := range c.Dump(func(s string) string { return s }) {
			if e.Name == "nats" && e.Value != shown {
				t.Errorf("%s is shown as %s", given, e.Value)
			}
		}
	}
}

func TestRedisAddress(t *testing.T) {
	t.Parallel()
	for given, shown := range map[string]string{
		"":                                "",
		"redis://cache":                   "redis://cache",
		"redis://cache:6379/3?timeout=1s": "redis://cache:6379/3?timeout=1s",
		"rediss://me:hunter22@[::1]:1/":   "rediss://me:xxxxx@[::1]:1/",
		"redis://:hunter22@cache":         "redis://:xxxxx@cache",
	} {
		c, err := newMachine(t, "").load(map[string]string{"redis": given})
		if err != nil || c.Redis != given {
			t.Fatalf("%s: %v", given, err)
		}
		for _, e := range c.Dump(func(s string) string { return s }) {
			if e.Name == "redis" && e.Value != shown {
				t.Errorf("%s is shown as %s", given, e.Value)
			}
		}
	}
}

func TestSentryAddress(t *testing.T) {
	t.Parallel()
	c, err := newMachine(t, "").load(map[string]string{"sentry-dsn": "https://hunter22@sentry.example.com/42"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Dump(func(s string) string { return s }) {
		if e.Name == "sentry-dsn" && e.Value != "https://xxxxx@sentry.example.com/42" {
			t.Errorf("it is shown as %s", e.Value)
		}
	}
}

func TestRefusedFlags(t *testing.T) {
	t.Parallel()
	for flag, values := range map[string][]string{
		"data":            {"", "a\x00b"},
		"database":        {"postgres:///x", "postgres://me:hunter22@d b/x", "postgres://me:hunter22@db/x#y", "mysql://me:hunter22@db/x", "file:x.db", "x.db?mode=memory", ":memory:\x00"},
		"sentry-dsn":      {"x", "https://example.com/42", "https://hunter22@example.com", "ftp://hunter22@example.com/1", "https://hunter22@e xample.com/1"},
		"nats":            {"n:4222", "nats://", "ws://n", "nats://me:hunter22@a b", "nats://n/x", "nats://n?tls=no", "nats://n,", "nats://n,tls://m"},
		"redis":           {"cache:6379", "redis://", "redis:///0", "http://cache", "redis://me:hunter22@cache/x", "redis://me:hunter22@cache/0?skip_verify=true", "redis://cache/0?timeout=0s", "redis://cache/0?timeout=1s&db=2", "redis://me:hunter22@ca che"},
		"model":           {"/m", "p/", "p/m m", "p/" + strings.Repeat("m", 200), "P Q/m"},
		"approve":         {"", "yes", "AUTO"},
		"budget":          {"", "0", "-1", "NaN", "1e10", "lots"},
		"max-turns":       {"", "0", "-3", "1.5", "10001", "99999999999999999999"},
		"timeout":         {"", "0s", "10", "-1h", "721h"},
		"sandbox":         {"", "none", "Off"},
		"sandbox-minimum": {"", "none", "FULL"},
		"log-format":      {"xml"},
		"log-level":       {"", "loud", "debug+2"},
	} {
		for _, v := range values {
			_, err := newMachine(t, "").load(map[string]string{flag: v})
			e := mgx.AsError(err)
			if e == nil || e.Kind != mgx.KindUsage || e.Code != "bad_setting" || !strings.HasPrefix(e.Message, "--"+flag+": ") {
				t.Errorf("--%s=%q: %v", flag, v, err)
			}
			if strings.Contains(err.Error(), "hunter22") {
				t.Errorf("a refused value is repeated: %v", err)
			}
		}
	}
}

func TestRefusedEnvironment(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "")
	m.env["MGX_MAX_TURNS"] = "many"
	_, err := m.load(nil)
	if e := mgx.AsError(err); e == nil || e.Kind != mgx.KindConfig || e.Message != "MGX_MAX_TURNS: it must be a whole number from 1 to 10000" {
		t.Errorf("got %v", err)
	}
	if _, err := m.load(map[string]string{"max-turns": "3"}); err != nil {
		t.Errorf("a flag does not override it: %v", err)
	}
}

// Only a person at the command line takes the sandbox away.
func TestSandboxOffMustBeTyped(t *testing.T) {
	t.Parallel()
	if c, err := newMachine(t, "").load(map[string]string{"sandbox": "off"}); err != nil || c.Sandbox != "off" {
		t.Errorf("typed: %v, %v", c, err)
	}
	m := newMachine(t, "")
	m.env["MGX_SANDBOX"] = "off"
	if _, err := m.load(nil); !mgx.IsCode(err, "bad_setting") {
		t.Errorf("environment: %v", err)
	}
	if _, err := newMachine(t, `{"sandbox":"off"}`).load(nil); !mgx.IsCode(err, "bad_setting") {
		t.Errorf("file: %v", err)
	}
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		`{"max_turns":3}`:             `"max_turns" is not a setting; the settings are data, database, nats, redis, model, models-file,`,
		`{"model":"a/b","model":"c"}`: `"model" is given twice`,
		`[]`:                          "it must hold one JSON object",
		` `:                           "it must hold one JSON object",
		`{"model":"a/b"`:              "it is not valid JSON",
		`{"model" "a/b"}`:             "it is not valid JSON",
		`{"model":"a/b"} {}`:          "something follows",
		`{"model":null}`:              `"model" must be a string or a number`,
		`{"model":true}`:              `"model" must be a string or a number`,
		`{"model":["a/b"]}`:           `"model" must be a string or a number`,
		`{"approve":"maybe"}`:         `"approve" in `,
		`{"data":"relative"}`:         "must be absolute or begin with ~/",
		`{"model":"` + strings.Repeat("a", 1<<16) + `"}`: "larger than 64 KB",
	} {
		_, err := newMachine(t, file).load(nil)
		e := mgx.AsError(err)
		if e == nil || e.Kind != mgx.KindConfig || !strings.Contains(e.Message, want) || !strings.Contains(e.Message, "config.json") {
			t.Errorf("%.40s: got %v, want %q", file, err, want)
		}
	}
}

func TestFileThatIsNoFile(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(path string) error{
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"pipe":      func(p string) error { return syscall.Mkfifo(p, 0o600) },
	} {
		m := newMachine(t, "{}")
		path := m.home + "/.config/mgx/config.json"
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if _, err := m.load(nil); !mgx.IsCode(err, "bad_config_file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add(`{"model":"a/b","max-turns":3,"budget":0.5}`)
	f.Add(`{"model":`)
	f.Add("\xff{}")
	f.Fuzz(func(t *testing.T, file string) {
		c, err := newMachine(t, file).load(nil)
		if e := mgx.AsError(err); err != nil && e.Kind != mgx.KindConfig {
			t.Errorf("%q: %v", file, err)
		}
		if err == nil && (c.MaxTurns < 1 || !filepath.IsAbs(c.Data) || c.Sandbox != "auto") {
			t.Errorf("%q gave %+v", file, c)
		}
	})
}
