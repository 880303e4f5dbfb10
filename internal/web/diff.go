package web

import (
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"strings"

	"mgx/internal/app"
	"mgx/internal/guard"
)

// change is a difference between two trees, as pages draw it.
type change struct {
	Files      []changedFile
	Adds, Dels int
	Cut        bool // it is longer than what is drawn
}

// changedFile is what happened to one file, and what people say about it.
type changedFile struct {
	Name, Was  string // Was: before it was renamed
	Path       string // the name as it is, for forms
	Anchor     string
	What       string // added, deleted, renamed, changed, binary
	Adds, Dels int
	Hunks      []hunk
	Fold       bool // it is long, so it begins folded

	judged
}

// hunk is a part of a file. Each of its blocks is lines that stay, or lines that
// went beside those that came.
type hunk struct {
	Head   string
	Blocks []block
}

type block struct {
	Old, New []numberedLine
	Same     bool   // Old and New are the same lines, under their numbers
	Notes    []note // on the last lines of it
}

type numberedLine struct {
	N    int
	HTML template.HTML
}

// Bounds of a difference that is drawn, and of a file that begins unfolded.
const (
	maxDiffLines = 20_000
	maxDiffFiles = 500
	foldedLines  = 400
)

// readDiff draws what git diff writes.
func readDiff(text string) change { return drawDiff(text, nil) }

// drawDiff draws what git diff writes, with what people say about each file, in the
// order of the files.
func drawDiff(text string, said []judged) change {
	files, cut := app.ReadPatch(text, maxDiffLines)
	c := change{Cut: cut || len(files) > maxDiffFiles}
	for i, f := range files[:min(len(files), maxDiffFiles)] {
		one := changedFile{
			Name: guard.Visible(f.Name), Was: guard.Visible(f.Was), Path: f.Name, Anchor: anchorOf(f.Name), What: f.What, Adds: f.Adds, Dels: f.Dels,
		}
		if i < len(said) {
			one.judged = said[i]
		}
		lines, language := 0, languageOf(one.Name)
		for _, h := range f.Hunks {
			lines += len(h.Lines)
			one.Hunks = append(one.Hunks, drawHunk(h, language, one.judged.on))
		}
		one.Fold = lines > foldedLines
		c.Adds, c.Dels = c.Adds+f.Adds, c.Dels+f.Dels
		c.Files = append(c.Files, one)
	}
	return c
}

// anchorOf names a file within the page, the same whichever others come and go.
func anchorOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "file-" + hex.EncodeToString(sum[:6])
}

// drawHunk colours both sides of a hunk, each as it reads, and puts its lines side
// by side. A block ends with a line that something is said about.
func drawHunk(h app.PatchHunk, l *language, on func(side string, line int) []note) hunk {
	var before, after []string
	for _, text := range h.Lines {
		mark, rest := markOf(text)
		rest = guard.Visible(strings.TrimSuffix(rest, "\r")) // a reviewer must see what hides
		if mark != '+' {
			before = append(before, rest)
		}
		if mark != '-' {
			after = append(after, rest)
		}
	}
	b := blocks{before: lit(l, before), after: lit(l, after), old: h.Old, new: h.New}
	for _, text := range h.Lines {
		mark, _ := markOf(text)
		b.add(mark)
	}
	out := hunk{Head: guard.Visible(h.Head)}
	for _, one := range b.all {
		out.Blocks = append(out.Blocks, split(one, on)...)
	}
	return out
}

// markOf is a line of a difference: its mark and its text.
func markOf(line string) (byte, string) {
	if line == "" {
		return ' ', ""
	}
	return line[0], line[1:]
}

// blocks are those of a hunk as they are drawn.
type blocks struct {
	before, after []line
	old, new      int // numbers of the next lines
	o, n          int // how many were drawn
	all           []block
}

// add draws the next line, which has a mark.
func (b *blocks) add(mark byte) {
	same := mark != '+' && mark != '-'
	if len(b.all) == 0 || b.all[len(b.all)-1].Same != same {
		b.all = append(b.all, block{Same: same})
	}
	last := &b.all[len(b.all)-1]
	if mark != '+' {
		last.Old = append(last.Old, numberedLine{b.old + b.o, drawn(b.before[b.o])})
		b.o++
	}
	if mark != '-' {
		last.New = append(last.New, numberedLine{b.new + b.n, drawn(b.after[b.n])})
		b.n++
	}
}

// split cuts a block after each row on which something is said.
func split(b block, on func(side string, line int) []note) (all []block) {
	if on == nil {
		return []block{b}
	}
	from := 0
	for row := range max(len(b.Old), len(b.New)) {
		var notes []note
		if row < len(b.Old) {
			notes = append(notes, on(app.SideOld, b.Old[row].N)...)
		}
		if row < len(b.New) {
			notes = append(notes, on(app.SideNew, b.New[row].N)...)
		}
		if len(notes) > 0 {
			part := b.rows(from, row+1)
			part.Notes, from = notes, row+1
			all = append(all, part)
		}
	}
	if from < max(len(b.Old), len(b.New)) {
		all = append(all, b.rows(from, max(len(b.Old), len(b.New))))
	}
	return all
}

// rows are some rows of a block.
func (b block) rows(from, to int) block {
	some := func(all []numberedLine) []numberedLine { return all[min(from, len(all)):min(to, len(all))] }
	return block{Old: some(b.Old), New: some(b.New), Same: b.Same}
}

func drawn(l line) template.HTML {
	m := &markup{}
	l.draw(m)
	return m.html()
}
