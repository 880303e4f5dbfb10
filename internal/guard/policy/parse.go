package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"mgx"
)

// Bounds of a text.
const (
	MaxText   = 64 << 10 // bytes
	maxRules  = 500
	maxValues = 64  // of one condition
	maxValue  = 300 // bytes
)

// CodeBadPolicy is the code of errors about a text that is no policy.
const CodeBadPolicy = "bad_policy"

// Parse reads a policy. An error names line and column, what is there and what was
// expected. It reads the same text always as the same policy: of the built-in ones
// it may begin with, it takes the rules as they are in this program.
func Parse(text string) (Policy, error) {
	var p Policy
	if len(text) > MaxText {
		return p, mgx.Errorf(mgx.KindUsage, CodeBadPolicy, "the policy has %d bytes; at most %d are read", len(text), MaxText)
	}
	begun := false
	for n, line := range slices.Collect(strings.SplitSeq(text, "\n")) {
		s := &scanner{line: n + 1, text: strings.TrimSuffix(line, "\r")}
		if err := s.scan(); err != nil {
			return Policy{}, err
		}
		if len(s.tokens) == 0 {
			continue
		}
		if err := p.statement(s, !begun); err != nil {
			return Policy{}, err
		}
		if begun = true; len(p.Rules) > maxRules {
			return Policy{}, s.bad(s.tokens[0], "there are more than %d rules", maxRules)
		}
	}
	if n := len(p.String()); n > MaxText {
		return Policy{}, mgx.Errorf(mgx.KindUsage, CodeBadPolicy, "the policy has %d bytes when it is written out; at most %d are taken", n, MaxText)
	}
	return p, nil
}

// statement reads what a line says.
func (p *Policy) statement(s *scanner, first bool) error {
	head := s.tokens[0]
	switch {
	case head.quoted:
	case head.text == "extend":
		return p.extend(s, first)
	case head.text == "unattended":
		if len(s.tokens) > 1 {
			return s.bad(s.tokens[1], "unattended stands alone on its line")
		}
		p.Unattended = true
		return nil
	case head.text == string(Allow) || head.text == string(Ask) || head.text == string(Deny):
		r, err := s.rule(Verdict(head.text))
		p.Rules = append(p.Rules, r)
		return err
	}
	return s.bad(head, "a line begins with allow, ask, deny, unattended or, the first one, extend; here is %s", head)
}

func (p *Policy) extend(s *scanner, first bool) error {
	switch {
	case !first:
		return s.bad(s.tokens[0], "extend can stand only before all rules, and once")
	case len(s.tokens) != 2:
		return s.bad(s.tokens[0], "extend takes the name of one built-in policy: %s", strings.Join(Names(), ", "))
	}
	base, ok := Builtin(s.tokens[1].text)
	if !ok {
		return s.bad(s.tokens[1], "there is no built-in policy %s; there are %s", s.tokens[1], strings.Join(Names(), ", "))
	}
	*p = base
	return nil
}

// rule reads conditions after the verdict.
func (s *scanner) rule(v Verdict) (Rule, error) {
	r := Rule{Verdict: v}
	seen := map[string]bool{}
	for rest := s.tokens[1:]; len(rest) > 0; {
		word := rest[0]
		c, ok := conditions[word.text]
		if !ok || word.quoted {
			return r, s.bad(word, "expected %s; here is %s", strings.Join(conditionNames, ", "), word)
		}
		if seen[word.text] {
			return r, s.bad(word, "%s stands twice in this rule; write its values with commas between", word.text)
		}
		seen[word.text] = true
		values, left, err := s.values(word, rest[1:])
		if err != nil {
			return r, err
		}
		for i, v := range values {
			if c.single && i > 0 {
				return r, s.bad(v, "%s takes one value", word.text)
			}
			if err := c.set(&r, v.text); err != nil {
				return r, s.bad(v, "%s", err)
			}
		}
		rest = left
	}
	return r, nil
}

// values reads a list with commas between.
func (s *scanner) values(of token, rest []token) (values, left []token, err error) {
	for {
		if len(rest) == 0 || rest[0].comma {
			at := token{column: utf8.RuneCountInString(s.text) + 1}
			if len(rest) > 0 {
				at = rest[0]
			}
			return nil, nil, s.bad(at, "expected a value of %s", of.text)
		}
		if len(values) == maxValues {
			return nil, nil, s.bad(rest[0], "%s has more than %d values", of.text, maxValues)
		}
		values = append(values, rest[0])
		if rest = rest[1:]; len(rest) == 0 || !rest[0].comma {
			return values, rest, nil
		}
		rest = rest[1:]
	}
}

// token is a word, a quoted text or a comma.
type token struct {
	column int // in characters, from 1
	text   string
	quoted bool
	comma  bool
}

func (t token) String() string {
	if t.comma {
		return "a comma"
	}
	return fmt.Sprintf("%q", shown(t.text))
}

// scanner reads the tokens of one line.
type scanner struct {
	line   int
	text   string
	tokens []token
}

func (s *scanner) bad(at token, format string, args ...any) error {
	return mgx.Errorf(mgx.KindUsage, CodeBadPolicy, "policy, line %d, column %d: %s", s.line, at.column, fmt.Sprintf(format, args...))
}

func (s *scanner) scan() error {
	if !utf8.ValidString(s.text) {
		return s.bad(token{column: 1}, "the line is not UTF-8")
	}
	r := []rune(s.text)
	for i := 0; i < len(r); {
		switch c := r[i]; {
		case c == ' ' || c == '\t':
			i++
		case c == '#':
			return nil
		case c == ',':
			s.tokens = append(s.tokens, token{column: i + 1, text: ",", comma: true})
			i++
		case c == '"':
			end, err := s.quoted(r, i)
			if err != nil {
				return err
			}
			i = end
		default:
			from := i
			for i < len(r) && !strings.ContainsRune(" \t,\"#", r[i]) {
				if !legible(r[i]) {
					return s.bad(token{column: i + 1}, "the character %U is not taken in a policy", r[i])
				}
				i++
			}
			s.tokens = append(s.tokens, token{column: from + 1, text: string(r[from:i])})
		}
		if n := len(s.tokens); n > 0 && len(s.tokens[n-1].text) > maxValue {
			return s.bad(s.tokens[n-1], "the value is longer than %d bytes", maxValue)
		}
	}
	return nil
}

// quoted reads a text in quotes, in which a backslash stands before a quote or a
// backslash.
func (s *scanner) quoted(r []rune, from int) (end int, err error) {
	var b strings.Builder
	for i := from + 1; i < len(r); i++ {
		switch c := r[i]; {
		case c == '"':
			s.tokens = append(s.tokens, token{column: from + 1, text: b.String(), quoted: true})
			return i + 1, nil
		case c == '\\':
			if i++; i == len(r) || r[i] != '"' && r[i] != '\\' {
				return 0, s.bad(token{column: i}, `a backslash stands before " or \ only`)
			}
			b.WriteRune(r[i])
		case !legible(c):
			return 0, s.bad(token{column: i + 1}, "the character %U is not taken in a policy", c)
		default:
			b.WriteRune(c)
		}
	}
	return 0, s.bad(token{column: from + 1}, "the quote is not closed on this line")
}

// legible leaves out what a reader would not see, or would see elsewhere.
func legible(r rune) bool {
	return r == ' ' || unicode.IsGraphic(r) && !unicode.In(r, unicode.Zs) && r != utf8.RuneError
}
