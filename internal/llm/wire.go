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
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mgx"
)

// Bounds of the wire, in bytes.
const (
	maxWire   = 64 << 20 // of one answer with all its framing
	maxEvent  = 4 << 20  // of one event of a stream
	maxJSON   = 16 << 20 // of an answer that is not streamed, or a list of models
	maxErrors = 64 << 10 // of an error's body
	readSize  = 4 << 10  // read at a time; longer lines are put together
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

// Connection is what it takes to reach a server of any dialect.
type Connection struct {
	Name       string // the P of P/M
	BaseURL    string
	APIKey     string // empty: none is sent
	KeySetting string // where the user set the key, for error messages
	Client     *http.Client
	Headers    map[string]string // sent with every call
}

// NewEndpoint prepares an endpoint that sends the key in a header of this name,
// behind a scheme such as "Bearer " or none. A nil client gets a default one.
// Time-outs are the Router's business, so a client should have none of its own.
func NewEndpoint(c Connection, keyHeader, scheme string) *Endpoint {
	client := http.Client{Transport: defaultTransport}
	if c.Client != nil {
		client = *c.Client
	}
	client.CheckRedirect = sameHost
	header := http.Header{}
	for name, value := range c.Headers {
		header.Set(name, value)
	}
	if c.APIKey != "" {
		header.Set(keyHeader, scheme+c.APIKey)
	}
	header.Set("User-Agent", "mgx")
	return &Endpoint{
		Provider: c.Name, BaseURL: strings.TrimRight(c.BaseURL, "/"), Header: header, client: &client,
		Secrets: secretsOf(c.BaseURL, header), KeySetting: c.KeySetting,
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

// workable is how long after a call has gone out a provider may have begun to work
// on it. A connection that breaks sooner was stale, or met a server that was going
// down.
const workable = time.Second

func (e *Endpoint) do(req *http.Request, model string) (*Answer, error) {
	var sent atomic.Pointer[time.Time]
	traced := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteRequest: func(w httptrace.WroteRequestInfo) {
		if w.Err == nil {
			sent.Store(new(time.Now()))
		}
	}})
	resp, err := e.client.Do(req.WithContext(traced))
	if err != nil {
		err = e.unreachable(req.Context(), model, err)
		if broken, ok := errors.AsType[*CallError](err); ok {
			at := sent.Load()
			broken.MayCost = at != nil && time.Since(*at) >= workable
		}
		return nil, err
	}
	showHeaders(req.Context(), resp.Header)
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, e.refused(resp, model)
	}
	answer := &Answer{
		body:  bufio.NewReaderSize(&boundedReader{in: resp.Body, left: maxWire}, readSize),
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
	wait := RetryAfter(resp.StatusCode, resp.Header, time.Now())
	if wait == 0 && fault == FaultRate {
		wait = body.retryDelay()
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		body.Message = "it redirects to another host, which is not followed; check the base URL"
	}
	if strings.TrimSpace(body.Message) == "" {
		body.Message = cmp.Or(body.Type, http.StatusText(resp.StatusCode), "no explanation")
	}
	return &CallError{
		Provider: e.Provider, Model: model, Status: resp.StatusCode, Fault: fault, NoModel: noModel,
		Filtered: fault == FaultRequest && body.filtered(), Message: Clean(body.Message, e.Secrets...), RetryAfter: wait,
		RequestID: requestID(resp.Header), KeySetting: e.KeySetting,
		MayCost: resp.StatusCode == http.StatusGatewayTimeout || resp.StatusCode == statusTimeout,
	}
}

// statusTimeout is what Cloudflare says when a server behind it does not answer in
// time (developers.cloudflare.com, error 524).
const statusTimeout = 524

func requestID(h http.Header) string {
	id := cmp.Or(h.Get("X-Request-Id"), h.Get("Request-Id"), h.Get("Apim-Request-Id"))
	if id == "" {
		return ""
	}
	return Clean(id)
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
