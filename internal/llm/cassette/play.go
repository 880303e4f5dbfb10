package cassette

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

	"mgx"
	"mgx/internal/llm"
)

// CodeMismatch is the code of a request that was not recorded.
const CodeMismatch = "replay_mismatch"

// Player answers calls from a recording, and nothing else.
type Player struct {
	Clock *Clock

	name  string
	scrub scrubber

	mu        sync.Mutex
	exchanges []*Exchange
	used      []bool
	waiting   map[string][]int // exchanges not yet used, by the key of their request
	masked    map[string][]int // the same by key without readings of a clock
	differs   error            // the first request that was not recorded
}

// Play makes a player of a recording.
func Play(name string, t *Tape, o Options) *Player {
	p := &Player{
		Clock: &Clock{at: t.Header.Started}, name: name, scrub: o.scrubber(),
		exchanges: settle(t.Exchanges), waiting: map[string][]int{}, masked: map[string][]int{},
	}
	p.used = make([]bool, len(p.exchanges))
	for i, x := range p.exchanges {
		if body, ok := canonical(x.Request.Body); ok {
			x.Request.Body = body // also when the file was written by another hand
		}
		p.waiting[x.Request.key()] = append(p.waiting[x.Request.key()], i)
		p.masked[x.Request.maskedKey()] = append(p.masked[x.Request.maskedKey()], i)
	}
	return p
}

// Unused describes the calls that were recorded and not made, in their order,
// and says how many were recorded. Lists of models are no calls.
func (p *Player) Unused() (unused []string, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, x := range p.exchanges {
		if x.Request.Method == http.MethodGet {
			continue
		}
		if all++; !p.used[i] {
			unused = append(unused, fmt.Sprintf("%d: %s %s", i+1, x.Request.Method, pathOf(x.Request.URL)))
		}
	}
	return unused, all
}

// Differs is the first request that was made and not recorded, with the
// difference; nil: none.
func (p *Player) Differs() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.differs
}

// RoundTrip implements [http.RoundTripper]. It connects to nothing.
func (p *Player) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	made, err := p.scrub.read(req)
	if err != nil {
		return nil, err
	}
	x, err := p.next(made)
	if err != nil {
		return nil, err
	}
	p.Clock.advanceUS(x.WaitUS)
	if x.Failure != nil {
		return nil, x.Failure.happen(req.Context())
	}
	header := http.Header{}
	for name, v := range x.Answer.Header {
		header.Set(name, v)
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", x.Answer.Status, http.StatusText(x.Answer.Status)), StatusCode: x.Answer.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, ContentLength: -1, Request: req,
		Body: &played{ctx: req.Context(), clock: p.Clock, answer: x.Answer},
	}, nil
}

// next is the exchange that answers a request.
func (p *Player) next(made Request) (*Exchange, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.firstUnused(p.waiting[made.key()])
	if i < 0 {
		i = p.firstUnused(p.masked[made.maskedKey()])
	}
	if i < 0 {
		err := p.mismatch(made)
		p.differs = cmp.Or(p.differs, err)
		return nil, err
	}
	p.used[i] = true
	return p.exchanges[i], nil
}

func (p *Player) firstUnused(of []int) int {
	for _, i := range of {
		if !p.used[i] {
			return i
		}
	}
	return -1
}

// mismatch says what no recorded exchange answers.
func (p *Player) mismatch(made Request) error {
	if again := len(p.masked[made.maskedKey()]); again > 0 {
		return mgx.Errorf(mgx.KindProvider, CodeMismatch,
			"the recording %s answers %s %s %d times, and it is asked once more; record the run again", p.name, made.Method, pathOf(made.URL), again)
	}
	n, d := p.nearest(made)
	if n < 0 {
		return mgx.Errorf(mgx.KindProvider, CodeMismatch,
			"the recording %s has no answer left to %s %s; record the run again", p.name, made.Method, pathOf(made.URL))
	}
	return mgx.Errorf(mgx.KindProvider, CodeMismatch,
		"the request to %s differs from the recording %s, of which exchange %d is nearest (recorded → now):\n%s\nUndo what changed, or record the run again.",
		pathOf(made.URL), p.name, n+1, d)
}

// maxCompared bounds how many exchanges a request is compared with.
const maxCompared = 200

// nearest finds the unused exchange that a request differs from the least, and
// among equals the one that is next.
func (p *Player) nearest(made Request) (int, differences) {
	best, at, compared := differences{count: -1}, -1, 0
	for i, x := range p.exchanges {
		if p.used[i] || x.Request.Method != made.Method || compared >= maxCompared {
			continue
		}
		compared++
		d := compare(x.Request, made)
		if at < 0 || d.count < best.count {
			best, at = d, i
		}
	}
	return at, best
}

// played is a recorded body.
type played struct {
	ctx    context.Context
	clock  *Clock
	answer *Answer
	next   int
	rest   []byte // of the piece before next
	err    error
}

func (b *played) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if err := b.ctx.Err(); err != nil {
			return 0, err
		}
		if b.next >= len(b.answer.Chunks) {
			return 0, b.end()
		}
		chunk := b.answer.Chunks[b.next]
		b.next++
		b.clock.advanceUS(chunk.AfterUS)
		b.rest = chunk.data()
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// end is the error that the body ends with, the same each time.
func (b *played) end() error {
	if b.err == nil {
		b.err = io.EOF
		if end := b.answer.End; end != nil {
			b.clock.advanceUS(end.AfterUS)
			b.err = end.happen(b.ctx)
		}
	}
	return b.err
}

func (b *played) Close() error { return nil }

// happen makes the error that was recorded.
func (e *End) happen(ctx context.Context) error {
	switch e.Kind {
	case Stalled:
		if llm.GiveUp(ctx, e.Text) {
			return ctx.Err()
		}
		return networkError{text: e.Text, timeout: true}
	case Broken:
		return io.ErrUnexpectedEOF
	case Timeout, Network:
		return networkError{text: e.Text, timeout: e.Kind == Timeout}
	}
	return otherError(e.Text)
}

// networkError looks like the [net.Error] that it is a record of.
type networkError struct {
	text    string
	timeout bool
}

func (e networkError) Error() string { return e.text }
func (e networkError) Timeout() bool { return e.timeout }
func (networkError) Temporary() bool { return false }

type otherError string

func (e otherError) Error() string { return string(e) }
