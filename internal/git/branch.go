package git

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mgx"
)

const (
	maxSlug   = 40
	maxBranch = 200 // bytes; a lock file's name must still fit a directory entry
)

// Slug makes of a title what can stand in a branch name: lower-case ASCII words
// joined by dashes, 1 to 40 bytes.
func Slug(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	slug := ""
	for _, w := range words {
		if slug != "" {
			w = "-" + w
		}
		if len(slug)+len(w) > maxSlug {
			break
		}
		slug += w
	}
	if slug == "" && len(words) > 0 {
		slug = words[0][:maxSlug]
	}
	if slug == "" {
		return "task"
	}
	return slug
}

// ValidBranch refuses what git-check-ref-format(1) refuses of a branch, and
// names that are read as something else.
func ValidBranch(name string) error {
	if name != "" && len(name) <= maxBranch && name != "HEAD" && name != "@" &&
		!strings.HasPrefix(name, "-") && !strings.HasSuffix(name, ".") &&
		!strings.Contains(name, "..") && !strings.Contains(name, "@{") &&
		!strings.ContainsFunc(name, forbidden) && !slices.ContainsFunc(strings.Split(name, "/"), badPart) {
		return nil
	}
	return mgx.Errorf(mgx.KindUsage, "bad_branch_name", "%.80q is not a valid branch name; use letters, digits, dashes and slashes", name)
}

func forbidden(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) }

func badPart(part string) bool {
	return part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
}

const ours = "mgx/" // where generated branches are

// NextBranch names the branch of a run: mgx/<slug>/run-<n> with the smallest n
// that is free.
func NextBranch(ctx context.Context, src *Source, slug string) (string, error) {
	taken, err := src.branches(ctx)
	if err != nil {
		return "", err
	}
	if taken["mgx"] {
		return "", mgx.Errorf(mgx.KindUsage, "branch_conflict", "a branch named mgx is in the way of mgx/…; rename it or choose a name with --branch")
	}
	stem := ours + slug
	for n := 2; taken[stem]; n++ { // a branch of that name leaves no room below it
		stem = fmt.Sprintf("%s%s-%d", ours, slug, n)
	}
	n := 1
	for taken[fmt.Sprintf("%s/run-%d", stem, n)] {
		n++
	}
	return fmt.Sprintf("%s/run-%d", stem, n), nil
}

// branches lists the branches that are named mgx or lie below it.
func (s *Source) branches(ctx context.Context) (map[string]bool, error) {
	out, err := s.git(ctx, "for-each-ref", "--format=%(refname)", "refs/heads/mgx")
	if err != nil {
		return nil, explain(err, "list the branches")
	}
	taken := map[string]bool{}
	for name := range strings.Lines(string(out)) {
		taken[strings.TrimPrefix(strings.TrimSuffix(name, "\n"), "refs/heads/")] = true
	}
	return taken, nil
}
