package llm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// SSE is one server-sent event. Data is valid until the next one is read.
type SSE struct {
	Event   string // the event field; empty when the stream names none
	Data    []byte // the data lines, joined by newlines
	Comment bool   // a comment line, which servers send to show that they live; Data is empty
}

// ErrTooLarge is wrapped by errors that say that a bound on input was reached.
var ErrTooLarge = errors.New("larger than allowed")

// ReadSSE reads an event stream as the HTML standard frames it (section 9.2.6):
// lines end in LF or CRLF, data lines add up, fields other than event and
// data are ignored. Events of more than max bytes are an error that wraps
// [ErrTooLarge]. A last event without its blank line still counts when all its
// lines are whole; a stream that breaks off inside a line ends with
// [io.ErrUnexpectedEOF], so that half an event is never taken for a whole one.
func ReadSSE(r io.Reader, max int) iter.Seq2[SSE, error] {
	return func(yield func(SSE, error) bool) {
		s := sseReader{in: bufio.NewReaderSize(r, readSize), max: max}
		for {
			line, err := s.line()
			if err == io.EOF {
				if s.pending {
					yield(s.take(), nil)
				}
				return
			}
			if err != nil {
				yield(SSE{}, err)
				return
			}
			if event, ready := s.add(line); ready && !yield(event, nil) {
				return
			}
		}
	}
}

// sseReader collects the lines of one event. Its buffers live as long as the
// stream, so that an event costs no allocation.
type sseReader struct {
	in      *bufio.Reader
	max     int
	long    []byte // a line that did not fit in's buffer
	event   string
	name    string // the latest event's, as the next often has the same
	data    []byte
	pending bool // a data line was seen
	begun   bool // past the byte order mark, if any
}

// line returns the next line without its end. io.EOF means that the stream
// ended between lines.
func (s *sseReader) line() ([]byte, error) {
	line, err := s.in.ReadSlice('\n')
	s.long = s.long[:0]
	for err == bufio.ErrBufferFull {
		s.long = append(s.long, line...)
		if len(s.long)+len(s.data) > s.max {
			return nil, s.tooLarge()
		}
		line, err = s.in.ReadSlice('\n')
	}
	if len(s.long) > 0 {
		s.long = append(s.long, line...)
		line = s.long
	}
	switch {
	case err == io.EOF && len(line) > 0:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	case len(line)+len(s.data) > s.max:
		return nil, s.tooLarge()
	}
	if !s.begun {
		line, s.begun = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF")), true
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

func (s *sseReader) tooLarge() error {
	return fmt.Errorf("an event of more than %d bytes: %w", s.max, ErrTooLarge)
}

// add takes one line and returns the event that it completes, if any.
func (s *sseReader) add(line []byte) (SSE, bool) {
	if len(line) == 0 {
		ready := s.pending
		event := s.take()
		return event, ready
	}
	if line[0] == ':' {
		return SSE{Comment: true}, true
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "event":
		if s.name != string(value) {
			s.name = string(value)
		}
		s.event = s.name
	case "data":
		if s.pending {
			s.data = append(s.data, '\n')
		}
		s.data, s.pending = append(s.data, value...), true
	}
	return SSE{}, false
}

// take returns the collected event and starts the next.
func (s *sseReader) take() SSE {
	event := SSE{Event: s.event, Data: s.data}
	s.event, s.data, s.pending = "", s.data[:0], false
	return event
}
