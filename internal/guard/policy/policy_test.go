package policy_test

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/guard/policy"
)

func parse(t testing.TB, text string) policy.Policy {
	t.Helper()
	p, err := policy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func builtin(t testing.TB, name string) policy.Policy {
	t.Helper()
	p, ok := policy.Builtin(name)
	if !ok {
		t.Fatalf("there is no policy %s", name)
	}
	return p
}

var risky = mgx.Label{Untrusted: true, Secrecy: mgx.Private, Sources: []string{"repository", "user"}}

// TestBuiltins says what each built-in policy makes of each kind of call, in a run
// that has read a repository.
func TestBuiltins(t *testing.T) {
	calls := map[string]policy.Facts{
		"read":        {Tool: "read", Effect: policy.Read, Paths: []string{"a.go"}},
		"write":       {Tool: "edit", Effect: policy.Write, Paths: []string{"a.go"}},
		"execute":     {Tool: "shell", Effect: policy.Execute, Command: "go test ./..."},
		"hosts":       {Tool: "shell", Effect: policy.Execute, Command: "npm ci", Hosts: []string{"registry.npmjs.org:443"}},
		"mcp read":    {Tool: "mcp__docs__search", Effect: policy.Read, Outside: true},
		"mcp program": {Tool: "mcp__docs__search", Effect: policy.Read},
		"mcp write":   {Tool: "mcp__github__comment", Effect: policy.Write, Outside: true},
		"mcp execute": {Tool: "mcp__ci__start", Effect: policy.Execute, Outside: true},
		"network":     {Tool: "mcp__web__fetch", Effect: policy.Network, Outside: true, Hosts: []string{"example.org:443"}},
		"branch":      {Tool: "deliver_branch", Effect: policy.Deliver, Own: true},
		"deliver":     {Tool: "mcp__github__merge", Effect: policy.Deliver, Outside: true},
	}
	want := map[string]map[string]policy.Verdict{
		"plan":         {"read": "allow", "execute": "allow", "mcp program": "allow", "mcp read": "ask"}, // all else is denied
		"ask":          {"read": "allow", "mcp program": "allow"},                                        // all else is asked
		"accept-edits": {"read": "allow", "write": "allow", "mcp program": "allow"},
		"auto":         {"read": "allow", "write": "allow", "execute": "allow", "branch": "allow", "mcp program": "allow"},
		"never":        {"read": "allow", "write": "allow", "execute": "allow", "branch": "allow", "mcp program": "allow"},
	}
	rest := map[string]policy.Verdict{"plan": "deny", "ask": "ask", "accept-edits": "ask", "auto": "ask", "never": "deny"}
	for _, name := range policy.Names() {
		for kind, f := range calls {
			f.Label, f.PlanOpen = risky, name == "plan"
			verdict, ok := want[name][kind]
			if !ok {
				verdict = rest[name]
			}
			if f.Label = (mgx.Label{}); kind == "hosts" && builtin(t, name).Decide(f).Verdict != rest[name] {
				t.Errorf("%s, %s: reached without a question where nothing was read", name, kind)
			}
			f.Label = risky
			if name == "plan" && kind == "mcp execute" {
				verdict = policy.Deny
			}
			if got := builtin(t, name).Decide(f); got.Verdict != verdict || got.Why == "" || got.Rule == "" {
				t.Errorf("%s, %s: %+v, want %s", name, kind, got, verdict)
			}
			if name != "plan" {
				continue
			}
			f.PlanOpen = false
			if got, auto := builtin(t, name).Decide(f), builtin(t, "auto").Decide(f); got.Verdict != auto.Verdict {
				t.Errorf("an approved plan, %s: %+v, auto: %+v", kind, got, auto)
			}
		}
	}
}

func TestRules(t *testing.T) {
	file := func(tool string, e policy.Effect, paths ...string) policy.Facts {
		return policy.Facts{Tool: tool, Effect: e, Paths: paths}
	}
	net := func(host string) policy.Facts {
		return policy.Facts{Tool: "mcp__web__fetch", Effect: policy.Network, Outside: true, Hosts: []string{host}}
	}
	online := func(l mgx.Label, hosts ...string) policy.Facts {
		return policy.Facts{Tool: "shell", Effect: policy.Execute, Command: "npm ci", Hosts: hosts, Label: l}
	}
	const npm = "extend auto\nallow host *.npmjs.org:443"
	seen := func(l mgx.Label) policy.Facts { return policy.Facts{Tool: "x", Effect: policy.Network, Label: l} }
	web := mgx.Label{Untrusted: true, Sources: []string{"user", "web:evil.example"}}
	for _, c := range []struct {
		text string
		f    policy.Facts
		want policy.Verdict
	}{
		{"", file("read", "read", "a"), "ask"},
		{"allow\ndeny path secrets", file("read", "read", "a"), "allow"},
		{"allow\ndeny path secrets", file("read", "read", "secrets"), "deny"},
		{"allow\ndeny path secrets", file("read", "read", "secrets/a/b"), "deny"},
		{"allow\ndeny path secrets", file("read", "read", "./x/../secrets/a"), "deny"},
		{"allow\ndeny path secrets", file("read", "read", "link", "secrets/a"), "deny"},
		{"allow\ndeny path /workspace/secrets", file("read", "read", "secrets/a"), "deny"},
		{"allow\ndeny path **/.env", file("read", "read", ".env"), "deny"},
		{"allow\ndeny path **/.env", file("read", "read", "a/b/.env"), "deny"},
		{"allow\ndeny path *.pem", file("read", "read", "a/key.pem"), "allow"},
		{"allow\ndeny path secrets", policy.Facts{Tool: "mcp__a__b", Effect: "read", Vague: true}, "ask"},
		{"allow path src/**", file("edit", "write", "src/a", "b"), "ask"},
		{"allow path src/**", file("edit", "write"), "ask"},
		{"allow path src/**\nallow path docs", file("apply_patch", "write", "src/a", "docs/b"), "allow"},
		{"allow effect write path src", policy.Facts{Tool: "mcp__a__b", Effect: "write", Paths: []string{"src/a"}, Outside: true}, "ask"},
		{"allow\nask role reviewer", policy.Facts{Tool: "read", Effect: "read", Role: "reviewer"}, "ask"},
		{"allow\nask path a\ndeny path a", file("read", "read", "a"), "deny"},

		{"allow", online(web, "a.test:443"), "ask"},
		{"allow tool shell", online(web, "a.test:443"), "ask"},
		{`allow command "npm ci"`, online(web, "a.test:443"), "ask"},
		{"allow effect execute,network", online(web, "a.test:443"), "allow"},
		{"allow host a.test", online(web, "a.test:443"), "allow"},
		{npm, online(web, "registry.npmjs.org:443"), "allow"},
		{npm, online(web), "allow"},
		{npm, online(web, "registry.npmjs.org:80"), "ask"},
		{npm, online(web, "registry.npmjs.org:443", "a.test:443"), "ask"},
		{npm, online(risky, "registry.npmjs.org:443"), "ask"},
		{npm, online(risky), "allow"},
		{npm + "\ndeny host *.npmjs.org", online(web, "registry.npmjs.org:443"), "deny"},
		{npm + "\ndeny effect network", online(web, "registry.npmjs.org:443"), "deny"},
		{npm + "\ndeny effect network", online(web), "allow"},
		{npm + "\nunattended", online(risky, "registry.npmjs.org:443"), "deny"},

		{"allow\ndeny command \"git push *\"", file("read", "read", "a"), "allow"},

		{`allow command "go test *"`, policy.Facts{Tool: "check", Effect: "execute", Command: `go test $'a'`}, "allow"},
		{`allow command "go test *"`, policy.Facts{Tool: "check", Effect: "execute", Command: `go test $'a'`, Sh: true}, "ask"},
		{`allow command "go test *"`, policy.Facts{Tool: "check", Effect: "execute", Command: "go test 'a'", Sh: true}, "allow"},

		{"allow host example.org:443", net("example.org:443"), "allow"},
		{"allow host example.org:443", net("EXAMPLE.org.:443"), "allow"},
		{"allow host example.org:443", net("example.org:80"), "ask"},
		{"allow host *.example.org", net("a.example.org:8443"), "allow"},
		{"allow host *.example.org", net("example.org.evil:443"), "ask"},
		{"allow\ndeny host [::1]", net("[::1]:80"), "deny"},

		{"allow\ndeny provenance untrusted", seen(web), "deny"},
		{"allow\ndeny provenance web", seen(web), "deny"},
		{"allow\ndeny provenance web:evil.example", seen(web), "deny"},
		{"allow\ndeny provenance web:other.example", seen(web), "allow"},
		{"allow\ndeny provenance web:other.example", seen(mgx.Label{Sources: []string{"web"}}), "deny"},
		{"allow\ndeny provenance web:other.example", seen(mgx.Label{Sources: []string{"web:"}}), "deny"},
		{"allow provenance user,web:evil.example", seen(web), "allow"},
		{"allow provenance user", seen(web), "ask"},
		{"allow provenance user", seen(mgx.Label{Untrusted: true}), "ask"},
		{"allow\ndeny confidentiality private", seen(mgx.Label{Secrecy: mgx.Secret}), "deny"},
		{"allow\ndeny confidentiality secret", seen(mgx.Label{Secrecy: mgx.Private}), "allow"},
		{"allow\ndeny confidentiality secret", seen(mgx.Label{Secrecy: "unheard of"}), "deny"},
		{"allow\ndeny effect read path secrets", file("edit", "write", "secrets/a"), "deny"}, // it shows what is there
		{"allow\nask tool read path secrets", file("apply_patch", "write", "b", "secrets/a"), "ask"},
		{"allow\ndeny effect read path secrets", file("write", "write", "a"), "allow"},
		{"allow\ndeny effect read path secrets role reviewer", file("edit", "write", "secrets"), "allow"},
		{"allow\ndeny effect execute path secrets", file("edit", "write", "secrets"), "allow"},
		{"allow\ndeny effect write path secrets", file("read", "read", "secrets"), "allow"},
		{"allow\ndeny provenance web:Evil.Example.", seen(web), "deny"},
		{"allow\ndeny host Evil.Example.", net("evil.example:443"), "deny"},
		{"allow\ndeny host evil.example.:443", net("evil.example.:443"), "deny"},
		{"allow\ndeny host evil.example", net("192.0.2.7:443"), "ask"},
		{"allow\ndeny host 192.0.2.1,*.evil.example:443", net("[2001:db8::7]:443"), "ask"},
		{"allow\ndeny host *.evil.example:22,192.0.2.1", net("192.0.2.7:443"), "allow"},
		{"allow confidentiality private", seen(mgx.Label{Secrecy: mgx.Secret}), "ask"},
		{"allow confidentiality private", seen(mgx.Label{}), "allow"},

		{"allow", seen(risky), "ask"}, // the rule that no file takes away
		{"allow", policy.Facts{Tool: "x", Effect: "write", Outside: true, Label: risky}, "ask"},
		{"allow", policy.Facts{Tool: "x", Effect: "write", Label: risky}, "allow"},
		{"allow", policy.Facts{Tool: "x", Effect: "unheard of", Label: risky}, "ask"},
		{"allow\nunattended", seen(risky), "deny"},
		{"extend auto\nallow effect network tool mcp__a__*", policy.Facts{Tool: "mcp__a__b", Effect: "network"}, "allow"},
	} {
		if got := parse(t, c.text).Decide(c.f); got.Verdict != c.want {
			t.Errorf("%q\n on %+v\n gives %+v, want %s", c.text, c.f, got, c.want)
		}
	}
}

func TestErrorsSayWhereAndWhatWasExpected(t *testing.T) {
	for text, want := range map[string]string{
		"allow\npermit":                           `line 2, column 1: a line begins with allow, ask, deny`,
		"allow efect read":                        `line 1, column 7: expected effect, tool, role, path, command, host, provenance, confidentiality, plan, because; here is "efect"`,
		"allow effect read write":                 `column 19: expected effect`,
		"allow effect":                            `column 13: expected a value of effect`,
		"allow effect ,read":                      `column 14: expected a value of effect`,
		"allow effect read,":                      `column 19: expected a value of effect`,
		"allow effect reed":                       `column 14: effect takes read, write`,
		"allow path a path b":                     `column 14: path stands twice`,
		"allow path ../a":                         `column 12: a path may not have ..`,
		"allow path /etc":                         `column 12: path takes a path within the workspace`,
		"allow path a**":                          `column 12: ** stands alone`,
		`allow command "go`:                       `column 15: the quote is not closed`,
		`allow command "a\n"`:                     `a backslash stands before`,
		`allow command " "`:                       `column 15: command takes words`,
		"allow host http://x":                     `column 12: host takes`,
		"deny host a.test:https":                  `column 11: host takes`,
		"deny host a.test:":                       `column 11: host takes`,
		"deny host a.test:99999":                  `column 11: host takes`,
		"deny host [::1]:x":                       `column 11: host takes`,
		"allow provenance mail":                   `column 18: provenance takes`,
		"allow provenance web:":                   `column 18: provenance takes`,
		"allow provenance web:*.example":          `column 18: provenance takes the whole name`,
		"allow provenance web:a.example:443":      `column 18: provenance takes the whole name`,
		"allow confidentiality public":            `column 23: confidentiality takes`,
		"allow confidentiality private,secret":    `column 31: confidentiality takes one value`,
		"allow plan maybe":                        `column 12: plan takes`,
		`allow because ""`:                        `column 15: because takes a sentence`,
		"allow\nextend auto":                      `line 2, column 1: extend can stand only before`,
		"extend auto\nextend ask":                 `line 2, column 1: extend can stand only before`,
		"extend everything":                       `column 8: there is no built-in policy "everything"`,
		"extend":                                  `extend takes the name`,
		"unattended now":                          `column 12: unattended stands alone`,
		"\"allow\"":                               `column 1: a line begins with`,
		"allow tool a\u202eb":                     `column 13: the character U+202E is not taken`,
		"allow tool \xff":                         `not UTF-8`,
		"allow tool " + strings.Repeat("x", 301):  `longer than 300 bytes`,
		strings.Repeat("allow\n", 501):            `line 501, column 1: there are more than 500 rules`,
		"allow tool a" + strings.Repeat(",a", 64): `more than 64 values`,
		strings.Repeat(" ", 65<<10):               `at most 65536 are read`,
		"deny path " + strings.Repeat(`\`, 299) + strings.Repeat("\ndeny path "+strings.Repeat(`\`, 290), 190): "written out",
	} {
		_, err := policy.Parse(text)
		if !mgx.IsCode(err, policy.CodeBadPolicy) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v; want %q", text, err, want)
		}
	}
}

func TestGrantsAreOfOneShape(t *testing.T) {
	key := func(f policy.Facts, args string) string {
		c, err := policy.Canonical(json.RawMessage(args))
		if err != nil {
			t.Fatal(err)
		}
		k, words := policy.Grant(f, c)
		if words == "" {
			t.Error("no words")
		}
		return k
	}
	shell := policy.Facts{Tool: "shell", Effect: "execute", Command: "go test"}
	edit := policy.Facts{Tool: "edit", Effect: "write", Paths: []string{"a"}}
	send := policy.Facts{Tool: "mcp__a__b", Effect: "write", Outside: true, Paths: []string{"a"}}
	other := shell
	other.Command = "go test x"
	base := key(shell, `{"command":"go test"}`)
	if key(shell, `{"timeout":5,"command":"go test"}`) != base || key(edit, `{"text":"x"}`) != key(edit, `{"text":"y"}`) {
		t.Error("the same shape has two keys")
	}
	if key(other, `{}`) == base || key(shell, `{"workdir":"x"}`) == base || key(send, `{"text":"x"}`) == key(send, `{"text":"y"}`) {
		t.Error("two shapes have one key")
	}
	if key(send, `{"a":1.0,"b":"<"}`) != key(send, ` {"b":"<", "a":1.0}`) || key(send, `{"a":1.0}`) == key(send, `{"a":1}`) {
		t.Error("arguments are not compared as they were written")
	}
	online, elsewhere := shell, shell
	online.Hosts, elsewhere.Hosts = []string{"a.test:443"}, []string{"b.test:443"}
	if k := key(online, `{"command":"go test"}`); k == base || k == key(elsewhere, `{"command":"go test"}`) || k != key(online, `{"command":"go test","timeout":5}`) {
		t.Error("a command with other hosts has the same key")
	}
	if _, words := policy.Grant(online, nil); !strings.Contains(words, "a.test:443") {
		t.Errorf("the hosts are not named: %s", words)
	}
	if _, err := policy.Canonical(json.RawMessage(`{} {}`)); err == nil {
		t.Error("two values are arguments")
	}
}

func TestRulesOnWhatARunWasGiven(t *testing.T) {
	p := parse(t, `allow
deny path /attachments/private/**
deny effect write provenance attachment`)
	given := mgx.Label{Untrusted: true, Sources: []string{mgx.SourceAttachment}}
	for _, c := range []struct {
		f    policy.Facts
		want policy.Verdict
	}{
		{policy.Facts{Tool: "read", Effect: policy.Read, Paths: []string{"/attachments/private/a"}}, policy.Deny},
		{policy.Facts{Tool: "read", Effect: policy.Read, Paths: []string{"/attachments/a"}}, policy.Allow},
		{policy.Facts{Tool: "edit", Effect: policy.Write, Paths: []string{"a"}, Label: given}, policy.Deny},
		{policy.Facts{Tool: "edit", Effect: policy.Write, Paths: []string{"a"}}, policy.Allow},
	} {
		if d := p.Decide(c.f); d.Verdict != c.want {
			t.Errorf("%+v: %s, want %s", c.f, d.Verdict, c.want)
		}
	}
	beside := p.Follow(func(string) string { return "elsewhere" })
	if d := beside.Decide(policy.Facts{Tool: "read", Effect: policy.Read, Paths: []string{"elsewhere/a"}}); d.Verdict != policy.Allow {
		t.Errorf("links of the workspace were followed beside it: %+v", d)
	}
	if _, err := policy.Parse("deny path /outputsider"); err == nil {
		t.Error("a path beside the workspace that is not there is taken")
	}
}

// TestRulesFollowLinks has rules that forbid mean what links in them lead to, and
// those that allow only what they say.
func TestRulesFollowLinks(t *testing.T) {
	p := parse(t, `allow path open/**,link/**
deny path link/keys
ask path link/**/b?
deny path **/link/x`)
	followed := p.Follow(func(name string) string {
		if rest, ok := strings.CutPrefix(name, "link"); ok {
			return "open/real" + rest
		}
		return name
	})
	for path, want := range map[string]policy.Verdict{
		"open/real/keys": policy.Deny, "open/real/keys/below": policy.Deny, "link/keys": policy.Deny, "open/real/a/bc": policy.Ask,
		"open/keys": policy.Allow, "open/real/x": policy.Allow, "real/other": policy.Ask,
	} {
		if d := followed.Decide(policy.Facts{Tool: "read", Effect: policy.Read, Paths: []string{path}}); d.Verdict != want {
			t.Errorf("%s: %s (%s), want %s", path, d.Verdict, d.Rule, want)
		}
	}
	if d := p.Decide(policy.Facts{Tool: "read", Effect: policy.Read, Paths: []string{"open/real/keys"}}); d.Verdict != policy.Allow {
		t.Errorf("the policy itself changed: %+v", d)
	}
	if p.Hash() != followed.Hash() {
		t.Error("a followed policy is another")
	}
	if n := len(followed.Kept(policy.Facts{Tool: "read", Effect: policy.Read})); n != 5 {
		t.Errorf("%d kept, want 3 as written and 2 as led", n)
	}
}

func TestKeptFromPrograms(t *testing.T) {
	p := parse(t, `allow
deny path secrets
deny tool read path **/.env
ask effect write path go.mod
deny effect write tool mcp__* path a
deny path b command "rm *"
deny path later plan open
allow path c`)
	var got []policy.Kept
	for _, k := range p.Kept(policy.Facts{Tool: "shell", Effect: "execute"}) {
		k.Rule = ""
		got = append(got, k)
	}
	want := []policy.Kept{{Path: "secrets"}, {Path: "**/.env"}, {Path: "go.mod", Write: true}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("kept %+v, want %+v", got, want)
	}
	if n := len(p.Kept(policy.Facts{PlanOpen: true})); n != 4 {
		t.Errorf("%d kept while the plan is open, want 4", n)
	}
	if _, literal := got[1].Literal(); literal || !got[1].Matches("x/.env") || got[0].Matches("secret") {
		t.Error("a kept path matches something else")
	}
}

// Generators.

func lists(t *rapid.T, name string, from ...string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 2, rapid.ID[string]).Draw(t, name)
}

// drawRule draws a rule with few conditions, so that many match.
func drawRule(t *rapid.T, verdicts ...policy.Verdict) policy.Rule {
	all := drawConditions(t, verdicts...)
	r := policy.Rule{Verdict: all.Verdict, Because: all.Because}
	for range rapid.IntRange(0, 3).Draw(t, "conditions") {
		switch rapid.IntRange(0, 8).Draw(t, "condition") {
		case 0:
			r.Effects = all.Effects
		case 1:
			r.Tools = all.Tools
		case 2:
			r.Roles = all.Roles
		case 3:
			r.Paths = all.Paths
		case 4:
			r.Commands = all.Commands
		case 5:
			r.Hosts = all.Hosts
		case 6:
			r.Provenance = all.Provenance
		case 7:
			r.Confidentiality = all.Confidentiality
		case 8:
			r.Plan = all.Plan
		}
	}
	return r
}

func drawConditions(t *rapid.T, verdicts ...policy.Verdict) policy.Rule {
	r := policy.Rule{
		Verdict:         rapid.SampledFrom(verdicts).Draw(t, "verdict"),
		Tools:           lists(t, "tools", "shell", "read", "mcp__*", "*"),
		Roles:           lists(t, "roles", "implementer", "review*"),
		Paths:           lists(t, "paths", "a", "a/*", "**/b", "**", "c d", `q"\`, "#x,y"),
		Commands:        lists(t, "commands", "a", "a *", "a b", "* b *", "git push *", `say "x`),
		Hosts:           lists(t, "hosts", "a.example:443", "*.example", "b"),
		Provenance:      lists(t, "provenance", "untrusted", "user", "web", "web:a.example", "mcp:x"),
		Confidentiality: rapid.SampledFrom([]mgx.Confidentiality{"", "private", "secret"}).Draw(t, "confidentiality"),
		Plan:            rapid.SampledFrom([]string{"", "", "open", "approved"}).Draw(t, "plan"),
		Because:         rapid.SampledFrom([]string{"", "so it is", `a "b" \ # c`}).Draw(t, "because"),
	}
	for _, e := range lists(t, "effects", "read", "write", "execute", "network", "deliver") {
		r.Effects = append(r.Effects, policy.Effect(e))
	}
	return r
}

func drawPolicy(t *rapid.T) policy.Policy {
	p := policy.Policy{Unattended: rapid.Bool().Draw(t, "unattended")}
	for range rapid.IntRange(0, 6).Draw(t, "rules") {
		p.Rules = append(p.Rules, drawRule(t, "allow", "ask", "deny"))
	}
	return p
}

func drawFacts(t *rapid.T) policy.Facts {
	return policy.Facts{
		Tool:    rapid.SampledFrom([]string{"shell", "read", "mcp__a__b"}).Draw(t, "tool"),
		Effect:  policy.Effect(rapid.SampledFrom([]string{"read", "write", "execute", "network", "deliver"}).Draw(t, "effect")),
		Role:    rapid.SampledFrom([]string{"implementer", "reviewer"}).Draw(t, "role"),
		Paths:   lists(t, "paths", "a", "a/b", "x/b", "c d"),
		Command: rapid.SampledFrom([]string{"", "a", "a b; c", "x=1 a b", "git push $x", "sh -c 'a b'", "'", "a > b"}).Draw(t, "command"),
		Hosts:   lists(t, "hosts", "a.example:443", "b:1"),
		Label: mgx.Label{
			Untrusted: rapid.Bool().Draw(t, "untrusted"),
			Secrecy:   rapid.SampledFrom([]mgx.Confidentiality{"", "private", "secret", "?"}).Draw(t, "secrecy"),
			Sources:   lists(t, "sources", "user", "web:a.example", "web", "repository"),
		},
		Outside: rapid.Bool().Draw(t, "outside"), Vague: rapid.Bool().Draw(t, "vague"),
		PlanOpen: rapid.Bool().Draw(t, "open"), Own: rapid.Bool().Draw(t, "own"),
	}
}

var strictness = []policy.Verdict{policy.Allow, policy.Ask, policy.Deny}

func TestAForbiddingRuleNeverAllowsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := drawPolicy(t), drawFacts(t)
		more := p
		more.Rules = append(slices.Clone(p.Rules), drawRule(t, "deny", "ask"))
		more.Unattended = more.Unattended || rapid.Bool().Draw(t, "also unattended")
		a, b := p.Decide(f), more.Decide(f)
		if slices.Index(strictness, b.Verdict) < slices.Index(strictness, a.Verdict) {
			t.Fatalf("%s\nmade %s of %s", more, b.Verdict, a.Verdict)
		}
	})
}

func TestOrderMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, f := drawPolicy(t), drawFacts(t)
		q := p
		q.Rules = rapid.Permutation(p.Rules).Draw(t, "permuted")
		if a, b := p.Decide(f), q.Decide(f); a != b {
			t.Fatalf("%+v, in another order %+v", a, b)
		}
	})
}

func TestPrintingAndParsingAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		q, err := policy.Parse(p.String())
		if err != nil {
			t.Fatalf("%s\n%v", p, err)
		}
		if q.String() != p.String() || q.Unattended != p.Unattended || len(q.Rules) != len(p.Rules) {
			t.Fatalf("%s\nread as\n%s", p, q)
		}
		if f := drawFacts(t); p.Decide(f) != q.Decide(f) {
			t.Fatal("what was read decides otherwise")
		}
	})
}

// TestTheThreeTogetherAlwaysAsk: no set of rules lets an agent that read untrusted
// and confidential content reach out without a person, by any of these.
func TestTheThreeTogetherAlwaysAsk(t *testing.T) {
	out := map[string]policy.Facts{
		"asks a server at an address":          {Tool: "mcp__a__b", Effect: policy.Read, Outside: true},
		"writes at a server":                   {Tool: "mcp__a__b", Effect: policy.Write, Outside: true},
		"writes at a server, of a path":        {Tool: "mcp__a__b", Effect: policy.Write, Outside: true, Paths: []string{"a"}},
		"starts something at a server":         {Tool: "mcp__a__b", Effect: policy.Execute, Outside: true, Vague: true},
		"fetches a page":                       {Tool: "mcp__a__b", Effect: policy.Network, Outside: true, Hosts: []string{"a.example:443"}},
		"fetches, and does not say where":      {Tool: "read", Effect: policy.Network},
		"delivers at a forge":                  {Tool: "mcp__a__b", Effect: policy.Deliver, Outside: true},
		"has a command reach one more host":    {Tool: "shell", Effect: policy.Execute, Command: "a b", Hosts: []string{"a.example:443"}},
		"has a command reach two more hosts":   {Tool: "shell", Effect: policy.Execute, Command: "a", Hosts: []string{"b:1", "a.example:443"}},
		"does what nobody knows the effect of": {Tool: "shell", Effect: "other"},
	}
	for name, f := range out {
		rapid.Check(t, func(t *rapid.T) {
			p, drawn, f := drawPolicy(t), drawFacts(t), f
			f.Role, f.PlanOpen, f.Label = drawn.Role, drawn.PlanOpen, drawn.Label
			f.Label.Untrusted, f.Label.Secrecy = true, rapid.SampledFrom([]mgx.Confidentiality{"private", "secret"}).Draw(t, "secrecy")
			p.Rules = append(p.Rules, drawRule(t, "allow"), policy.Rule{Verdict: policy.Allow}) // no rule of it asks for want of one
			if p.Decide(f).Verdict == policy.Allow {
				t.Fatalf("an agent %s: %s\nallows %+v", name, p, f)
			}
		})
	}
}

// TestTheExampleOfTheDocs keeps docs/policy.md true.
func TestTheExampleOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(text), "```\nextend auto")
	example, _, closed := strings.Cut("extend auto"+example, "```")
	if !ok || !closed {
		t.Fatal("there is no example")
	}
	p := parse(t, example)
	for f, want := range map[string]policy.Verdict{
		"git push origin": policy.Deny, "npm publish": policy.Deny, "go test ./...": policy.Allow,
	} {
		if d := p.Decide(policy.Facts{Tool: "shell", Effect: policy.Execute, Command: f}); d.Verdict != want {
			t.Errorf("%s: %+v, want %s", f, d, want)
		}
	}
	for _, name := range policy.Names() {
		if !strings.Contains(string(text), "| `"+name+"`") {
			t.Errorf("the policy %s is not in the docs", name)
		}
	}
}

// TestCanonicalArgumentsMeanTheSame: whatever the arguments are, nothing in them is
// changed, and nothing is invisible.
func TestCanonicalArgumentsMeanTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		args := map[string]any{}
		for _, k := range rapid.SliceOfN(rapid.String(), 0, 4).Draw(t, "names") {
			args[k] = rapid.String().Draw(t, "value")
		}
		args["b"], args["a"] = "x\u202e\U000E0041<&>", []any{1.5, nil, true}
		raw, err := json.Marshal(args)
		if err != nil {
			t.Fatal(err)
		}
		c, err := policy.Canonical(raw)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if json.Unmarshal(raw, &want) != nil || json.Unmarshal(c, &got) != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %q", raw, c)
		}
		if strings.ContainsAny(string(c), "\u202e\U000E0041\u200b") || !strings.Contains(string(c), `\u202e\udb40\udc41<&>`) {
			t.Fatalf("%s hides something", c)
		}
		if again, err := policy.Canonical(c); err != nil || string(again) != string(c) {
			t.Fatalf("%s is canonical, and became %s", c, again)
		}
	})
}

// TestWhatAPersonNamed is not asked about, and denied all the same.
func TestWhatAPersonNamed(t *testing.T) {
	f := policy.Facts{Tool: "check", Effect: policy.Execute, Command: "make test", Named: true}
	for rules, want := range map[string]policy.Verdict{
		"allow": policy.Allow, "ask tool check": policy.Allow, "allow effect read": policy.Allow, "unattended\nask": policy.Allow,
		"deny tool check": policy.Deny, "allow\ndeny command \"make *\"": policy.Deny,
	} {
		if d := parse(t, rules).Decide(f); d.Verdict != want {
			t.Errorf("%q: %+v", rules, d)
		}
	}
}

// TestAnApprovalIsOfOneCall changes each of what an approval is bound to.
func TestAnApprovalIsOfOneCall(t *testing.T) {
	args := json.RawMessage(`{"command":"make"}`)
	one := policy.Bind("shell", args, "run_1", "sha256:a")
	for what, other := range map[string]string{
		"tool": policy.Bind("check", args, "run_1", "sha256:a"), "arguments": policy.Bind("shell", json.RawMessage(`{"command":"make "}`), "run_1", "sha256:a"),
		"run": policy.Bind("shell", args, "run_2", "sha256:a"), "policy": policy.Bind("shell", args, "run_1", "sha256:b"),
		"parts": policy.Bind("shell", args, "run_1sha256:a", ""),
	} {
		if other == one {
			t.Errorf("another %s has the same hash", what)
		}
	}
}

// A host is written with a port, a pattern of one, or none, also as an address.
func TestHostsThatAreTaken(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"a.test", "*.a.test:443", "a.test:*", "a.test:80??", "[::1]:443", "[::1]", "::1", "10.0.0.1:80"} {
		if _, err := policy.Parse("deny host " + host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}
