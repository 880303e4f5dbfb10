package llm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"mgx"
	"mgx/internal/lazy"
)

// CallError is why a provider, or the network on the way to it, gave no answer.
// Message is one short line without secrets, safe to show and to store.
type CallError struct {
	Provider string
	Model    string
	Status   int // HTTP status; 0 when none arrived
	Fault    Fault
	Message  string
	// RetryAfter is how long the provider asked to wait; 0 when it did not say.
	RetryAfter time.Duration
	RequestID  string // the provider's name for the call, for its support
	NoModel    bool   // the provider does not serve the model
	Filtered   bool   // the provider's content filter refused the prompt
	// InStream says that the provider had accepted the call (status 200) and
	// reported the failure, or broke off, afterwards: it may have cost something.
	InStream bool
	// MayCost says that the provider had the whole call and time to work on it
	// before the way to it broke: nobody knows what it did.
	MayCost bool
	// KeySetting is where the user set the key, such as OPENAI_API_KEY.
	KeySetting string
	Err        error
}

func (e *CallError) Error() string {
	if e.Status != 0 && !e.InStream {
		return fmt.Sprintf("%s: %s (HTTP %d)", e.Provider, e.Message, e.Status)
	}
	return e.Provider + ": " + e.Message
}

func (e *CallError) Unwrap() error { return e.Err }

// Retryable reports whether the same call may succeed a little later.
func (e *CallError) Retryable() bool {
	switch e.Fault {
	case FaultTimeout, FaultRate, FaultConnection, FaultOverloaded, FaultBad:
		return !errors.Is(e, ErrTooLarge)
	}
	return false
}

// AsMGX turns the failure into a sentence that says what to do about it, in a run (where
// trying again is mgx resume) and outside of one. known
// are names of models that the provider serves, for when it does not serve this one.
func (e *CallError) AsMGX(known []string) *mgx.Error {
	code, advice := e.advice(known)
	return &mgx.Error{
		Kind:    mgx.KindProvider,
		Code:    code,
		Message: fmt.Sprintf("%s. %s", strings.TrimRight(e.Error(), "."), advice),
		Err:     e,
	}
}

func (e *CallError) advice(known []string) (code, advice string) {
	switch {
	case e.Filtered:
		return "content_filter", "Its content filter refuses the prompt: reword the task, or choose a model of another provider."
	case e.NoModel:
		return "model_not_found", "Choose another with --model " + e.Provider + "/NAME" + listNames(known) + "."
	case e.Fault == FaultAuth && e.KeySetting == "":
		return "provider_auth", "Check the API key for " + e.Provider + "."
	case e.Fault == FaultAuth:
		return "provider_auth", "Check the key in " + e.KeySetting + "."
	case e.Fault == FaultRate && e.RetryAfter > 0:
		return "provider_rate_limit", fmt.Sprintf("It asks to wait %s; try again then.", e.RetryAfter.Round(time.Second))
	}
	return faultAdvice(e.Fault)
}

func faultAdvice(f Fault) (code, advice string) {
	switch f {
	case FaultQuota:
		return "provider_quota", "The account has no credit left: check its plan and billing, then try again."
	case FaultRate:
		return "provider_rate_limit", "Wait a little, then try again."
	case FaultConnection:
		return "provider_unreachable", "Check the network and the provider's address, then try again."
	case FaultTimeout:
		return "provider_timeout", "Try again, or choose a faster model."
	case FaultOverloaded:
		return "provider_overloaded", "Try again later, or choose another model."
	case FaultTooLong:
		return "context_length", "Choose a model with a larger context window."
	case FaultBad:
		return "provider_bad_response", "Try again, or choose another model."
	}
	return "provider_rejected", "The provider does not accept this request; choose another model."
}

// listNames writes at most ten names as " (it serves a, b, …)".
func listNames(names []string) string {
	const most = 10
	switch {
	case len(names) == 0:
		return ""
	case len(names) > most:
		return fmt.Sprintf(" (it serves %s and %d more)", strings.Join(names[:most], ", "), len(names)-most)
	}
	return " (it serves " + strings.Join(names, ", ") + ")"
}

// asCallError returns err as a *CallError. Errors of ctx itself are not the
// provider's and stay what they are: nil is returned for them.
func asCallError(err error, provider, model string) *CallError {
	if e, ok := errors.AsType[*CallError](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if _, ok := errors.AsType[*mgx.Error](err); ok {
		return nil
	}
	return &CallError{Provider: provider, Model: model, Fault: FaultBad, Message: Clean(err.Error()), Err: err}
}

// maxMessage bounds what is kept of a provider's own words, in bytes.
const maxMessage = 300

// secretLike finds what looks like a credential in a provider's words; some
// repeat the key they reject.
var secretLike = lazy.Regexp(`(?i)\b(sk|pk|rk|gsk|xai|key|tok)[-_][a-z0-9_\-*.]{6,}|\bAIza[0-9A-Za-z_\-*]{6,}|\bBearer\s+\S+|://[^/\s@]+@`)

// Clean makes a provider's words fit to show: one line of at most 300 bytes
// without control characters, without the given secrets and without what looks like one.
func Clean(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	if len(text) > 8*maxMessage {
		text = text[:8*maxMessage]
	}
	text = secretLike().ReplaceAllString(text, "[redacted]")
	text = strings.Map(printable, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	return cutText(text, maxMessage)
}

func printable(r rune) rune {
	if unicode.IsSpace(r) {
		return ' '
	}
	if !unicode.IsPrint(r) {
		return -1
	}
	return r
}

// cutText shortens text to at most max bytes at a rune boundary.
func cutText(text string, max int) string {
	if len(text) <= max {
		return text
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(text[:max-len(ellipsis)], "") + ellipsis
}
