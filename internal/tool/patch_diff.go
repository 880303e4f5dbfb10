package tool

import (
	"io/fs"
	"strconv"
	"strings"
)

// diffFile is what a unified diff says about one file.
type diffFile struct {
	old, new         string // "" until named
	from, to         string // of a rename
	created, deleted bool
	named            bool // by --- and +++
	mode             fs.FileMode
	hunks            []hunk
}

// unified reads a unified diff, as git or diff -u writes it.
func (p *patchReader) unified() error {
	var d *diffFile
	end := func() error {
		if d == nil {
			return nil
		}
		c, err := d.change(p)
		p.changes = append(p.changes, c)
		return err
	}
	for p.more() {
		l := p.take()
		switch {
		case strings.HasPrefix(l, "diff --git "):
			if err := end(); err != nil {
				return err
			}
			d = &diffFile{}
			d.gitNames(strings.TrimPrefix(l, "diff --git "))
		case strings.HasPrefix(l, "--- ") && p.starts(p.next, "+++ "):
			if d == nil || d.named || len(d.hunks) > 0 {
				if err := end(); err != nil {
					return err
				}
				d = &diffFile{}
			}
			d.headers(l[4:], p.take()[4:])
		case strings.HasPrefix(l, "GIT binary patch") || strings.HasPrefix(l, "Binary files "):
			return p.wrong("binary files cannot be patched.")
		case d == nil:
		case strings.HasPrefix(l, "@@"):
			h, err := p.diffHunk(l)
			if err != nil {
				return err
			}
			d.hunks = append(d.hunks, h)
		default:
			d.extended(l)
		}
	}
	return end()
}

// gitNames reads the names of a "diff --git" line, which alone names files that
// have no hunks.
func (d *diffFile) gitNames(rest string) {
	if q, err := strconv.QuotedPrefix(rest); err == nil {
		d.old, d.new = stripped(unquoted(q), unquoted(strings.TrimSpace(rest[len(q):])))
		return
	}
	if mid := len(rest) / 2; mid < len(rest) && rest[mid] == ' ' {
		d.old, d.new = stripped(rest[:mid], rest[mid+1:])
	}
}

func (d *diffFile) headers(old, new string) {
	d.old, d.new = stripped(headerName(old), headerName(new))
	d.named = true
	d.created = d.created || d.old == "/dev/null"
	d.deleted = d.deleted || d.new == "/dev/null"
}

// headerName is the name in a --- or +++ line, without the time that may follow.
func headerName(s string) string {
	name, _, _ := strings.Cut(s, "\t")
	return unquoted(strings.TrimRight(name, "\r"))
}

// stripped takes off git's a/ and b/.
func stripped(old, new string) (string, string) {
	const null = "/dev/null"
	if (old == null || strings.HasPrefix(old, "a/")) && (new == null || strings.HasPrefix(new, "b/")) {
		return strings.TrimPrefix(old, "a/"), strings.TrimPrefix(new, "b/")
	}
	return old, new
}

// extended reads git's extended header lines; others mean nothing.
func (d *diffFile) extended(l string) {
	for _, h := range []struct {
		prefix string
		set    func(string)
	}{
		{"new file mode ", func(s string) { d.created, d.mode = true, permissions(s) }},
		{"deleted file mode ", func(string) { d.deleted = true }},
		{"new mode ", func(s string) { d.mode = permissions(s) }},
		{"rename from ", func(s string) { d.from = unquoted(s) }},
		{"rename to ", func(s string) { d.to = unquoted(s) }},
	} {
		if rest, ok := strings.CutPrefix(strings.TrimRight(l, "\r"), h.prefix); ok {
			h.set(rest)
		}
	}
}

// permissions reads a git file mode, which knows executable or not.
func permissions(s string) fs.FileMode {
	if strings.TrimSpace(s) == "100755" {
		return 0o755
	}
	return newFileMode
}

func (d *diffFile) change(p *patchReader) (fileChange, error) {
	c := fileChange{op: opUpdate, path: d.new, mode: d.mode, hunks: d.hunks}
	switch {
	case d.from != "" && d.to != "":
		c.path, c.moveTo = d.from, d.to
	case d.created:
		c.op, c.hunks = opAdd, nil
		var ok bool
		if c.content, ok = addedText(d.hunks); !ok {
			return c, p.wrong("%s is a new file, so all of its lines begin with +.", quoted(c.path))
		}
	case d.deleted:
		c.op, c.path = opDelete, d.old
	case len(d.hunks) == 0 && d.mode == 0:
		return c, p.wrong("%s has no hunks.", quoted(c.path))
	}
	return c, nil
}

// addedText is the text of a new file.
func addedText(hunks []hunk) (string, bool) {
	var b strings.Builder
	open := false
	for _, h := range hunks {
		for _, l := range h.lines {
			if l.op != '+' {
				return "", false
			}
			b.WriteString(l.text + "\n")
		}
		open = h.newOpen
	}
	if open {
		return strings.TrimSuffix(b.String(), "\n"), true
	}
	return b.String(), true
}

// diffHunk reads a hunk whose header was just taken. When the counts in the
// header fit the lines they decide where it ends; models often get them wrong,
// and then the form of the lines decides.
func (p *patchReader) diffHunk(header string) (hunk, error) {
	h := hunk{at: -1}
	h.header(header)
	start := p.next
	if m := hunkHeader().FindStringSubmatch(header); m != nil && p.counted(&h, number(m[2], 1), number(m[3], 1)) {
		return h, nil
	}
	p.next = start
	h.lines, h.oldOpen, h.newOpen = nil, false, false
	return h, p.uncounted(&h)
}

// counted reads as many lines as a header promises, and reports whether the hunk
// ends there.
func (p *patchReader) counted(h *hunk, old, new int) bool {
	for old > 0 || new > 0 {
		if !p.more() || !h.take(p.take()) {
			return false
		}
		if p.lines[p.next-1] != "" && p.lines[p.next-1][0] == '\\' {
			continue
		}
		switch l := h.lines[len(h.lines)-1]; l.op {
		case ' ':
			old, new = old-1, new-1
		case '-':
			old--
		case '+':
			new--
		}
	}
	if p.starts(p.next, `\`) {
		h.take(p.take())
	}
	ends := !p.more() || !isContent(p.peek()) || p.fileHeader() || strings.TrimRight(p.peek(), " \r") == "--"
	return ends && old == 0 && new == 0
}

// fileHeader reports whether the next lines name another file.
func (p *patchReader) fileHeader() bool {
	return p.starts(p.next, "diff --git ") || p.starts(p.next, "--- ") && p.starts(p.next+1, "+++ ")
}

func (p *patchReader) uncounted(h *hunk) error {
	for p.more() && !p.starts(p.next, "@@") && !p.fileHeader() {
		if l := p.take(); !h.take(l) {
			return p.wrong(`a line of a hunk begins with " " (kept), "-" (removed) or "+" (added).`)
		}
	}
	h.trimBlankTail()
	if len(h.lines) == 0 {
		return p.wrong("the hunk has no lines.")
	}
	return nil
}

// take adds a line of a diff to the hunk and reports whether it can be one.
func (h *hunk) take(l string) bool {
	switch {
	case l == "" || l == "\r":
		h.lines = append(h.lines, bareLine(l))
	case isContent(l):
		h.lines = append(h.lines, contentLine(l))
	case l[0] == '\\' && len(h.lines) > 0:
		op := h.lines[len(h.lines)-1].op
		h.oldOpen = h.oldOpen || op != '+'
		h.newOpen = h.newOpen || op != '-'
	default:
		return false
	}
	return true
}
