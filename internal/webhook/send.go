package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"mgx"
)

const (
	attemptTime  = 15 * time.Second // for one request, from resolving the name to the end of the answer
	maxKept      = 2 << 10          // bytes of an answer that are kept
	maxDrained   = 16 << 10         // bytes of an answer that are read so that the connection can be used again
	maxHeader    = 16 << 10         // bytes of an answer's header
	idleTime     = 30 * time.Second
	idleConns    = 64 // open and not in use, to all endpoints
	userAgent    = "MGX-Webhooks/1.0"
	handshakeMax = 10 * time.Second
)

// sender makes the requests. It has a client for each scheme, because only a
// connection knows its address, and only a request knows its scheme.
type sender struct{ https, http *http.Client }

func newSender(g Guard) *sender {
	return &sender{https: g.client(false), http: g.client(true)}
}

// client follows no redirect, uses no proxy, keeps no cookies and asks the guard
// about every connection.
func (g Guard) client(plain bool) *http.Client {
	dialer := net.Dialer{Timeout: handshakeMax, Control: g.control(plain)}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    handshakeMax,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConns:           idleConns,
			MaxIdleConnsPerHost:    perEndpoint,
			IdleConnTimeout:        idleTime,
		},
	}
}

func (s *sender) close() {
	s.https.CloseIdleConnections()
	s.http.CloseIdleConnections()
}

// message is what is sent: the same bytes under the same id at each attempt.
type message struct {
	id   mgx.EventID
	body []byte
}

// envelope returns the JSON form of an event, with its data byte for byte as it
// is stored: an encoder would rewrite it.
func envelope(e mgx.Event) (message, error) {
	data := e.Data
	e.Data = nil
	b, err := json.Marshal(e)
	head, ok := bytes.CutSuffix(b, []byte("null}"))
	if err != nil || !ok || !json.Valid(data) {
		return message{}, mgx.Errorf(mgx.KindInternal, "bad_event", "event %s in the log is not JSON; run mgx verify", e.ID)
	}
	return message{e.ID, append(append(head, data...), '}')}, nil
}

// answer is what came of one request.
type answer struct {
	attempt mgx.WebhookAttempt
	unsent  bool
	after   time.Duration // the endpoint asked for at least that
	cause   error         // in full, for the log
}

// send makes one request. The answer's Error is empty when its status is 2xx; it
// says what happened in words that tell nothing about this side's network.
func (s *sender) send(ctx context.Context, to string, secrets []string, m message) answer {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	out := answer{attempt: mgx.WebhookAttempt{Event: m.id, At: mgx.Now()}}
	res, err := s.do(ctx, to, secrets, m, out.attempt.At)
	if err != nil {
		out.attempt.Error, out.cause = sentence(err), err
		if at, ok := errors.AsType[*url.Error](err); ok { // which repeats the address
			out.cause = at.Err
		}
	} else {
		defer res.Body.Close()
		out.attempt.Status = res.StatusCode
		out.attempt.Error = complaint(res.StatusCode)
		if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
			out.after = retryAfter(res.Header, time.Now())
		}
		out.attempt.Response = excerpt(res.Body, res.Request.URL)
	}
	out.attempt.Duration = time.Since(out.attempt.At)
	return out
}

func (s *sender) do(ctx context.Context, to string, secrets []string, m message, at time.Time) (*http.Response, error) {
	u, err := address(to)
	if err != nil {
		return nil, err
	}
	sig, err := signature(secrets, string(m.id), at, m.body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(m.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Webhook-Id", string(m.id))
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("Webhook-Signature", sig)
	if u.Scheme == "http" {
		return s.http.Do(req)
	}
	return s.https.Do(req)
}

// complaint says why a status is no success; "": it is one.
func complaint(status int) string {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status >= 300 && status < 400:
		return fmt.Sprintf("the endpoint answered %d, a redirect, which is not followed; give the webhook the address it leads to", status)
	}
	return strings.TrimSpace(fmt.Sprintf("the endpoint answered %d %s", status, http.StatusText(status)))
}

// sentence says why there was no answer.
func sentence(err error) string {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	own, isOwn := errors.AsType[*mgx.Error](err)
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errPrivate):
		return errPrivate.Error()
	case errors.Is(err, errPlain):
		return errPlain.Error()
	case isOwn:
		return own.Message
	case errors.As(err, &dns):
		return "the endpoint's host name was not found"
	case errors.Is(err, context.DeadlineExceeded), isNet && netErr.Timeout():
		return fmt.Sprintf("the endpoint did not answer within %s", attemptTime)
	case errors.As(err, &authority), errors.As(err, &name), errors.As(err, &invalid):
		return "the endpoint's TLS certificate is not valid for its name"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the endpoint refused the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the endpoint closed the connection without an answer"
	}
	return "the connection to the endpoint failed"
}

// excerpt reads the beginning of an answer as one line of text, without what it says
// of the address that it came from. That the rest does not come, or comes slowly,
// changes nothing about the status.
func excerpt(body io.Reader, from *url.URL) string {
	const read = maxKept + maxAddress // so that no part of the address is cut through
	b, _ := io.ReadAll(io.LimitReader(body, read))
	if len(b) == read {
		io.CopyN(io.Discard, body, maxDrained)
	}
	text := veiled(string(b), from)
	return oneLine(text[:min(len(text), maxKept)])
}

// oneLine keeps what can be shown anywhere: no control or format characters, so
// no escapes, no line breaks and no text that runs backwards.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r), r == unicode.ReplacementChar:
			return ' '
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	return strings.Join(strings.Fields(s), " ")
}
