package client

import (
	"bytes"
	"context"
	"crypto/tls"
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

	"mgx"
)

// Codes of errors that the server did not name.
const (
	CodeUnreachable = "server_unreachable"
	CodeBadServer   = "bad_server" // it answers, but not as MGX does
)

const (
	maxAnswer  = 64 << 20 // bytes of one answer
	answerWait = 30 * time.Second
)

// Client calls one server. It is safe for use by many goroutines.
type Client struct {
	base      *url.URL
	token     func(context.Context) (string, error) // for each request
	workspace mgx.WorkspaceID                       // empty: the only one of whoever asks
	http      *http.Client

	match string  // the ETag of what may be changed; empty: any
	saw   *string // where that of what is read goes; nil: nowhere
}

// New returns a client of the server at an address such as
// http://127.0.0.1:7780, with an API key or the token that `mgx serve` names.
func New(baseURL, token string) (*Client, error) {
	return NewAs(baseURL, "", func(context.Context) (string, error) { return token, nil })
}

// NewAs returns a client that acts in a workspace, or, with none, in the only one
// of whoever it stands for. It asks for the token before each request, so that
// tokens may change.
func NewAs(baseURL string, ws mgx.WorkspaceID, token func(context.Context) (string, error)) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(baseURL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.RawQuery != "" || base.User != nil {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_server_url", "%q is not the address of a server; it looks like http://127.0.0.1:7780", baseURL)
	}
	return &Client{base: base, token: token, workspace: ws, http: &http.Client{
		// A token is for the server it was given for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Seeing returns a client that puts the ETag of what it reads into tag, for [Client.If].
// Lists have none.
func (c *Client) Seeing(tag *string) *Client {
	seeing := *c
	seeing.saw = tag
	return &seeing
}

// If returns a client that changes something only if nobody else has since it had that
// ETag. If somebody has, nothing is done, and the error has the code mgx.CodeChanged.
func (c *Client) If(tag string) *Client {
	careful := *c
	careful.match = tag
	return &careful
}

// EventQuery selects a part of the log. Every field that is set narrows.
type EventQuery struct {
	Channels []string // all, run:ID, task:*, …; none: all
	Types    []string // globs such as tool.*
	After    int64    // the position to begin after
	Limit    int      // most events in a page; the server's choice when 0
	Page     string   // NextPage of the page before, instead of After
}

// EventPage is a part of the log, in order.
type EventPage struct {
	Events   []mgx.Event `json:"events"`
	NextPage string      `json:"next_page_token"` // empty at the end
	Resume   string      `json:"resume"`          // for StreamOptions, to go on from here
}

// Events returns a page of the log. A page may be empty and still have a next.
func (c *Client) Events(ctx context.Context, q EventQuery) (EventPage, error) {
	v := url.Values{"channel": q.Channels, "type": q.Types}
	switch {
	case q.Page != "":
		v.Set("page_token", q.Page)
	case q.After > 0:
		v.Set("after", strconv.FormatInt(q.After, 10))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	var page EventPage
	return page, c.get(ctx, "/api/v1/events", v, &page)
}

func (c *Client) get(ctx context.Context, path string, q url.Values, into any) error {
	return c.send(ctx, http.MethodGet, path, q, nil, into)
}

// send makes a request. Body and into are JSON; nil: there is none, or it is not
// looked at.
func (c *Client) send(ctx context.Context, method, path string, q url.Values, body, into any) error {
	ctx, stop := context.WithTimeout(ctx, answerWait)
	defer stop()
	r, err := c.request(ctx, method, path, q, body)
	if err != nil {
		return err
	}
	return c.do(ctx, r, into)
}

// create is a POST that makes something once, however often it is sent with a key:
// when no answer comes it is sent once more.
func (c *Client) create(ctx context.Context, path, key string, body, into any) error {
	ctx, stop := context.WithTimeout(ctx, answerWait)
	defer stop()
	err := c.createOnce(ctx, path, key, body, into)
	if mgx.IsCode(err, CodeUnreachable) && ctx.Err() == nil && pause(ctx, firstRetry) == nil {
		err = c.createOnce(ctx, path, key, body, into)
	}
	return err
}

func (c *Client) createOnce(ctx context.Context, path, key string, body, into any) error {
	r, err := c.request(ctx, http.MethodPost, path, nil, body)
	if err != nil {
		return err
	}
	r.Header.Set("Idempotency-Key", key)
	return c.do(ctx, r, into)
}

func (c *Client) request(ctx context.Context, method, path string, q url.Values, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, mgx.Errorf(mgx.KindUsage, "bad_request", "the request cannot be made: %w", err)
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url(path, q), content)
	if err != nil {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_server_url", "the request cannot be made: %w", err)
	}
	if r.Header, err = c.header(ctx); err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.match != "" && method != http.MethodGet {
		r.Header.Set("If-Match", c.match)
	}
	return r, nil
}

// answer sends a request and returns what came of it, whole.
func (c *Client) answer(ctx context.Context, r *http.Request) (*http.Response, []byte, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		err = c.unreachable(ctx, err)
	case len(body) > maxAnswer:
		err = mgx.Errorf(mgx.KindConfig, CodeBadServer, "the answer of %s is larger than %d bytes", c.base.Host, maxAnswer)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		err = c.problem(resp.StatusCode, body)
	case resp.Header.Get("X-API-Version") == "": // which every answer of the API has
		err = mgx.Errorf(mgx.KindConfig, CodeBadServer, "the server at %s does not answer as MGX does; is its address right?", c.base.Host)
	}
	return resp, body, err
}

func (c *Client) do(ctx context.Context, r *http.Request, into any) error {
	resp, body, err := c.answer(ctx, r)
	if err != nil || into == nil {
		return err
	}
	if c.saw != nil {
		*c.saw = resp.Header.Get("ETag")
	}
	err = json.Unmarshal(body, into)
	if err == nil {
		err = presentable(into)
	}
	if err != nil {
		return c.strange("%w", err)
	}
	return nil
}

func (c *Client) url(path string, q url.Values) string {
	u := c.base.JoinPath(path)
	u.RawQuery = q.Encode()
	return u.String()
}

func (c *Client) header(ctx context.Context) (http.Header, error) {
	h := http.Header{"User-Agent": {"mgx"}}
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	if c.workspace != "" {
		h.Set("Mgx-Workspace", string(c.workspace))
	}
	return h, nil
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); cause {
	case nil, context.DeadlineExceeded:
	case context.Canceled:
		return cause
	default:
		err = cause
	}
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		return mgx.Errorf(mgx.KindConfig, CodeUnreachable, "the certificate of %s is none that this machine trusts for that name; if it is the right one, name the file of who signed it in SSL_CERT_FILE (%w)", c.base.Host, err)
	}
	if _, plain := errors.AsType[tls.RecordHeaderError](err); plain || strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		return mgx.Errorf(mgx.KindConfig, CodeBadServer, "the server at %s does not speak https: begin its address with http:// (%w)", c.base.Host, err)
	}
	return mgx.Errorf(mgx.KindConfig, CodeUnreachable, "the server at %s cannot be reached; is mgx serve running there? (%w)", c.base.Host, reason(err))
}

// reason is why a connection failed, without the request and the words of Go around it.
func reason(err error) error {
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("there is no address for the name %s", name.Name)
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number
	}
	if asked, ok := errors.AsType[*url.Error](err); ok {
		return asked.Err
	}
	return err
}

// problem turns a body of RFC 9457 into an error.
func (c *Client) problem(status int, body []byte) error {
	var p problem
	if c.base.Scheme == "http" && status == http.StatusBadRequest && bytes.Contains(body, []byte("HTTP request to an HTTPS server")) {
		return mgx.Errorf(mgx.KindConfig, CodeBadServer, "the server at %s speaks https: begin its address with https://", c.base.Host)
	}
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return mgx.Errorf(mgx.KindConfig, CodeBadServer, "the server at %s answered with status %d and no reason that mgx knows; is it an MGX server?", c.base.Host, status)
	}
	return p.err()
}

type problem struct {
	Status   int    `json:"status"`
	Code     string `json:"code"`
	Detail   string `json:"detail"`
	Reason   string `json:"reason"`
	Earliest int64  `json:"earliest"`
	Head     int64  `json:"head"`
}

func (p problem) err() error {
	if p.Reason != "" {
		return &ResetError{Reason: p.Reason, Earliest: p.Earliest, Head: p.Head}
	}
	kind := mgx.KindInternal
	switch {
	case p.Status == http.StatusUnauthorized, p.Status == http.StatusForbidden:
		kind = mgx.KindRefused
	case p.Status == http.StatusServiceUnavailable, p.Status == http.StatusFailedDependency:
		kind = mgx.KindConfig
	case p.Status == http.StatusPaymentRequired:
		kind = mgx.KindBudget
	case p.Status == http.StatusBadGateway, p.Code == "model_not_found": // a provider says so
		kind = mgx.KindProvider
	case p.Status >= 400 && p.Status < 500:
		kind = mgx.KindUsage
	}
	return mgx.Errorf(kind, p.Code, "%s", p.Detail)
}
