package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"mgx/internal/netguard"
)

var (
	errAddress  = errors.New("the address may not be called")
	errReserved = errors.New("no rule opens the address")
)

// dial connects to an address that names led to, if that may be called.
func (s *session) dial(host string, port int, private bool) (net.Conn, error) {
	least := netguard.Public
	if private {
		least = netguard.Private
	}
	d := net.Dialer{
		Timeout:  s.times.dial,
		Resolver: s.o.Resolver,
		Control: netguard.Control(func(a netip.Addr) error {
			switch class := netguard.Of(a); {
			case class == netguard.Never:
				return errReserved
			case class < least:
				return errAddress
			}
			return nil
		}),
	}
	conn, err := d.DialContext(s.ctx, "tcp", join(host, port))
	return conn, dialRefusal(err)
}

// dialRefusal puts the error of a dialler in our words.
func dialRefusal(err error) error {
	_, unresolved := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errAddress):
		return &refusal{reason: AddressTaken}
	case errors.Is(err, errReserved):
		return &refusal{reason: AddressNever}
	case unresolved:
		return &refusal{reason: Unresolved}
	}
	return &refusal{reason: Unreachable}
}

// upstream is the operator's proxy for a request, or nil. One that cannot be used
// is an error: going around it is not ours to choose.
func (s *session) upstream(h *head) (*url.URL, error) {
	if s.o.Upstream == nil {
		return nil, nil
	}
	u, err := s.o.Upstream(h.address())
	if err != nil || u != nil && u.Scheme != "http" && u.Scheme != "https" {
		return nil, &refusal{reason: ProxyRefused}
	}
	return u, nil
}

// dialProxy connects to the operator's proxy, whose address is as the operator
// says.
func (s *session) dialProxy(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	d := net.Dialer{Timeout: s.times.dial}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, &refusal{reason: ProxyRefused}
	}
	return conn, nil
}

// tunnelThrough asks the operator's proxy for a tunnel.
func (s *session) tunnelThrough(u *url.URL, h *head) (net.Conn, error) {
	tcp, err := s.dialProxy(s.ctx, u)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(s.ctx, func() { tcp.Close() })
	defer stop()
	conn := tcp
	conn.SetDeadline(time.Now().Add(s.times.dial))
	if u.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: u.Hostname()})
	}
	if err := askTunnel(conn, u.User, join(h.host, h.port)); err != nil {
		conn.Close()
		return nil, &refusal{reason: ProxyRefused}
	}
	return conn, nil
}

func askTunnel(conn net.Conn, user *url.Userinfo, to string) error {
	ask := fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n", to, to)
	if user != nil {
		password, _ := user.Password()
		ask += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)) + "\r\n"
	}
	if _, err := conn.Write([]byte(ask + "\r\n")); err != nil {
		return err
	}
	r := bufio.NewReaderSize(conn, 4<<10)
	text, err := readHead(r)
	if err != nil {
		return err
	}
	var minor, status int
	if _, err := fmt.Sscanf(string(text), "HTTP/1.%d %d", &minor, &status); err != nil {
		return err
	}
	if status != http.StatusOK || r.Buffered() > 0 { // in a tunnel the client speaks first
		return fmt.Errorf("the proxy answered %d", status)
	}
	return nil
}
