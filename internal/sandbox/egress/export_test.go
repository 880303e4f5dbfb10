package egress

import (
	"bytes"
	"time"
)

// Hurry shortens what a client may take, and what a refused one has to read.
func (g *Gate) Hurry(head, idle time.Duration) { g.times.head, g.times.idle = head, idle }

// AtOnce bounds connections.
func (g *Gate) AtOnce(n int) { g.most = n }

const MaxVisits = maxVisits

var Normal = normal

// Request is what a gate understands of a request.
type Request struct {
	Method, Host, Path string
	Port               int
	Chunked            bool
	Length             string
}

func ParseHead(text []byte) (Request, error) {
	h, err := parseHead(text)
	if err != nil {
		return Request{}, err
	}
	return Request{h.method, h.host, h.path, h.port, h.chunked, h.header.Get("Content-Length")}, nil
}

func Hello(text []byte) (raw []byte, name string, err error) { return hello(bytes.NewReader(text)) }
