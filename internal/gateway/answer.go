package gateway

import (
	"bytes"
	"net/http"
	"slices"
	"sync"
	"time"

	"mgx/internal/llm"
)

// answer writes the stream of one call: its head with the first bytes, a sign of
// life when nothing was said for a while, and each write under a deadline, so
// that a reader who does not read holds nothing up for long.
type answer struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	beat  []byte // the dialect's sign of life
	every time.Duration
	wait  time.Duration // a write may take

	mu    sync.Mutex
	timer *time.Timer
	begun bool
	over  bool
	err   error // of a write: nobody reads
	gone  func()
}

// start arranges for signs of life. gone is called once when a write fails.
func (a *answer) start(gone func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = gone
	a.timer = time.AfterFunc(a.every, a.live)
}

func (a *answer) live() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over {
		a.send(a.beat)
	}
}

// write sends bytes at once.
func (a *answer) write(b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over && len(b) > 0 {
		a.send(b)
	}
}

func (a *answer) send(b []byte) {
	if a.err != nil {
		return
	}
	if !a.begun {
		a.begun = true
		a.w.WriteHeader(http.StatusOK)
	}
	a.timer.Reset(a.every)
	a.rc.SetWriteDeadline(time.Now().Add(a.wait)) // a recorder in a test has none
	if _, a.err = a.w.Write(b); a.err == nil {
		a.err = a.rc.Flush()
	}
	if a.err != nil {
		a.gone()
	}
}

// last sends what ends a stream, after stop.
func (a *answer) last(b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.send(b)
	a.timer.Stop()
}

// stop ends the signs of life and reports whether anything was sent. From then on
// nobody else touches the writer and its header.
func (a *answer) stop() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	a.timer.Stop()
	return a.begun
}

// encoder makes a dialect's stream of what a model says. Each method appends to
// the buffer what is to be sent.
type encoder interface {
	start(out *bytes.Buffer, model string)
	chunk(out *bytes.Buffer, c llm.Chunk)
	end(out *bytes.Buffer, r *llm.Response)
	fail(out *bytes.Buffer, f *failure)
}

// dialect is one wire form of requests and answers.
type dialect interface {
	name() string
	fields() map[string]field
	check(c *call, all fields) error // once all fields are read

	refuse(f *failure, id string) any // the body of an error
	whole(c *call, s *said) any       // the body of an answer
	encoder(c *call) encoder
	beat() []byte // a sign of life within a stream
}

// said is a whole answer and what watchers saw of it.
type said struct {
	*llm.Response
	thinking string // readable
	at       time.Time
}

// text of the answer.
func textOf(r *llm.Response) string {
	var all bytes.Buffer
	for _, p := range r.Message.Parts {
		all.WriteString(p.Text)
	}
	return all.String()
}

// rest is what of the text was not streamed: all of it when nothing was.
func rest(r *llm.Response, streamed int) string {
	text := textOf(r)
	return text[min(streamed, len(text)):]
}

// callsOf are the tool calls of an answer.
func callsOf(r *llm.Response) []*llm.ToolCall {
	var all []*llm.ToolCall
	for _, p := range r.Message.Parts {
		if p.Call != nil {
			all = append(all, p.Call)
		}
	}
	return all
}

// shownPart is a part of an answer that callers see.
type shownPart struct {
	llm.Part
	travels *wrapped // the opaque block that the part is, on its way through another dialect
}

// shown are the parts of an answer that callers see: all but those opaque blocks
// that cannot travel. What a provider wants back with a part travels only
// with a tool call, since texts are sent before it is known.
func shown(r *llm.Response) []shownPart {
	var all []shownPart
	parts, said := r.Message.Parts, false
	for i, p := range parts {
		if p.Opaque == nil {
			all, said = append(all, shownPart{Part: p}), true
			continue
		}
		w := wrapped{Opaque: p.Opaque}
		if next := slices.IndexFunc(parts[i:], func(p llm.Part) bool { return p.Call != nil }); next > 0 {
			w.Before = parts[i+next].Call.ID
		}
		_, of := p.Opaque.Rest()
		with := i+1 < len(parts) && parts[i+1].Call != nil
		w.First = !said && !of
		if thinking(p.Opaque) && (!of || with) {
			all = append(all, shownPart{Part: p, travels: &w})
		}
	}
	return all
}

// event appends an event of a stream.
func event(out *bytes.Buffer, name string, data any) {
	if name != "" {
		out.WriteString("event: ")
		out.WriteString(name)
		out.WriteByte('\n')
	}
	out.WriteString("data: ")
	out.Write(llm.MarshalWire(data))
	out.WriteString("\n\n")
}
