package tool

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

func TestMain(m *testing.M) {
	os.Exit(m.Run())
}

// place of a test: a workspace with files, by path.
func workspace(t testing.TB, files map[string]string) *Workspace {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		writeFile(t, filepath.Join(dir, name), content)
	}
	return &Workspace{Root: openRoot(t, dir), Outputs: openRoot(t, t.TempDir())}
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// boxed gives the workspace a real sandbox.
func boxed(t testing.TB, ws *Workspace) *Workspace {
	t.Helper()
	box, err := native.New().Open(t.Context(), sandbox.Spec{
		ID: "test", Work: ws.Root.Name(), State: t.TempDir(),
		Mounts: []sandbox.Mount{{Host: ws.Outputs.Name(), Guest: OutputsDir, Mode: sandbox.ReadOnly}},
	})
	if err != nil {
		t.Skipf("this machine gives no sandbox: %v", err)
	}
	t.Cleanup(func() { box.Close() })
	ws.Box = box
	return ws
}

type fields map[string]any

// call runs a tool as the loop does: arguments are JSON text from a model.
func call(t testing.TB, ws *Workspace, name string, args fields) Result {
	t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	tools, err := ByName([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseArgs(tools[0].Spec(), string(raw))
	if err != nil {
		t.Fatal(err)
	}
	res, err := tools[0].Call(t.Context(), ws, parsed)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// want checks a result's status, and that its text has all the parts.
func want(t testing.TB, res Result, status Status, parts ...string) {
	t.Helper()
	if res.Status != status {
		t.Errorf("status %q, want %q", res.Status, status)
	}
	for _, part := range parts {
		if !strings.Contains(res.Text, part) {
			t.Errorf("no %q in the result", part)
		}
	}
	if t.Failed() {
		t.Logf("result:\n%s", res.Text)
	}
}

func content(t testing.TB, ws *Workspace, name string) string {
	t.Helper()
	b, err := ws.Root.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tree is every file below the workspace with its content, links with their target.
func tree(t testing.TB, ws *Workspace) map[string]string {
	t.Helper()
	all := map[string]string{}
	dir := ws.Root.Name()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case e.IsDir():
			all[rel+"/"] = ""
		case e.Type()&fs.ModeSymlink != 0:
			all[rel], err = os.Readlink(path)
		default:
			var b []byte
			b, err = os.ReadFile(path)
			all[rel] = string(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
