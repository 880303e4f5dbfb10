package app

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// PatchFile is one file's part of a difference, as git writes it.
type PatchFile struct {
	Name, Was  string // Was: before it was renamed
	What       string // added, deleted, renamed, changed, binary
	Adds, Dels int
	Hunks      []PatchHunk
	// Digest is of all of it: what it is the digest of is what somebody looked at. The
	// names of git's objects are left out, since git writes them as short as it can.
	Digest string
}

// PatchHunk is a stretch of a file: its lines begin with their marks.
type PatchHunk struct {
	Head     string // of the function that it is in, or the like
	Old, New int    // numbers of the first line, on both sides
	Lines    []string
}

// ReadPatch reads what git diff writes, to at most so many lines; 0: all. What it
// does not understand it leaves out. Cut says that there is more.
func ReadPatch(text string, most int) (files []PatchFile, cut bool) {
	var r patchReader
	n := 0
	for raw := range strings.Lines(text) {
		line := strings.TrimRight(raw, "\n")
		if n++; most > 0 && n > most {
			cut = true
			break
		}
		if strings.HasPrefix(line, "diff --git ") {
			files = r.end(files)
			r = patchReader{file: &PatchFile{What: "changed", Name: gitName(line)}}
			continue
		}
		if r.file != nil {
			r.take(line)
		}
	}
	return r.end(files), cut
}

// patchReader is one file as it is read.
type patchReader struct {
	file     *PatchFile
	hunk     *PatchHunk
	all      []string // that the digest is of
	old, new int      // lines of the hunk that are still to come
}

func (r *patchReader) take(line string) {
	if r.hunk != nil && (r.old > 0 || r.new > 0) {
		r.line(line)
		return
	}
	if !strings.HasPrefix(line, "index ") {
		r.all = append(r.all, line)
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
func (r *patchReader) open(line string) {
	r.finish()
	ranges, head, ok := strings.Cut(strings.TrimPrefix(line, "@@ "), " @@")
	from, to, two := strings.Cut(ranges, " ")
	if !ok || !two {
		return
	}
	h := PatchHunk{Head: strings.TrimSpace(head)}
	h.Old, r.old = lineRange(strings.TrimPrefix(from, "-"))
	h.New, r.new = lineRange(strings.TrimPrefix(to, "+"))
	r.hunk = &h
}

// lineRange reads 3,4 or 3.
func lineRange(s string) (from, n int) {
	a, b, counted := strings.Cut(s, ",")
	from, _ = strconv.Atoi(a)
	n = 1
	if counted {
		n, _ = strconv.Atoi(b)
	}
	return from, n
}

func (r *patchReader) line(text string) {
	r.all = append(r.all, text)
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
	r.hunk.Lines = append(r.hunk.Lines, text)
}

func (r *patchReader) finish() {
	if r.hunk != nil {
		r.file.Hunks = append(r.file.Hunks, *r.hunk)
		r.hunk = nil
	}
}

// end adds what was read to the whole.
func (r *patchReader) end(files []PatchFile) []PatchFile {
	if r.file == nil {
		return files
	}
	r.finish()
	r.file.Digest = digestOf(append([]string{r.file.Name, r.file.Was, r.file.What}, r.all...)...)
	return append(files, *r.file)
}

// digestOf is the SHA-256 of texts, in order.
func digestOf(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		h.Write([]byte(strconv.Itoa(len(t)) + "\x00" + t))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// at is the text of a line of one side, if the difference shows it.
func (f PatchFile) at(side string, line int) (string, bool) {
	for _, h := range f.Hunks {
		o, n := h.Old, h.New
		for _, text := range h.Lines {
			mark, rest := byte(' '), ""
			if text != "" {
				mark, rest = text[0], text[1:]
			}
			if mark != '+' {
				if side == SideOld && o == line {
					return rest, true
				}
				o++
			}
			if mark != '-' {
				if side == SideNew && n == line {
					return rest, true
				}
				n++
			}
		}
	}
	return "", false
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
