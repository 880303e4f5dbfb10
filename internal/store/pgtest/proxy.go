package pgtest

import (
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
)

// Proxy stands between a program and its server, as a network that can fail.
type Proxy struct {
	mu    sync.Mutex
	state *state
}

// state is what the network is like until it changes.
type state struct {
	passes bool          // or swallows what is sent
	over   chan struct{} // closed when another state has come
}

// Through returns a proxy, and the address by which it leads to the same
// database.
func Through(t testing.TB, address string) (*Proxy, string) {
	t.Helper()
	p := &Proxy{state: &state{passes: true, over: make(chan struct{})}}
	t.Cleanup(func() { p.become(false) })
	return p, Between(t, address, p.serve)
}

// Between returns an address that leads to the same database by way of serve,
// which gets each connection and the server's socket, and closes the former.
func Between(t testing.TB, address string, serve func(client net.Conn, socket string)) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	socket := filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c, socket)
		}
	}()
	return "postgres://mgx@" + l.Addr().String() + u.Path + "?sslmode=disable"
}

// Cut lets nothing through any more and says so to nobody, as when a cable is
// pulled: connections that exist stay, and so do new ones, without an answer.
func (p *Proxy) Cut() { p.become(false) }

// Heal lets new connections through. Those from before it are closed.
func (p *Proxy) Heal() { p.become(true) }

func (p *Proxy) become(passes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.state.over)
	p.state = &state{passes: passes, over: make(chan struct{})}
}

func (p *Proxy) now() *state {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

func (p *Proxy) serve(client net.Conn, socket string) {
	defer client.Close()
	now := p.now()
	if !now.passes {
		<-now.over
		return
	}
	server, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{}, 2)
	go p.copy(server, client, now, done)
	go p.copy(client, server, now, done)
	select {
	case <-done:
	case <-now.over:
		// The far side's end does not reach the near one.
		server.Close()
		if later := p.now(); !later.passes {
			<-later.over
		}
	}
}

// copy passes on what comes while the state lasts.
func (p *Proxy) copy(to, from net.Conn, now *state, done chan<- struct{}) {
	defer func() {
		select {
		case <-now.over: // a cut is not heard of
		default:
			done <- struct{}{}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-now.over:
			return
		default:
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
