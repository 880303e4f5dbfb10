package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"mgx"
	"mgx/internal/netguard"
)

// remote is the way to a server that is an address. Every connection is looked at
// when it is made, redirects are not followed, no proxy is asked, and of no answer
// more is read than a result may have.
func (c *connector) remote() (*sdk.StreamableClientTransport, error) {
	headers := http.Header{}
	for name, value := range c.server.Headers {
		v, err := c.fill(value)
		if err != nil {
			return nil, err
		}
		headers.Set(name, v)
	}
	u, err := url.Parse(c.server.URL)
	if err != nil {
		return nil, err
	}
	var allow []netip.Prefix
	for _, a := range c.server.Allow {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			return nil, err
		}
		allow = append(allow, p)
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: netguard.Control(func(a netip.Addr) error { return mayCall(a, allow, u.Scheme == "http") })}
	return &sdk.StreamableClientTransport{
		Endpoint: c.server.URL,
		HTTPClient: &http.Client{
			Transport: bounded{headers, c.options.flood, &http.Transport{
				DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
				MaxIdleConns: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
			}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
		},
		MaxRetries: -1, MaxEventSize: maxMessage, DisableStandaloneSSE: true,
	}, nil
}

// What the guard refuses is said without the address, which is nothing to tell.
var (
	errPrivate  = errors.New("the address is not public; whoever runs mgx may allow it in the configuration of the server")
	errPlain    = errors.New("http is only used for addresses that the configuration of the server allows; use https")
	errRedirect = errors.New("the server answered with a redirect, which is not followed")
	errFlood    = fmt.Errorf("the server sent more than the %d MB that it may between two calls", maxFlood>>20)
)

func mayCall(a netip.Addr, allow []netip.Prefix, plain bool) error {
	a = a.WithZone("").Unmap()
	class := netguard.Of(a)
	for _, p := range allow {
		if class != netguard.Never && p.Contains(a) {
			return nil
		}
	}
	switch {
	case class != netguard.Public:
		return errPrivate
	case plain:
		return errPlain
	}
	return nil
}

// bounded adds the operator's headers, and reads of a body what may be read.
type bounded struct {
	headers http.Header
	flood   int64
	next    *http.Transport
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	maps.Copy(r.Header, b.headers)
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &limited{ReadCloser: resp.Body, left: b.flood}
	return resp, nil
}

func (b bounded) CloseIdleConnections() { b.next.CloseIdleConnections() }

// limited fails instead of ending where too much comes.
type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errFlood
	}
	n, err := l.ReadCloser.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// fill puts the variables of this process into a value, and tells whoever keeps
// secrets out of what is written.
func (c *connector) fill(value string) (string, error) {
	v, err := expand(value, func(name string) (string, bool) {
		v := c.options.Getenv(name)
		if v != "" && c.options.Secret != nil {
			c.options.Secret(v)
		}
		return v, v != ""
	})
	if err != nil {
		return "", mgx.Errorf(mgx.KindConfig, CodeUnavailable, "the MCP server %s cannot be set up: %w", c.server.Name, err)
	}
	return v, nil
}

func withTimeout(ctx context.Context, d time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, mgx.Errorf(mgx.KindStopped, mgx.CodeTimedOut, "%s within %s", what, d))
}
