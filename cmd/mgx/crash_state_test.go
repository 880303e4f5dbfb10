package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/audit"
	"mgx/internal/event"
	"mgx/internal/store"
)

// picture is everything that is stored, with ids, times and random values made
// equal, so that two databases in which the same was done have the same: the rows
// of every table, as a backup has them, and the names of files.
type picture map[string][]string

// moving are columns that change without anybody's asking: how far readers of the
// log have come, and who works on what.
var moving = regexp.MustCompile(`^(cursor|position|read_position|owner|term|until|lease_.*|version|touched|updated_at|size|idx|seen_at|used_at|last_used_at|last_seen_at|hash|root|note)$`)

// likeness makes what differs from one time to the next equal.
var likeness = []struct {
	what *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`\$argon2id\$[^"\\ ]+`), "A"},
	{regexp.MustCompile(`\b([a-z]+)_[0-9A-HJKMNP-TV-Z]{26}\b`), "$1_#"},
	{regexp.MustCompile(`\b(mgx[a-z]*|whsec)_[0-9A-Za-z+/=_-]{20,}`), "$1_#"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[0-9.]*Z?`), "T"},
	{regexp.MustCompile(`\b1[0-9]{15}\b`), "T"},
	{regexp.MustCompile(`\b[0-9a-f]{16,}\b`), "H"},
	{regexp.MustCompile(`\b[0-9A-Z]{26}\b`), "U"},
	{regexp.MustCompile(`[0-9A-Za-z+/_-]{32,}={0,2}`), "B"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:P"},
	{regexp.MustCompile(`"(duration_ms|duration_ns|position|sequence|size|tree_size|at|cursor)":\d+`), `"$1":N`},
}

func alike(text string) string {
	for _, l := range likeness {
		text = l.what.ReplaceAllString(text, l.word)
	}
	return text
}

// cutOff is what the store says of an erasure that was cut off: it is one in steps.
const cutOff = "says that it is erased, and is not wholly"

// pictureOf reads everything at a place, and holds it against what must always be
// so: the store agrees with itself, each event with its contract, and the audit
// log with its tree. In steps: an erasure may be cut off.
func pictureOf(t testing.TB, place, data string, steps bool) picture {
	t.Helper()
	s, err := store.Open(t.Context(), place, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := s.Problems(t.Context(), store.Checks{Event: contracts.CheckStored})
	if steps {
		problems = slices.DeleteFunc(problems, func(p string) bool { return strings.Contains(p, cutOff) })
	}
	if err != nil || len(problems) > 0 {
		t.Errorf("the store: %v %v", problems, err)
	}
	auditHolds(t, s, data)
	p := picture{"files": filesIn(t, data)}
	var whole bytes.Buffer
	if _, err := s.WriteBackup(t.Context(), &whole, store.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	p.read(t, &whole)
	return p
}

// auditHolds reads the log of every workspace over.
func auditHolds(t testing.TB, s *store.Store, data string) {
	t.Helper()
	var keys []string
	if own, err := (&node{data: data}).auditKey(false); err == nil {
		keys = append(keys, own.Public())
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	all, err := s.AuditedWorkspaces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := audit.Trusted(keys...)
	if err != nil {
		t.Fatal(err)
	}
	for _, ws := range all {
		tries := 0
		wait := func() bool { tries++; time.Sleep(20 * time.Millisecond); return tries < 1500 }
		r, err := audit.Log{Store: s, Workspace: ws}.Verify(t.Context(), audit.Options{Trusted: trusted, Wait: wait})
		if err != nil || len(r.Problems) > 0 {
			t.Errorf("the audit log of %s: %v %v", ws, r.Problems, err)
		}
	}
}

// filesIn are the files of runs, and secrets of the machine.
func filesIn(t testing.TB, data string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(data, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(data, at)
		if !d.IsDir() && !strings.HasPrefix(name, "mgx.db") && !strings.HasPrefix(name, "owners/") {
			names = append(names, alike(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// read takes the rows of a backup.
func (p picture) read(t testing.TB, from io.Reader) {
	t.Helper()
	z, err := gzip.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	columns, table := map[string][]string{}, ""
	for d := json.NewDecoder(z); ; {
		var line json.RawMessage
		if err := d.Decode(&line); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if line[0] == '[' {
			p[table] = append(p[table], rowOf(t, columns[table], line))
			continue
		}
		var mark struct {
			Table  string
			Tables []store.BackupTable
		}
		if err := json.Unmarshal(line, &mark); err != nil {
			t.Fatal(err)
		}
		for _, one := range mark.Tables {
			columns[one.Name] = one.Columns
		}
		table = mark.Table
	}
}

// rowOf is a row by the names of its columns.
func rowOf(t testing.TB, columns []string, line json.RawMessage) string {
	t.Helper()
	var values []json.RawMessage
	if err := json.Unmarshal(line, &values); err != nil {
		t.Fatal(err)
	}
	row := map[string]string{}
	for i, v := range values {
		if moving.MatchString(columns[i]) {
			continue
		}
		text := string(v)
		if v[0] == '"' {
			if err := json.Unmarshal(v, &text); err != nil {
				t.Fatal(err)
			}
		}
		row[columns[i]] = alike(text)
	}
	text, err := json.Marshal(row) // sorted by name
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// of is what of a picture a route has to leave as it should be. Whether an answer is
// kept shows when it is asked for again, and a server signs the audit logs by itself
// each minute: that what is signed holds is looked at apart.
func (p picture) of(r crashRoute) picture {
	p = maps.Clone(p)
	delete(p, "kept_answers")
	delete(p, "audit_checkpoints")
	if r.call.files {
		delete(p, "files")
	}
	return p
}

// differs says how two pictures differ: rows of each that the other has not.
func (p picture) differs(from picture) string {
	var all []string
	names := map[string]bool{}
	for _, one := range []picture{p, from} {
		for name := range one {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		more, less := apart(p[name], from[name])
		for _, row := range more {
			all = append(all, fmt.Sprintf("+ %s %.600s", name, row))
		}
		for _, row := range less {
			all = append(all, fmt.Sprintf("- %s %.600s", name, row))
		}
	}
	return strings.Join(all, "\n")
}

// apart are the rows that only one of two has, each as often as it has it more.
func apart(a, b []string) (more, less []string) {
	count := map[string]int{}
	for _, row := range a {
		count[row]++
	}
	for _, row := range b {
		count[row]--
	}
	for _, row := range slices.Sorted(maps.Keys(count)) {
		for n := count[row]; n > 0; n-- {
			more = append(more, row)
		}
		for n := count[row]; n < 0; n++ {
			less = append(less, row)
		}
	}
	return more, less
}

// secretsOpen reads every secret of the default workspace, as a use of it would.
func secretsOpen(t testing.TB, place, data string) {
	t.Helper()
	s, err := store.Open(t.Context(), place, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := &node{store: s, data: data, ringPath: filepath.Join(data, ringFile)}
	v, err := n.vault(mgx.DefaultWorkspace, false)
	if err != nil {
		t.Fatal(err)
	}
	all, err := v.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if value, err := v.Use(t.Context(), one.Name, "a test"); err != nil || value == "" {
			t.Errorf("secret %s cannot be read: %v", one.Name, err)
		}
	}
}
