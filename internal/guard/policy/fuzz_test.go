package policy_test

import (
	"strings"
	"testing"

	"mgx/internal/guard/policy"
)

// FuzzParse holds that a text either is refused with its place, or prints as
// something that is read as the same.
func FuzzParse(f *testing.F) {
	for _, name := range policy.Names() {
		text, _ := policy.Text(name)
		f.Add(text)
	}
	f.Add("deny path \"a b\",c command \"x \\\"y\" because \"z\" # c")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := policy.Parse(text)
		if err != nil {
			if !strings.Contains(err.Error(), "policy") {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		q, err := policy.Parse(p.String())
		if err != nil || q.String() != p.String() || q.Hash() != p.Hash() {
			t.Fatalf("%q prints as %q: %v", text, p, err)
		}
		p.Decide(policy.Facts{Tool: text, Command: text, Paths: []string{text}, Hosts: []string{text}})
	})
}

// FuzzReadCommand holds that reading a line of shell ends, and that what runs is
// not allowed by a rule for something else: a line that spells a forbidden program
// in plain words is never free.
func FuzzReadCommand(f *testing.F) {
	for _, s := range []string{"a | b", "sh -c 'a'", "x() { a; }", "a <<E\nb\nE", "$(a)", "${a@P}", "((", "a \\\n b", "{a,b}", "[[ a ]]"} {
		f.Add(s)
	}
	p, err := policy.Parse("allow command \"true *\"\nallow command \"forbidden-not *\"\nask command \"forbidden *\"")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		policy.ReadCommand(line)
		if d := p.Decide(policy.Facts{Tool: "shell", Effect: policy.Execute, Command: "forbidden x; " + line}); d.Verdict == policy.Allow {
			t.Fatalf("%q is free: %+v", line, d)
		}
	})
}
