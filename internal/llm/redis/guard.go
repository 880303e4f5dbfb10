package redis

import (
	"context"
	"fmt"
	"net"
	"syscall"
)

// Bounds of what Redis may reply, which its client would make room for before
// reading it: the bytes of one text, and the parts of a list.
const (
	mostBytes = headSize + MaxAnswer + 1024
	mostParts = 1024
	mostLine  = 4096
)

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

func guardedDialer(dial dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		g := &guarded{Conn: conn}
		if socket, ok := conn.(syscall.Conn); ok {
			return socketConn{g, socket}, nil
		}
		return g, nil
	}
}

// socketConn lets the client look whether a connection has gone before using it.
type socketConn struct {
	*guarded
	syscall.Conn
}

// guarded is a connection whose replies are within bounds. It follows their
// framing (https://redis.io/docs/latest/develop/reference/protocol-spec/): lines,
// some of which say how long the text after them is.
type guarded struct {
	net.Conn
	skip int    // bytes of a text that are yet to come
	line []byte // of a line, as far as it came
}

func (g *guarded) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if bad := g.follow(p[:n]); bad != nil {
		g.Close()
		return 0, bad
	}
	return n, err
}

func (g *guarded) follow(data []byte) error {
	for len(data) > 0 {
		if g.skip > 0 {
			n := min(g.skip, len(data))
			g.skip, data = g.skip-n, data[n:]
			continue
		}
		b := data[0]
		data = data[1:]
		if b != '\n' {
			if g.line = append(g.line, b); len(g.line) > mostLine {
				return fmt.Errorf("a line of more than %d bytes from Redis", mostLine)
			}
			continue
		}
		if err := g.header(g.line); err != nil {
			return err
		}
		g.line = g.line[:0]
	}
	return nil
}

// header takes a whole line, and how long what follows it is.
func (g *guarded) header(line []byte) error {
	if len(line) == 0 {
		return fmt.Errorf("an empty line from Redis")
	}
	switch line[0] {
	case '$', '=', '!':
		n := size(line[1:])
		if n > mostBytes {
			return fmt.Errorf("a reply of more than %d bytes from Redis", mostBytes)
		}
		if n >= 0 {
			g.skip = n + len("\r\n")
		}
	case '*', '~', '>', '%', '|':
		if size(line[1:]) > mostParts {
			return fmt.Errorf("a reply of more than %d parts from Redis", mostParts)
		}
	}
	return nil
}

// size reads a decimal number; -1 is none, and what is no number is too large.
func size(digits []byte) int {
	if n := len(digits); n > 0 && digits[n-1] == '\r' {
		digits = digits[:n-1]
	}
	if string(digits) == "-1" {
		return -1
	}
	n := 0
	for _, d := range digits {
		if d < '0' || d > '9' || n > mostBytes {
			return mostBytes + 1
		}
		n = 10*n + int(d-'0')
	}
	return n
}
