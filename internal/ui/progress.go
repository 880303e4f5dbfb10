package ui

import (
	"bytes"
	"io"
	"sync"
	"time"

	"mgx"
)

// Options say how a run's progress is shown. The zero value finds out.
type Options struct {
	Color   Choice           // Auto: on a terminal, without NO_COLOR and TERM=dumb
	Live    Choice           // the status line; Auto: on a terminal. On is for terminals only
	Width   int              // columns; 0: the terminal's, as it is at each moment, else 80
	Now     func() time.Time // nil: time.Now
	Verbose bool             // also model calls, steps and whole messages
	Repo    string           // what the person calls the repository; empty: its path, as the events have it
}

// frameTime is the least time between two redraws of the live line: 12 a second.
const frameTime = time.Second / 12

// Progress prints a run's progress from its events. It is safe for concurrent
// use; each event is printed whole. Close must be called.
type Progress struct {
	tail deltas

	mu     sync.Mutex
	opts   Options
	w      io.Writer
	story  *story
	screen screen
	begun  time.Time
	held   int    // holders that keep the live line away
	half   []byte // of a written line that has no end yet
	closed bool

	stop chan struct{}
	done sync.WaitGroup
}

// New starts showing progress on w.
func New(w io.Writer, o Options) *Progress {
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Progress{
		opts:   o,
		w:      w,
		story:  &story{page: page{style: styleOf(w, o.Color, o.Width)}, verbose: o.Verbose, repo: o.Repo},
		screen: screen{w: w, live: o.Live == On || o.Live == Auto && isTerminal(w)},
		begun:  o.Now(),
		stop:   make(chan struct{}),
	}
	if p.screen.live {
		p.done.Go(p.animate)
	}
	return p
}

// Seed tells where a run stands that is joined or resumed in its middle, so
// that the totals are those of the whole run. Nothing is printed.
func (p *Progress) Seed(run mgx.Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.story.seed(run)
}

// Event prints what there is to say about e. Events of a run must come in order.
func (p *Progress) Event(e mgx.Event) {
	switch e.Type {
	case mgx.AgentMessage, mgx.LLMCallCompleted, mgx.LLMProviderError:
		p.tail.reset()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.story.width = p.width()
	p.print(p.story.tell(e))
}

// Delta shows the end of what a model is saying in the live line. It never
// waits for the terminal.
func (p *Progress) Delta(text string) { p.tail.add(text) }

// Write prints whole lines between the others, such as log lines, cleaned but
// not cut; the rest of a line waits for its end or for Close. It never fails.
func (p *Progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.half = append(p.half, b...)
	var lines []string
	for {
		line, _, ended := bytes.Cut(p.half, []byte("\n"))
		if !ended && len(line) < maxText {
			break
		}
		line, rest := p.half[:min(len(line), maxText)], p.half[min(len(line), maxText):]
		lines = append(lines, clean(string(line)))
		p.half = bytes.TrimPrefix(rest, []byte("\n"))
	}
	p.print(lines)
	return len(b), nil
}

// Hold takes the live line away until release is called, so that somebody else
// can use the terminal, to ask a question for example.
func (p *Progress) Hold() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held++
	p.screen.clear(p.width())
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.held--
	})
}

// Close ends the live line, and says which tool calls are left without a
// result. Events that come later are still printed.
func (p *Progress) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.stop)
	p.screen.clear(p.width())
	p.screen.live = false
	p.story.width = p.width()
	lines := append(cleanLines(string(p.half)), p.story.abandoned()...)
	p.half = nil
	p.print(lines)
	p.mu.Unlock()
	p.done.Wait()
	return nil
}

func (p *Progress) width() int {
	if p.opts.Width > 0 {
		return p.opts.Width
	}
	return widthOf(p.w)
}

func (p *Progress) print(lines []string) {
	if len(lines) == 0 {
		return
	}
	p.screen.print(lines, p.width())
	p.frame()
}

// animate redraws the live line until Close.
func (p *Progress) animate() {
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.mu.Lock()
			p.frame()
			p.mu.Unlock()
		}
	}
}

// frame draws the live line if one is due.
func (p *Progress) frame() {
	if !p.screen.live || p.held > 0 || p.closed {
		return
	}
	now := p.opts.Now()
	if now.Sub(p.screen.drawnAt) < frameTime {
		return
	}
	// One column stays free: writing the last one would wrap.
	width := p.width()
	p.screen.draw(p.story.now(width-1, now.Sub(p.begun), p.tail.text()), now, width)
}

// deltas keeps the end of the text that is streaming in.
type deltas struct {
	mu  sync.Mutex
	end string
}

// maxDelta is how much of the text is kept, in bytes.
const maxDelta = 512

func (d *deltas) add(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end += text[max(0, len(text)-maxDelta):]
	d.end = d.end[max(0, len(d.end)-maxDelta):]
}

func (d *deltas) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end = ""
}

func (d *deltas) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.end
}
