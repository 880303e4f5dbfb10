// Package natstest holds internal/store/nats against a real NATS server and a
// real PostgreSQL. It is a module of its own for the sake of that server.
package natstest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/nats"
	"mgx/internal/store/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	user     = "mgx"
	password = "hunter22"
)

// peer is a NATS server that dies and comes back at the same address.
type peer struct {
	t        *testing.T
	listener net.Listener
	allowed  string // subjects that the user may publish to

	mu     sync.Mutex
	server *server.Server
	conns  map[net.Conn]bool
	hangs  bool
}

// newPeer is one that does not run yet.
func newPeer(t *testing.T) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, listener: l, allowed: "mgx.>", conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); p.kill() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.pass(c)
		}
	}()
	return p
}

func (p *peer) start() {
	p.t.Helper()
	only := func(subject string) *server.SubjectPermission {
		return &server.SubjectPermission{Allow: []string{subject}}
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		Users: []*server.User{{Username: user, Password: password, Permissions: &server.Permissions{Publish: only(p.allowed), Subscribe: only("mgx.>")}}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(2 * time.Minute) {
		p.t.Fatal("the NATS server does not start")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server, p.hangs = s, false
}

// kill ends the server and every connection.
func (p *peer) kill() {
	p.mu.Lock()
	s := p.server
	p.server = nil
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	if s != nil {
		s.Shutdown()
	}
}

// hang lets nothing through any more, and tells nobody.
func (p *peer) hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hangs = true
}

func (p *peer) pass(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	s := p.server
	p.conns[client] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, client)
	}()
	if s == nil {
		return
	}
	to, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		return
	}
	defer to.Close()
	go func() { io.Copy(&valve{p, client}, to); client.Close() }()
	io.Copy(&valve{p, to}, client)
}

// valve swallows what is written while its peer hangs.
type valve struct {
	p *peer
	w io.Writer
}

func (v *valve) Write(b []byte) (int, error) {
	v.p.mu.Lock()
	hangs := v.p.hangs
	v.p.mu.Unlock()
	if hangs {
		return len(b), nil
	}
	return v.w.Write(b)
}

func (p *peer) address(password string) string {
	return "nats://" + user + ":" + password + "@" + p.listener.Addr().String()
}

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (p *peer) waker(password string, log io.Writer) store.Waker {
	p.t.Helper()
	s, err := nats.New(p.address(password), slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func open(t *testing.T, address string, w store.Waker) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), address, store.Options{Waker: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// until waits for what must come.
func until(t *testing.T, what string, come func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !come(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came that %s", what)
		}
	}
}

func up(s *store.Store) bool { u, _ := s.WakeUps(); return u.Trouble == nil }

func heard(s *store.Store) int64 { u, _ := s.WakeUps(); return u.Heard }

// stream is one that grows.
type stream struct {
	s     *store.Store
	scope mgx.Scope
	begun bool
}

func newStream(s *store.Store) *stream {
	return &stream{s: s, scope: mgx.Scope{Workspace: mgx.DefaultWorkspace, Task: mgx.NewTaskID(), Run: mgx.NewRunID(), Execution: mgx.NewExecutionID()}}
}

func (g *stream) grow(ctx context.Context) error {
	c := mgx.Change{Events: []mgx.Event{g.scope.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "x"})}}
	if !g.begun {
		c.Create = []mgx.Execution{{Scope: g.scope, Workflow: "team"}}
		c.Events = []mgx.Event{g.scope.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: g.scope.Task, Title: "a task"}, Settings: mgx.RunSettings{Approve: "auto"}})}
	}
	_, err := g.s.Commit(ctx, c)
	g.begun = g.begun || err == nil
	return err
}

// follow reads a log as it grows, woken by its store alone, until it has come to
// the position that last says, if that is not 0. A gap or a repeat is an error.
func follow(ctx context.Context, s *store.Store, last func() int64) error {
	position, sequences := int64(0), map[mgx.StreamID]int64{}
	for {
		changed := s.Changed()
		for e, err := range s.EachEvent(ctx, store.EventQuery{AfterPosition: position}) {
			if err != nil {
				return err
			}
			if e.Position != position+1 || e.Sequence != sequences[e.Stream]+1 {
				return fmt.Errorf("position %d follows %d, sequence %d of %s %d", e.Position, position, e.Sequence, e.Stream, sequences[e.Stream])
			}
			position, sequences[e.Stream] = e.Position, e.Sequence
		}
		if n := last(); n > 0 && position >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("at position %d: %w", position, ctx.Err())
		}
	}
}
