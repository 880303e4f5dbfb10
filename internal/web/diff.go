package web

import (
	"html/template"
	"strconv"
	"strings"

	"mgx/internal/guard"
)

// change is a difference between two trees, as pages draw it.
type change struct {
	Files      []changedFile
	Adds, Dels int
	Cut        bool // it is longer than what is drawn
}

// changedFile is what happened to one file.
type changedFile struct {
	Name, Was  string // Was: before it was renamed
	Anchor     string
	What       string // added, deleted, renamed, changed, binary
	Adds, Dels int
	Hunks      []hunk
	Fold       bool // it is long, so it begins folded
}

// hunk is a part of a file. Each of its blocks is lines that stay, or lines that
// went beside those that came.
type hunk struct {
	Head   string
	Blocks []block
}

type block struct {
	Old, New []numberedLine
	Same     bool // Old and New are the same lines, under their numbers
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

// readDiff reads what git diff writes. What it does not understand it leaves out:
// it draws what runs made, and what they named their files.
func readDiff(text string) change {
	var c change
	var r diffReader
	n := 0
	for raw := range strings.Lines(text) {
		line := strings.TrimRight(raw, "\n")
		if n++; n > maxDiffLines || len(c.Files) > maxDiffFiles {
			c.Cut = true
			break
		}
		if strings.HasPrefix(line, "diff --git ") {
			r.end(&c)
			r = diffReader{file: &changedFile{What: "changed", Name: gitName(line)}}
			continue
		}
		if r.file != nil {
			r.take(line)
		}
	}
	r.end(&c)
	return c
}

// diffReader is one file as it is read.
type diffReader struct {
	file     *changedFile
	hunk     *rawHunk
	hunks    []rawHunk
	old, new int // lines of the hunk that are still to come
}

// rawHunk has its lines with their marks.
type rawHunk struct {
	head     string
	old, new int
	lines    []string
}

func (r *diffReader) take(line string) {
	if r.hunk != nil && (r.old > 0 || r.new > 0) {
		r.line(line)
		return
	}
	f := r.file
	switch {
	case strings.HasPrefix(line, "@@ "):
		r.open(line)
	case strings.HasPrefix(line, "new file"):
		f.What = "added"
	case strings.HasPrefix(line, "deleted file"):
		f.What = "deleted"
	case strings.HasPrefix(line, "rename from "):
		f.What, f.Was = "renamed", unquote(strings.TrimPrefix(line, "rename from "))
	case strings.HasPrefix(line, "rename to "):
		f.Name = unquote(strings.TrimPrefix(line, "rename to "))
	case strings.HasPrefix(line, "Binary files "), strings.HasPrefix(line, "GIT binary patch"):
		f.What = "binary"
	case strings.HasPrefix(line, "+++ ") && line != "+++ /dev/null":
		f.Name = strings.TrimPrefix(unquote(strings.TrimSuffix(line[4:], "\t")), "b/")
	case strings.HasPrefix(line, "--- ") && line != "--- /dev/null" && f.What == "deleted":
		f.Name = strings.TrimPrefix(unquote(strings.TrimSuffix(line[4:], "\t")), "a/")
	}
}

// open begins a hunk: @@ -3,4 +3,5 @@ func x.
func (r *diffReader) open(line string) {
	r.finish()
	ranges, head, ok := strings.Cut(strings.TrimPrefix(line, "@@ "), " @@")
	from, to, two := strings.Cut(ranges, " ")
	if !ok || !two {
		return
	}
	h := rawHunk{head: strings.TrimSpace(head)}
	h.old, r.old = span2(strings.TrimPrefix(from, "-"))
	h.new, r.new = span2(strings.TrimPrefix(to, "+"))
	r.hunk = &h
}

// span2 reads 3,4 or 3.
func span2(s string) (from, n int) {
	a, b, counted := strings.Cut(s, ",")
	from, _ = strconv.Atoi(a)
	n = 1
	if counted {
		n, _ = strconv.Atoi(b)
	}
	return from, n
}

func (r *diffReader) line(text string) {
	mark := byte(' ')
	if text != "" {
		mark = text[0]
	}
	switch mark {
	case '+':
		r.new--
		r.file.Adds++
	case '-':
		r.old--
		r.file.Dels++
	case '\\':
		return
	default:
		r.old, r.new = r.old-1, r.new-1
	}
	r.hunk.lines = append(r.hunk.lines, text)
}

func (r *diffReader) finish() {
	if r.hunk != nil {
		r.hunks = append(r.hunks, *r.hunk)
		r.hunk = nil
	}
}

// end adds what was read to the whole.
func (r *diffReader) end(c *change) {
	if r.file == nil {
		return
	}
	r.finish()
	f := r.file
	f.Name, f.Was = guard.Clean(f.Name), guard.Clean(f.Was)
	language := languageOf(f.Name)
	lines := 0
	for _, h := range r.hunks {
		lines += len(h.lines)
		f.Hunks = append(f.Hunks, h.draw(language))
	}
	f.Fold = lines > foldedLines
	f.Anchor = "file-" + strconv.Itoa(len(c.Files)+1)
	c.Adds, c.Dels = c.Adds+f.Adds, c.Dels+f.Dels
	c.Files = append(c.Files, *f)
	r.file = nil
}

// draw colours both sides of a hunk, each as it reads, and puts its lines side by
// side.
func (h rawHunk) draw(l *language) hunk {
	var before, after []string
	for _, text := range h.lines {
		mark, rest := byte(' '), ""
		if text != "" {
			mark, rest = text[0], guard.Clean(text[1:])
		}
		if mark != '+' {
			before = append(before, rest)
		}
		if mark != '-' {
			after = append(after, rest)
		}
	}
	litBefore, litAfter := lit(l, before), lit(l, after)
	out := hunk{Head: guard.Clean(h.head)}
	o, n := 0, 0
	oldLine := func() numberedLine { o++; return numberedLine{h.old + o - 1, drawn(litBefore[o-1])} }
	newLine := func() numberedLine { n++; return numberedLine{h.new + n - 1, drawn(litAfter[n-1])} }
	for _, text := range h.lines {
		mark := byte(' ')
		if text != "" {
			mark = text[0]
		}
		same := mark != '+' && mark != '-'
		if len(out.Blocks) == 0 || out.Blocks[len(out.Blocks)-1].Same != same {
			out.Blocks = append(out.Blocks, block{Same: same})
		}
		b := &out.Blocks[len(out.Blocks)-1]
		if mark != '+' {
			b.Old = append(b.Old, oldLine())
		}
		if mark != '-' {
			b.New = append(b.New, newLine())
		}
	}
	return out
}

func drawn(l line) template.HTML {
	m := &markup{}
	l.draw(m)
	return m.html()
}

// gitName is the name in "diff --git a/x b/x"; lines that follow know it better.
func gitName(line string) string {
	rest := strings.TrimPrefix(line, "diff --git ")
	if i := strings.LastIndex(rest, " b/"); i >= 0 {
		return rest[i+3:]
	}
	return unquote(rest)
}

// unquote reads a name that git wrote in quotes, since it is not plain.
func unquote(name string) string {
	if !strings.HasPrefix(name, `"`) {
		return name
	}
	if s, err := strconv.Unquote(name); err == nil {
		return s
	}
	return name
}
