package mcp

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/tool"
)

// program is a server that runs in the box, and the two pipes to it.
type program struct {
	*io.PipeWriter // its standard input
	out            *meter
	said           *lastWords
	stop           context.CancelCauseFunc
	done           chan struct{}
	result         sandbox.Result // once it is done
	err            error

	mu    sync.Mutex
	soFar func() []sandbox.Visit // what it asked of the network; nil: it has none
	told  map[sandbox.Visit]sandbox.Visit
}

// fresh is what the program asked of the network since the last time. What it
// asked for before the first call belongs to that one.
func (p *program) fresh() (visits []sandbox.Visit) {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.soFar == nil {
		return nil
	}
	if p.told == nil {
		p.told = map[sandbox.Visit]sandbox.Visit{}
	}
	for _, v := range p.soFar() {
		kind := sandbox.Visit{Host: v.Host, Port: v.Port, Allowed: v.Allowed, Reason: v.Reason}
		before := p.told[kind]
		p.told[kind] = v
		v.Times, v.Sent, v.Received = v.Times-before.Times, v.Sent-before.Sent, v.Received-before.Received
		if v.Times > 0 || v.Sent > 0 || v.Received > 0 {
			visits = append(visits, v)
		}
	}
	return visits
}

// start runs the server's program. What it prints on stderr is kept for the words
// of an error; nobody else reads it.
func (c *connector) start() (*program, error) {
	var env []string
	for name, value := range c.server.Env {
		v, err := c.fill(value)
		if err != nil {
			return nil, err
		}
		env = append(env, name+"="+v)
	}
	slices.Sort(env)
	var mounts []sandbox.Mount
	for _, p := range c.server.Show {
		if _, err := os.Stat(p); err != nil {
			return nil, mgx.Errorf(mgx.KindConfig, CodeUnavailable, "the MCP server %s cannot be set up: show names %s, which is not there or may not be read", c.server.Name, tool.Visible(cut(p)))
		}
		mounts = append(mounts, sandbox.Mount{Host: p, Guest: p, Mode: sandbox.ReadOnly})
	}
	ctx, stop := context.WithCancelCause(context.Background())
	stdin, ours := io.Pipe()
	theirs, stdout := io.Pipe()
	p := &program{PipeWriter: ours, out: &meter{r: theirs, left: c.options.flood, full: c.options.flood}, said: &lastWords{}, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.result, p.err = c.options.Box.Run(ctx, sandbox.Command{
			Args: append([]string{c.server.Command}, c.server.Args...), Env: env, Mounts: mounts,
			// Interpreters and package runners look for code where they begin. In the
			// workspace the repository's would be found, and be given the server's secrets.
			Dir:   "/",
			Stdin: stdin, Stdout: stdout, Stderr: p.said, Timeout: c.options.Lifetime, ReadOnly: true, Online: true,
			Visited: func(soFar func() []sandbox.Visit) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.soFar = soFar
			},
		})
		stdin.CloseWithError(errEnded)
		stdout.CloseWithError(io.EOF)
	}()
	return p, nil
}

var errEnded = errors.New("the program has ended")

func (p *program) transport() sdk.Transport {
	return &sdk.IOTransport{Reader: p.out, Writer: p, MaxLineLength: maxMessage}
}

// Close ends the program, also one that reads and writes no more.
func (p *program) Close() error {
	p.kill()
	<-p.done
	return nil
}

func (p *program) kill() {
	p.stop(errEnded)
	_ = p.CloseWithError(errEnded) // these never fail
	_ = p.out.r.CloseWithError(errEnded)
}

// settle waits a moment for a program whose output has ended to end, too, so that
// an error can say how.
func (p *program) settle() {
	select {
	case <-p.done:
	case <-time.After(closeGrace):
	}
}

// ended says how the program ended, once it has.
func (p *program) ended() string {
	select {
	case <-p.done:
	default:
		return ""
	}
	how := "It ended by itself."
	switch {
	case p.result.TimedOut:
		how = "Its time was over."
	case p.result.ExitCode == 127:
		how = "The sandbox has no such program; name one that commands of the run can see, or show its directory."
	case p.result.ExitCode != 0:
		how = "It ended with exit code " + strconv.Itoa(p.result.ExitCode) + "."
	}
	if hint := tool.LimitHint(p.result.Reached()); hint != "" {
		how += " " + hint
	}
	if last := p.said.text(); last != "" {
		how += " Its last words: " + last
	}
	return how
}

// reached is the limit that the program ended by, once it has.
func (p *program) reached() sandbox.Reached {
	if p == nil {
		return sandbox.Reached{}
	}
	select {
	case <-p.done:
		return p.result.Reached()
	default:
		return sandbox.Reached{}
	}
}

// meter fails a stream that carries more than a call may bring. Each call begins
// the count anew.
type meter struct {
	r    *io.PipeReader
	full int64 // what is left after a renewal
	mu   sync.Mutex
	left int64
}

func (m *meter) Read(b []byte) (int, error) {
	m.mu.Lock()
	left := m.left
	m.mu.Unlock()
	if left <= 0 {
		m.r.CloseWithError(errFlood) // the program hears that nobody reads it
		return 0, errFlood
	}
	n, err := m.r.Read(b[:min(int64(len(b)), left)])
	m.mu.Lock()
	m.left -= int64(n)
	m.mu.Unlock()
	return n, err
}

func (m *meter) Close() error { return m.r.Close() }

func (m *meter) renew() {
	m.mu.Lock()
	m.left = m.full
	m.mu.Unlock()
}

func (m *meter) flooded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left <= 0
}

// lastWords keeps the end of what a program prints on stderr.
type lastWords struct {
	mu   sync.Mutex
	tail []byte
}

const maxWords = 1 << 10

func (w *lastWords) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tail = append(w.tail, b[max(0, len(b)-maxWords):]...)
	w.tail = w.tail[max(0, len(w.tail)-maxWords):]
	return len(b), nil
}

func (w *lastWords) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(tool.Clean(strings.ToValidUTF8(string(w.tail), "")))
}
