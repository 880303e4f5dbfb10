package llm

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"mgx"
)

// Bounds of the wire, in bytes.
const (
	maxWire   = 64 << 20 // of one answer with all its framing
	maxEvent  = 4 << 20  // of one event of a stream
	maxJSON   = 16 << 20 // of an answer that is not streamed, or a list of models
	maxErrors = 64 << 10 // of an error's body
)

// Endpoint is the HTTP side that all dialects share: it sends a body, bounds and
// classifies what comes back, and keeps the key out of everything it says. It
// never follows a redirect to another host.
type Endpoint struct {
	Provider   string
	BaseURL    string // without a trailing slash
	Header     http.Header
	Secrets    []string // never to appear in an error
	KeySetting string   // where the user set the key
	client     *http.Client
}

// NewEndpoint prepares an endpoint. A nil client gets a default one. Time-outs
// are the Router's business, so a client should have none of its own.
func NewEndpoint(provider, baseURL string, client *http.Client, header http.Header) *Endpoint {
	if client == nil {
		client = &http.Client{Transport: defaultTransport}
	}
	own := *client
	own.CheckRedirect = sameHost
	header = header.Clone()
	header.Set("User-Agent", "mgx")
	return &Endpoint{
		Provider: provider, BaseURL: strings.TrimRight(baseURL, "/"), Header: header, client: &own,
		Secrets: secretsOf(baseURL, header),
	}
}

// defaultTransport is shared, so that all providers share one pool of connections.
var defaultTransport = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 16
	return t
}()

// sameHost lets a redirect pass that stays on the host and does not drop TLS;
// for any other, the redirect itself becomes the answer.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > 3 || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// secretsOf collects header values and URL credentials that must not be shown.
func secretsOf(baseURL string, header http.Header) []string {
	var secrets []string
	for name, values := range header {
		if name == "Anthropic-Version" || name == "User-Agent" {
			continue
		}
		for _, v := range values {
			secrets = append(secrets, strings.TrimPrefix(v, "Bearer "))
		}
	}
	if u, err := url.Parse(baseURL); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			secrets = append(secrets, password)
		}
	}
	// Longest first: a secret that contains another goes whole.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return secrets
}

// Answer is an accepted call: status 200 and a body to read.
type Answer struct {
	Close func() error

	body *bufio.Reader // bounded; reading past the bound is ErrTooLarge
	kept *kept         // of a passed request: what was read; else nil

	endpoint  *Endpoint
	model     string
	requestID string
}

// Post sends a call. Every error is a *CallError, except that of an ended ctx.
func (e *Endpoint) Post(ctx context.Context, path, model string, body any) (*Answer, error) {
	data := MarshalWire(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.BaseURL+path, bytes.NewReader(data))
	if err != nil {
		return nil, e.badURL(model)
	}
	req.Header = e.Header.Clone()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream, application/json")
	return e.do(req, model)
}

func (e *Endpoint) badURL(model string) error {
	return &CallError{
		Provider: e.Provider, Model: model, Fault: FaultRequest,
		Message: "the base URL is not a URL; check it", KeySetting: e.KeySetting,
	}
}

func (e *Endpoint) do(req *http.Request, model string) (*Answer, error) {
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, e.unreachable(req.Context(), model, err)
	}
	showHeaders(req.Context(), resp.Header)
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, e.refused(resp, model)
	}
	answer := &Answer{
		body:  bufio.NewReaderSize(&boundedReader{in: resp.Body, left: maxWire}, 16<<10),
		Close: resp.Body.Close, endpoint: e, model: model, requestID: requestID(resp.Header),
	}
	if strings.Contains(resp.Header.Get("Content-Type"), "html") {
		defer resp.Body.Close()
		return nil, &CallError{
			Provider: e.Provider, Model: model, Status: resp.StatusCode, Fault: FaultRequest, KeySetting: e.KeySetting,
			Message: "it answered with a web page instead of a model's answer; check the base URL",
		}
	}
	return answer, nil
}

// unreachable explains an error of the transport: there was no answer.
func (e *Endpoint) unreachable(ctx context.Context, model string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if own, ok := errors.AsType[*mgx.Error](err); ok {
		return own // of a transport of ours, such as one that plays a recording
	}
	fault := FaultConnection
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		fault = FaultTimeout
	}
	cause := err
	if ue, ok := errors.AsType[*url.Error](err); ok {
		cause = ue.Err // without the URL, which may hold a password
	}
	return &CallError{
		Provider: e.Provider, Model: model, Fault: fault, KeySetting: e.KeySetting,
		Message: Clean(fmt.Sprintf("no connection to %s: %v", e.host(), cause), e.Secrets...), Err: cause,
	}
}

func (e *Endpoint) host() string {
	u, err := url.Parse(e.BaseURL)
	if err != nil {
		return "the provider"
	}
	return u.Host
}

// refused explains a status other than 200.
func (e *Endpoint) refused(resp *http.Response, model string) error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrors)) // what could be read explains best
	body := ParseError(raw)
	fault, noModel := Classify(resp.StatusCode, body)
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		body.Message = "it redirects to another host, which is not followed; check the base URL"
	}
	if strings.TrimSpace(body.Message) == "" {
		body.Message = cmp.Or(body.Type, http.StatusText(resp.StatusCode), "no explanation")
	}
	return &CallError{
		Provider: e.Provider, Model: model, Status: resp.StatusCode, Fault: fault, NoModel: noModel,
		Message:    Clean(body.Message, e.Secrets...),
		RetryAfter: RetryAfter(resp.StatusCode, resp.Header, time.Now()),
		RequestID:  requestID(resp.Header), KeySetting: e.KeySetting,
	}
}

func requestID(h http.Header) string {
	return Clean(cmp.Or(h.Get("X-Request-Id"), h.Get("Request-Id")))
}

// IsDocument waits for the answer to begin and reports whether it is one JSON
// document instead of an event stream, whatever the headers call it: some
// servers ignore that a stream was asked for.
func (a *Answer) IsDocument() bool {
	for {
		next, err := a.body.Peek(1)
		if err != nil {
			return false // reading will say why
		}
		if next[0] > ' ' {
			return next[0] == '{' || next[0] == '['
		}
		a.body.ReadByte() // space that neither form minds
	}
}

// Events reads the answer as an event stream.
func (a *Answer) Events() iter.Seq2[SSE, error] {
	if a.kept != nil {
		return a.kept.events(a.body, maxEvent)
	}
	return ReadSSE(a.body, maxEvent)
}

// ReadJSON reads the answer as one document.
func (a *Answer) ReadJSON() ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(a.body, maxJSON+1))
	if err == nil && len(data) > maxJSON {
		err = fmt.Errorf("an answer of more than %d bytes: %w", maxJSON, ErrTooLarge)
	}
	if a.kept != nil {
		a.kept.data = data
	}
	return data, err
}

// Fail makes a *CallError of what went wrong while the answer was read: it
// broke off, was too large or did not decode. Errors that are one already get
// what only the endpoint knows, and an ended ctx speaks for itself.
func (a *Answer) Fail(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if internal, ok := errors.AsType[*mgx.Error](err); ok {
		return internal
	}
	e, ok := errors.AsType[*CallError](err)
	if !ok {
		e = &CallError{Fault: FaultBad, Message: breakage(err), Err: err}
		if _, network := errors.AsType[net.Error](err); network {
			e.Fault = FaultConnection
		}
	}
	e.Provider, e.Model, e.Status, e.InStream = a.endpoint.Provider, a.model, http.StatusOK, true
	e.RequestID, e.KeySetting = a.requestID, a.endpoint.KeySetting
	e.Message = Clean(e.Message, a.endpoint.Secrets...)
	return e
}

func breakage(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "the answer broke off in the middle"
	}
	return "the answer could not be read: " + err.Error()
}

// StreamError is an error that the provider reports within its answer.
func StreamError(raw []byte) *CallError {
	body := ParseError(raw)
	fault, noModel := Classify(0, body)
	return &CallError{Fault: fault, NoModel: noModel, Message: cmp.Or(body.Message, body.Type, "no explanation")}
}

// BadAnswer is a *CallError for an answer that is not what the dialect promises.
func BadAnswer(format string, args ...any) *CallError {
	err := fmt.Errorf(format, args...)
	return &CallError{Fault: FaultBad, Message: err.Error(), Err: errors.Unwrap(err)}
}

// GetJSON reads a document such as a list of models into v.
func (e *Endpoint) GetJSON(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.BaseURL+path, nil)
	if err != nil {
		return e.badURL("")
	}
	req.Header = e.Header.Clone()
	answer, err := e.do(req, "")
	if err != nil {
		return err
	}
	defer answer.Close()
	data, err := answer.ReadJSON()
	if err != nil {
		return answer.Fail(ctx, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return answer.Fail(ctx, BadAnswer("the list of models does not decode: %w", err))
	}
	return nil
}

// boundedReader reads up to left bytes and fails then, where io.LimitReader
// would pretend that the stream had ended.
type boundedReader struct {
	in   io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("an answer of more than %d bytes: %w", maxWire, ErrTooLarge)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.in.Read(p)
	b.left -= int64(n)
	return n, err
}

// MarshalWire encodes v as compact JSON whose strings keep <, > and & as they
// are, so that raw blocks in it go back as they came. It panics on what cannot
// be JSON; callers pass raw JSON only where they know it to be valid.
func MarshalWire(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("llm: encode: " + err.Error())
	}
	return bytes.TrimRight(buf.Bytes(), "\n")
}
