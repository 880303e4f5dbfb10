package config_test

import (
	"strings"
	"testing"

	"mgx"
	"mgx/internal/config"
)

// TestProjectPrecedence has each setting of projects said in every set of places,
// and expects it from the first of them.
func TestProjectPrecedence(t *testing.T) {
	t.Parallel()
	values := map[string][4]string{ // as a flag, in the environment, of the project, in the file
		"policy":          {"plan", "ask", "accept-edits", "never"},
		"allow-host":      {"flag.test:1", "env.test:2", "project.test:3", "file.test:4"},
		"sandbox-minimum": {"full", "basic", "lite", "off"},
		"mcp":             {"/flag.json", "/env.json", "/project.json", "/file.json"},
	}
	for _, name := range config.OfProjects() {
		v, ok := values[name]
		if !ok {
			t.Errorf("%s is not tried", name)
			continue
		}
		for places := range 16 {
			m := newMachine(t, "{}")
			flags, project := map[string]string{}, mgx.ProjectSettings{}
			want, source := "", ""
			if places&8 != 0 {
				m = newMachine(t, `{"`+name+`":"`+v[3]+`"}`)
				want, source = v[3], m.home+"/.config/mgx/config.json"
			}
			if places&4 != 0 {
				project[name] = v[2]
				want, source = v[2], "project"
			}
			if places&2 != 0 {
				env := "MGX_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
				m.env[env] = v[1]
				want, source = v[1], env
			}
			if places&1 != 0 {
				flags[name] = v[0]
				want, source = v[0], "--"+name
			}
			c, err := config.LoadFor(func(name string) string { return m.env[name] }, flags, project)
			if err != nil {
				t.Fatal(err)
			}
			var got config.Entry
			for _, e := range c.Dump(strings.Clone) {
				if e.Name == name {
					got = e
				}
			}
			if source == "" {
				want, source = got.Value, "default"
			}
			if got.Value != want || got.Source != source {
				t.Errorf("%s said in %04b: %q from %s, want %q from %s", name, places, got.Value, got.Source, want, source)
			}
			if c.Said(name) != (places&3 != 0) {
				t.Errorf("%s said in %04b: said %v", name, places, c.Said(name))
			}
		}
	}
}

// TestOfProject: only some settings are of projects, and what is kept means the
// same wherever mgx is started.
func TestOfProject(t *testing.T) {
	t.Parallel()
	getenv := func(name string) string { return map[string]string{"HOME": "/home/u"}[name] }
	for _, c := range [][3]string{
		{"policy", "ask", "ask"},
		{"policy", "~/p.policy", "/home/u/p.policy"},
		{"allow-host", " a.test:443, b.test:80 ", "a.test:443,b.test:80"},
		{"allow-host", "", "none"},
		{"sandbox-minimum", "full", "full"},
	} {
		if got, err := config.OfProject(getenv, c[0], c[1]); err != nil || got != c[2] {
			t.Errorf("%s %q: %q, %v, want %q", c[0], c[1], got, err, c[2])
		}
	}
	if got, err := config.OfProject(getenv, "policy", "./own.policy"); err != nil || !strings.HasPrefix(got, "/") {
		t.Errorf("a relative path is kept as %q, %v", got, err)
	}
	for _, c := range [][2]string{{"sandbox", "off"}, {"budget", "5"}, {"data", "/tmp"}, {"", "x"}, {"policy", "everything"}, {"sandbox-minimum", "none"}, {"allow-host", "a.test"}} {
		if got, err := config.OfProject(getenv, c[0], c[1]); !mgx.IsCode(err, "bad_setting") {
			t.Errorf("%s %q: %q, %v", c[0], c[1], got, err)
		}
	}
	m := newMachine(t, "{}")
	for _, set := range []mgx.ProjectSettings{{"sandbox": "off"}, {"policy": "everything"}, {"policy": "own.policy"}} {
		if _, err := config.LoadFor(func(name string) string { return m.env[name] }, nil, set); !mgx.IsCode(err, "bad_setting") || mgx.AsError(err).Kind != mgx.KindConfig {
			t.Errorf("%v of a project: %v", set, err)
		}
	}
}
