package workflow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"mgx"
)

// The bounds of one execution; passing one fails it.
const (
	maxRecords = 100_000 // records in a journal
	maxName    = 256     // bytes in the full name of a step, with the prefixes of its branches
	maxOutput  = 8 << 20 // bytes of JSON that one step returns
)

// opening ends the name of the record that a sleep, an await or a child writes
// when it begins: the time it ends at, or the child's id, which must outlive the
// process. The record under the plain name follows when it is over.
const opening = "/start"

// journal is what an execution has recorded, and what of it the function has
// asked for in this claim. Outputs stay undecoded until then.
type journal struct {
	closed map[string]*entry
	open   map[string]*entry // opening records, by the name without the suffix
	unread int               // entries not yet asked for
	order  int64             // of the last record
	ended  int64             // closed records
}

type entry struct {
	mgx.StepRecord
	read bool
}

func newJournal(records []mgx.StepRecord) *journal {
	j := &journal{closed: make(map[string]*entry, len(records)), open: map[string]*entry{}}
	entries := make([]entry, len(records))
	for i, r := range records {
		entries[i].StepRecord = r
		j.add(&entries[i])
	}
	j.unread = len(records)
	return j
}

func (j *journal) add(e *entry) {
	j.order = max(j.order, e.Order)
	if name, ok := openingOf(e.StepRecord); ok {
		j.open[name] = e
		return
	}
	j.closed[e.Name] = e
	j.ended++
}

// openingOf returns the plain name of a record that opens a wait.
func openingOf(r mgx.StepRecord) (string, bool) {
	switch r.Kind {
	case mgx.StepSleep, mgx.StepAwait, mgx.StepChild:
		return strings.CutSuffix(r.Name, opening)
	}
	return "", false
}

func (j *journal) read(e *entry) {
	if e != nil && !e.read {
		e.read = true
		j.unread--
	}
}

// firstUnread returns the earliest record under prefix that has not been asked
// for. Version records are no part of the order of things: code that is newer
// than they are may ask for them earlier or later.
func (j *journal) firstUnread(prefix string) *entry {
	if j.unread == 0 {
		return nil
	}
	var first *entry
	for _, m := range []map[string]*entry{j.closed, j.open} {
		for _, e := range m {
			if !e.read && e.Kind != mgx.StepVersion && strings.HasPrefix(e.Name, prefix) && (first == nil || e.Order < first.Order) {
				first = e
			}
		}
	}
	return first
}

// childStart is the output of the record that opens a child.
type childStart struct {
	Execution mgx.ExecutionID `json:"execution"`
}

// openChildren lists the children that were started and have no result yet.
func (j *journal) openChildren() []mgx.ExecutionID {
	return j.childrenWhere(func(name string) bool { return j.closed[name] == nil })
}

// children lists all children that were started.
func (j *journal) children() []mgx.ExecutionID {
	return j.childrenWhere(func(string) bool { return true })
}

func (j *journal) childrenWhere(keep func(name string) bool) []mgx.ExecutionID {
	starts := map[int64]mgx.ExecutionID{}
	for name, e := range j.open {
		var s childStart
		if e.Kind == mgx.StepChild && keep(name) && json.Unmarshal(e.Output, &s) == nil && s.Execution != "" {
			starts[e.Order] = s.Execution
		}
	}
	ids := make([]mgx.ExecutionID, 0, len(starts))
	for _, order := range slices.Sorted(maps.Keys(starts)) {
		ids = append(ids, starts[order])
	}
	return ids
}

// digest identifies what the workflow asked for: the SHA-256 of the canonical
// JSON (sorted keys, no spaces) of kind and input.
func digest(kind mgx.StepKind, input any) (string, error) {
	data, err := canonical(input)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	io.WriteString(h, `{"input":`)
	h.Write(data)
	io.WriteString(h, `,"kind":"`+string(kind)+`"}`)
	return hex.EncodeToString(h.Sum(nil)), nil
}

func canonical(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil || !bytes.ContainsRune(data, '{') {
		return data, err
	}
	// Decoding into maps sorts the keys of structs too, so that moving a field
	// is no difference; numbers keep their digits.
	var sorted any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&sorted); err != nil {
		return nil, err
	}
	return json.Marshal(sorted)
}

// timeOf reads the output of a record that opens a sleep or an await.
func timeOf(output json.RawMessage) (t time.Time, ok bool) {
	return t, json.Unmarshal(output, &t) == nil
}
