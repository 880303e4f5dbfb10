package policy

import (
	"slices"
	"strings"
)

// gitCommand is a git command without the options before its subcommand.
func gitCommand(words []Word) []Word {
	for i := 1; i < len(words); i++ {
		w := words[i]
		if w.Dynamic || !strings.HasPrefix(w.Text, "-") {
			return append([]Word{words[0]}, words[i:]...)
		}
		if slices.Contains(gitValued, w.Text) {
			if i++; i < len(words) && !words[i].One {
				return append([]Word{words[0]}, words[i:]...) // perhaps more than the value
			}
		}
	}
	return words[:1]
}

// gitValued are options before a subcommand that take the next word.
var gitValued = []string{"-C", "-c", "--attr-source", "--config-env", "--git-dir", "--namespace", "--super-prefix", "--work-tree"}

// gitRuns reports whether a git command names a program to run, or may.
func gitRuns(words []Word) bool {
	sub := gitCommand(words)
	before := words[1 : len(words)-len(sub)+1]
	if slices.ContainsFunc(before, func(w Word) bool {
		return strings.HasPrefix(w.Text, "-c") || strings.HasPrefix(w.Text, "--config-env") || strings.HasPrefix(w.Text, "--exec-path")
	}) {
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
	sub := gitCommand(words)
	return len(sub) == 1 || !sub[1].Dynamic && slices.Contains([]string{
		"add", "blame", "branch", "checkout", "cherry-pick", "commit", "describe", "diff", "log", "ls-files", "mv", "reset", "restore",
		"rev-parse", "revert", "rm", "show", "stash", "status", "switch", "tag",
	}, sub[1].Text)
}
