package api

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
)

// corked is a connection that can hold back what is written, so that many small
// frames go out in one system call. Idle it holds no buffer.
type corked struct {
	net.Conn
	early io.Reader // what came with the request's head

	mu   sync.Mutex
	held *bytes.Buffer // while corked
}

// maxHeld is how much is held back at most.
const maxHeld = 64 << 10

var heldBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (c *corked) Read(b []byte) (int, error) {
	if c.early != nil {
		n, err := c.early.Read(b)
		if n > 0 {
			return n, nil
		}
		if c.early = nil; err != io.EOF {
			return n, err
		}
	}
	return c.Conn.Read(b)
}

func (c *corked) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return c.Conn.Write(b)
	}
	c.held.Write(b)
	if c.held.Len() < maxHeld {
		return len(b), nil
	}
	return len(b), c.flush()
}

// flush sends what is held; the caller holds mu.
func (c *corked) flush() error {
	_, err := c.Conn.Write(c.held.Bytes())
	c.held.Reset()
	return err
}

func (c *corked) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = heldBuffers.Get().(*bytes.Buffer)
}

func (c *corked) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.flush()
	if c.held.Cap() <= 2*maxHeld {
		heldBuffers.Put(c.held)
	}
	c.held = nil
	return err
}

// corker gives out the connection of a request corked, with small buffers: most
// of many connections are idle most of the time.
type corker struct {
	http.ResponseWriter
	conn *corked
}

const socketBuffer = 1 << 10

func (c *corker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(c.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	c.conn = &corked{Conn: conn}
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n)
		c.conn.early = bytes.NewReader(bytes.Clone(early))
	}
	return c.conn, bufio.NewReadWriter(bufio.NewReaderSize(c.conn, socketBuffer), bufio.NewWriterSize(c.conn, socketBuffer)), nil
}
