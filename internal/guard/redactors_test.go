package guard_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx/internal/guard"
)

// Each workspace has its own secrets hidden and those of the installation, whenever
// either learns them; nobody has those of another hidden.
func TestRedactorsKeepSecretsApart(t *testing.T) {
	t.Parallel()
	const early, late, ours, theirs = "installed-0001", "installed-0002", "secret-of-us-33", "secret-of-them-44"
	r := guard.NewRedactors(early)
	us, them := r.Of("ws_us"), r.Of("ws_them")
	text := strings.Join([]string{early, late, ours, theirs}, " ")
	shows := func(who string, r *guard.Redactor, want ...string) {
		t.Helper()
		if got, want := r.String(text), strings.Join(want, " "); got != want {
			t.Errorf("%s: %q, want %q", who, got, want)
		}
	}
	shows("before", us, guard.Mask, late, ours, theirs)
	us.Add(ours)
	r.Of("ws_them").Add(theirs)
	shows("us", us, guard.Mask, late, guard.Mask, theirs)
	shows("them", them, guard.Mask, late, ours, guard.Mask)
	r.Own().Add(late)
	shows("us, later", us, guard.Mask, guard.Mask, guard.Mask, theirs)
	shows("them, later", them, guard.Mask, guard.Mask, ours, guard.Mask)
	shows("the installation", r.Own(), guard.Mask, guard.Mask, ours, theirs)
	shows("everybody", r.All(), guard.Mask, guard.Mask, guard.Mask, guard.Mask)
	shows("a third", r.Of("ws_third"), guard.Mask, guard.Mask, ours, theirs)
	if r.Of("ws_us") != us {
		t.Error("a workspace has another redactor the next time")
	}
}

// What is commonplace is nobody's secret, also as one line of several: neither a
// workspace's nor one of whoever runs the installation.
func TestRedactorsArePicky(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactors("workspace_id")
	ours := r.Of("ws_us")
	ours.Add("workspace_id")
	r.Own().Add("suspicious_activity")
	ours.Remember("security.suspicious", time.Now())
	ours.Add("k3y-0123456789\nsecurity.suspicious_activity\n")
	for _, all := range []*guard.Redactor{ours, r.Own(), r.All()} {
		if in := `{"workspace_id":"security.suspicious_activity"}`; all.String(in) != in {
			t.Errorf("%s", all.String(in))
		}
	}
}

// What somebody keeps and nothing uses is forgotten after a while, and when it is too
// much; what something uses is not, nor what somebody else keeps as well.
func TestWhatNothingUsesIsForgotten(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactors("installed-0001")
	us, them := r.Of("ws_us"), r.Of("ws_them")
	now := time.Now()
	us.Remember("kept-by-us-0001", now)
	us.Remember("used-by-us-0002", now)
	us.Add("used-by-us-0002")
	us.Remember("kept-by-both-03", now)
	them.Remember("kept-by-both-03", now.Add(guard.Remembered))
	const text = "installed-0001 kept-by-us-0001 used-by-us-0002 kept-by-both-03 kept-again-04"
	us.Remember("kept-again-04", now)
	us.Remember("kept-again-04", now.Add(guard.Remembered-time.Minute))
	if got := us.String(text); strings.Count(got, guard.Mask) != 5 {
		t.Errorf("at first: %s", got)
	}
	us.Remember("later-by-us-0004", now.Add(guard.Remembered+time.Second))
	if got, want := us.String(text), "[redacted] kept-by-us-0001 [redacted] kept-by-both-03 [redacted]"; got != want {
		t.Errorf("ours, after a while: %s", got)
	}
	if got, want := r.All().String(text), "[redacted] kept-by-us-0001 [redacted] [redacted] [redacted]"; got != want {
		t.Errorf("everybody's, after a while: %s", got)
	}
	for i := range 1001 {
		them.Remember(fmt.Sprintf("one-of-many-%04d-x", i), now.Add(guard.Remembered))
	}
	if got, want := them.String("one-of-many-0000-x one-of-many-0001-x one-of-many-1000-x"), "one-of-many-0000-x [redacted] [redacted]"; got != want {
		t.Errorf("of too many: %s", got)
	}
	if got := r.All().String(text); !strings.Contains(got, "kept-by-both-03") {
		t.Errorf("nobody keeps it any more: %s", got)
	}
}

func TestRedactorsLearnAtOnce(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactors()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			ours, own := fmt.Sprintf("ours-%d-0123", i), fmt.Sprintf("own-%d-0123", i)
			r.Of("ws_us").Add(ours)
			r.Own().Add(own)
			if got := r.Of("ws_us").String(ours + own); strings.Contains(got, ours) || strings.Contains(got, own) {
				t.Errorf("right after: %q", got)
			}
		})
	}
	wg.Wait()
}

func TestCommonplace(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "workspace_id", "ws_default", "user_local", "invitation.create", "run.created", "security.suspicious_activity", "alice@a.example", "production",
		"Postgres", "function ", "ADMINISTRATOR", "ws_01M8JZG0QG4WTW631WP0T4P9YY", "ws_01m8jzg0qg4wtw631wp0t4p9yy", "2026-11-29T06:18:44.000123Z", "12345678", "aaaaaaaaaaaa", "--------", "text/html",
	} {
		if !guard.Commonplace(s) {
			t.Errorf("%q is not", s)
		}
	}
	for _, s := range []string{
		"sk-lab-0123456789", "sk-ant-api03-abcdefgh", "correct horse battery staple", "a-value-that-is-long-enough", "abcdefghijklmnop", "s3cr3t/\"&<", "AKIAIOSFODNN7EXAMPLE",
		"4815162342481516", "hunter2hunter2", "0f8fad5b-d9cb-469f-a165-70867728950e", "GOCSPX-abcDEFghiJKL", "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
	} {
		if guard.Commonplace(s) {
			t.Errorf("%q is", s)
		}
	}
}

// No workspace can have any name or word of the contracts hidden, nor a part of one:
// neither names of fields, nor types of events, values of a fixed set, codes and paths.
func TestContractsAreCommonplace(t *testing.T) {
	t.Parallel()
	words := map[string]bool{}
	var walk func(at string, node any)
	walk = func(at string, node any) {
		switch n := node.(type) {
		case map[string]any:
			for key, value := range n {
				if at == "properties" {
					words[key] = true
				}
				walk(key, value)
			}
		case []any:
			for _, value := range n {
				walk(at, value)
			}
		case string:
			if at == "enum" || at == "const" {
				words[n] = true
			}
		}
	}
	files, _ := filepath.Glob("../event/schemas/*.json")
	for _, file := range append(files, "../../docs/reference/openapi.json") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		words[strings.TrimSuffix(filepath.Base(file), ".json")] = true // the type
		walk("", doc)
	}
	if len(words) < 500 {
		t.Fatalf("%d words: the test does not see what it is about", len(words))
	}
	for word := range words {
		for i := range word {
			for j := i + guard.MinSecret; j <= len(word); j++ {
				if !guard.Commonplace(word[i:j]) {
					t.Errorf("%q, a part of %q, is not", word[i:j], word)
				}
			}
		}
	}
}
