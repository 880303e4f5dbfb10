package access_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/access"
)

// cheap costs nothing, so that tests do not wait.
var cheap = access.Params{Memory: 8, Time: 1, Threads: 1}

func TestPasswords(t *testing.T) {
	t.Parallel()
	h := access.NewHasher(cheap)
	one, err := h.Hash(t.Context(), "four words of theirs")
	if err != nil || !strings.HasPrefix(one, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Fatal(one, err)
	}
	if two, _ := h.Hash(t.Context(), "four words of theirs"); two == one {
		t.Error("there is no salt")
	}
	check := func(h *access.Hasher, digest, password string, ok, stale bool) {
		t.Helper()
		if gotOK, gotStale, err := h.Check(t.Context(), digest, password); gotOK != ok || gotStale != stale || err != nil {
			t.Errorf("%.40s: %v %v %v", digest, gotOK, gotStale, err)
		}
	}
	check(h, one, "four words of theirs", true, false)
	check(h, one, "four words of others", false, false)
	check(access.NewHasher(access.Params{Memory: 16, Time: 1, Threads: 1}), one, "four words of theirs", true, true) // to be made anew
	for _, bad := range []string{
		"", "x", one[:40], strings.Replace(one, "m=8", "m=99999999", 1), strings.Replace(one, "t=1", "t=0", 1), strings.Replace(one, "p=1", "p=0", 1),
		strings.Replace(one, "argon2id", "argon2i", 1), strings.Replace(one, "v=19", "v=16", 1), "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA",
	} {
		check(h, bad, "four words of theirs", false, false)
		check(h, bad, "", false, false)
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	for password, ok := range map[string]bool{
		"four words of theirs": true, "四个词就够了四个词就够了": true, "twelve chars": true,
		"elevenchars": false, "": false, "passwordpassword": false, "PasswordPassword": false, "aaaaaaaaaaaaaaaa": false, "abababababababab": false,
		"jo.smith.long@example.com": false, "jo.smith.long2026": false, "Jo Smith Senior": false, strings.Repeat("long", 300): false, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff": false,
	} {
		if err := access.CheckPassword(password, "jo.smith.long@example.com", "Jo Smith Senior"); (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
	}
	for email, want := range map[string]string{
		" Jo@Example.COM ": "jo@example.com", "jo": "", "jo@": "", "jo@a b": "", "Jo <jo@example.com>": "", "jo@example.com\r\nBcc: x": "", strings.Repeat("x", 255) + "@example.com": "",
	} {
		if got, err := access.Email(email); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", email, got, err)
		}
	}
}

// Waits double up to a bound, are of one account from one network, and are over
// when somebody gets in.
func TestAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := access.NewAttempts(nil, nil)
		try := func(account, address string) error {
			_, _, err := a.Try(t.Context(), account, address)
			return err
		}
		for range 5 {
			if err := try("jo", "2001:db8::1"); err != nil {
				t.Fatal(err)
			}
		}
		for want := time.Second; want < 20*time.Minute; want *= 2 {
			if err := try("jo", "2001:db8::ffff"); !mgx.IsCode(err, access.CodeTooManyAttempts) { // the same network
				t.Fatal(err)
			} else if says := fmt.Sprintf("try again in %ds", int(min(want, 15*time.Minute).Seconds())); !strings.HasSuffix(err.Error(), says) {
				t.Fatalf("%v, and not: %s", err, says)
			}
			for _, other := range [][2]string{{"jo", "2001:db8:1::1"}, {"bo", "2001:db8::1"}, {"jo", "192.0.2.1"}} {
				_, succeeded, err := a.Try(t.Context(), other[0], other[1])
				if err != nil {
					t.Fatalf("%v is kept out: %v", other, err)
				}
				succeeded()
			}
			time.Sleep(min(want, 15*time.Minute) - time.Millisecond)
			if err := try("jo", "2001:db8::1"); !mgx.IsCode(err, access.CodeTooManyAttempts) {
				t.Fatalf("before %s are over: %v", want, err)
			}
			time.Sleep(time.Millisecond)
			if err := try("jo", "2001:db8::1"); err != nil {
				t.Fatalf("after %s: %v", want, err)
			}
		}
		time.Sleep(15 * time.Minute)
		_, succeeded, err := a.Try(t.Context(), "jo", "2001:db8::1")
		if err != nil {
			t.Fatal(err)
		}
		succeeded()
		for range 5 {
			if err := try("jo", "2001:db8::1"); err != nil {
				t.Fatal(err)
			}
		}
		// Many who come from everywhere do not make it forget less than it can hold.
		for n := range 20_000 {
			try(fmt.Sprint(n), "192.0.2.1")
		}
	})
}

// Nothing that no policy permits is permitted, scopes only ever take away, and no
// policy of a workspace reaches beyond it, whatever it says.
func TestDecisions(t *testing.T) {
	t.Parallel()
	e := access.NewEngine()
	action, kind := rapid.SampledFrom(mgx.Actions), rapid.SampledFrom(mgx.Resources)
	scope := rapid.Custom(func(t *rapid.T) string {
		s := rapid.OneOf(kind, rapid.Just("*")).Draw(t, "kind")
		if rapid.Bool().Draw(t, "both") {
			s += ":" + rapid.OneOf(action, rapid.Just("*")).Draw(t, "action")
		}
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		a := access.Actor{User: "user_1", Workspace: "ws_1", Role: rapid.SampledFrom(append([]string{"", "service", "builder"}, mgx.BuiltInRoles...)).Draw(t, "role")}
		on := access.Resource{Kind: kind.Draw(t, "on"), Workspace: "ws_1", User: mgx.UserID(rapid.SampledFrom([]string{"", "user_1", "user_2"}).Draw(t, "whose"))}
		do := action.Draw(t, "do")
		policy := rapid.SampledFrom([]string{
			"", "permit (principal, action, resource);", `permit (principal, action == Action::"read", resource is Runs);`,
			"permit (principal, action, resource); forbid (principal, action, resource is Webhooks);", "forbid (principal, action, resource);",
		}).Draw(t, "policy")
		free := e.Decide(a, policy, do, on) == nil
		a.Scopes = rapid.SliceOfN(scope, 0, 3).Draw(t, "scopes")
		if a.Scopes == nil {
			a.Scopes = []string{}
		}
		if scoped := e.Decide(a, policy, do, on) == nil; scoped != (free && mgx.InScope(a.Scopes, on.Kind, do)) {
			t.Fatalf("%v with %v", scoped, a.Scopes)
		}
		for _, s := range a.Scopes {
			if err := mgx.CheckScope(s); err != nil || !mgx.Within(s, a.Scopes) {
				t.Fatal(s, err)
			}
		}
		a.Scopes = nil
		on.Workspace = "ws_2"
		if e.Decide(a, policy, do, on) == nil {
			t.Fatalf("%s reaches another workspace", a.Role)
		}
		switch on.Workspace = "ws_1"; {
		case policy == "forbid (principal, action, resource);" && free,
			strings.Contains(policy, "forbid (principal, action, resource is Webhooks)") && on.Kind == "webhooks" && free,
			policy == "" && (a.Role == "" || a.Role == "builder") && free,
			policy == "" && a.Role == "admin" && !free:
			t.Fatalf("%s: %v", a.Role, free)
		}
	})
	for _, bad := range []access.Resource{{Kind: "nothing", Workspace: "ws_1"}, {Kind: "runs"}} {
		if err := e.Decide(access.Actor{Role: "admin", Workspace: "ws_1"}, "", "read", bad); err == nil {
			t.Errorf("%+v is permitted", bad)
		}
	}
	if err := e.Decide(access.Actor{Role: "admin", Workspace: "ws_1"}, "permit (", "read", access.Resource{Kind: "runs", Workspace: "ws_1"}); err == nil {
		t.Error("a policy that cannot be read permits")
	}
	if err := e.Decide(access.Actor{Role: "admin", Workspace: "ws_1"}, "", "update", access.Resource{Kind: "settings", Workspace: mgx.DefaultWorkspace}); err == nil || !strings.Contains(err.Error(), "settings of the installation") {
		t.Errorf("who manages another workspace is told %v", err)
	}
	for _, policy := range []string{"", "permit (", strings.Repeat("permit (principal, action, resource);", 101), "// " + strings.Repeat("x", 20_000)} {
		if err := access.CheckPolicy(policy); !mgx.IsCode(err, "bad_policy") {
			t.Errorf("%.40q: %v", policy, err)
		}
	}
}

// Of a policy that cannot be read it is told in our words where it breaks off and what to
// do about it.
func TestBrokenPolicies(t *testing.T) {
	t.Parallel()
	const whole = "permit (principal, action, resource)"
	for _, c := range []struct{ policy, says string }{
		{"permit (", "line 1, column 9, on: mend what is there, or right before it; docs/access.md shows how policies read (there should be principal)"},
		{"\n" + whole + "\n", "line 3, column 1, on: mend what is there, or right before it; docs/access.md shows how policies read (there should be ;)"},
		{"permt (principal, action, resource);", "line 1, column 7"},
		{whole + ` when { principal.user == "a };`, "line 1, column 63"},
		{whole + ` when { "\q" == "a" };`, "line 1, column 45"},
		{whole + ` when { 99999999999999999999 == 1 };`, "whole numbers go from"},
		{"\x1b[31m" + strings.Repeat("x", 500) + " (", "line 1, column"},
	} {
		err := access.CheckPolicy(c.policy)
		if !mgx.IsCode(err, "bad_policy") {
			t.Fatalf("%.40q: %v", c.policy, err)
		}
		told := err.Error()
		if !strings.HasPrefix(told, "the policies cannot be read") || !strings.Contains(told, c.says) || len(told) > 300 {
			t.Errorf("%.40q: %q", c.policy, told)
		}
		decided := access.NewEngine().Decide(access.Actor{Role: "own", Workspace: "ws_1"}, c.policy, "read", access.Resource{Kind: "runs", Workspace: "ws_1"})
		if !mgx.IsCode(decided, "bad_policy") || !strings.Contains(decided.Error(), told) {
			t.Errorf("%.40q: kept, it is told as %v", c.policy, decided)
		}
		for _, all := range []string{told, decided.Error()} {
			if strings.ContainsAny(all, "\x1b\n") || strings.Contains(all, "parse") || strings.Contains(all, "<input>") || strings.Contains(all, "exact got") {
				t.Errorf("%.40q: %q", c.policy, all)
			}
		}
	}
}

// A policy of its own may name things and people, and use what it knows of them.
func TestPolicyOfItsOwn(t *testing.T) {
	t.Parallel()
	e := access.NewEngine()
	policy := `permit (principal, action in [Action::"read", Action::"approve"], resource == Runs::"run_1");
		permit (principal == User::"user_2", action, resource is Budgets) unless { context.key };
		forbid (principal, action, resource) when { resource.id == "run_1" && action == Action::"approve" && context.key };`
	if err := access.CheckPolicy(policy); err != nil {
		t.Fatal(err)
	}
	key := &mgx.APIKey{ID: "key_1"}
	for _, c := range []struct {
		user     mgx.UserID
		key      *mgx.APIKey
		do, kind string
		id       string
		want     bool
	}{
		{"user_1", nil, "read", "runs", "run_1", true},
		{"user_1", nil, "read", "runs", "run_2", false},
		{"user_1", nil, "approve", "runs", "run_1", true},
		{"user_1", key, "approve", "runs", "run_1", false},
		{"user_1", nil, "create", "budgets", "", false},
		{"user_2", nil, "create", "budgets", "", true},
		{"user_2", key, "create", "budgets", "", false},
	} {
		err := e.Decide(access.Actor{User: c.user, Key: c.key, Workspace: "ws_1", Role: "own"}, policy, c.do, access.Resource{Kind: c.kind, ID: c.id, Workspace: "ws_1"})
		if (err == nil) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// An engine that has decided something decides what is like it but for one thing as an
// engine that has decided nothing.
func TestDecidedBefore(t *testing.T) {
	t.Parallel()
	const rules = `permit (principal, action, resource) when { resource.id == "1" || principal.user == "1" || context.address == "1" || resource.user == "1" };
		forbid (principal, action, resource) when { context.key && principal.role == "1" };`
	type asked struct {
		who        access.Actor
		policy, do string
		on         access.Resource
	}
	value := rapid.SampledFrom([]string{"", "1", "2"})
	change := map[string]func(*asked, string){
		"user":      func(q *asked, v string) { q.who.User = mgx.UserID(v) },
		"workspace": func(q *asked, v string) { q.who.Workspace = mgx.WorkspaceID("ws_" + v) },
		"role":      func(q *asked, v string) { q.who.Role = map[string]string{"": "viewer", "1": "1", "2": "developer"}[v] },
		"address":   func(q *asked, v string) { q.who.Where.Address = v },
		"key":       func(q *asked, v string) { q.who.Key = map[string]*mgx.APIKey{"1": {}}[v] },
		"policy":    func(q *asked, v string) { q.policy = map[string]string{"1": rules}[v] },
		"action":    func(q *asked, v string) { q.do = map[string]string{"": "read", "1": "create", "2": "connect"}[v] },
		"kind":      func(q *asked, v string) { q.on.Kind = map[string]string{"": "runs", "1": "keys", "2": "events"}[v] },
		"id":        func(q *asked, v string) { q.on.ID = v },
		"of":        func(q *asked, v string) { q.on.Workspace = mgx.WorkspaceID("ws_" + v) },
		"whose":     func(q *asked, v string) { q.on.User = mgx.UserID(v) },
	}
	names := slices.Sorted(maps.Keys(change))
	rapid.Check(t, func(t *rapid.T) {
		e := access.NewEngine()
		var q asked
		for _, name := range names {
			change[name](&q, value.Draw(t, name))
		}
		e.Decide(q.who, q.policy, q.do, q.on)
		for _, name := range names {
			other := q
			change[name](&other, value.Draw(t, "other "+name))
			got, want := e.Decide(other.who, other.policy, other.do, other.on), access.NewEngine().Decide(other.who, other.policy, other.do, other.on)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("with another %s: %v, and of one that has decided nothing: %v", name, got, want)
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	e := access.NewEngine()
	a := access.Actor{User: "user_1", Workspace: "ws_1", Role: "auditor"}
	for name, id := range map[string]func(int) string{"again": func(int) string { return "" }, "first": strconv.Itoa} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				e.Decide(a, "", "read", access.Resource{Kind: "runs", ID: id(i), Workspace: "ws_1"})
			}
		})
	}
}
