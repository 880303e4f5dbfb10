//go:build linux

package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, name string, bytes int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Repeat("x", bytes)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestLook counts what belongs to a tree, and nothing that it merely points at.
func TestLook(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "big"), 4<<20)
	write(t, filepath.Join(dir, "a/b/file"), 1<<20)
	for link, to := range map[string]string{"link": filepath.Join(outside, "big"), "linked": outside} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "a/b/file"), filepath.Join(dir, "again")); err != nil {
		t.Fatal(err)
	}
	var use Use
	add(&use, dir, Use{})
	if use.Files != 5 || use.Bytes < 1<<20 || use.Bytes > 2<<20 { // a, b, the file, two links
		t.Errorf("%+v", use)
	}
	add(&use, filepath.Join(dir, "absent"), Use{})
	add(&use, filepath.Join(dir, "linked"), Use{})
	if use.Files != 5 {
		t.Errorf("what is not there counts: %+v", use)
	}
	deep := filepath.Join(dir, strings.Repeat("d/", maxDepth+2))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if add(&use, dir, Use{}); use.beyond(Use{Files: 1 << 40}) != Files {
		t.Errorf("a tree without end: %+v", use)
	}
}

// TestQuota fills a directory and empties it again.
func TestQuota(t *testing.T) {
	dir := t.TempDir()
	q := New(Use{Bytes: 1 << 20, Files: 50}, dir, filepath.Join(dir, "absent"))
	during := func(do func()) (called bool, found Over) {
		reached := make(chan struct{})
		end := q.Watch(func() { close(reached) })
		do()
		found = end()
		select {
		case <-reached:
			called = true
		default:
		}
		return called, found
	}
	// More is added until it is found: what others on this file system delete at the same
	// moment hides as much until the next look in any case.
	added := 0
	until := func(want Over, what string, bytes int) {
		t.Helper()
		found := Nothing
		for n := 0; found != want && n < 100; n++ {
			added++
			_, found = during(func() { write(t, filepath.Join(dir, "added", fmt.Sprint(added)), bytes) })
		}
		if found != want {
			t.Errorf("%s: %v", what, found)
		}
	}
	if _, found := during(func() { write(t, filepath.Join(dir, "small"), 1000) }); found != Nothing {
		t.Errorf("a small file: %v", found)
	}
	until(Bytes, "a big file", 2<<20)
	// There is too much now. What adds little may run; what adds much may not.
	if _, found := during(func() { write(t, filepath.Join(dir, "small"), 2000) }); found != Nothing {
		t.Errorf("a small file beside: %v", found)
	}
	until(Bytes, "more", slackBytes+1<<20)
	if _, found := during(func() {
		if err := os.RemoveAll(filepath.Join(dir, "added")); err != nil {
			t.Fatal(err)
		}
	}); found != Nothing {
		t.Errorf("emptied: %v", found)
	}
	q.count(q.limit)
	found := Nothing
	for n := 0; found != Files && n < 100; n++ {
		_, found = during(func() {
			for i := range 60 {
				write(t, filepath.Join(dir, fmt.Sprint("file", n, "-", i)), 0)
			}
		})
	}
	if found != Files {
		t.Errorf("many files: %v", found)
	}
	var none *Quota
	if end := none.Watch(func() { t.Error("nothing was to be watched") }); end() != Nothing {
		t.Error("no quota was reached")
	}
}

// TestGrowth takes nothing off what was added for what was deleted before or after.
func TestGrowth(t *testing.T) {
	g := growth{used: Use{Bytes: 100, Files: 10}}
	for _, step := range []struct{ now, added Use }{
		{Use{100, 10}, Use{}},
		{Use{130, 12}, Use{30, 2}},
		{Use{20, 5}, Use{30, 2}},
		{Use{20, 5}, Use{30, 2}},
		{Use{40, 5}, Use{50, 2}},
	} {
		if g.ask(step.now); g.added != step.added || g.changed != (step.added != Use{}) {
			t.Errorf("at %+v: %+v", step.now, g)
		}
	}
}

// TestNeighbourDeletes has somebody else delete far more than is written, at the same
// moment, so that less of the file system is used than before. The watch notices all
// the same.
func TestNeighbourDeletes(t *testing.T) {
	dir, neighbour := t.TempDir(), t.TempDir()
	write(t, filepath.Join(neighbour, "big"), 64<<20)
	q := New(Use{Bytes: 1 << 20, Files: 1000}, dir)
	if found := q.Watch(func() { t.Error("an empty directory is too much") })(); found != Nothing || !q.seen {
		t.Fatalf("%v, %+v", found, q)
	}
	write(t, filepath.Join(dir, "made"), 2<<20)
	if err := os.Remove(filepath.Join(neighbour, "big")); err != nil {
		t.Fatal(err)
	}
	if q.ask(); q.most().Bytes > 1<<20 {
		t.Skip("others have written so much meanwhile that it shows")
	}
	reached := make(chan struct{})
	end := q.Watch(func() { close(reached) })
	select {
	case <-reached:
	case <-time.After(time.Minute):
		t.Error("it goes unnoticed")
	}
	if found := end(); found != Bytes {
		t.Errorf("%v", found)
	}
}

// TestRoutineIsBounded looks again in any case only after a rest.
func TestRoutineIsBounded(t *testing.T) {
	dir := t.TempDir()
	q := New(Use{Bytes: 1 << 50, Files: 1 << 50}, dir)
	q.count(q.limit)
	for _, c := range []struct {
		changed bool
		took    time.Duration
		ago     time.Duration
		looks   bool
	}{
		{true, time.Second, 40 * time.Second, false},
		{true, time.Second, 55 * time.Second, true},
		{true, time.Microsecond, 100 * time.Millisecond, false},
		{true, time.Microsecond, 2 * time.Second, true},
	} {
		q.on[0].changed, q.took, q.looked = c.changed, c.took, time.Now().Add(-c.ago)
		before := q.looked
		if q.check(q.limit, false); q.looked.After(before) != c.looks {
			t.Errorf("%+v", c)
		}
	}
}

// TestWatchCalls waits until a watch notices by itself.
func TestWatchCalls(t *testing.T) {
	dir := t.TempDir()
	reached := make(chan struct{})
	end := New(Use{Bytes: 1 << 20}, dir).Watch(func() { close(reached) })
	write(t, filepath.Join(dir, "big"), 2<<20)
	<-reached
	if found := end(); found != Bytes {
		t.Errorf("%v", found)
	}
}
