//go:build unix

package off_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/off"
)

func sh(t *testing.T, box sandbox.Box, script string, mounts ...sandbox.Mount) string {
	t.Helper()
	var out bytes.Buffer
	r, err := box.Run(t.Context(), sandbox.Command{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out, Timeout: time.Minute, Mounts: mounts})
	if err != nil || r.ExitCode != 0 {
		t.Fatalf("%s: %d, %v\n%s", script, r.ExitCode, err, out.String())
	}
	return strings.TrimSpace(out.String())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestGitDirectory mounts a git directory that lies elsewhere, as runs do: git
// must work through it, and the mount point be as before when the box is closed.
func TestGitDirectory(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir := t.TempDir()
	work, gitdir := filepath.Join(dir, "work"), filepath.Join(dir, "git")
	check(t, os.MkdirAll(filepath.Join(work, ".git"), 0o755))
	check(t, exec.Command("git", "init", "--quiet", "--bare", gitdir).Run())
	check(t, exec.Command("git", "--git-dir", gitdir, "config", "core.bare", "false").Run())
	mount := sandbox.Mount{Host: gitdir, Guest: sandbox.Workspace + "/.git", Mode: sandbox.ReadOnly}
	spec := sandbox.Spec{Work: work, Mounts: []sandbox.Mount{mount}}
	box, err := off.New().Open(t.Context(), spec)
	check(t, err)

	check(t, os.WriteFile(filepath.Join(work, "file"), nil, 0o644))
	if out := sh(t, box, "git status --porcelain"); out != "?? file" {
		t.Errorf("status: %s", out)
	}
	mount.Mode = sandbox.ReadWrite
	sh(t, box, "git add file", mount)
	if out := sh(t, box, "git status --porcelain"); out != "A  file" {
		t.Errorf("status: %s", out)
	}
	if got := box.Path(sandbox.Workspace + "/.git/config"); got != filepath.Join(gitdir, "config") {
		t.Errorf("path: %s", got)
	}
	again, err := off.New().Open(t.Context(), spec) // as after a crash
	check(t, err)
	check(t, again.Close())
	check(t, box.Close())
	if entries, err := os.ReadDir(filepath.Join(work, ".git")); err != nil || len(entries) != 0 {
		t.Errorf("the mount point afterwards: %v, %v", entries, err)
	}
}

func TestMountsAreLinks(t *testing.T) {
	dir := t.TempDir()
	work, data := filepath.Join(dir, "work"), filepath.Join(dir, "data")
	for _, d := range []string{work, data, filepath.Join(work, "full")} {
		check(t, os.Mkdir(d, 0o755))
	}
	check(t, os.WriteFile(filepath.Join(data, "file"), []byte("data"), 0o644))
	check(t, os.WriteFile(filepath.Join(work, "full/own"), nil, 0o644))
	check(t, os.WriteFile(filepath.Join(work, "taken"), []byte("own"), 0o644))
	box, err := off.New().Open(t.Context(), sandbox.Spec{Work: work, Mounts: []sandbox.Mount{
		{Host: data, Guest: "/home/mgx/.cache/things", Mode: sandbox.Overlay},
		{Host: data, Guest: "/outputs", Mode: sandbox.ReadOnly},
		{Guest: "/home/mgx/.cache/made", Mode: sandbox.Cache},
	}})
	check(t, err)
	if out := sh(t, box, "cat ~/.cache/things/file"); out != "data" {
		t.Errorf("in the home directory: %s", out)
	}
	if got := box.Path("/outputs/file"); got != filepath.Join(data, "file") {
		t.Errorf("path: %s", got)
	}
	for _, name := range []string{"full", "taken"} { // what is there is not ours to take away
		_, err := box.Run(t.Context(), sandbox.Command{Args: []string{"true"}, Timeout: time.Minute, Mounts: []sandbox.Mount{
			{Host: data, Guest: sandbox.Workspace + "/" + name, Mode: sandbox.ReadOnly},
		}})
		if err == nil {
			t.Errorf("linked over %s", name)
		}
	}
	home := box.Path("/home/mgx")
	check(t, box.Close())
	if _, err := os.Stat(home); !os.IsNotExist(err) {
		t.Errorf("the home directory is still there: %v", err)
	}
	for _, name := range []string{"work/full/own", "work/taken", "data/file"} {
		_, err := os.Stat(filepath.Join(dir, name))
		check(t, err)
	}
}
