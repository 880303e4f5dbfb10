package workflow

import (
	"errors"
	"runtime/debug"

	"mgx"
)

// unwinding is the panic that leaves a workflow function before it returns. It
// is a panic and not an error so that the function cannot mistake "parked until
// Tuesday" for a failure and go on; deferred functions run as for any other. Why
// it is left is the cause of the claim's context: a *stop.
type unwinding struct{}

func (unwinding) String() string {
	return "the workflow function is being left by its engine; do not recover from this"
}

// fate is what becomes of an execution whose function was left.
type fate int

const (
	parked   fate = iota // waits for a signal or a time, holding nothing
	released             // goes back to the queue: this process stops, or the store failed
	lost                 // another worker has it; nothing may be written
	ended                // will never run again
)

// stop is why a claim's function is left. It is the cause of the claim's
// context, so a step that asks context.Cause learns the failure behind it.
type stop struct {
	fate    fate
	status  mgx.ExecutionStatus // of an ended one
	failure *mgx.Error          // of an ended one
	err     error               // why it was released, when something is wrong with this machine
}

func (s *stop) Error() string {
	switch s.fate {
	case parked:
		return "workflow: parked"
	case lost:
		return "workflow: the lease was lost"
	case ended:
		return s.failure.Message
	}
	if s.err != nil {
		return s.err.Error()
	}
	return "workflow: this process is stopping"
}

func (s *stop) Unwrap() error {
	if s.failure != nil {
		return s.failure
	}
	return s.err
}

func cancelled(why string) *stop {
	return &stop{
		fate: ended, status: mgx.ExecCancelled,
		failure: mgx.Errorf(mgx.KindStopped, mgx.CodeCancelled, "cancelled: %s", why),
	}
}

func overdue() *stop {
	return &stop{
		fate: ended, status: mgx.ExecFailed,
		failure: mgx.Errorf(mgx.KindStopped, mgx.CodeTimedOut, "the time limit of the whole execution passed"),
	}
}

func failed(err *mgx.Error) *stop {
	return &stop{fate: ended, status: mgx.ExecFailed, failure: err}
}

func nondeterministic(format string, args ...any) *mgx.Error {
	return mgx.Errorf(mgx.KindInternal, "nondeterministic", format, args...)
}

// caught runs f and returns the panic it ended in, as a failure with the stack
// in the log; an unwinding is reported as left.
func (c *claim) caught(what string, f func()) (left bool, failure *mgx.Error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case unwinding:
			left = true
		default:
			c.log.Error("panic", "in", what, "panic", r, "stack", string(debug.Stack()))
			failure = mgx.Errorf(mgx.KindInternal, "panic", "%s panicked: %v; the log has the stack", what, r)
		}
	}()
	f()
	return false, nil
}

// repeatable reports whether a store's error says that this machine cannot
// write now, so that the same change may succeed later. Any other *mgx.Error is
// the store's answer to the change itself, and asking again would not alter it.
func repeatable(err error) bool {
	e, ok := errors.AsType[*mgx.Error](err)
	if !ok || e.Kind == mgx.KindConfig || e.Kind == mgx.KindStopped {
		return true
	}
	return e.Code == "database_error" || e.Code == "store_closed"
}
