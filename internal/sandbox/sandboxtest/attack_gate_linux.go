package sandboxtest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
)

// gateAttacks are those on the proxy.
var gateAttacks = map[string]func(args []string) error{
	"connect": func(a []string) error {
		conn, err := tunnel(a[0])
		if err == nil {
			conn.Close()
		}
		return err
	},
	"hold":        func(a []string) error { _, err := tunnel(a[0]); return err },
	"ask":         func(a []string) error { _, err := ask(a[0]); return err },
	"redirect":    followRedirect,
	"servername":  serverName,
	"plaintunnel": plainTunnel,
	"second":      secondRequest,
}

func toGate() (net.Conn, error) {
	conn, err := net.Dial("tcp", sandbox.GateAddress)
	if err == nil {
		conn.SetDeadline(time.Now().Add(patience / 2))
	}
	return conn, err
}

// refusedBy is an error when the gate refused; that it could not do as asked is
// none, because it tried.
func refusedBy(resp *http.Response) error {
	switch reason := resp.Header.Get("X-Mgx-Reason"); reason {
	case "", egress.Unreachable, egress.Unresolved, egress.ProxyRefused:
		return nil
	default:
		return errors.New(reason)
	}
}

func tunnel(to string) (net.Conn, error) {
	conn, err := toGate()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
	if err == nil {
		err = refusedBy(resp)
	}
	return conn, err
}

// ask sends text and returns the first answer.
func ask(text string) (*http.Response, error) {
	conn, err := toGate()
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, err
	}
	return resp, refusedBy(resp)
}

func followRedirect(a []string) error {
	host, _, _ := strings.Cut(strings.TrimPrefix(a[0], "http://"), "/")
	resp, err := ask("GET " + a[0] + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	if err != nil {
		return fmt.Errorf("the first request: %w", err)
	}
	next := resp.Header.Get("Location")
	host, _, _ = strings.Cut(strings.TrimPrefix(next, "http://"), "/")
	_, err = ask("GET " + next + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	return err
}

func serverName(a []string) error {
	conn, err := tunnel(a[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	return tls.Client(conn, &tls.Config{ServerName: a[1], InsecureSkipVerify: true}).Handshake()
}

// plainTunnel is through when a server answers to what is not TLS.
func plainTunnel(a []string) error {
	conn, err := tunnel(a[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.0\r\n\r\n")
	answer, _ := io.ReadAll(conn)
	if !strings.Contains(string(answer), reached) {
		return fmt.Errorf("the answer is %q", answer)
	}
	return nil
}

// secondRequest is through when what follows a request is answered too.
func secondRequest(a []string) error {
	conn, err := toGate()
	if err != nil {
		return err
	}
	defer conn.Close()
	io.WriteString(conn, a[0]+a[0])
	answer, _ := io.ReadAll(conn)
	if n := strings.Count(string(answer), reached); n < 2 {
		return fmt.Errorf("%d answers", n)
	}
	return nil
}
