package store_test

import (
	"bufio"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// What a process was told is committed is there after kill -9.
func TestKilled(t *testing.T) {
	if dir, yes := inChild(); yes {
		commitForever(t, filepath.Join(dir, "mgx.db"))
		return
	}
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "mgx.db")
	for range 3 {
		told := killAfter(t, dir, 60)
		s := open(t, path, store.Options{})
		if err := s.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Head(t.Context()); err != nil || n < told {
			t.Errorf("head %d %v, but %d was committed", n, err, told)
		}
		s.Close()
	}
}

// commitForever prints the position of every event that is committed.
func commitForever(t *testing.T, path string) {
	s := open(t, path, store.Options{})
	for range 8 {
		sc := begin(t, s)
		go func() {
			for {
				out, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{note(sc, "x")}})
				if err != nil {
					panic(err)
				}
				fmt.Printf("committed %d\n", out.Events[0].Position)
			}
		}()
	}
	select {}
}

// killAfter starts the child, kills it after some commits and returns the
// greatest position it was told.
func killAfter(t *testing.T, dir string, commits int) (last int64) {
	cmd := child(t, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		number, ok := strings.CutPrefix(lines.Text(), "committed ")
		if !ok {
			continue
		}
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			last = max(last, n)
		}
		if commits--; commits == 0 {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if commits > 0 {
		t.Fatal("the child ended by itself")
	}
	return last
}
