package tool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"
)

type readArgs struct {
	Path   string `json:"path"`
	Offset int    `json:"offset"`
	Limit  int    `json:"limit"`
}

const (
	defaultLines = 400
	maxLines     = 2000
	maxRead      = 64 << 10  // bytes of one answer
	maxCounted   = 512 << 20 // bytes of a file that are read to count its lines
)

// read shows part of a text file. It streams: memory does not grow with the file.
func read(ctx context.Context, ws *Workspace, a readArgs) (Result, error) {
	p, err := ws.at(a.Path)
	if err != nil {
		return Result{}, err
	}
	f, info, err := open(p)
	if errors.Is(err, fs.ErrNotExist) {
		return Result{}, missing(ctx, p)
	}
	if err != nil {
		return Result{}, fileError(p, err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	head, _ := r.Peek(4 << 10)
	if err := refuseBinary(p, head, info.Size()); err != nil {
		return Result{}, err
	}
	w := window{from: max(a.Offset, 1), lines: limitOr(a.Limit)}
	if err := w.scan(ctx, r); err != nil {
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		return Result{}, fileError(p, err)
	}
	if w.next == 0 && w.total > 0 {
		return Result{}, failf("%s has only %s; offset %d is past its end.", p, count(w.total, "line"), w.from)
	}
	return succeed(w.String())
}

func limitOr(n int) int {
	if n <= 0 {
		return defaultLines
	}
	return min(n, maxLines)
}

// refuseBinary looks at the first bytes of a file.
func refuseBinary(p place, head []byte, total int64) error {
	odd := 0
	for _, c := range head {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' && c != '\f' && c != 0x1b || c == 0x7f {
			odd++
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")):
		return failf("%s is UTF-16 text (%s). Convert it with iconv in the shell tool to read it.", p, size(total))
	case bytes.IndexByte(head, 0) >= 0 || odd*10 > len(head)*3:
		return failf("%s is a binary file (%s). It is not shown; use the shell tool if you need to inspect it.", p, size(total))
	}
	return nil
}

// window is the part of a file that is shown.
type window struct {
	from, lines int

	shown strings.Builder
	next  int // the line after the last shown one; 0: none shown
	total int // lines in the file
	more  bool
	full  bool
	traits
}

// traits are what an editor of the file should know about it.
type traits struct {
	lossy, crlf, marked, hid, long, open bool
}

// scan reads on to the end to know how many lines there are, up to maxCounted.
func (w *window) scan(ctx context.Context, r *bufio.Reader) error {
	var seen int64
	for seen < maxCounted {
		if err := ctx.Err(); err != nil {
			return err
		}
		text, n, err := readLine(r)
		if n > 0 {
			seen += n
			w.total++
			w.take(text, n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	w.more = true
	return nil
}

// readLine returns the start of the next line and how many bytes it has in all.
// It keeps no more of a line than is needed to show it.
func readLine(r *bufio.Reader) (kept []byte, total int64, err error) {
	const keep = maxShown + utf8.UTFMax
	for {
		piece, err := r.ReadSlice('\n')
		total += int64(len(piece))
		if room := keep - len(kept); room > 0 {
			kept = append(kept, piece[:min(room, len(piece))]...)
		}
		if err != bufio.ErrBufferFull {
			if bytes.HasSuffix(piece, []byte("\n")) && total > keep {
				kept = append(kept, '\n')
			}
			return kept, total, err
		}
	}
}

func (w *window) take(raw []byte, n int64) {
	body, ended := bytes.CutSuffix(raw, []byte("\n"))
	w.open = !ended
	if w.total == 1 {
		body, w.marked = bytes.CutPrefix(body, []byte(bom))
	}
	if w.total < w.from || w.full {
		return
	}
	body, crlf := bytes.CutSuffix(body, []byte("\r"))
	text := visible(string(body))
	if w.shown.Len()+len(text) > maxRead && w.next > 0 || w.total >= w.from+w.lines {
		w.full = true
		return
	}
	w.crlf = w.crlf || crlf
	w.long = w.long || n > maxShown
	w.lossy = w.lossy || !utf8.Valid(body) && n <= maxShown
	w.hid = w.hid || strings.Contains(text, "<U+") && !bytes.Contains(body, []byte("<U+"))
	writeNumbered(&w.shown, w.total, text)
	w.next = w.total + 1
}

func (w *window) String() string {
	if w.total == 0 {
		return "(the file is empty)"
	}
	var b strings.Builder
	b.WriteString(w.shown.String())
	total := fmt.Sprint(w.total)
	if w.more {
		total = "more than " + total
	}
	switch {
	case w.more || w.next <= w.total:
		fmt.Fprintf(&b, "(lines %d-%d of %s; continue with offset %d)", w.from, w.next-1, total, w.next)
	default:
		fmt.Fprintf(&b, "(lines %d-%d of %s, end of file)", w.from, w.next-1, total)
	}
	for _, t := range []struct {
		is   bool
		says string
	}{
		{w.crlf, "Lines end in CRLF; edit keeps that."},
		{w.marked, "The file starts with a byte order mark; edit keeps it."},
		{w.lossy, "Some bytes are not UTF-8 and are shown as \uFFFD; edit cannot match them."},
		{w.hid, "Invisible and control characters are shown as <U+XXXX>."},
		{w.long, fmt.Sprintf("Lines longer than %d bytes are cut.", maxShown)},
		{w.open && !w.more, "There is no newline at the end of the file."},
	} {
		if t.is {
			b.WriteString("\n(" + t.says + ")")
		}
	}
	return b.String()
}
