package llmtest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"

	"mgx/internal/llm"
)

// Server is an HTTP handler that serves a provider in all dialects:
//
//	POST /v1/chat/completions                         OpenAI Chat Completions
//	POST /v1/responses                                OpenAI Responses
//	POST /openai/v1/…, /openai/deployments/MODEL/…    both, as Azure has them
//	POST /v1/messages                                 Anthropic Messages
//	POST /v1beta/models/MODEL:streamGenerateContent   Gemini
//	GET  /v1/models, /openai/v1/models, /v1beta/models
//
// It streams what the provider streams, so time-outs, breaks and restarts can be
// tried over a real connection.
type Server struct {
	Provider llm.Provider
	Key      string // when set, requests without it get 401
	// Faults, if set, is asked for each POST, counted from 1, what to do wrong.
	Faults func(n int, r *http.Request) *Fault
	// Identify, if set, fills in what the wire does not carry, such as the role.
	Identify func(*llm.Request)

	mu    sync.Mutex
	posts int
	open  int
	last  []byte
	later llm.Provider // instead of Provider
}

// Use has another provider answer from now on, while the server runs.
func (s *Server) Use(p llm.Provider) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.later = p
}

func (s *Server) provider() llm.Provider {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.later != nil {
		return s.later
	}
	return s.Provider
}

// Open is the number of POSTs that are being answered.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func (s *Server) count(n int) {
	s.mu.Lock()
	s.open += n
	s.mu.Unlock()
}

// Requests is the number of POSTs so far.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts
}

// LastBody is the body of the latest POST.
func (s *Server) LastBody() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wire := dialectOf(r.URL.Path)
	switch {
	case !s.authorised(r):
		writeJSON(w, http.StatusUnauthorized, wire.failure(http.StatusUnauthorized, "authentication_error", "invalid API key"))
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/models"):
		s.models(w, r, wire)
	case r.Method == http.MethodPost && isCall(r.URL.Path):
		s.post(w, r, wire)
	default:
		writeJSON(w, http.StatusNotFound, wire.failure(http.StatusNotFound, "not_found_error", "no such path: "+r.URL.Path))
	}
}

func (s *Server) authorised(r *http.Request) bool {
	if s.Key == "" || r.Header.Get("Authorization") == "Bearer "+s.Key {
		return true
	}
	for _, name := range []string{"X-Api-Key", "X-Goog-Api-Key", "Api-Key"} {
		if r.Header.Get(name) == s.Key {
			return true
		}
	}
	return false
}

func (s *Server) models(w http.ResponseWriter, r *http.Request, wire dialect) {
	models, err := s.provider().Models(r.Context())
	if err != nil {
		writeJSON(w, http.StatusBadGateway, wire.failure(http.StatusBadGateway, "api_error", err.Error()))
		return
	}
	writeJSON(w, http.StatusOK, wire.models(models))
}

func (s *Server) post(w http.ResponseWriter, r *http.Request, wire dialect) {
	s.count(1)
	defer s.count(-1)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	s.mu.Lock()
	s.posts++
	n := s.posts
	s.last = body
	s.mu.Unlock()
	var fault Fault
	if s.Faults != nil {
		if f := s.Faults(n, r); f != nil {
			fault = *f
		}
	}
	if err != nil || fault.beforeAnswer(w, r) {
		return
	}
	wire.behave(fault.Kind)
	req, stream, err := wire.request(r, body)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, wire.failure(http.StatusBadRequest, "invalid_request_error", err.Error()))
		return
	}
	if s.Identify != nil {
		s.Identify(req)
	}
	if !stream || fault.Kind == Document {
		s.document(w, r, wire, req)
		return
	}
	s.stream(w, r, wire, req, fault)
}

// beforeAnswer does the faults that need no answer, and reports whether it did.
func (f Fault) beforeAnswer(w http.ResponseWriter, r *http.Request) bool {
	switch f.Kind {
	case Status:
		maps.Copy(w.Header(), f.Header)
		w.WriteHeader(f.Status)
		io.WriteString(w, f.Body)
	case ResetAtOnce:
		panic(http.ErrAbortHandler)
	case ResetMidHeader:
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Ty")
			conn.Close()
		}
	case StallFirst:
		<-r.Context().Done()
	case HugeDocument:
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"x":"`)
		for range 50 {
			io.WriteString(w, strings.Repeat("x", 1<<20))
		}
		io.WriteString(w, `"}`)
	case WebPage:
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>Welcome</title>")
	default:
		return false
	}
	return true
}

func (s *Server) document(w http.ResponseWriter, r *http.Request, wire dialect, req *llm.Request) {
	for chunk, err := range s.provider().Stream(r.Context(), req) {
		if err != nil {
			status, kind := statusOf(err)
			writeJSON(w, status, wire.failure(status, kind, messageOf(err)))
			return
		}
		if chunk.Response != nil {
			writeJSON(w, http.StatusOK, wire.document(chunk.Response))
		}
	}
}

// statusOf is the status and error type with which the wire says what went wrong.
func statusOf(err error) (int, string) {
	e, ok := errors.AsType[*llm.CallError](err)
	switch {
	case !ok:
		return http.StatusBadRequest, "invalid_request_error"
	case e.NoModel:
		return http.StatusNotFound, "not_found_error"
	}
	switch e.Fault {
	case llm.FaultRate:
		return http.StatusTooManyRequests, "rate_limit_error"
	case llm.FaultQuota:
		return http.StatusTooManyRequests, "insufficient_quota"
	case llm.FaultAuth:
		return http.StatusUnauthorized, "authentication_error"
	case llm.FaultTimeout:
		return http.StatusRequestTimeout, "timeout_error"
	case llm.FaultRequest, llm.FaultTooLong:
		return http.StatusBadRequest, "invalid_request_error"
	}
	return http.StatusServiceUnavailable, "overloaded_error"
}

func messageOf(err error) string {
	e, ok := errors.AsType[*llm.CallError](err)
	switch {
	case !ok:
		return err.Error()
	case e.Fault == llm.FaultTooLong:
		return "prompt is too long: " + e.Message
	}
	return e.Message
}

// stream sends the provider's answer as it comes. Nothing is sent before the
// provider says something, so its errors get a status of their own.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, wire dialect, req *llm.Request, fault Fault) {
	out := &sender{w: w, r: r, wire: wire, fault: fault, model: req.Model}
	defer out.close()
	for chunk, err := range s.provider().Stream(r.Context(), req) {
		switch {
		case err != nil && !out.begun:
			status, kind := statusOf(err)
			writeJSON(w, status, wire.failure(status, kind, messageOf(err)))
			return
		case err != nil:
			_, kind := statusOf(err)
			out.send(wire.streamFailure(kind, messageOf(err)))
			return
		}
		frames := wire.delta(chunk, req.Model)
		if chunk.Response != nil {
			frames = wire.end(chunk.Response)
		}
		if !out.begun {
			frames = append(wire.start(req.Model), frames...)
		}
		for _, f := range frames {
			if !out.send(f) {
				return
			}
		}
	}
}

// sender writes events, and does a fault among them.
type sender struct {
	w     http.ResponseWriter
	r     *http.Request
	wire  dialect
	fault Fault
	model string
	zip   *gzip.Writer
	begun bool
	sent  int
}

// send writes one event; false means that the answer is over.
func (o *sender) send(f frame) bool {
	if !o.begun {
		o.begin()
	}
	if o.sent == o.fault.After && !o.strike(f) {
		return false
	}
	o.sent++
	switch o.fault.Kind {
	case NoEnd:
		if f.kind == lastFrame {
			return true
		}
	case NoFinish:
		if f.kind == finishFrame || f.kind == usageFrame || f.kind == lastFrame {
			return true
		}
	case NoUsage:
		if f.kind == usageFrame {
			return true
		}
	case UsageTwice:
		if f.kind == usageFrame {
			o.write(f.text(o.fault.Kind))
		}
	case Pings:
		o.write(": keep-alive\n\n" + o.wire.ping())
	}
	return o.write(f.text(o.fault.Kind))
}

func (o *sender) begin() {
	o.begun = true
	o.w.Header().Set("Content-Type", "text/event-stream")
	if o.fault.Kind == Gzip {
		o.w.Header().Set("Content-Encoding", "gzip")
		o.zip = gzip.NewWriter(o.w)
	}
}

// strike does what comes instead of, or before, event number After; false
// means that the answer is over.
func (o *sender) strike(f frame) bool {
	text := f.text(o.fault.Kind)
	switch o.fault.Kind {
	case ResetMidEvent:
		o.write(text[:len(text)/2])
		panic(http.ErrAbortHandler)
	case HalfLine:
		o.write(text[:len(text)/2])
		return false
	case Stall:
		<-o.r.Context().Done()
		return false
	case Restarted:
		for _, again := range o.wire.start(o.model) {
			o.write(again.text(0))
		}
	case BadJSON:
		o.write("data: {\"type\":\"conten\n\n")
	case StreamError:
		o.write("event: error\ndata: " + o.fault.Body + "\n\n")
		return false
	case Endless:
		return o.forever(o.wire.delta(llm.Chunk{Text: strings.Repeat("again and again ", 1024)}, "")[0].text(0))
	case EndlessComments:
		return o.forever(strings.Repeat(": still here"+strings.Repeat(".", 4000)+"\n\n", 16))
	case Huge:
		return o.forever(o.wire.delta(llm.Chunk{Text: strings.Repeat("x", 50<<20)}, "")[0].text(0))
	}
	return true
}

func (o *sender) forever(text string) bool {
	for o.write(text) {
	}
	return false
}

func (o *sender) write(text string) bool {
	if o.zip != nil {
		o.zip.Write([]byte(text))
		o.zip.Flush()
	} else if _, err := io.WriteString(o.w, text); err != nil {
		return false
	}
	http.NewResponseController(o.w).Flush()
	return o.r.Context().Err() == nil
}

func (o *sender) close() {
	if o.zip != nil {
		o.zip.Close()
	}
}

// frame is one event on the wire.
type frame struct {
	kind  frameKind
	event string // empty in dialects that name none
	data  string
}

type frameKind int

const (
	otherFrame  frameKind = iota
	finishFrame           // holds the finish reason
	usageFrame            // holds the usage
	lastFrame             // ends the stream
)

func (f frame) text(fault FaultKind) string {
	data := "data: " + f.data
	if fault == MultiLine && json.Valid([]byte(f.data)) {
		var spread bytes.Buffer
		json.Indent(&spread, []byte(f.data), "", " ")
		data = "data: " + strings.ReplaceAll(spread.String(), "\n", "\ndata:")
	}
	text := data + "\n\n"
	if f.event != "" {
		text = "event: " + f.event + "\n" + text
	}
	if fault == CRLF {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(llm.MarshalWire(v))
}
