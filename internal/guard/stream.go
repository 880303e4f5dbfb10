package guard

import "sync"

// Stream hides secrets in a text that comes in pieces, also those that a piece
// ends in the middle of: what may be the beginning of one is held until the next
// piece shows whether it is. It may be used by many goroutines.
type Stream struct {
	from *Redactor
	to   func(string)

	mu   sync.Mutex
	held string
}

// maxHeld bounds what a stream holds, should secrets overlap without end.
const maxHeld = 64 << 10

// Stream returns a stream that passes on what is left of its text. A nil Redactor
// hides nothing.
func (r *Redactor) Stream(to func(string)) *Stream { return &Stream{from: r, to: to} }

// Write takes the next piece.
func (s *Stream) Write(piece string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.held + piece
	keep := len(text)
	if n := s.from.set(); n != nil {
		keep = n.unfinished(text)
	}
	if len(text)-keep > maxHeld {
		keep = len(text)
	}
	s.held = text[keep:]
	if keep > 0 {
		s.to(s.from.text(text[:keep]))
	}
}

// Close passes on what is held: no more is coming.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != "" {
		s.to(s.from.text(s.held))
	}
	s.held = ""
}

// Reset forgets what is held: the text begins anew.
func (s *Stream) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = ""
}

// text is String for pieces, which are not documents.
func (r *Redactor) text(s string) string {
	n := r.set()
	if n == nil {
		return s
	}
	return n.text(s)
}

// unfinished is where what may be the beginning of a secret begins, in whatever way s is
// read, or the length of s. No secret in s lies on both sides of it.
func (n *needles) unfinished(s string) int {
	at := n.ending(s)
	for _, v := range views(s) {
		sure := v.text[:len(v.text)-v.open]
		if begin := n.ending(sure); begin < len(sure) {
			at = min(at, v.in(begin))
		}
		at = min(at, v.begun)
	}
	if at == len(s) {
		return at
	}
	for _, f := range n.spans(s) {
		if f.start < at && f.end > at {
			return f.start
		}
	}
	return at
}

// ending is where the beginning of a secret begins that s ends with, or the length of s.
func (n *needles) ending(s string) int {
	for i := max(0, len(s)-n.longest+1); i < len(s); i++ {
		if n.begins(s[i:]) {
			return i
		}
	}
	return len(s)
}

// begins reports whether s is the beginning of a secret, and not the whole of it.
func (n *needles) begins(s string) bool {
	if len(s) >= 2 && !n.begin(s[0], s[1]) {
		return false
	}
	for _, needle := range n.all { // longest first
		if len(needle) <= len(s) {
			return false
		}
		if needle[:len(s)] == s {
			return true
		}
	}
	return false
}
