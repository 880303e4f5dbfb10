//go:build linux

package native_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// boxWithToolchains is a box as a run gets it, and the toolchains it has.
func boxWithToolchains(t *testing.T, getenv func(string) string, home string) (run func(script string) (string, int), found map[string]bool, work string) {
	mounts, env, tools := sandbox.Toolchains(getenv, home)
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
		"java":   "java -version",
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
