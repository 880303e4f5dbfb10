package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// leavesNothing waits until a server has removed what one before it left: directories
// of runs that there are not, and halves of repositories. Where the database is a
// server's, directories of runs stay for a while, and are not waited for.
func (y *crashCopy) leavesNothing() {
	y.t.Helper()
	s, err := store.Open(y.t.Context(), y.place, store.Options{ReadOnly: true})
	if err != nil {
		y.t.Fatal(err)
	}
	defer s.Close()
	leftovers := func() (all []string) {
		runs, _ := filepath.Glob(filepath.Join(y.data, "runs", "*"))
		for _, dir := range runs {
			there, err := s.HasRun(y.t.Context(), mgx.RunID(filepath.Base(dir)))
			if err != nil {
				y.t.Fatal(err)
			}
			if !there && y.c.cluster == nil {
				all = append(all, dir)
			}
		}
		return append(all, halves(y.data)...)
	}
	becomes(y.t, "it is removed", func() bool { return len(leftovers()) == 0 })
}

// halves are what is received of repositories in a data directory.
func halves(data string) []string {
	found, _ := filepath.Glob(filepath.Join(data, uploadsDir, "*", receiving+"*"))
	return found
}

// becomes waits for what has to come.
func becomes(t testing.TB, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !yes(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so: %s", what)
		}
	}
}

// What a server had received of a repository when it was killed goes when one starts
// after it.
func TestKilledInAnUpload(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	s := l.serve("127.0.0.1:0", "--workers", "0")
	body, half := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.url+"/api/v1/uploads/sha256:"+strings.Repeat("0", 64), body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-git-bundle")
	r.Header.Set("Authorization", "Bearer "+tokenIn(t, l.data()))
	r.Header.Set("Mgx-Workspace", string(mgx.DefaultWorkspace))
	failed := make(chan error, 1)
	go func() {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	if _, err := half.Write([]byte("# v2 git bundle\n")); err != nil {
		t.Fatal(err)
	}
	becomes(t, "it is received", func() bool { return len(halves(l.data())) == 1 })
	s.kill()
	half.CloseWithError(io.ErrUnexpectedEOF) // or the client waits for the rest
	if err := <-failed; err == nil {
		t.Error("it was answered")
	}
	if len(halves(l.data())) != 1 {
		t.Fatal("nothing was left")
	}
	again := l.serve("127.0.0.1:0", "--workers", "0")
	defer again.end()
	becomes(t, "it is removed", func() bool { return len(halves(l.data())) == 0 })
}

// What is made for a run stays while its process lives, and when there is the run; a
// note of another database is none of ours.
func TestNotesOnWhatIsMade(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	n := l.node()
	dir := func(id mgx.RunID) string {
		t.Helper()
		if err := n.noteMaking(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(n.runDir(id), 0o700); err != nil {
			t.Fatal(err)
		}
		return n.runDir(id)
	}
	rewrite := func(id mgx.RunID, old, new string) {
		t.Helper()
		text, err := os.ReadFile(n.makingPath(id))
		if err == nil {
			err = os.WriteFile(n.makingPath(id), []byte(strings.Replace(string(text), old, new, 1)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	epoch, err := n.store.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours, dead, other, late := mgx.NewRunID(), mgx.NewRunID(), mgx.NewRunID(), mgx.NewRunID()
	dirs := map[string]bool{dir(ours): true, dir(dead): false, dir(other): true, dir(late): false}
	rewrite(dead, n.owner.id, "own_dead@"+n.owner.at)
	rewrite(other, n.owner.id, "own_dead@"+n.owner.at)
	rewrite(other, epoch, "another")
	hours := time.Now().Add(-2 * makingLong)
	if err := os.Chtimes(n.makingPath(late), hours, hours); err != nil {
		t.Fatal(err)
	}
	made := mgx.Scope{Workspace: mgx.DefaultWorkspace, Task: mgx.NewTaskID(), Run: mgx.NewRunID(), Execution: mgx.NewExecutionID()}
	dirs[dir(made.Run)] = true
	rewrite(made.Run, n.owner.id, "own_dead@"+n.owner.at)
	if _, err := l.store().Commit(t.Context(), mgx.Change{Events: []mgx.Event{made.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: made.Task, Title: "x"}})}}); err != nil {
		t.Fatal(err)
	}
	if err := n.sweepMaking(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range dirs {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", path, err, want)
		}
	}
	notes, err := os.ReadDir(filepath.Join(n.data, makingDir))
	if err != nil || len(notes) != 2 {
		t.Errorf("%d notes are left, %v, want those of ours and of another database", len(notes), err)
	}
	n.elsewhere = true // a server may commit what a process that died asked for
	fresh := dir(mgx.NewRunID())
	rewrite(mgx.RunID(filepath.Base(fresh)), n.owner.id, "own_dead@"+n.owner.at)
	if err := n.sweepMaking(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("what may come still was removed: %v", err)
	}
}

// Temporary files of a command that was killed go when the next one of its kind begins.
func TestKilledWithTemporaryFiles(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	tmp := t.TempDir()
	l.env = append(l.env, "TMPDIR="+tmp)
	servers := func(command string) string {
		file := filepath.Join(l.home, "servers.json")
		if err := os.WriteFile(file, []byte(`{"mcpServers": {"slow": `+command+`}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	left := func() []string {
		found, _ := filepath.Glob(filepath.Join(tmp, "mgx-mcp-*"))
		return found
	}
	slow := l.mgx("mcp", "list", servers(`{"command": "sleep", "args": ["600"]}`))
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	becomes(t, "it has a directory", func() bool { return len(left()) == 1 })
	if err := slow.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = slow.Wait() // it was killed
	if len(left()) != 1 {
		t.Fatal("nothing was left")
	}
	l.run("mcp", "list", servers(`{"command": "true"}`)) // which is no server
	if all := left(); len(all) != 0 {
		t.Errorf("there still are %q", all)
	}
}
