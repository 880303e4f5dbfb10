package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/limit"
)

// Codes of this package's own problems.
const (
	codeUnauthenticated = access.CodeUnauthenticated
	codeProxy           = "not_through_proxy"
	codeHost            = "bad_host"
	codeOrigin          = "bad_origin"
	codeMethod          = "method_not_allowed"
	codeQuery           = "bad_query"
	codeFrame           = "bad_frame"
	codeSubprotocol     = "bad_subprotocol"
	codeFull            = "too_many_connections"
	codeManySubscribers = "too_many_subscribers" // of the hub's
	codeReset           = "reset"
	codeNotAcceptable   = "not_acceptable"
	codeBody            = "bad_body"
	codeMediaType       = "bad_media_type"
	codeRange           = "bad_range"
	codeVersion         = "unknown_version"
)

// problem is a body of RFC 9457. Code is stable; the fields of event.Reset are
// there when a position cannot be resumed from.
type problem struct {
	Type    string  `json:"type" doc:"urn:mgx:problem: and the code" example:"urn:mgx:problem:not_found"`
	Title   string  `json:"title" doc:"What the status means" example:"Not Found"`
	Status  int     `json:"status" doc:"The status of the answer" minimum:"400" maximum:"599" example:"404"`
	Detail  string  `json:"detail" doc:"What is wrong and what to do, in one sentence"`
	Code    string  `json:"code" doc:"What programs tell problems apart by. It is stable" example:"not_found"`
	Request string  `json:"request_id,omitempty" doc:"Of the request, also in the header X-Request-Id and in the log" example:"req_01JDT0000000000000000000R1"`
	Trace   string  `json:"trace_id,omitempty" doc:"Of the trace that the request belongs to" example:"4bf92f3577b34da6a3ce929d0e0e4736"`
	Errors  []fault `json:"errors,omitempty" doc:"Each thing that is wrong with the request, 20 at most"`
	*event.Reset
}

// statuses of codes that are not those of their kind.
var statuses = map[string]int{
	mgx.CodeNotFound:    http.StatusNotFound,
	mgx.CodeConflict:    http.StatusConflict,
	codeUnauthenticated: http.StatusUnauthorized,

	access.CodeKeyExpired:      http.StatusUnauthorized,
	access.CodeTokenExpired:    http.StatusUnauthorized,
	app.CodeBadCredentials:     http.StatusUnauthorized,
	mgx.CodeTokenReused:        http.StatusUnauthorized,
	mgx.CodeTokenUnknown:       http.StatusUnauthorized,
	mgx.CodeInvitationSpent:    http.StatusGone,
	mgx.CodeLastAdmin:          http.StatusConflict,
	"run_not_ended":            http.StatusConflict,
	app.CodeDecided:            http.StatusConflict,
	app.CodeOpenComments:       http.StatusConflict,
	app.CodeNotApproved:        http.StatusConflict,
	mgx.CodeErased:             http.StatusGone,
	access.CodeTooManyAttempts: http.StatusTooManyRequests,
	codeRateLimited:            http.StatusTooManyRequests,
	codeManyStreams:            http.StatusTooManyRequests,
	limit.CodeTooManyBytes:     http.StatusTooManyRequests,
	limit.CodeTooManyAtOnce:    http.StatusTooManyRequests,

	codeMethod:            http.StatusMethodNotAllowed,
	codeHost:              http.StatusMisdirectedRequest,
	codeNotAcceptable:     http.StatusNotAcceptable,
	mgx.CodeChanged:       http.StatusPreconditionFailed,
	mgx.CodeKeyInUse:      http.StatusConflict,
	codeKeyReused:         http.StatusUnprocessableEntity,
	codeDone:              http.StatusConflict,
	codeMediaType:         http.StatusUnsupportedMediaType,
	codeRange:             http.StatusRequestedRangeNotSatisfiable,
	event.CodeUnknownType: http.StatusNotFound,
	event.CodeVersionGone: http.StatusGone,
	"body_too_large":      http.StatusRequestEntityTooLarge,
	codeBodyLate:          http.StatusRequestTimeout,
	"model_not_found":     http.StatusNotFound,
}

func status(e *mgx.Error) int {
	if s, ok := statuses[e.Code]; ok {
		return s
	}
	if e.Unset() {
		return http.StatusFailedDependency
	}
	switch e.Kind {
	case mgx.KindUsage:
		return http.StatusBadRequest
	case mgx.KindRefused:
		return http.StatusForbidden
	case mgx.KindConfig, mgx.KindStopped:
		return http.StatusServiceUnavailable
	case mgx.KindProvider:
		return http.StatusBadGateway
	case mgx.KindBudget:
		return http.StatusPaymentRequired
	}
	return http.StatusInternalServerError
}

// busy are codes of a server that has all that it can bear: it does not fail.
var busy = []string{limit.CodeOverloaded, codeFull, codeManySubscribers, "uploads_busy", access.CodeTooBusy}

// tell logs a problem as far as it is for those who run the server: as an error what
// failed here, as a warning what passes, or is somebody else's to mend.
func (s *Server) tell(e *mgx.Error, status int, err error) {
	switch {
	case e.Unset(), e.Kind == mgx.KindProvider, status >= 500 && (e.Kind == mgx.KindStopped || slices.Contains(busy, e.Code)):
		s.o.Log.Warn("a request could not be served", "code", e.Code, "error", err)
	case status >= 500:
		s.o.Log.Error("a request failed", "code", e.Code, "error", err)
	}
}

// problemOf maps an error once, at this edge. What is not ours may name
// internals, so it is only logged.
func (s *Server) problemOf(of mgx.WorkspaceID, err error) problem {
	if reset, ok := errors.AsType[*event.Reset](err); ok {
		return problem{Type: "urn:mgx:problem:" + codeReset, Title: http.StatusText(http.StatusGone), Status: http.StatusGone, Detail: reset.Error(), Code: codeReset, Reset: reset}
	}
	e, ours := errors.AsType[*mgx.Error](err)
	if big, is := errors.AsType[*http.MaxBytesError](err); is {
		e, ours = mgx.Errorf(mgx.KindUsage, "body_too_large", "the body is larger than %d bytes", big.Limit), true
	}
	if !ours {
		e = mgx.AsError(err)
	}
	code := status(e)
	s.tell(e, code, err)
	p := problem{Type: "urn:mgx:problem:" + e.Code, Title: http.StatusText(code), Status: code, Detail: e.Outward(), Code: e.Code}
	if wrong, ok := errors.AsType[*invalid](err); ok {
		p.Errors = wrong.faults
	}
	p.Detail, p.Errors = s.o.Redact(of, p.Detail), slices.Clone(p.Errors)
	for i, f := range p.Errors {
		p.Errors[i] = fault{s.o.Redact(of, f.Location), s.o.Redact(of, f.Message)}
	}
	return p
}

// askedIn is the workspace of who makes a request; empty: nobody is known to.
func askedIn(q *Request) mgx.WorkspaceID {
	if q == nil {
		return ""
	}
	return q.Actor.Workspace
}

// fail answers with a problem, unless the answer has begun or nobody is there.
func (s *Server) fail(w *answer, r *http.Request, err error) {
	if r.Context().Err() != nil && !mgx.IsCode(err, codeBodyLate) { // net/http ends it with the deadline of a body
		return
	}
	if w.begun {
		s.o.Log.Warn("an answer broke off", "path", r.URL.Path, "error", err)
		return
	}
	q := RequestFrom(r.Context())
	p := s.problemOf(askedIn(q), err)
	if q != nil {
		q.Problem, p.Request, p.Trace = p.Code, q.ID, q.Trace
	}
	if s.o.Gateway != nil && (r.URL.Path == "/v1" || strings.HasPrefix(r.URL.Path, "/v1/")) {
		s.o.Gateway.Refuse(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="mgx"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	case http.StatusTooManyRequests:
		if wait, ok := errors.AsType[*access.WaitError](err); ok {
			h.Set("Retry-After", strconv.Itoa(wait.Seconds()))
		} else if h.Get("Retry-After") == "" {
			h.Set("Retry-After", "1")
		}
	}
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

func full(most int) error {
	return mgx.Errorf(mgx.KindConfig, codeFull, "the server has its %d streaming connections; try again later", most)
}

func restarting() error {
	return mgx.Errorf(mgx.KindStopped, event.CodeRestarting, "the server is restarting; connect again and resume")
}
