package gateway

import (
	"errors"
	"net/http"
	"time"

	"mgx"
	"mgx/internal/limit"
	"mgx/internal/llm"
)

// failure is why a call has no answer, as far as the caller may know.
type failure struct {
	kind    kind
	code    string // stable; OpenAI's dialects show it
	message string
	wait    time.Duration // after which to try again; 0: not said
	final   bool          // trying again cannot help, or was done here
}

func (f *failure) Error() string { return f.message }

// kind sorts failures as the dialects do.
type kind int

const (
	invalid     kind = iota // the request is wrong
	noKey                   // 401
	forbidden               // 403
	notFound                // 404
	tooLarge                // 413
	noMoney                 // 402: unlike 429, SDKs do not try it again
	tooFast                 // 429
	internal                // 500
	unavailable             // 503: a part of this server fails
	badUpstream             // 502: the provider failed
	overloaded              // 503, 529
	timedOut                // 504
	lateBody                // 408
)

// kinds are the names that kinds have in the dialects.
var kinds = map[kind]struct {
	status            int
	openai, anthropic string
}{
	invalid:     {400, "invalid_request_error", "invalid_request_error"},
	noKey:       {401, "authentication_error", "authentication_error"},
	forbidden:   {403, "permission_error", "permission_error"},
	notFound:    {404, "invalid_request_error", "not_found_error"},
	tooLarge:    {413, "invalid_request_error", "request_too_large"},
	noMoney:     {402, "insufficient_quota", "billing_error"},
	tooFast:     {429, "rate_limit_error", "rate_limit_error"},
	internal:    {500, "server_error", "api_error"},
	unavailable: {503, "server_error", "api_error"},
	badUpstream: {502, "server_error", "api_error"},
	overloaded:  {503, "server_error", "overloaded_error"},
	timedOut:    {504, "server_error", "timeout_error"},
	lateBody:    {408, "invalid_request_error", "invalid_request_error"},
}

func bad(code, message string) *failure { return &failure{kind: invalid, code: code, message: message} }

// patience is an error of who finds keys that says how long to wait.
type patience interface {
	error
	Waits() time.Duration
}

// failed sorts an error of a call.
func failed(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return &failure{kind: tooLarge, code: "request_too_large", message: "the body is larger than this server takes"}
	}
	if upstream, ok := errors.AsType[*llm.CallError](err); ok {
		return providerFailed(upstream)
	}
	e := mgx.AsError(err)
	switch e.Code {
	case limit.CodeTooManyBytes:
		return &failure{kind: tooFast, code: e.Code, message: e.Message, wait: time.Second}
	case mgx.CodeNotFound:
		return &failure{kind: notFound, code: e.Code, message: e.Message}
	case limit.CodeOverloaded:
		return &failure{kind: overloaded, code: e.Code, message: e.Message, wait: time.Second}
	}
	if slow, ok := errors.AsType[patience](err); ok {
		return &failure{kind: tooFast, code: e.Code, message: e.Message, wait: slow.Waits()}
	}
	f := &failure{code: e.Code, message: e.Outward(), final: true}
	if e.Unset() { // for this workspace there is no such model until somebody sets it up
		f.kind = notFound
		return f
	}
	switch e.Kind {
	case mgx.KindUsage:
		f.kind = invalid
	case mgx.KindConfig:
		f.kind, f.wait, f.final = unavailable, time.Second, false
	case mgx.KindRefused:
		f.kind = forbidden
	case mgx.KindBudget:
		f.kind = noMoney
	case mgx.KindStopped:
		f.kind, f.final = overloaded, false
	case mgx.KindProvider:
		f.kind = badUpstream
	default: // it may name internals
		return &failure{kind: internal, code: "internal", message: "an internal error; the server's log tells more"}
	}
	return f
}

// providerFailed sorts what became of the last attempt. The router has tried
// again as often as made sense, so callers need not.
func providerFailed(e *llm.CallError) *failure {
	f := &failure{code: "provider_" + string(e.Fault), message: e.Error(), wait: e.RetryAfter, final: true}
	switch {
	case e.NoModel:
		f.kind, f.code = notFound, "model_not_found"
	case e.Fault == llm.FaultTooLong:
		f.kind, f.code = invalid, "context_length_exceeded"
	case e.Fault == llm.FaultRequest:
		f.kind, f.code = invalid, "provider_rejected"
	case e.Fault == llm.FaultRate:
		f.kind, f.code, f.final = tooFast, "rate_limit_exceeded", e.RetryAfter > time.Minute
	case e.Fault == llm.FaultTimeout:
		f.kind = timedOut
	case e.Fault == llm.FaultOverloaded:
		f.kind = overloaded
	default: // the connection, the answer, or our own key or account there
		f.kind = badUpstream
	}
	return f
}

// openAIError is the error object of OpenAI's dialects.
func openAIError(f *failure) any {
	return object("error", object("message", f.message, "type", kinds[f.kind].openai, "param", nil, "code", f.code))
}

// anthropicError is the error object of Anthropic's.
func anthropicError(f *failure, id string) any {
	return object("type", "error", "error", object("type", kinds[f.kind].anthropic, "message", f.message), "request_id", id)
}

// status is the HTTP status of a failure.
func (f *failure) status(d dialect) int {
	if f.kind == overloaded && d.name() == llm.DialectMessages && f.code != codeDraining {
		return 529
	}
	return kinds[f.kind].status
}
