package gateway

import (
	"bytes"

	"mgx/internal/llm"
)

// piece is a bit of a block of an answer: of its text, of its thinking, or of one
// of its tool calls.
type piece struct {
	kind  string // thinking, text or call
	call  int    // of a call: which, by the number that chunks have
	id    string // of a call
	name  string
	text  string
	whole bool // text is all that there is
}

const (
	thinkingPiece = "thinking"
	textPiece     = "text"
	callPiece     = "call"
)

func (p *piece) of(other *piece) bool { return p.kind == other.kind && p.call == other.call }

// blocks writes the blocks of an answer in a dialect in which each ends before
// the next begins.
type blocks interface {
	begin(out *bytes.Buffer, first piece)
	more(out *bytes.Buffer, p piece)
	finish(out *bytes.Buffer, first piece)
}

// sequence brings pieces into the order that such dialects need. They go through
// as they come, except that a call whose arguments are not whole, as far as one
// sees, is not cut off by what comes in between: that is held until they are.
type sequence struct {
	to       blocks
	open     *piece          // the first of the open block; nil: none
	args     braces          // of an open call
	streamed int             // bytes of text
	begun    map[string]bool // ids of calls
	closed   map[int]bool    // calls of which nothing more can be told
	held     []heldPiece     // one for each block
}

type heldPiece struct {
	piece
	more []byte // of its text
}

func newSequence(to blocks) *sequence {
	return &sequence{to: to, begun: map[string]bool{}, closed: map[int]bool{}}
}

// chunk takes what a chunk shows.
func (s *sequence) chunk(out *bytes.Buffer, c llm.Chunk) {
	if c.Thinking != "" {
		s.add(out, piece{kind: thinkingPiece, text: c.Thinking})
	}
	if c.Text != "" {
		s.add(out, piece{kind: textPiece, text: c.Text})
	}
	if c.ToolName != "" || c.ToolArgs != "" {
		s.add(out, piece{kind: callPiece, call: c.ToolIndex, id: c.ToolID, name: c.ToolName, text: c.ToolArgs})
	}
}

func (s *sequence) add(out *bytes.Buffer, p piece) {
	if s.write(out, p); s.open.isCall() && s.args.ended && len(s.held) > 0 {
		s.release(out)
	}
}

func (p *piece) isCall() bool { return p != nil && p.kind == callPiece }

// write writes a piece, or holds it.
func (s *sequence) write(out *bytes.Buffer, p piece) {
	switch {
	case p.kind == callPiece && s.closed[p.call]:
		return
	case s.open != nil && s.open.of(&p):
	case s.open.isCall() && !s.args.ended:
		s.hold(p)
		return
	default:
		s.close(out)
		s.open, s.args = &p, braces{}
		if p.kind == callPiece {
			s.begun[p.id] = true
		}
		s.to.begin(out, p)
	}
	if p.text == "" {
		return
	}
	s.to.more(out, p)
	if s.args.read(p.text); p.kind == textPiece {
		s.streamed += len(p.text)
	}
}

// hold joins a piece to those of its block.
func (s *sequence) hold(p piece) {
	for i := range s.held {
		if s.held[i].of(&p) {
			s.held[i].more = append(s.held[i].more, p.text...)
			return
		}
	}
	s.held = append(s.held, heldPiece{p, []byte(p.text)})
}

// release writes what was held, as far as it need not be held again.
func (s *sequence) release(out *bytes.Buffer) {
	held := s.held
	s.held = nil
	for _, p := range held {
		p.text = string(p.more)
		s.write(out, p.piece)
	}
}

// close ends the open block.
func (s *sequence) close(out *bytes.Buffer) {
	if s.open == nil {
		return
	}
	first := *s.open
	if first.kind == callPiece {
		s.closed[first.call] = true
	}
	s.open = nil
	s.to.finish(out, first)
}

// complete ends the open block, whole or not, and writes all of an answer that
// was not written: what was held, and what never came in pieces.
func (s *sequence) complete(out *bytes.Buffer, r *llm.Response) {
	s.close(out)
	for len(s.held) > 0 {
		s.release(out)
		s.close(out)
	}
	if text := rest(r, s.streamed); text != "" {
		s.write(out, piece{kind: textPiece, text: text, whole: true})
	}
	for i, call := range callsOf(r) {
		if !s.begun[call.ID] {
			s.close(out)
			s.write(out, piece{kind: callPiece, call: -1 - i, id: call.ID, name: call.Name, text: call.Args, whole: true})
		}
	}
	s.close(out)
}

// braces follows the text of a JSON object to its end.
type braces struct {
	depth         int
	text, escaped bool // within a string; behind a backslash there
	ended         bool
}

func (b *braces) read(s string) {
	for i := range len(s) {
		switch c := s[i]; {
		case b.escaped:
			b.escaped = false
		case b.text:
			b.escaped, b.text = c == '\\', c != '"'
		case c == '"':
			b.text = true
		case c == '{' || c == '[':
			b.depth++
		case c == '}' || c == ']':
			b.depth--
			b.ended = b.ended || b.depth == 0
		}
	}
}
