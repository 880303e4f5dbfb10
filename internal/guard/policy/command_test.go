package policy_test

import (
	"testing"

	"mgx/internal/guard/policy"
)

// TestCommands says what rules on commands make of lines of shell.
func TestCommands(t *testing.T) {
	const (
		gotest = `allow command "go test *","go vet ./..."`
		push   = "allow\ndeny command \"git push *\""
	)
	for _, c := range []struct {
		text, line string
		want       policy.Verdict
	}{
		{gotest, "go test ./...", "allow"},
		{gotest, "go test ./... && go vet ./...", "allow"},
		{gotest, "go test ./... | go test", "allow"},
		{gotest, "go test ./... 2>&1 >/dev/null", "allow"},
		{gotest, "(go test a; { go test b; })", "allow"},
		{gotest, "go   test 'a b'", "allow"},
		{gotest, "go vet ./... x", "ask"},
		{gotest, "go test ./...; rm -rf .", "ask"},
		{gotest, "go test ./... > out", "ask"},
		{gotest, "go test $(rm -rf .)", "ask"},
		{gotest, "go test `rm -rf .`", "ask"},
		{gotest, `go test "$(rm x)"`, "ask"},
		{gotest, "go test <(rm x)", "ask"},
		{gotest, "go $X", "ask"},
		{gotest, "$X test", "ask"},
		{gotest, "go te* x", "ask"},
		{gotest, "{go,test,x}", "ask"},
		{gotest, "PATH=/tmp go test", "ask"},
		{gotest, "PATH=/tmp; go test", "ask"},
		{gotest, "export PATH=/tmp; go test", "ask"},
		{gotest, `: ${PATH:=/tmp}; go test`, "ask"},
		{gotest, "for PATH in /tmp; do go test; done", "ask"},
		{gotest, "go() { rm x; }; go test", "ask"},
		{gotest, "env go test", "ask"},
		{gotest, "eval go test", "ask"},
		{gotest, "xargs go test", "ask"},
		{gotest, "sh -c 'go test'", "allow"},
		{gotest, "sh -c 'go test; rm x'", "ask"},
		{gotest, "sh -c \"$X\"", "ask"},
		{gotest, "cat <<E | go test\n$(rm x)\nE", "ask"},
		{gotest, "/tmp/go test", "ask"},
		{gotest, "go test 'unclosed", "ask"},
		{gotest, "", "ask"},
		{gotest, "for i in 1 2; do go test $i; done", "allow"},
		{gotest, "for i in 1 2; do go $i x; done", "ask"},
		{"allow command \"sh *\"", "sh check.sh", "allow"},
		{"allow command \"sh *\"", "sh -c \"$X\"", "ask"},
		{"allow effect execute", "go test 'unclosed", "allow"},
		{"allow effect execute", "# nothing", "allow"},
		{push, "git status", "allow"},
		{push, "git push", "deny"},
		{push, "cd a && GIT_DIR=b git 'push' origin", "deny"},
		{push, "/usr/bin/git push", "deny"},
		{push, `\git push`, "deny"},
		{push, "sudo -E git push", "deny"},
		{push, "sh -c 'git push'", "deny"},
		{push, "bash -lc 'true; git push x'", "deny"},
		{push, "eval 'git push'", "deny"},
		{push, "if x; then echo $(git push); fi", "deny"},
		{push, "git $X", "ask"},
		{push, "$X", "ask"},
		{push, "git push 'unclosed", "ask"},
		{"allow\nask command \"> *\"", "echo a > b", "ask"},
		{push, "git -C a --no-pager push origin", "deny"},
		{push, "git --git-dir=a --git-dir b -P push", "deny"},
		{push, `git -C "$X" push`, "deny"},
		{push, "git -C $X push", "ask"},
		{push, "git -c a.b=c status", "ask"},
		{push, "git -C a status && git commit -m 'git push'", "allow"},
		{push, "grep -rn 'git push' docs; echo git push; cat <<E > a\ngit push\nE", "allow"},
		{push, "go test ./... && make push", "allow"},
		{push, "git switch -c a; git config user.name a", "allow"},
		{push, "git config alias.a '!git push'", "deny"},
		{push, "GIT_EDITOR='git push' git commit", "ask"},
		{push, "prlimit git push", "ask"},
		{push, "fakeroot git push", "ask"},
		{push, "linux64 git push", "ask"},
		{push, "unbuffer /usr/bin/git push", "ask"},
		{push, "/lib64/ld-linux-x86-64.so.2 /usr/bin/git push", "ask"},
		{push, "./cat git push", "ask"},
		{push, "compgen -C 'git push'", "ask"},
		{push, "npm exec git push", "ask"},
		{push, "npm exec git $X", "ask"},
		{push, "npm exec $X", "allow"},
		{push, "tar -xf a --to-command='git push'", "ask"},
		{push, "sed '1e git push' a", "ask"},
		{push, "vim -c '!git push'", "ask"},
		{push, "rsync -e 'git push' a b:", "ask"},
		{push, "git submodule foreach git push", "deny"},
		{push, "git rebase -x 'git push' main", "deny"},
		{push, "git rebase --exe='git push' main", "deny"},
		{push, "make -f - <<E\na:\n\tgit push\nE", "ask"},
		{push, "while read -r a; do make $a; done <<< 'git push'", "ask"},
		{push, `perl -e 'exec "git","push"'`, "deny"},
		{push, `python3 -c 'import os; os.system("git push")'`, "deny"},
		{push, `python3.12 -c 'import os; os.system("git push")'`, "ask"},
		{push, `python3 -c 'run(["git", "-C", "a", "push"])'`, "ask"},
		{push, "[[ 'a[$(git push)]' -eq 0 ]]", "ask"},
		{`allow command "git *"`, "git rebase -x make", "ask"},
		{`allow command "git *"`, "git fetch --upl=make", "ask"},
		{`allow command "git *"`, "git -c alias.a=!make a", "ask"},
		{`allow command "git *"`, "git config core.pager make", "ask"},
		{`allow command "git *"`, "git fetch $X", "ask"},
		{`allow command "git *"`, "git fetch origin && git log $X", "allow"},
		{gotest, "PATH=a sh -c 'go test'", "ask"},
		{gotest, "./sh -c 'go test'", "ask"},
		{gotest, "sh -c \"go test $'a'\"", "ask"},
		{gotest, "bash -c \"go test $'a'\"", "allow"},
		{gotest, "set -euo pipefail; [ -f go.mod ] && go test ./... || exit 1", "ask"},
		{gotest + ",\"set *\",\"[ *\",\"exit *\"", "set -euo pipefail; [ -f go.mod ] && go test ./... || exit 1", "allow"},
	} {
		if got := parse(t, c.text).Decide(policy.Facts{Tool: "shell", Effect: policy.Execute, Command: c.line}); got.Verdict != c.want {
			t.Errorf("%q\n on %s\n gives %+v, want %s", c.text, c.line, got, c.want)
		}
	}
}
