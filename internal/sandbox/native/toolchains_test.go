//go:build linux

package native_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// boxWithToolchains is a box as a run gets it, and the toolchains it has.
func boxWithToolchains(t *testing.T, getenv func(string) string, home string) (run func(script string) (string, int), found map[string]bool, work string) {
	mounts, env, tools := sandbox.Toolchains(getenv, home, "")
	work, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	t.Cleanup(func() { sandbox.RemoveState(state) })
	box, err := native.New().Open(t.Context(), sandbox.Spec{Work: work, State: state, Mounts: mounts, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	found = map[string]bool{}
	for _, tool := range tools {
		found[tool.Name] = true
	}
	return func(script string) (string, int) {
		t.Helper()
		var out bytes.Buffer
		r, err := box.Run(t.Context(), sandbox.Command{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out, Timeout: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return out.String(), r.ExitCode
	}, found, work
}

func homeDir(t *testing.T) string {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip("this user has no home directory: ", err)
	}
	return home
}

// TestToolchainsRun runs what this machine has, in a box.
func TestToolchainsRun(t *testing.T) {
	run, found, _ := boxWithToolchains(t, os.Getenv, homeDir(t))
	for name, script := range map[string]string{
		"go":     "go version && go env GOPROXY",
		"node":   "node -e 'console.log(40+2)'",
		"python": "python3 -c 'print(40+2)' && ! find /workspace -name __pycache__ | grep .",
		"rust":   "cargo --version && rustc --version",
		"java":   "java -version && { ! command -v mvn || mvn --version; }",
	} {
		t.Run(name, func(t *testing.T) {
			if !found[name] {
				t.Skip("this machine has none")
			}
			if out, code := run(script); code != 0 {
				t.Errorf("exit code %d\n%s", code, out)
			}
		})
	}
	if out, code := run(`for f in .ssh .gitconfig .npmrc .netrc .config .cargo/credentials.toml .m2/settings.xml; do
		for h in ~ "` + homeDir(t) + `"; do test -e "$h/$f" && echo "$h/$f"; done; done; true`); out != "" || code != 0 {
		t.Errorf("seen: %s", out)
	}
}

// TestBrowserRuns has a browser make a page, as tests of pages do. Its own walls need
// namespaces, which a box refuses; those of the box are around it.
func TestBrowserRuns(t *testing.T) {
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not installed; scripts/need.sh installs it")
	}
	run, _, _ := boxWithToolchains(t, os.Getenv, homeDir(t))
	out, code := run(`chromium --headless --no-sandbox --disable-gpu --dump-dom 'data:text/html,<script>document.write(40+2)</script>' 2>errors || cat errors`)
	if code != 0 || !strings.Contains(out, "<body>42</body>") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// TestSanitizersRun has what compilers build in to find mistakes run.
func TestSanitizersRun(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("this machine has no gcc")
	}
	run, _, work := boxWithToolchains(t, os.Getenv, homeDir(t))
	put(t, filepath.Join(work, "a.c"), "#include <stdlib.h>\nint main(int n, char **args) { char *p = malloc(1); p[n - 1] = 0; free(p); return p == 0; }\n")
	for _, kind := range []string{"address", "leak", "thread", "undefined"} {
		if out, code := run("gcc -g -fsanitize=" + kind + " a.c -o a && ./a"); code != 0 {
			t.Errorf("%s: exit code %d\n%s", kind, code, out)
		}
	}
	if out, code := run("gcc -g -fsanitize=address a.c -o a && ./a more"); code == 0 || !strings.Contains(out, "heap-buffer-overflow") {
		t.Errorf("a mistake: exit code %d\n%s", code, out)
	}
}

// TestGoModule builds and tests a module twice: the second time nothing is left
// to do, because the build cache is kept.
func TestGoModule(t *testing.T) {
	run, found, work := boxWithToolchains(t, os.Getenv, homeDir(t))
	if !found["go"] {
		t.Skip("this machine has no Go")
	}
	for name, text := range map[string]string{
		"go.mod":      "module example.com/m\n\ngo 1.21\n",
		"m.go":        "package m\n\nfunc Answer() int { return 42 }\n",
		"m_test.go":   "package m\n\nimport \"testing\"\n\nfunc TestAnswer(t *testing.T) {\n\tif Answer() != 42 {\n\t\tt.Fatal()\n\t}\n}\n",
		"cmd/main.go": "package main\n\nimport \"example.com/m\"\n\nfunc main() { println(m.Answer()) }\n",
	} {
		file := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, code := run("go vet ./... && go test ./... && go run ./cmd"); code != 0 || !strings.HasSuffix(out, "42\n") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if out, code := run("go test ./..."); code != 0 || !strings.Contains(out, "(cached)") {
		t.Errorf("not cached: exit code %d\n%s", code, out)
	}
	if out, code := run("go get example.com/none@latest"); code == 0 {
		t.Errorf("went to the network?\n%s", out)
	}
}

// TestGoBuildsWithoutTheClonesOfModules fetches a module from a git repository, as a
// private one is, and builds with it in a box: from what was downloaded, and without
// the clone, in which the password of the repository lies.
func TestGoBuildsWithoutTheClonesOfModules(t *testing.T) {
	home := t.TempDir()
	getenv := func(name string) string {
		switch name {
		case "GOPATH", "GOMODCACHE", "GOCACHE", "GOFLAGS":
			return ""
		}
		return os.Getenv(name)
	}
	goProgram, err := exec.LookPath("go")
	if err != nil {
		t.Skip("this machine has no Go")
	}
	write := func(name, text string) { t.Helper(); put(t, name, text) }
	source := filepath.Join(home, "source")
	cache := filepath.Join(home, "go/pkg/mod")
	on := func(dir string, args ...string) {
		t.Helper()
		fetching(t, source, dir, args, "HOME="+home, "GOMODCACHE="+cache, "GOFLAGS=-modcacherw", "GOSUMDB=off", "GOPRIVATE=git.test", "GOVCS=*:all")
	}
	write(filepath.Join(source, "go.mod"), "module git.test/answer.git\n\ngo 1.21\n")
	write(filepath.Join(source, "answer.go"), "package answer\n\nconst Answer = 42\n")
	on(source, "git", "init", "-q")
	on(source, "git", "add", "-A")
	on(source, "git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "Answer")
	on(source, "git", "tag", "v1.0.0")

	work := t.TempDir()
	write(filepath.Join(work, "go.mod"), "module example.com/m\n\ngo 1.21\n\nrequire git.test/answer.git v1.0.0\n")
	write(filepath.Join(work, "main.go"), "package main\n\nimport answer \"git.test/answer.git\"\n\nfunc main() { println(answer.Answer) }\n")
	on(work, goProgram, "mod", "tidy")
	clones, err := filepath.Glob(filepath.Join(cache, "cache/vcs/*/config"))
	if err != nil || len(clones) != 1 {
		t.Fatalf("there are the clones %q: %v", clones, err)
	}
	write(clones[0], "[http]\n\textraHeader = Authorization: PASSWORD\n")

	run, _, boxed := boxWithToolchains(t, getenv, home) // what is in the cache by now
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		text, err := os.ReadFile(filepath.Join(work, name))
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Join(boxed, name), string(text))
	}
	out, code := run("go build -o answer . && ./answer && ls -A '" + cache + "/cache/vcs'; go mod verify; grep -r PASSWORD '" + cache + "'")
	if !strings.HasPrefix(out, "42\nall modules verified") || strings.Contains(out, "PASSWORD") || code != 1 {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// TestDataInADirectoryOfTheSystem has MGX keep its data where every box shows the rest.
func TestDataInADirectoryOfTheSystem(t *testing.T) {
	const data = "/usr/share"
	var file string
	filepath.WalkDir(data, func(name string, e os.DirEntry, err error) error {
		if info, _ := os.Stat(name); err == nil && e.Type().IsRegular() && info.Size() > 0 {
			file = name
			return filepath.SkipAll
		}
		return nil
	})
	if file == "" {
		t.Skip("there is no file in ", data)
	}
	mounts, env, _ := sandbox.Toolchains(func(string) string { return "" }, "", data)
	for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
		box, err := d.Open(t.Context(), sandbox.Spec{Work: t.TempDir(), Mounts: mounts, Env: env})
		if err != nil {
			t.Fatal(err)
		}
		defer box.Close()
		var out bytes.Buffer
		_, err = box.Run(t.Context(), sandbox.Command{Args: []string{"sh", "-c", `cat "$0" 2>/dev/null; ls /usr/bin/env`, file}, Stdout: &out, Stderr: &out, Timeout: time.Minute})
		if err != nil || out.String() != "/usr/bin/env\n" {
			t.Errorf("%s: %v\n%s", d.Name(), err, out.String())
		}
	}
}

// TestMaskedCredentials looks for secrets in a home with toolchains from inside.
func TestMaskedCredentials(t *testing.T) {
	home := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("prefix/bin/node", "#!/bin/sh\necho node runs\n")
	for _, name := range []string{".ssh/id", ".npmrc", ".cargo/credentials.toml", ".config/gh/hosts.yml", "prefix/etc/npmrc", "other/project/.env"} {
		write(name, "SECRET")
	}
	getenv := func(name string) string {
		if name == "PATH" {
			return filepath.Join(home, "prefix/bin")
		}
		return ""
	}
	run, _, _ := boxWithToolchains(t, getenv, home)
	out, code := run("node; grep -rl SECRET '" + home + "' ~ /etc /workspace 2>&1; cat '" + home + "/prefix/etc/npmrc'")
	if !strings.HasPrefix(out, "node runs\n") {
		t.Errorf("node does not run: %s", out)
	}
	if strings.Contains(out, "SECRET") || code == 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if !strings.Contains(out, "Permission denied") {
		t.Errorf("not masked: %s", out)
	}
}

// put writes a file, and the directories that it lies in.
func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fetching runs a command that takes the repository at source for the one at
// https://git.test/answer.
func fetching(t *testing.T, source, dir string, args []string, env ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), env...),
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://"+source+".insteadOf", "GIT_CONFIG_VALUE_0=https://git.test/answer", "GIT_ALLOW_PROTOCOL=file:https")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}
