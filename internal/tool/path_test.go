package tool

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// outsider is a workspace beside a secret, with every kind of way to it.
func outsider(t *testing.T) (*Workspace, string) {
	ws := workspace(t, map[string]string{"dir/in.txt": "inside\n", ".git/config": "[core]\n"})
	secret := filepath.Join(t.TempDir(), "secret.txt")
	writeFile(t, secret, "secret\n")
	dir := ws.Root.Name()
	up, err := filepath.Rel(dir, filepath.Dir(secret))
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"absolute": secret, "relative": filepath.Join(up, "secret.txt"), "parent": up, "dangling": filepath.Join(up, "absent"),
		"loop": "loop", "git": ".git", "dir/back": "../../" + filepath.Base(filepath.Dir(secret)),
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return ws, secret
}

func TestPathsThatLeadOut(t *testing.T) {
	t.Parallel()
	ws, secret := outsider(t)
	before := tree(t, ws)
	outside := []string{
		secret, "../x", "dir/../../x", "/workspace/../etc/passwd", "/etc/passwd", "/", "/workspacex/a", "..",
		"absolute", "relative", "parent/secret.txt", "dangling", "dir/back/x", "/outputs/../x", "/proc/self/environ",
	}
	for _, p := range outside {
		for tool, args := range map[string]fields{
			"read": {"path": p}, "list": {"path": p}, "glob": {"path": p, "pattern": "*"}, "grep": {"path": p, "pattern": "."},
			"write": {"path": p, "content": "x"}, "edit": {"path": p, "old_string": "secret", "new_string": "x"},
			"apply_patch": {"patch": "*** Begin Patch\n*** Add File: " + p + "\n+x\n*** End Patch"},
		} {
			res := call(t, ws, tool, args)
			if res.Status != Denied && res.Status != Failure || strings.Contains(res.Text, "secret\n") {
				t.Errorf("%s %s: %s %q", tool, p, res.Status, res.Text)
			}
			if tool == "write" && res.Status != Denied {
				t.Errorf("write %s: not denied: %q", p, res.Text)
			}
		}
	}
	if now := tree(t, ws); !maps.Equal(now, before) {
		t.Errorf("the workspace changed: %v", now)
	}
	if b, _ := os.ReadFile(secret); string(b) != "secret\n" {
		t.Error("the secret changed")
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(secret), "absent")); err == nil {
		t.Error("a dangling link was written through")
	}
}

func TestGitIsNotWritten(t *testing.T) {
	t.Parallel()
	ws, _ := outsider(t)
	before := tree(t, ws)
	for _, p := range []string{".git/config", ".GIT/hooks/x", "git/config", "sub/.git", "a/.Git/b", ".git. /x", "git~1/x", ".g\u200cit/x", "/workspace/.git/x"} {
		want(t, call(t, ws, "write", fields{"path": p, "content": "x"}), Denied, ".git")
		want(t, call(t, ws, "edit", fields{"path": p, "old_string": "[core]", "new_string": "x"}), Denied)
		want(t, call(t, ws, "apply_patch", fields{"patch": "*** Begin Patch\n*** Add File: " + p + "\n+x\n*** End Patch"}), Denied, "Nothing was changed")
	}
	if now := tree(t, ws); !maps.Equal(now, before) {
		t.Errorf("the workspace changed: %v", now)
	}
	want(t, call(t, ws, "write", fields{"path": ".gitignore", "content": "x\n"}), Success)
	want(t, call(t, ws, "write", fields{"path": ".github/a.yml", "content": "x\n"}), Success)
}

func TestNamesOfThePlace(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"dir/a b.txt": "text\n", "new\nline": "odd\n", "bad\xff": "bytes\n", `"q"`: "quotes\n"})
	writeFile(t, filepath.Join(ws.Outputs.Name(), "shell-1.txt"), "kept\n")
	for path, text := range map[string]string{
		"dir/a b.txt": "text", "/workspace/dir/a b.txt": "text", "./dir//a b.txt": "text", "dir/x/../a b.txt": "text",
		"/outputs/shell-1.txt": "kept", "new\nline": "odd", `"new\nline"`: "odd", `"bad\xff"`: "bytes", `"\"q\""`: "quotes",
	} {
		want(t, call(t, ws, "read", fields{"path": path}), Success, text)
	}
	want(t, call(t, ws, "list", fields{}), Success, `"new\nline"`, `"bad\xff"`, "a b.txt", `"\"q\""`)
	want(t, call(t, ws, "glob", fields{"pattern": "*"}), Success, `"new\nline"`, `"bad\xff"`, "dir/a b.txt")
	want(t, call(t, ws, "grep", fields{"pattern": "bytes|odd"}), Success, `"new\nline":1:odd`, `"bad\xff":1:bytes`)
	want(t, call(t, ws, "write", fields{"path": "/outputs/x", "content": "x"}), Denied, "kept output")
	want(t, call(t, ws, "read", fields{"path": "a\x00b"}), Failure, "NUL")
}

func TestLinksInsideAreFollowed(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"real/a.txt": "one\n"})
	for name, to := range map[string]string{"link": "real/a.txt", "real/up": "../real", "later": "real/later.txt"} {
		if err := ws.Root.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	want(t, call(t, ws, "edit", fields{"path": "link", "old_string": "one", "new_string": "two"}), Success, "real/a.txt")
	want(t, call(t, ws, "edit", fields{"path": "real/up/up/a.txt", "old_string": "two", "new_string": "three"}), Success)
	want(t, call(t, ws, "write", fields{"path": "later", "content": "x\n"}), Success)
	if to, err := ws.Root.Readlink("link"); err != nil || to != "real/a.txt" {
		t.Errorf("the link was replaced: %q, %v", to, err)
	}
	if got := content(t, ws, "real/a.txt"); got != "three\n" {
		t.Errorf("the file is %q", got)
	}
	want(t, call(t, ws, "apply_patch", fields{"patch": "*** Begin Patch\n*** Delete File: link\n*** End Patch"}), Failure, "symbolic link")
}

func TestOddFiles(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"file": "x\n", "dir/in": "x\n"})
	if err := syscall.Mkfifo(filepath.Join(ws.Root.Name(), "fifo"), 0o644); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	want(t, call(t, ws, "read", fields{"path": "fifo"}), Failure, "not a regular file")
	want(t, call(t, ws, "edit", fields{"path": "fifo", "old_string": "a", "new_string": "b"}), Failure, "not a regular file")
	want(t, call(t, ws, "write", fields{"path": "fifo", "content": "x"}), Failure, "not a regular file")
	want(t, call(t, ws, "grep", fields{"pattern": "x"}), Success, "file:1:x", "dir/in:1:x")
	want(t, call(t, ws, "list", fields{}), Success, "fifo  (special file)")
	want(t, call(t, ws, "read", fields{"path": "dir"}), Failure, "directory", "list")
	want(t, call(t, ws, "edit", fields{"path": "dir", "old_string": "a", "new_string": "b"}), Failure, "directory")
	want(t, call(t, ws, "write", fields{"path": "dir", "content": "x"}), Failure, "directory")
	want(t, call(t, ws, "write", fields{"path": ".", "content": "x"}), Failure, "directory")
	want(t, call(t, ws, "read", fields{"path": "file/x"}), Failure, "file")
	want(t, call(t, ws, "write", fields{"path": "file/x", "content": "x"}), Failure, "file")
	want(t, call(t, ws, "list", fields{"path": "file"}), Failure, "read")
	want(t, call(t, ws, "read", fields{"path": strings.Repeat("n", 300)}), Failure, "too long")
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	ws := workspace(t, map[string]string{"closed": "x\n", "dir/in": "x\n"})
	for _, name := range []string{"closed", "dir"} {
		if err := ws.Root.Chmod(name, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Root.Chmod(name, 0o755) })
	}
	want(t, call(t, ws, "read", fields{"path": "closed"}), Failure, "permission denied")
	want(t, call(t, ws, "edit", fields{"path": "closed", "old_string": "x", "new_string": "y"}), Failure, "permission denied")
	want(t, call(t, ws, "list", fields{}), Success, "cannot be read")
	want(t, call(t, ws, "write", fields{"path": "dir/x", "content": "x"}), Failure, "permission denied")
}

func TestReadOnlyWorkspace(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"a": "x\n"})
	ws.ReadOnly = true
	const sentence = "read-only until the plan is approved"
	want(t, call(t, ws, "write", fields{"path": "b", "content": "x"}), Denied, sentence)
	want(t, call(t, ws, "edit", fields{"path": "a", "old_string": "x", "new_string": "y"}), Denied, sentence)
	want(t, call(t, ws, "apply_patch", fields{"patch": "*** Begin Patch\n*** Delete File: a\n*** End Patch"}), Denied, sentence)
	want(t, call(t, ws, "read", fields{"path": "a"}), Success, "x")
	if all := tree(t, ws); len(all) != 2 {
		t.Errorf("something was written: %v", all)
	}
}
