package tool

import "strings"

// reindent indents lines as the file's lines are indented, given what stands in
// the file for what the model wrote. One of three rules must explain every pair:
// the indentation is the same, one has a constant prefix more, or one is the
// other in different units (tabs for spaces, four for two). It reports false
// when none does, or when the rule does not fit the lines to indent.
func reindent(wrote, found, lines []string) ([]string, bool) {
	for _, rule := range []func(wrote, found []string) func(string) (string, bool){sameIndent, prefixed, rescaled} {
		if change := rule(indents(wrote, wrote), indents(found, wrote)); change != nil {
			return reindented(lines, change)
		}
	}
	return nil, false
}

// indents are the indentations of lines, skipping those where the other text
// has a blank line.
func indents(lines, other []string) []string {
	var out []string
	for i, l := range lines {
		if strings.TrimSpace(other[i]) != "" {
			out = append(out, indentOf(l))
		}
	}
	return out
}

func indentOf(l string) string { return l[:len(l)-len(strings.TrimLeft(l, " \t"))] }

func reindented(lines []string, change func(string) (string, bool)) ([]string, bool) {
	out := make([]string, len(lines))
	for i, l := range lines {
		if strings.TrimSpace(l) == "" {
			continue // a blank line carries no indentation
		}
		in := indentOf(l)
		to, ok := change(in)
		if !ok {
			return nil, false
		}
		out[i] = to + l[len(in):]
	}
	return out, true
}

func sameIndent(wrote, found []string) func(string) (string, bool) {
	for i := range wrote {
		if wrote[i] != found[i] {
			return nil
		}
	}
	return func(in string) (string, bool) { return in, true }
}

// prefixed: the file has a constant prefix more than the model wrote, or less.
func prefixed(wrote, found []string) func(string) (string, bool) {
	if p, ok := commonPrefix(found, wrote); ok {
		return func(in string) (string, bool) { return p + in, true }
	}
	if p, ok := commonPrefix(wrote, found); ok {
		return func(in string) (string, bool) { return strings.CutPrefix(in, p) }
	}
	return nil
}

// commonPrefix is the p for which longer[i] == p+shorter[i] for all i.
func commonPrefix(longer, shorter []string) (string, bool) {
	if len(longer) == 0 || len(longer[0]) < len(shorter[0]) {
		return "", false
	}
	p := longer[0][:len(longer[0])-len(shorter[0])]
	for i := range longer {
		if longer[i] != p+shorter[i] {
			return "", false
		}
	}
	return p, true
}

// rescaled: each level of indentation has other characters, or another number
// of them.
func rescaled(wrote, found []string) func(string) (string, bool) {
	var from, to string // an indentation that stands for another
	for i := range wrote {
		if (wrote[i] == "") != (found[i] == "") || !uniform(wrote[i]) || !uniform(found[i]) {
			return nil
		}
		if wrote[i] != "" && from == "" {
			from, to = wrote[i], found[i]
		}
		if wrote[i] != "" && (wrote[i][0] != from[0] || found[i][0] != to[0] || len(wrote[i])*len(to) != len(found[i])*len(from)) {
			return nil
		}
	}
	if from == "" {
		return nil
	}
	return func(in string) (string, bool) {
		if in == "" {
			return "", true
		}
		n := len(in) * len(to)
		if !uniform(in) || in[0] != from[0] || n%len(from) != 0 {
			return "", false
		}
		return strings.Repeat(to[:1], n/len(from)), true
	}
}

// uniform reports whether an indentation is made of one character.
func uniform(in string) bool { return in == "" || strings.Trim(in, in[:1]) == "" }
