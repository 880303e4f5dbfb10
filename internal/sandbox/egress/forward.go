package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mgx/internal/sandbox"
)

// forward does a plain request. It is written anew, in one reading, to a
// connection of its own.
func (s *session) forward(c *client, h *head, private bool) {
	req, err := s.onward(c, h)
	if err != nil {
		s.turnAway(c, h, err)
		return
	}
	proxy, err := s.upstream(h)
	if err != nil {
		s.turnAway(c, h, err)
		return
	}
	c.SetDeadline(time.Now().Add(s.times.idle))
	resp, err := s.transport(c, h, proxy, private).RoundTrip(req)
	if err != nil {
		if _, ok := errors.AsType[*refusal](err); !ok {
			err = &refusal{reason: Unreachable}
		}
		s.turnAway(c, h, err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 {
		s.turnAway(c, h, &refusal{reason: Unreachable})
		return
	}
	resp.Header = onward(resp.Header)
	resp.Close, resp.ProtoMajor, resp.ProtoMinor = true, 1, h.minor
	if resp.Write(c) == nil {
		closeWrite(c.Conn)
	}
}

// onward is the request as it goes on.
func (s *session) onward(c *client, h *head) (*http.Request, error) {
	u, err := url.ParseRequestURI(h.path)
	if err != nil {
		return nil, malformed("The address of the request is malformed.")
	}
	u.Scheme, u.Host = "http", h.address().Host
	req := &http.Request{
		Method: h.method, URL: u, Host: u.Host, Header: onward(h.header), Body: http.NoBody,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	req.Host = strings.TrimSuffix(req.Host, ":80")
	if h.header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "") // or net/http would name itself
	}
	switch length, _ := strconv.ParseInt(h.header.Get("Content-Length"), 10, 64); {
	case h.chunked:
		req.ContentLength, req.Body = -1, io.NopCloser(httputil.NewChunkedReader(c.r))
	case length > 0:
		req.ContentLength, req.Body = length, io.NopCloser(io.LimitReader(c.r, length))
	}
	if req.Body != http.NoBody && h.header.Get("Expect") != "" {
		if _, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return nil, err
		}
	}
	return req.WithContext(s.ctx), nil
}

// transport connects once, to the host that was allowed or to the operator's
// proxy.
func (s *session) transport(c *client, h *head, proxy *url.URL, private bool) *http.Transport {
	t := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHead, ResponseHeaderTimeout: s.times.idle}
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
	}
	t.DialContext = func(ctx context.Context, _, _ string) (server net.Conn, err error) {
		if proxy != nil {
			server, err = s.dialProxy(ctx, proxy)
		} else {
			server, err = s.dial(h.host, h.port, private)
		}
		if err != nil {
			return nil, err
		}
		l := &link{s: s, client: c.Conn, server: server, visit: s.visits.add(sandbox.Visit{Host: h.host, Port: h.port, Allowed: true})}
		l.alive()
		return counted{server, l}, nil
	}
	return t
}
