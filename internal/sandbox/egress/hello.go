package egress

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"time"
)

// Extensions of a ClientHello that hide whom it is for: encrypted ClientHello,
// RFC 9849, and the draft before it.
var hiding = []uint16{0xfe0d, 0xffce}

// errNameTaken is of a handshake that went as far as it was meant to.
var errNameTaken = errors.New("the name is known")

// hello reads the first message of a TLS client, and returns it as it came, with
// the name of the server that it is for. The reading is that of crypto/tls, which
// never gets to answer.
func hello(r io.Reader) (raw []byte, name string, err error) {
	var seen *tls.ClientHelloInfo
	c := &listening{from: r}
	err = tls.Server(c, &tls.Config{
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			seen = info
			return nil, errNameTaken
		},
	}).Handshake()
	switch {
	case seen == nil && isTimeout(err):
		return nil, "", &refusal{reason: TooSlow}
	case seen == nil && c.failed != nil:
		return nil, "", c.failed // the client went away
	case seen == nil:
		return nil, "", &refusal{reason: NotTLS}
	case slices.ContainsFunc(seen.Extensions, func(e uint16) bool { return slices.Contains(hiding, e) }):
		return nil, "", &refusal{reason: HiddenName}
	}
	return c.heard.Bytes(), seen.ServerName, nil
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// checkName compares the name that TLS is for with what was asked for. TLS for an
// address has none: RFC 6066, 3.
func checkName(name, host string) error {
	if name == "" && isAddress(host) {
		return nil
	}
	if name == "" {
		return &refusal{reason: NoName}
	}
	if got, ok := normal(name); !ok || got != host {
		return &refusal{reason: OtherName}
	}
	return nil
}

// alert says unrecognized_name and ends the handshake: RFC 8446, 6.2.
var alert = []byte{21, 3, 1, 0, 2, 2, 112}

// listening is a connection that hears and keeps what it heard, and says nothing.
type listening struct {
	from   io.Reader
	heard  bytes.Buffer
	failed error
}

func (c *listening) Read(p []byte) (int, error) {
	if c.heard.Len() > maxHead { // in records of a byte, six times the message
		return 0, errTooLong
	}
	n, err := c.from.Read(p)
	c.heard.Write(p[:n])
	c.failed = err
	return n, err
}

func (*listening) Write(p []byte) (int, error)      { return len(p), nil }
func (*listening) Close() error                     { return nil }
func (*listening) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*listening) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*listening) SetDeadline(time.Time) error      { return nil }
func (*listening) SetReadDeadline(time.Time) error  { return nil }
func (*listening) SetWriteDeadline(time.Time) error { return nil }
