package policy

import (
	"path"
	"slices"
	"strings"
)

// asGit is a command as one of git, also of its program git-push for git push.
func asGit(words []Word) ([]Word, bool) {
	if len(words) == 0 {
		return nil, false
	}
	base := path.Base(words[0].Text)
	if name, apart := strings.CutPrefix(base, "git-"); apart {
		return append([]Word{{Text: "git"}, {Text: name}}, words[1:]...), true
	}
	return words, base == "git"
}

// gitCommand is a git command without the options before its subcommand. It is plain when
// those are known, and name no program and no setting.
func gitCommand(words []Word) (sub []Word, plain bool) {
	plain = true
	for i := 1; i < len(words); i++ {
		w := words[i]
		if w.Dynamic || !strings.HasPrefix(w.Text, "-") {
			return append([]Word{words[0]}, words[i:]...), plain
		}
		name, _, given := strings.Cut(w.Text, "=")
		plain = plain && (slices.Contains(gitFlags, w.Text) || slices.Contains(gitValued, name) && name != "-c" && name != "--config-env")
		if !given && slices.Contains(gitValued, name) {
			if i++; i < len(words) && !words[i].One {
				return append([]Word{words[0]}, words[i:]...), plain // perhaps more than the value
			}
		}
	}
	return words[:1], plain
}

// Options before a subcommand: those that take the next word when they have no value, and
// those that never do.
var (
	gitValued = strings.Fields("-C -c --attr-source --config-env --git-dir --namespace --super-prefix --work-tree")
	gitFlags  = strings.Fields(`-h --help -v --version -p --paginate -P --no-pager --bare --no-advice --no-lazy-fetch --no-optional-locks --no-replace-objects
		--literal-pathspecs --no-literal-pathspecs --glob-pathspecs --noglob-pathspecs --icase-pathspecs --html-path --info-path --man-path`)
)

// gitRuns reports whether a git command names a program to run, or may.
func gitRuns(words []Word) bool {
	sub, plain := gitCommand(words)
	if !plain {
		return true
	}
	if quietGit(words) {
		return false
	}
	if slices.ContainsFunc(sub, func(w Word) bool { return w.Dynamic }) {
		return true
	}
	if !slices.Contains(gitPlain, sub[1].Text) {
		return true
	}
	if sub[1].Text == "config" { // of an alias, a pager, a filter
		key := sub[2:]
		if len(key) > 0 && (key[0].Text == "--global" || key[0].Text == "--local") {
			key = key[1:]
		}
		return len(key) == 0 || key[0].Text != "user.name" && key[0].Text != "user.email"
	}
	return slices.ContainsFunc(sub[2:], func(w Word) bool {
		option, _, _ := strings.Cut(w.Text, "=")
		for _, runs := range []string{"--upload-pack", "--receive-pack", "--exec", "--open-files-in-pager", "--config"} {
			if len(option) > 2 && strings.HasPrefix(runs, option) {
				return true
			}
		}
		of := func(name, letters string) bool { // one of which may stand behind others, as in -ix
			return sub[1].Text == name && strings.HasPrefix(w.Text, "-") && !strings.HasPrefix(w.Text, "--") && strings.ContainsAny(w.Text, letters)
		}
		return of("rebase", "x") || of("grep", "O") || of("clone", "uc") || strings.HasPrefix(w.Text, "ext::")
	})
}

// gitPlain are subcommands, besides those that are quiet, of which the options that name
// programs are known.
var gitPlain = strings.Fields(`am apply archive bundle cat-file check-attr check-ignore cherry clean clone config count-objects diff-index diff-tree fetch
	for-each-ref format-patch fsck gc grep hash-object init ls-remote ls-tree merge merge-base name-rev notes prune pull push range-diff read-tree
	rebase reflog remote rev-list shortlog show-branch show-ref sparse-checkout symbolic-ref update-index update-ref verify-commit verify-tag version
	whatchanged worktree write-tree`)

// quietGit reports whether a git command runs nothing that its words say.
func quietGit(words []Word) bool {
	sub, plain := gitCommand(words)
	return plain && (len(sub) == 1 || !sub[1].Dynamic && slices.Contains([]string{
		"add", "blame", "branch", "checkout", "cherry-pick", "commit", "describe", "diff", "log", "ls-files", "mv", "reset", "restore",
		"rev-parse", "revert", "rm", "show", "stash", "status", "switch", "tag",
	}, sub[1].Text))
}
