//go:build amd64 || arm64 || riscv64

package confine

import (
	"bytes"
	"io"
	"sync"

	"mgx/internal/sandbox"
)

// ears hear in what a command writes that the system refused it something. Of some
// limits that is all there is: a kernel counts nowhere that a process could open no
// more files, and only a cgroup counts those that could not be started. Of a file that
// grew too large a signal tells, but only whoever waits for the process that it ended;
// and a shell, which does, passes on how the last of a line ended. A command can make
// such words up, which gains it nothing but the name of a limit.
type ears struct {
	mu    sync.Mutex
	words []refusal
	end   []byte // of what came before, in which words may have begun
	heard sandbox.Limit
	ended bool // a shell said of a process that it was ended for the size of a file
}

// refusal is what C libraries and languages say of a limit.
type refusal struct {
	limit sandbox.Limit
	words [][]byte
}

var (
	noMoreFiles     = refusal{sandbox.LimitOpenFiles, [][]byte{[]byte("oo many open files"), []byte("o file descriptors available")}} // glibc and most; musl
	noMoreProcesses = refusal{sandbox.LimitProcesses, [][]byte{
		[]byte("esource temporarily unavailable"),               // C and what is like it, Go, Rust, Python's fork
		[]byte("annot fork"),                                    // sh
		[]byte("an't start new thread"), []byte("spawn EAGAIN"), // Python, Node
		[]byte("native thread"), // Java
		[]byte("new OS thread"), // Go
	}}
)

// fileTooLarge is what is said where the signal is caught or ignored, and by programs
// that wait for another which it ended.
var fileTooLarge = refusal{sandbox.LimitFileSize, [][]byte{
	[]byte(": File too large"), []byte(": file too large"), []byte("Errno 27]"), []byte("os error 27"), // C; Go, Node; Python; Rust
	[]byte("ile size limit exceeded"), // shells; Go
}}

// endedForSize is what shells say of a process that was ended: as a line, or after the
// number of the process.
var endedForSize = []byte("File size limit exceeded")

func shellSaid(text []byte) bool {
	for {
		i := bytes.Index(text, endedForSize)
		switch {
		case i < 0:
			return false
		case i == 0, text[i-1] == '\n', i > 1 && text[i-1] == ' ' && '0' <= text[i-2] && text[i-2] <= '9':
			return true
		}
		text = text[i+len(endedForSize):]
	}
}

// longestWords bounds the words of a refusal, in bytes.
const longestWords = 32

// overhear has what the command writes pass by ears. Processes that a cgroup bounds are
// counted, and need none.
func overhear(cmd *sandbox.Command, counted bool) *ears {
	e := &ears{words: []refusal{noMoreFiles, fileTooLarge}}
	if !counted {
		e.words = append(e.words, noMoreProcesses)
	}
	if cmd.Stdout != nil {
		cmd.Stdout = overheard{cmd.Stdout, e}
	}
	if cmd.Stderr != nil {
		cmd.Stderr = overheard{cmd.Stderr, e}
	}
	return e
}

// overheard can be compared if its writer can: the same one given twice stays so.
type overheard struct {
	io.Writer
	by *ears
}

func (o overheard) Write(p []byte) (int, error) {
	o.by.hear(p)
	return o.Writer.Write(p)
}

func (e *ears) hear(p []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.find(append(e.end, p[:min(len(p), longestWords)]...))
	e.find(p)
	e.end = append(e.end, p[max(0, len(p)-longestWords):]...)
	e.end = append(e.end[:0], e.end[max(0, len(e.end)-longestWords):]...)
}

func (e *ears) find(text []byte) {
	e.ended = e.ended || shellSaid(text)
	if e.heard != "" {
		return
	}
	for _, r := range e.words {
		for _, w := range r.words {
			if bytes.Contains(text, w) {
				e.heard = r.limit
				return
			}
		}
	}
}

// said is the limit of which there were words; empty: of none. What succeeded may have
// shown any text that has them, so then only a shell's word of a process counts.
func (e *ears) said(failed bool) sandbox.Limit {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case failed:
		return e.heard
	case e.ended:
		return sandbox.LimitFileSize
	}
	return ""
}
