package sandboxtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mgx/internal/sandbox"
)

// Scores attacks a box of the driver and returns every outcome, in the order of
// the cases.
func Scores(t *testing.T, d sandbox.Driver) (level sandbox.Level, scores []Score) {
	t.Helper()
	h := openHost(t, d)
	return h.box.Level(), h.score(t)
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

// WriteColumn writes the outcomes of all cases, as whoever runs this, for the table
// in the docs, where the column has that title.
func WriteColumn(t *testing.T, d sandbox.Driver, title, file string) {
	t.Helper()
	who := "ordinary user"
	if os.Geteuid() == 0 {
		who = "root"
	}
	_, scores := Scores(t, d)
	for i := range scores {
		scores[i].Detail = scores[i].whyKnown()
	}
	text, err := json.MarshalIndent(Column{Title: title + ", " + who, Scores: scores}, "", " ")
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, append(text, '\n'), 0o644))
}

// ReadColumn reads what WriteColumn wrote.
func ReadColumn(t *testing.T, file string) (c Column) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, json.Unmarshal(text, &c))
	return c
}

// whyKnown is the detail where the table shows it; others name paths of one run.
func (s Score) whyKnown() string {
	if s.Outcome == Open || s.Outcome == Contained {
		return s.Detail
	}
	return ""
}

// Column is one run of all cases: a level, and as whom.
type Column struct {
	Title  string
	Scores []Score
}

// Table writes columns as Markdown. Why something is open stands below.
func Table(columns []Column) string {
	attacks, own := Cases()
	var b strings.Builder
	b.WriteString("| case |")
	for _, c := range columns {
		b.WriteString(" " + c.Title + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	var notes []string
	counts := make([]map[Outcome]int, len(columns))
	for _, name := range attacks {
		b.WriteString("| " + name + " |")
		for i, c := range columns {
			if counts[i] == nil {
				counts[i] = map[Outcome]int{}
			}
			s := c.of(name)
			counts[i][s.Outcome]++
			b.WriteString(" " + string(s.Outcome) + " |")
			note := "- *" + name + "*: " + s.Detail + "\n"
			if (s.Outcome == Open || s.Outcome == Contained) && !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("| **stopped + contained + open + absent** |")
	for _, n := range counts {
		fmt.Fprintf(&b, " %d + %d + %d + %d |", n[Stopped]+n[Lacking]+n[Missing], n[Contained], n[Open], n[Absent])
	}
	b.WriteString("\n\nWhat is not stopped:\n\n" + strings.Join(notes, "") + "\nCases with a test of their own:\n\n")
	for _, name := range own {
		var not []string
		for _, level := range sandbox.Levels {
			if why, exempted := exempt[level][name]; exempted {
				not = append(not, "not of "+string(level)+", which "+why)
			}
		}
		only := ""
		if not != nil {
			only = " (" + strings.Join(not, "; ") + ")"
		}
		b.WriteString("- " + name + only + "\n")
	}
	return b.String()
}

func (c Column) of(name string) Score {
	i := slices.IndexFunc(c.Scores, func(s Score) bool { return s.Name == name })
	if i < 0 {
		return Score{Name: name, Outcome: Broken}
	}
	return c.Scores[i]
}
