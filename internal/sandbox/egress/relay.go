package egress

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is a client with the server that it is connected to.
type link struct {
	s      *session
	client net.Conn
	server net.Conn
	visit  *visit
	moved  atomic.Int64 // when a byte last did, roughly
}

// alive puts the end of the link off, when it was not just done.
func (l *link) alive() {
	now := time.Now()
	last := l.moved.Load()
	if now.UnixNano()-last < int64(l.s.times.idle/64) || !l.moved.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	end := now.Add(l.s.times.idle)
	l.client.SetDeadline(end)
	l.server.SetDeadline(end)
}

var errCap = errors.New("the command has sent or received as much as it may")

func capped(total *atomic.Int64, n int, most int64) error {
	if sum := total.Add(int64(n)); most > 0 && sum > most {
		return errCap
	}
	return nil
}

// counted is the server of a link as whoever relays sees it.
type counted struct {
	net.Conn
	l *link
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.l.visit.received.Add(int64(n))
	c.l.alive()
	if e := capped(&c.l.s.received, n, c.l.s.o.Received); e != nil {
		return 0, e
	}
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	if err := capped(&c.l.s.sent, len(p), c.l.s.o.Sent); err != nil {
		return 0, err
	}
	c.l.visit.sent.Add(int64(len(p))) // before: the answer may be quicker than we are
	n, err := c.Conn.Write(p)
	c.l.visit.sent.Add(int64(n - len(p)))
	c.l.alive()
	return n, err
}

func (c counted) CloseWrite() error {
	closeWrite(c.Conn)
	return nil
}

var blocks = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// relay carries bytes both ways until both ends are done, or one fails.
func relay(client io.Reader, out net.Conn, server counted) {
	var up sync.WaitGroup
	up.Go(func() {
		if pump(server, client) != nil {
			server.Close()
			return
		}
		server.CloseWrite()
	})
	if pump(out, server) != nil {
		out.Close()
		server.Close()
	} else {
		closeWrite(out)
	}
	up.Wait()
}

// pump copies to the end of what it reads.
func pump(to io.Writer, from io.Reader) error {
	block := blocks.Get().(*[32 << 10]byte)
	defer blocks.Put(block)
	for {
		n, err := from.Read(block[:])
		if n > 0 {
			if _, err := to.Write(block[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
