package tool

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"mgx/internal/guard"
)

const (
	maxOutput   = 30_000    // bytes of output a model gets: half from the start, half from the end
	maxKept     = 50 << 20  // bytes of one kept output
	maxKeptAll  = 512 << 20 // bytes of all kept outputs; the oldest go
	maxRagged   = 500       // bytes given up to cut between lines
	shellPrefix = "shell-"
)

// capture takes the output of a program as it comes: cleaned and without secrets,
// its start and end for the model, all of it in a file when that is more.
type capture struct {
	mu    sync.Mutex
	ws    *Workspace
	clean guard.Cleaner
	hide  *guard.Stream // of what is clean: on to add
	watch guard.Cleaner // passes on what it has at once
	shown *guard.Stream // of that: on to people

	head  strings.Builder // the first half, or all while there is no tail
	tail  []byte          // what came after
	size  int64
	lines int64

	file  *os.File
	whole *bufio.Writer // to the file: programs write many short lines
	name  string
	saved int64
	lost  error // why not all of it is in the file
}

func newCapture(ws *Workspace) *capture {
	c := &capture{ws: ws}
	c.hide = ws.Redact.Stream(c.add)
	c.shown = ws.Redact.Stream(func(s string) { ws.Watch([]byte(s)) })
	c.clean.To, c.watch.To = c.hide.Write, c.shown.Write
	return c
}

// Write never fails: a program must not notice that its output is not wanted.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clean.Feed(p)
	if c.ws.Watch != nil {
		c.watch.Feed(p)
		c.watch.Flush()
	}
	return len(p), nil
}

// add takes a piece of clean output.
func (c *capture) add(s string) {
	c.size += int64(len(s))
	c.lines += int64(strings.Count(s, "\n"))
	if c.file == nil && c.lost == nil && c.size > maxOutput {
		c.open()
	}
	c.save(s)
	if len(c.tail) == 0 {
		n := upTo(s, maxOutput/2-c.head.Len())
		c.head.WriteString(s[:n])
		s = s[n:]
	}
	c.tail = append(c.tail, s...)
	if len(c.tail) > 2*maxOutput {
		c.tail = slices.Delete(c.tail, 0, len(c.tail)-maxOutput)
	}
}

// open starts the file with what came so far, which is all still here.
func (c *capture) open() {
	if c.ws.Outputs == nil {
		c.lost = os.ErrInvalid
		return
	}
	makeRoom(c.ws.Outputs, maxKept, maxKeptAll)
	c.name = outputName(c.ws.Step)
	c.file, c.lost = c.ws.Outputs.OpenFile(c.name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if c.lost == nil {
		c.whole = bufio.NewWriterSize(c.file, 64<<10)
	}
	c.save(c.head.String() + string(c.tail))
}

// outputName is the file for the output of a step: the same when the step is
// done again after a crash, or in a repetition of the run.
func outputName(step string) string {
	if step == "" {
		step = rand.Text()[:10]
	}
	return shellPrefix + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(step)) + ".txt"
}

func (c *capture) save(s string) {
	if c.file == nil || c.lost != nil {
		return
	}
	s = s[:min(int64(len(s)), maxKept-c.saved)]
	n, err := c.whole.WriteString(s)
	c.saved += int64(n)
	c.lost = err
}

// captured is an output as a model gets it.
type captured struct {
	text string
	full bool // there was more than is kept
}

func (c *capture) close() captured {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clean.Close()
	c.hide.Close()
	if c.ws.Watch != nil {
		c.watch.Close()
		c.shown.Close()
	}
	if c.file != nil {
		if err := c.whole.Flush(); c.lost == nil {
			c.lost = err
		}
		if err := c.file.Close(); c.lost == nil {
			c.lost = err
		}
	}
	if c.size <= maxOutput {
		return captured{text: c.head.String() + string(c.tail)}
	}
	head := c.head.String()
	tail := strings.ToValidUTF8(string(c.tail[max(len(c.tail)-maxOutput/2, 0):]), "")
	if i := strings.LastIndexByte(head, '\n'); i >= len(head)-maxRagged {
		head = head[:i+1]
	}
	if i := strings.IndexByte(tail, '\n'); i >= 0 && i < maxRagged {
		tail = tail[i+1:]
	}
	gone := c.size - int64(len(head)+len(tail))
	dropped := c.lines - int64(strings.Count(head, "\n")+strings.Count(tail, "\n"))
	return captured{
		text: fmt.Sprintf("%s\n… %d characters (%d lines) left out; %s …\n%s", strings.TrimSuffix(head, "\n"), gone, dropped, c.where(), tail),
		full: c.size > maxKept,
	}
}

// upTo is where to cut a string so that at most n bytes and whole characters
// are before.
func upTo(s string, n int) int {
	if n >= len(s) {
		return len(s)
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// where says where the whole output is.
func (c *capture) where() string {
	at := path.Join(OutputsDir, c.name)
	switch {
	case c.file == nil:
		return "the whole output could not be kept"
	case c.lost != nil:
		return fmt.Sprintf("its first %s are in %s, the rest could not be kept", size(c.saved), at)
	case c.saved < c.size:
		return fmt.Sprintf("the first %s are in %s: use read or grep on it", size(c.saved), at)
	}
	return fmt.Sprintf("the whole output is in %s: use read or grep on it", at)
}

// makeRoom removes the oldest kept outputs until more bytes fit below limit.
func makeRoom(root *os.Root, more, limit int64) {
	dir := place{root: root, name: ".", kept: OutputsDir}
	entries, _ := children(dir)
	var infos []os.FileInfo
	total := more
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), shellPrefix) {
			infos = append(infos, info)
			total += info.Size()
		}
	}
	slices.SortFunc(infos, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range infos {
		if total <= limit {
			return
		}
		if root.Remove(info.Name()) == nil {
			total -= info.Size()
		}
	}
}
