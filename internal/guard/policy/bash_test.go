//go:build unix

package policy_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mgx/internal/guard/policy"
)

// bash runs lines where nothing is found but a few programs, of which mark says that it
// ran.
type bash struct{ path, dir string }

func newBash(t testing.TB) bash {
	t.Helper()
	found, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	b := bash{found, t.TempDir()}
	for _, dir := range []string{"bin", "here"} {
		if err := os.Mkdir(filepath.Join(b.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"ok": "true", "sh": "sh", "bash": "bash", "env": "env"} {
		real, err := exec.LookPath(to)
		if err == nil {
			err = os.Symlink(real, filepath.Join(b.dir, "bin", name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(b.dir, "here", "1"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bin/mark", "here/ok", "here/1/ok"} { // the others are there for who loses PATH
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte("#!/bin/sh\n: >"+b.dir+"/ran\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// marks runs a line, and reports whether it ran mark.
func (b bash) marks(t rapid.TB, line string, options ...string) bool {
	t.Helper()
	cmd := exec.Command(b.path, append(options, "-c", line)...)
	cmd.Dir, cmd.Env = filepath.Join(b.dir, "here"), []string{"PATH=" + filepath.Join(b.dir, "bin")}
	cmd.Stdin = strings.NewReader("1\n1\n")
	cmd.Stdout = new(bytes.Buffer)
	cmd.Stderr = new(bytes.Buffer) // pipes, which end when all that it started has; <(mark) has another output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(10*time.Second, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	_ = cmd.Wait() // however it ends
	late.Stop()
	err := os.Remove(filepath.Join(b.dir, "ran"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// narrow allows what its words say, and wide all that is not mark.
const (
	narrow = `allow command "ok *","[ *","test *","printf *","read *","unset *","echo *","export *","declare *","readonly *","typeset *","local *","f *","set *","shopt *"
allow command "(( *","let *","x=*","i=*","wait *","eval *","trap *","command *","exec *","builtin *","hash *","alias *","getopts *","mapfile *","env *","compgen *","complete *","jobs *"`
	wide = "allow\ndeny command \"mark *\""
)

// hidden run mark by bash's hand, in each place where bash evaluates a text.
var hidden = []string{
	"[[ 'a[$(mark)]' -eq 0 ]]; ok", "[[ -v 'a[$(mark)]' ]] && ok", `[[ 0 -lt 'a[$(mark)]' ]]; ok`, "[[ -n x && ! 'a[$(mark)]' -gt 1 ]]; ok",
	"for i in 'a[$(mark)]'; do ok $((i)); done", "for i in 'a[$(mark)]'; do ok $((1 + i)); done", "select i in 'a[$(mark)]'; do ok $((i)); break; done",
	"for i in 'a[$(mark)]'; do (( i )); done", "for i in 'a[$(mark)]'; do let i; done", "let 'a[$(mark)]'", `\let 'a[$(mark)]'`,
	"for i in 'a[$(mark)]'; do for ((;i;)); do ok; done; done", "for i in 'a[$(mark)]'; do ok $[i]; done",
	"ok ${x['a[$(mark)]']}", "x=abc; ok ${x:'a[$(mark)]'}", "x=abc; ok ${x:0:'a[$(mark)]'}", "x=abc; ok ${#x['a[$(mark)]']}", "for i in 'a[$(mark)]'; do ok ${!i}; done",
	"for i in '$(mark)'; do ok ${i@P}; done", "x['a[$(mark)]']=1; ok", "x=(['a[$(mark)]']=1); ok", "x=('a[$(mark)]'); declare -i x=x; ok",
	"declare -i x='a[$(mark)]'", `\declare -i x='a[$(mark)]'`, "typeset -i x='a[$(mark)]'", "declare -n x='a[$(mark)]'; ok $x", "declare 'a[$(mark)]=1'",
	"x=(1); declare x='([$(mark)]=1)'", "for i in '([$(mark)]=1)'; do x=(1); declare x=\"$i\"; done", "f() { local 'x[$(mark)]=1'; }; f a",
	"printf -v 'a[$(mark)]' x", "read 'a[$(mark)]' <<< x", "x=(1); unset 'x[$(mark)]'", "[ -v 'a[$(mark)]' ]", "test -v 'a[$(mark)]'", "test -n x -a -v 'a[$(mark)]'",
	"for i in -v; do [ $i 'a[$(mark)]' ]; done", "for i in '-v a[$(mark)] -o x'; do [ $i = y ]; done",
	"for SECONDS in 'a[$(mark)]'; do ok; done", "declare SECONDS='a[$(mark)]'", "export RANDOM='a[$(mark)]'", "read OPTIND <<< 'a[$(mark)]'",
	"declare PS4='$(mark)'; set -x; ok", "compgen -W '$(mark)'", "compgen -C mark", "jobs -x mark", "mapfile -C mark -c 1 x <<< a", "trap mark EXIT; ok", "eval mark",
	"ok <(mark)", "sh -c 'mark'", "env mark", "command mark", "hash -p $(command -v mark) ok; ok", "ok() { mark; }; ok",
	"ok <<E\n$(mark)\nE", "for i in mark; do $i; done", "case x in $(mark)) ok;; esac", "set -- mark; ok; \"$@\"", "f() { \"$@\"; }; f mark",
	"!(mark)", "ok ${x:=$(mark)}", "coproc mark; wait", `ok "${i:-'$(mark)'}"`, "ok <<E\n${i-'$(mark)'}\nE", "exec mark", "builtin eval mark", "alias ok=mark; shopt -s expand_aliases\nok",
	"ok \\\r\nmark", "ok #\\\nmark", "ok <<E\nE\\\n\nmark\nE", "ok `ok <<E`\nmark\nE", "unset PATH; ok", "printf 'x%n' PATH; ok", "printf 'x%#5hhn' PATH; ok", "ok $(ok <<'E'\nEE $(mark)\nE\n)", "ok ${x:-<(mark)}", "[[ x =~ (<(mark)) ]]; ok", "ok >&'$(mark)'", `ok >&"\$(mark)"`,
}

// TestNothingIsHidden holds with bash itself that each of these runs mark, and that no
// rule for something else lets it.
func TestNothingIsHidden(t *testing.T) {
	t.Parallel()
	b := newBash(t)
	for _, line := range hidden {
		if !b.marks(t, line) {
			t.Errorf("%q does not run mark, and shows nothing", line)
		}
		for _, rules := range []string{narrow, wide} {
			f := policy.Facts{Tool: "shell", Effect: policy.Execute, Command: line}
			if d := parse(t, rules).Decide(f); d.Verdict == policy.Allow {
				t.Errorf("%q is allowed by %s", line, d.Rule)
			}
		}
	}
}

// Parts of lines: %s stands for another statement, %w for a word.
var (
	statements = []string{
		"ok", "ok", "ok %w", "ok %w %w", "[[ %w -eq %w ]]", "[[ 1 -eq %w ]]", "[[ -v %w ]]", "[[ -f %w ]]", "[[ %w == %w ]]", "[[ -n %w && %w -lt 1 ]]", "[ %w ]", "[ %w %w ]",
		"[ %w %w %w ]", "[ ! %w %w ]", "[ %w = %w ]", "test -n %w", "test %w %w %w %w", "(( %w ))", "let %w", "for i in %w %w; do %s; done",
		"for SECONDS in %w; do %s; done", "for ((i=%w;i<1;i++)); do %s; break; done", "for ((;%w;)); do %s; break; done", "select i in %w; do %s; break; done",
		"case %w in %w) %s;; esac", "if %s; then %s; fi", "while %s; do %s; break; done", "{ %s; }", "( %s )", "%s | %s", "%s && %s", "%s || %s",
		"%s; %s", "%s\n%s", "! %s", "f() { %s; }; f %w", "f() { ok \"$@\"; }; f %w", "f() { [ $1 \"$2\" ]; }; f %w %w", "x=%w; %s", "x=%w ok", "x=(%w %w); %s", "x[%w]=1", "x=([%w]=1)",
		"declare %w", "declare -i x=%w", "declare x=%w", "f() { local x=%w; %s; }; f", "export x=%w", "export %w", "readonly x=%w", "typeset -n x=%w",
		"printf %w %w", "printf -v %w x", "read %w <<< %w", "read -r i <<< %w; %s", "unset %w", "echo %w", "set -- %w; %s", "set %w", "set -eu; %s", "shopt %w %w",
		"ok <<E\n%w\nE", "ok <<'E'\n%w\nE", "eval %w", "trap %w EXIT", "command %w %w", "exec %w", "builtin %w %w", "sh -c '%s'", "bash -c \"%s\"", "env ok %w",
		"time %s", "coproc %s", "wait %w", "getopts %w %w", "mapfile -C %w -c 1 x <<< a", "hash -p %w ok", "alias ok=%w", "ok {%w}<&0", "ok < <(%s)", "ok 2>/dev/null",
	}
	words = []string{
		"x", "1", "ok", "i", "-v", "-n", "-eq", "=", "!", "'a[$(mark)]'", "'a[$(mark)]'", `"a[\$(mark)]"`, `a[\$(mark)]`, `'$(mark)'`, "'a[`mark`]'", "'([$(mark)]=1)'",
		"'-v a[$(mark)]'", "mark", "$i", "$x", `"$i"`, `"$@"`, "$1", "${i}", "$((i))", "$((1+1))", "$((%w))", "$[%w]", "${x[%w]}", "${x[1]}", "${x[@]}", "${i:1}", "${i:%w}",
		"${!i}", "${#i}", "${#x[%w]}", "${i@P}", "${i:-%w}", "${i:=%w}", "${i#%w}", "${i/%w/%w}", "$(%s)", "`%s`", "<(%s)", "$'a[\\x24(mark)]'", `$"$(mark)"`, "{ok,%w}", "*", "@(%w)",
		`"%w"`, "x=%w", "-i", "x[%w]=1",
	}
)

// drawLine draws a line of shell that hides mark in it, or tries to.
func drawLine(t *rapid.T) string {
	var fill func(string, int) string
	fill = func(text string, deep int) string {
		for {
			i := strings.Index(text, "%")
			if i < 0 || i+1 == len(text) {
				return text
			}
			from, plain := statements, "ok"
			if text[i+1] == 'w' {
				from, plain = words, "'a[$(mark)]'"
			}
			if deep > 0 {
				plain = fill(rapid.SampledFrom(from).Draw(t, "part"), deep-1)
			}
			text = text[:i] + plain + text[i+2:]
		}
	}
	return fill(rapid.SampledFrom([]string{"%s", "%s; %s"}).Draw(t, "line"), 3)
}

// TestLinesThatAreAllowedRunNothingElse has bash run the lines that a policy allows.
func TestLinesThatAreAllowedRunNothingElse(t *testing.T) {
	t.Parallel()
	b := newBash(t)
	for name, rules := range map[string]string{"narrow": narrow, "wide": wide} {
		p, drawn, ran := parse(t, rules), 0, 0
		rapid.Check(t, func(t *rapid.T) {
			for range 10 {
				line := drawLine(t)
				drawn++
				if d := p.Decide(policy.Facts{Tool: "shell", Effect: policy.Execute, Command: line}); d.Verdict != policy.Allow {
					continue
				}
				if ran++; b.marks(t, line) {
					t.Fatalf("%q is allowed and runs mark", line)
				}
			}
		})
		t.Logf("%s: %d of %d lines were allowed and run", name, ran, drawn)
		if ran*20 < drawn {
			t.Errorf("%s: %d of %d lines were allowed, which shows little", name, ran, drawn)
		}
	}
}

// TestBuiltinsOfBash tries each command that this bash has of its own: where reading it
// says that it runs nothing unseen, it runs nothing.
func TestBuiltinsOfBash(t *testing.T) {
	t.Parallel()
	b := newBash(t)
	out, err := exec.Command(b.path, "-c", "compgen -b").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for name := range strings.FieldsSeq(string(out)) {
		for option := range strings.FieldsSeq(". -a -e -i -n -o -p -v -x") {
			line := "x=(1); " + name + " " + strings.Trim(option, ".") + " 'x[$(mark)]' 'x[$(mark)]=1'"
			if policy.ReadCommand(line).Unknown != "" {
				continue
			}
			if known[name] = true; b.marks(t, line) {
				t.Errorf("%q counts as known and runs mark", line)
			}
		}
	}
	if len(known) < 20 {
		t.Errorf("only %d are known", len(known))
	}
}

// TestOptionsOfBuiltins gives each command that bash has of its own a program to run, after
// each option that there may be: where reading that says that nothing unseen runs, nothing
// does.
func TestOptionsOfBuiltins(t *testing.T) {
	t.Parallel()
	b := newBash(t)
	out, err := exec.Command(b.path, "-c", "compgen -b").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		var known []string
		for _, letter := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
			if line := name + " -" + string(letter) + " mark"; policy.ReadCommand(line).Unknown == "" {
				known = append(known, "("+line+")")
			}
		}
		if line := strings.Join(known, "; "); line != "" && b.marks(t, line) {
			t.Errorf("one of these counts as known and runs mark: %s", line)
		}
	}
}

// FuzzAgainstBash has bash, which may write and change nothing, run whatever a policy
// allows.
func FuzzAgainstBash(f *testing.F) {
	for _, line := range append(hidden, "ok", "[ -f x ] && ok", "for i in 1 2; do ok $i mark; done", "ok 'mark' \"mark\" <<E\nmark\nE") {
		f.Add(line)
	}
	b, p := newBash(f), parse(f, narrow)
	f.Fuzz(func(t *testing.T, line string) { b.holds(t, p, line) })
}

// holds has bash run a line if a policy allows it, which must not run mark.
func (b bash) holds(t *testing.T, p policy.Policy, line string) {
	if !strings.Contains(line, "mark") || strings.Contains(line, "()") || strings.Contains(line, "function") {
		t.Skip("it shows nothing, or calls itself without an end")
	}
	if strings.Contains(line, "PATH") {
		t.Skip("rules for export and declare allow it to be set")
	}
	d := p.Decide(policy.Facts{Tool: "shell", Effect: policy.Execute, Command: line})
	if d.Verdict == policy.Allow && b.marks(t, line, "-r") {
		t.Fatalf("%q is allowed and runs mark", line)
	}
}

// signs of shell, in whatever order.
var signs = strings.Split(`mark|mark|mark|ok|ok |ok |$(mark)|<(mark)|\|\|'|'|"|"|$'|$"|`+"`|`|\n|\n|\r|\t"+
	`|$(|)|(|$((|))|((|${x|${x:-|}|{|#|;|&|>|<|>&|<<<|<<E|<<'E'|<<-E|E|E|\nE|;;|[[ x |=~ |]]|[|]|case x in |x) | esac|do |done|for i in |if |then |fi|!|*|,|=|x=| | |-|1|~|@(`, "|")

// FuzzSigns is FuzzAgainstBash for lines of which each byte says one sign.
func FuzzSigns(f *testing.F) {
	f.Add([]byte("\x04\x08\x13\x00"))
	b, p := newBash(f), parse(f, narrow)
	f.Fuzz(func(t *testing.T, drawn []byte) {
		var line strings.Builder
		for _, n := range drawn[:min(len(drawn), 40)] {
			line.WriteString(signs[int(n)%len(signs)])
		}
		b.holds(t, p, "ok "+line.String())
	})
}
