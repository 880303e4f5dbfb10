package sandboxtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mgx/internal/sandbox"
)

// Column is what came of all cases: at a level, and for whom.
type Column struct {
	Title  string
	Scores []Score
}

// Cases are the names of all cases, and those with a test of their own.
func Cases() (attacks, own []string) {
	for _, c := range slices.Concat(attackCases, gateCases, callCases()) {
		attacks = append(attacks, c.name)
	}
	for _, c := range wallTests {
		own = append(own, c.name)
	}
	return attacks, own
}

// columnOf is the title and the file of a column for whoever runs this.
func columnOf(name string, level sandbox.Level) (title, file string) {
	title, file = string(level)+", ordinary user", name+"-user.json"
	if os.Geteuid() == 0 {
		title, file = string(level)+", root", name+"-root.json"
	}
	if level == sandbox.LevelDocker { // of two engines
		title = strings.Replace(title, string(level), name, 1)
	}
	return title, filepath.Join(kept, file)
}

// keepColumn keeps the outcomes.
func keepColumn(t *testing.T, name string, level sandbox.Level, scores []Score) {
	t.Helper()
	title, file := columnOf(name, level)
	for i, s := range scores {
		if !s.explained() {
			scores[i].Detail = "" // which names paths of one run
		}
	}
	text, err := json.Marshal(Column{Title: title, Scores: scores})
	must(t, err)
	text = bytes.ReplaceAll(text, []byte(`{"Name"`), []byte("\n"+`{"Name"`)) // a case is a line
	must(t, os.MkdirAll(kept, 0o755))
	must(t, os.WriteFile(file, append(text, '\n'), 0o644))
}

// compareColumn fails where something else came of a case here than is kept of it. It
// is for machines that are alike: of the same level, and with a Landlock that guards
// signals. What one of them lacks, there was nothing to come of.
func compareColumn(t *testing.T, name string, level sandbox.Level, scores []Score) {
	t.Helper()
	title, file := columnOf(name, level)
	if _, err := os.Stat(file); err != nil {
		t.Log("not compared with the table: ", err)
		return
	}
	c := ReadColumn(t, file)
	if c.Title != title || landlockVersion() < 6 {
		t.Logf("not compared with the table, which is of another kind of machine: %s", c.Title)
		return
	}
	machine := []Outcome{Stopped, Lacking, Missing, Absent, Held, Untried}
	for _, s := range scores {
		o := c.of(s.Name).Outcome
		if s.Outcome == Broken || slices.Contains(machine, o) && slices.Contains(machine, s.Outcome) {
			continue // what is broken fails by itself, or was not asked for
		}
		if o != s.Outcome {
			t.Errorf("%s: %q is %s in the table, and %s here; run make docs", title, s.Name, o, s.Outcome)
		}
	}
}

// kept is the directory of columns, below that in which tests run.
const kept = "testdata"

// ReadColumn reads a column, and fails where that is not of the cases that there are
// now.
func ReadColumn(t *testing.T, file string) (c Column) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, json.Unmarshal(text, &c))
	attacks, own := Cases()
	all := slices.Concat(attacks, own)
	for _, name := range all {
		if o := c.of(name).Outcome; o == "" || o == Fell || o == Broken {
			t.Errorf("%s: the outcome of %q is %q; run make docs where Docker, Podman and gVisor are", file, name, o)
		}
	}
	equal(t, file+": cases", len(c.Scores), len(all))
	return c
}

// explained reports whether it must be said why.
func (s Score) explained() bool {
	return s.Outcome == Open || s.Outcome == Contained || s.Outcome == Untried
}

func (c Column) of(name string) Score {
	for _, s := range c.Scores {
		if s.Name == name {
			return s
		}
	}
	return Score{}
}

// Table writes columns as Markdown. Why something is open stands below.
func Table(columns []Column) string {
	attacks, own := Cases()
	var b strings.Builder
	notes := rows(&b, columns, attacks, "case", "stopped + contained + open + absent", func(n map[Outcome]int) string {
		return fmt.Sprintf("%d + %d + %d + %d", n[Stopped]+n[Lacking]+n[Missing], n[Contained], n[Open], n[Absent])
	})
	b.WriteString("\nWhat is not stopped:\n\n" + notes.String() + "\n")
	notes = rows(&b, columns, own, "case with a test of its own", "held + open + not tried", func(n map[Outcome]int) string {
		return fmt.Sprintf("%d + %d + %d", n[Held], n[Open], n[Untried])
	})
	b.WriteString("\nWhat does not hold, or is not tried:\n\n" + notes.String())
	return b.String()
}

// rows writes a table, and returns what must be said of its cells.
func rows(b *strings.Builder, columns []Column, cases []string, what, sums string, sum func(map[Outcome]int) string) (notes notes) {
	titles := make([]string, len(columns))
	counts := make([]map[Outcome]int, len(columns))
	for i, c := range columns {
		titles[i], counts[i] = c.Title, map[Outcome]int{}
	}
	fmt.Fprintf(b, "| %s | %s |\n|---|%s\n", what, strings.Join(titles, " | "), strings.Repeat("---|", len(columns)))
	for _, name := range cases {
		b.WriteString("| " + name + " |")
		for i, c := range columns {
			s := c.of(name)
			counts[i][s.Outcome]++
			b.WriteString(" " + string(s.Outcome) + " |")
			if s.explained() {
				notes.add(name, s.Detail)
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("| **" + sums + "** |")
	for _, n := range counts {
		b.WriteString(" " + sum(n) + " |")
	}
	b.WriteString("\n")
	return notes
}

// notes are reasons, in the order in which they came, and the cases that have each.
type notes []struct {
	why   string
	cases []string
}

func (n *notes) add(name, why string) {
	for i := range *n {
		if note := &(*n)[i]; note.why == why {
			if !slices.Contains(note.cases, name) {
				note.cases = append(note.cases, name)
			}
			return
		}
	}
	*n = append(*n, struct {
		why   string
		cases []string
	}{why, []string{name}})
}

func (n notes) String() string {
	var b strings.Builder
	for _, note := range n {
		fmt.Fprintf(&b, "- *%s*: %s\n", strings.Join(note.cases, "*, *"), note.why)
	}
	return b.String()
}
