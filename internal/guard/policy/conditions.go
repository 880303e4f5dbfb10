package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"mgx"
)

// condition is how a value of one condition is read.
type condition struct {
	single bool
	set    func(*Rule, string) error // appends, after checking
}

// conditionNames is the order in which they are printed.
var conditionNames = []string{"effect", "tool", "role", "path", "command", "host", "provenance", "confidentiality", "plan", "because"}

var conditions = map[string]condition{
	"effect": {set: func(r *Rule, v string) error {
		if !slices.Contains(effects, Effect(v)) {
			return errors.New("effect takes read, write, execute, network or deliver")
		}
		r.Effects = append(r.Effects, Effect(v))
		return nil
	}},
	"tool": {set: func(r *Rule, v string) error { r.Tools = append(r.Tools, v); return name("tool", v) }},
	"role": {set: func(r *Rule, v string) error { r.Roles = append(r.Roles, v); return name("role", v) }},
	"path": {set: func(r *Rule, v string) error {
		p, err := pathValue(v)
		r.Paths = append(r.Paths, p)
		return err
	}},
	"command": {set: func(r *Rule, v string) error {
		if v = strings.Join(strings.Fields(v), " "); v == "" {
			return errors.New(`command takes words, such as "git push *"`)
		}
		r.Commands = append(r.Commands, v)
		return nil
	}},
	"host": {set: func(r *Rule, v string) error {
		if strings.ContainsAny(v, "/ @") || v == "" || !portLike(v) {
			return errors.New("host takes HOST:PORT or HOST, such as example.org:443 or *.example.org")
		}
		r.Hosts = append(r.Hosts, strings.ToLower(v))
		return nil
	}},
	"provenance": {set: setProvenance},
	"confidentiality": {single: true, set: func(r *Rule, v string) error {
		r.Confidentiality = mgx.Confidentiality(v)
		if r.Confidentiality != mgx.Private && r.Confidentiality != mgx.Secret {
			return errors.New("confidentiality takes private or secret")
		}
		return nil
	}},
	"plan": {single: true, set: func(r *Rule, v string) error {
		if r.Plan = v; v != planOpen && v != planApproved {
			return errors.New("plan takes open or approved")
		}
		return nil
	}},
	"because": {single: true, set: func(r *Rule, v string) error {
		if r.Because = strings.TrimSpace(v); r.Because == "" {
			return errors.New("because takes a sentence in quotes")
		}
		return nil
	}},
}

// portLike reports whether what follows a name is a port, or a pattern of one: a rule with
// anything else would hold for nothing, and nobody would notice.
func portLike(v string) bool {
	_, port, named := cutPort(v)
	if !named {
		return true
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n <= 65535 || strings.Trim(port, "0123456789*?") == "" && strings.ContainsAny(port, "*?")
}

func name(what, v string) error {
	if v == "" || strings.ContainsAny(v, " /\\") {
		return fmt.Errorf("%s takes names, in which * stands for any characters", what)
	}
	return nil
}

// beside are the directories next to the workspace that tools for files reach.
var beside = []string{"/outputs", "/attachments"}

// pathValue is a path of the workspace in the one form that is compared.
func pathValue(v string) (string, error) {
	p := strings.TrimPrefix(v, "/workspace/")
	if v == "/workspace" || v == "." || v == "./" {
		p = "**"
	}
	switch {
	case v == "":
		return "", errors.New("path takes a path of the workspace, such as src/** or **/.env")
	case path.IsAbs(p) && !slices.ContainsFunc(beside, func(dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }):
		return "", errors.New("path takes a path within the workspace; what lies outside is not there for agents")
	case slices.Contains(strings.Split(p, "/"), ".."):
		return "", errors.New("a path may not have .. in it")
	}
	p = path.Clean(p)
	for part := range strings.SplitSeq(p, "/") {
		if strings.Contains(part, "**") && part != "**" {
			return "", errors.New("** stands alone between slashes, as in docs/**/*.md")
		}
	}
	return p, nil
}

func setProvenance(r *Rule, v string) error {
	kind, rest, named := strings.Cut(v, ":")
	kinds := []string{mgx.SourceUser, mgx.SourceRepository, mgx.SourceProgram, mgx.SourceAttachment, mgx.SourceWeb, mgx.SourceMCP}
	if v != untrusted && !slices.Contains(kinds, kind) || named && (rest == "" || kind != mgx.SourceWeb && kind != mgx.SourceMCP) {
		return errors.New("provenance takes untrusted, user, repository, program, attachment, web, web:HOST, mcp or mcp:SERVER")
	}
	if strings.ContainsAny(rest, "*?/") || kind == mgx.SourceWeb && strings.Count(rest, ":") == 1 {
		return errors.New("provenance takes the whole name of a host or server, without port and wildcards, such as web:docs.example.org")
	}
	r.Provenance = append(r.Provenance, v)
	return nil
}
