// Package stdio connects a child process to readers and writers through pipes
// of our own, whatever those are: a child never gets one of our files itself,
// so it cannot reach a terminal or an offset through it.
//
// Bytes are written as they come. A slow writer holds the child back, as a pipe
// does; nothing is buffered beyond the pipe and one block.
package stdio

import (
	"errors"
	"io"
	"os"
	"reflect"
	"sync"
	"time"
)

// Streams are the three pipes of one child.
type Streams struct {
	child   [3]*os.File
	ours    []*os.File
	feed    func()
	copies  []func()
	drained sync.WaitGroup
}

// Open makes the pipes. A nil reader is an empty input, a nil writer discards,
// and the same writer given twice gets one pipe, which keeps the order of what
// the child writes.
func Open(in io.Reader, out, err io.Writer) (*Streams, error) {
	s := new(Streams)
	if e := s.open(in, out, err); e != nil {
		s.Abort()
		return nil, e
	}
	return s, nil
}

func (s *Streams) open(in io.Reader, out, err io.Writer) (e error) {
	if s.child[0], e = s.input(in); e != nil {
		return e
	}
	if out != nil && err != nil && !(comparable(out) && comparable(err)) {
		// They may be the same, and nobody can tell.
		var turns sync.Mutex
		out, err = inTurns{out, &turns}, inTurns{err, &turns}
	}
	if s.child[1], e = s.output(out); e != nil {
		return e
	}
	if same(out, err) {
		s.child[2] = s.child[1]
		return nil
	}
	s.child[2], e = s.output(err)
	return e
}

func same(out, err io.Writer) bool {
	return out != nil && err != nil && comparable(out) && comparable(err) && out == err
}

func comparable(w io.Writer) bool { return reflect.ValueOf(w).Comparable() }

// inTurns lets one of several writers write at a time.
type inTurns struct {
	io.Writer
	turns *sync.Mutex
}

func (w inTurns) Write(p []byte) (int, error) {
	w.turns.Lock()
	defer w.turns.Unlock()
	return w.Writer.Write(p)
}

func (s *Streams) input(in io.Reader) (*os.File, error) {
	if in == nil {
		return os.Open(os.DevNull)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.ours = append(s.ours, w)
	s.feed = func() {
		defer w.Close()
		io.Copy(w, in) // a child that stops reading is not our error
	}
	return r, nil
}

func (s *Streams) output(out io.Writer) (*os.File, error) {
	if out == nil {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.ours = append(s.ours, r)
	s.copies = append(s.copies, func() {
		io.Copy(struct{ io.Writer }{out}, struct{ io.Reader }{r})
		r.Close() // a writer that failed breaks the child's pipe instead of blocking it
	})
	return w, nil
}

// Child returns what the child gets as descriptors 0, 1 and 2.
func (s *Streams) Child() []*os.File { return s.child[:] }

// Start begins to copy; the child has its copies of the files by now.
func (s *Streams) Start() {
	s.closeChild()
	if s.feed != nil {
		go s.feed() // ends with its reader: nobody can interrupt a Read
	}
	for _, c := range s.copies {
		s.drained.Go(c)
	}
}

// Abort closes everything when there will be no child.
func (s *Streams) Abort() {
	s.closeChild()
	s.closeOurs()
}

// ErrStuck says that a writer did not take what was left for it.
var ErrStuck = errors.New("the output was not taken in time")

// Wait returns when all output has been written. It is called once every
// process that held the pipes is gone, so only a writer can be late; after
// grace it is given up.
func (s *Streams) Wait(grace time.Duration) error {
	defer s.closeOurs()
	done := make(chan struct{})
	go func() {
		s.drained.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(grace):
		return ErrStuck
	}
}

func (s *Streams) closeChild() {
	for _, f := range s.child {
		if f != nil {
			f.Close()
		}
	}
}

func (s *Streams) closeOurs() {
	for _, f := range s.ours {
		f.Close()
	}
}
