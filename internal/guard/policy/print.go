package policy

import "strings"

// String prints the policy, one rule a line, with nothing left to look up: what
// Parse reads as the same policy.
func (p Policy) String() string {
	var b strings.Builder
	if p.Unattended {
		b.WriteString("unattended\n")
	}
	for _, r := range p.Rules {
		b.WriteString(r.String())
		b.WriteByte('\n')
	}
	return b.String()
}

func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(string(r.Verdict))
	list := func(name string, values []string) {
		for i, v := range values {
			if i == 0 {
				b.WriteString(" " + name + " ")
			} else {
				b.WriteByte(',')
			}
			b.WriteString(quoted(v))
		}
	}
	var effects []string
	for _, e := range r.Effects {
		effects = append(effects, string(e))
	}
	list("effect", effects)
	list("tool", r.Tools)
	list("role", r.Roles)
	list("path", r.Paths)
	list("command", r.Commands)
	list("host", r.Hosts)
	list("provenance", r.Provenance)
	list("confidentiality", one(string(r.Confidentiality)))
	list("plan", one(r.Plan))
	if r.Because != "" {
		b.WriteString(` because ` + always(r.Because))
	}
	return b.String()
}

func one(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

// quoted puts quotes around what is no bare word.
func quoted(v string) string {
	if strings.ContainsAny(v, " ,\"#\\") {
		return always(v)
	}
	return v
}

func always(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}
