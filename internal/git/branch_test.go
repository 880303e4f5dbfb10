package git_test

import (
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx/internal/git"
)

func TestSlug(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{
		"Add a /healthz endpoint":          "add-a-healthz-endpoint",
		"":                                 "task",
		"☃ …":                              "task",
		"--upload-pack=x .lock @{":         "upload-pack-x-lock",
		strings.Repeat("long ", 20):        "long-long-long-long-long-long-long-long",
		strings.Repeat("x", 100):           strings.Repeat("x", 40),
		"\x00\n\xff":                       "task",
		"short " + strings.Repeat("y", 50): "short",
	} {
		if got := git.Slug(title); got != want {
			t.Errorf("Slug(%q) = %q, want %q", title, got, want)
		}
	}
}

func TestSlugIsAlwaysPartOfABranch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		slug := git.Slug(rapid.String().Draw(t, "title"))
		if len(slug) == 0 || len(slug) > 40 || git.ValidBranch("mgx/"+slug+"/run-1") != nil {
			t.Fatalf("slug %q", slug)
		}
	})
}

// What ValidBranch accepts, git accepts.
func TestValidBranchAgreesWithGit(t *testing.T) {
	t.Parallel()
	part := rapid.SampledFrom([]string{"a", "B", "/", ".", "..", "-", "@", "{", "~", " ", "\t", "\x7f", ".lock", "é", "\xff", ":", "?", "*", "[", "\\", "^", "HEAD", "@{", "run-1"})
	rapid.Check(t, func(t *rapid.T) {
		name := strings.Join(rapid.SliceOfN(part, 0, 5).Draw(t, "parts"), "")
		ours := git.ValidBranch(name) == nil
		theirs := exec.Command("git", "check-ref-format", "--branch", name).Run() == nil && exec.Command("git", "check-ref-format", "refs/heads/"+name).Run() == nil
		if ours != theirs && !(theirs && (name == "@" || strings.HasPrefix(name, "@"))) {
			t.Fatalf("%q: ValidBranch says %v and git %v", name, ours, theirs)
		}
	})
}
