package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// Where more tasks have a word than the index tells, they are looked at one by one,
// and the same are found.
func TestSearchOfVeryMany(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store, _ string) {
		const n = store.MaxFound + 10
		var c mgx.Change
		var third []mgx.TaskID
		for i := range n {
			task := mgx.TaskInfo{ID: mgx.NewTaskID(), Title: fmt.Sprintf("common word%d", i%3)}
			if i%3 == 2 {
				third = append(third, task.ID)
			}
			e := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: task})
			e.Workspace, e.Task, e.Stream = mgx.DefaultWorkspace, task.ID, mgx.StreamID(task.ID)
			if c.Events = append(c.Events, e); len(c.Events) == 500 || i == n-1 {
				commit(t, s, c)
				c = mgx.Change{}
			}
		}
		for query, want := range map[string]int{"common": n, "comm": n, "common word": n, "common word2": len(third), "common none": 0, "mmon": 0} {
			var all []mgx.TaskID
			for after := mgx.TaskID(""); ; {
				page, err := s.Tasks(t.Context(), mgx.DefaultWorkspace, query, after, 400)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				for _, one := range page {
					all = append(all, one.ID)
				}
				after = all[len(all)-1]
			}
			if len(all) != want {
				t.Errorf("%q finds %d, want %d", query, len(all), want)
			}
		}
	})
}

// What is erased is found no more, nor are its words in the files.
func TestErasedWordsAreNotInTheIndex(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store, path string) {
		mine, other := mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "Zqcanary one"}, mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "Bystander one"}
		story(t, s, "x", mine)
		story(t, s, "x", other)
		search := func(words string) int {
			t.Helper()
			runs, err := s.RunInfos(t.Context(), mgx.RunFilter{Workspace: mgx.DefaultWorkspace, Text: words}, "", 0)
			if err != nil {
				t.Fatal(err)
			}
			return len(runs)
		}
		if n, all := search("zqcan"), search("one"); n != 1 || all != 2 {
			t.Fatalf("%d and %d runs are found", n, all)
		}
		if _, err := s.Erase(t.Context(), store.Subject{Workspace: mgx.DefaultWorkspace, Task: mine.ID}, "me"); err != nil {
			t.Fatal(err)
		}
		if n, all := search("zqcan"), search("one"); n != 0 || all != 1 {
			t.Errorf("%d and %d runs are found when one is erased", n, all)
		}
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if path == "" {
			return
		}
		files, _ := filepath.Glob(path + "*")
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil || bytes.Contains(bytes.ToLower(b), []byte("qcanary")) {
				t.Errorf("%s has the word: %v", filepath.Base(f), err)
			}
			if strings.HasSuffix(f, ".db") && !bytes.Contains(b, []byte("bystander")) {
				t.Error("other words are not there either")
			}
		}
	})
}
