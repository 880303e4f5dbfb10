package config

import (
	"path/filepath"
	"slices"
	"strings"

	"mgx"
)

// ofProjects are the settings that can be set for one project: what its runs reach
// and must be kept to.
var ofProjects = []string{"allow-host", "mcp", "policy", "sandbox-minimum"}

// OfProjects lists the settings that can be set for one project.
func OfProjects() []string { return slices.Clone(ofProjects) }

// maxProjectValue bounds one value, in bytes.
const maxProjectValue = 64 << 10

// OfProject checks a value that somebody types for a setting of a project, and
// returns it as it is kept: paths are absolute.
func OfProject(getenv func(string) string, name, value string) (string, error) {
	at := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if at < 0 || !slices.Contains(ofProjects, name) {
		return "", mgx.Errorf(mgx.KindUsage, "bad_setting", "%q cannot be set for a project; what can is %s", name, strings.Join(ofProjects, ", "))
	}
	s, c := settings[at], new(Config)
	err := s.set(c, value, origin{kind: fromFlag, label: name, home: getenv("HOME")})
	if err != nil {
		return "", mgx.Errorf(mgx.KindUsage, "bad_setting", "%s: %w", name, err)
	}
	if value = s.show(c); len(value) > maxProjectValue {
		return "", mgx.Errorf(mgx.KindUsage, "bad_setting", "%s: it is longer than 64 KB", name)
	}
	return value, nil
}

// Said reports whether a flag or the environment says what a setting is.
func (c *Config) Said(name string) bool { return c.said[name] }

// ProjectFiles are the files that the settings of a project name.
func (c *Config) ProjectFiles() (files []string) {
	for _, name := range []string{"mcp", "policy"} {
		if value := c.value(name); c.sources[name] == "project" && filepath.IsAbs(value) {
			files = append(files, value)
		}
	}
	return files
}

func (c *Config) value(name string) string {
	at := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	return settings[at].show(c)
}
