package mgx

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AuditErasure says which entries of a workspace's audit log lost their details by one
// act, and of whom they were. It names nothing that was in them.
type AuditErasure struct {
	Workspace WorkspaceID
	Subject   string // id of the person or the workspace that was erased
	Entries   Spans  // by sequence
	Time      time.Time
}

const erasureOrigin = "mgx/audit/erased/"

// Text is what is signed: origin, subject, entries and time, a line each.
func (e AuditErasure) Text() string {
	return fmt.Sprintf("%s%s\n%s\n%s\n%s\n", erasureOrigin, e.Workspace, e.Subject, e.Entries, e.Time.UTC().Format(time.RFC3339))
}

// ReadAuditErasure reads such a text.
func ReadAuditErasure(text string) (e AuditErasure, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], erasureOrigin) {
		return e, fmt.Errorf("it does not say what was erased")
	}
	e.Workspace, e.Subject = WorkspaceID(strings.TrimPrefix(lines[0], erasureOrigin)), lines[1]
	if e.Entries, err = readSpans(lines[2]); err != nil {
		return e, err
	}
	e.Time, err = time.Parse(time.RFC3339, lines[3])
	return e, err
}

// Spans are numbers from 1 on, as the first and the last of each run of them, in
// ascending order and apart from each other.
type Spans [][2]int64

// With adds a number, which is higher than all there are.
func (s Spans) With(n int64) Spans {
	if last := len(s) - 1; last >= 0 && s[last][1] == n-1 {
		s[last][1] = n
		return s
	}
	return append(s, [2]int64{n, n})
}

// Has reports whether a number is one of them.
func (s Spans) Has(n int64) bool {
	_, found := slices.BinarySearchFunc(s, n, func(span [2]int64, n int64) int {
		switch {
		case span[1] < n:
			return -1
		case span[0] > n:
			return 1
		}
		return 0
	})
	return found
}

// All are the numbers, one by one.
func (s Spans) All() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for _, span := range s {
			for n := span[0]; n <= span[1]; n++ {
				if !yield(n) {
					return
				}
			}
		}
	}
}

// And joins them with others.
func (s Spans) And(others Spans) (all Spans) {
	both := slices.Concat(s, others)
	slices.SortFunc(both, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	for _, span := range both {
		if last := len(all) - 1; last >= 0 && span[0] <= all[last][1]+1 {
			all[last][1] = max(all[last][1], span[1])
			continue
		}
		all = append(all, span)
	}
	return all
}

// String writes them as 3-7,12.
func (s Spans) String() string {
	var b strings.Builder
	for i, span := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, span[0])
		if span[1] > span[0] {
			fmt.Fprintf(&b, "-%d", span[1])
		}
	}
	return b.String()
}

func readSpans(text string) (all Spans, err error) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, wide := strings.Cut(part, "-")
		var span [2]int64
		if span[0], err = strconv.ParseInt(first, 10, 64); err != nil {
			return nil, err
		}
		if span[1] = span[0]; wide {
			if span[1], err = strconv.ParseInt(last, 10, 64); err != nil {
				return nil, err
			}
		}
		if span[0] < 1 || span[1] < span[0] || len(all) > 0 && span[0] <= all[len(all)-1][1] {
			return nil, fmt.Errorf("%q are no ascending numbers", text)
		}
		all = append(all, span)
	}
	return all, nil
}
