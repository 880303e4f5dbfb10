package mgx

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Kind says what sort of failure an error is. Edges map it once: the command
// line to an exit code, the API to an HTTP status.
type Kind string

const (
	KindGoal     Kind = "goal"     // the run ended without reaching its goal
	KindUsage    Kind = "usage"    // the caller's input is wrong
	KindConfig   Kind = "config"   // the machine or its settings do not allow it
	KindProvider Kind = "provider" // a model provider failed
	KindBudget   Kind = "budget"   // money or tokens ran out
	KindRefused  Kind = "refused"  // a person or a policy said no, or has not said yes
	KindStopped  Kind = "stopped"  // timed out or cancelled
	KindInternal Kind = "internal" // our fault
)

// ExitCode is the process exit code for a kind; see DESIGN, command line.
func (k Kind) ExitCode() int {
	switch k {
	case "":
		return 0
	case KindGoal:
		return 1
	case KindUsage:
		return 2
	case KindConfig:
		return 3
	case KindProvider:
		return 4
	case KindBudget:
		return 5
	case KindRefused:
		return 6
	case KindStopped:
		return 7
	}
	return 70
}

// Error is a failure with a stable code and a sentence that is safe to show to
// the person or the model that caused it. The cause stays wrapped for logs.
type Error struct {
	Kind    Kind   `json:"kind"`
	Code    string `json:"code"`    // stable, snake_case: "not_a_repository"
	Message string `json:"message"` // one or two sentences: what happened and what to do
	Err     error  `json:"-"`
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Err }

// Errorf builds an Error. A %w verb keeps its operand as the cause; the caller
// vouches that the formatted sentence is safe to show.
func Errorf(kind Kind, code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// unset are codes of kind config that say that something is not set up as somebody
// needs it, where the others say that a part of MGX or its machine fails.
var unset = []string{
	"no_provider", "no_such_provider", "no_model", "no_model_fits", "no_such_policy", "no_key", "bad_models_file", "bad_prices", "sandbox_below_minimum",
}

// Unset reports whether nothing failed, and the same will come of trying again until
// somebody makes or mends a setting. It is neither the caller's request nor our fault.
func (e *Error) Unset() bool { return e.Kind == KindConfig && slices.Contains(unset, e.Code) }

// AsError returns err as an *Error: itself when it is or wraps one, a stopped
// error for context errors, else an internal error.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &Error{Kind: KindStopped, Code: "cancelled", Message: "cancelled", Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Kind: KindStopped, Code: "timed_out", Message: "timed out", Err: err}
	}
	return &Error{Kind: KindInternal, Code: "internal", Message: err.Error(), Err: err}
}

// IsCode reports whether err is or wraps an Error with this code.
func IsCode(err error, code string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

// Codes that more than one package tests for.
const (
	CodeFenced          = "fenced"           // the lease was lost; another worker owns the execution
	CodeConflict        = "conflict"         // an optimistic version did not match
	CodeAlreadyRecorded = "already_recorded" // the step has a record
	CodeNotFound        = "not_found"
	CodeBudgetExceeded  = "budget_exceeded"
	CodePriceUnknown    = "price_unknown" // and a budget cannot be kept without it
	CodeCancelled       = "cancelled"
	CodeTimedOut        = "timed_out"
)
