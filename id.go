package mgx

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// Identifiers are a short prefix that says what they name, an underscore and a
// ULID (https://github.com/ulid/spec): 26 characters that sort by creation time.
type (
	WorkspaceID string // ws_…   a tenant; DefaultWorkspace on a single-user machine
	ProjectID   string // proj_… one code base and its settings
	TaskID      string // task_… what a person wants
	RunID       string // run_…  one attempt at a task
	ExecutionID string // exec_… the engine's instance of a workflow
	UserID      string // user_… a person
	AgentID     string // agent_… one conversation of one role within a run
	EventID     string // evt_…  also the idempotency key of an append
	SignalID    string // sig_…  also the idempotency key of a signal
	StreamID    string // the id of what the events are about: a run, a task, a workspace
)

// DefaultWorkspace is the tenant of a machine that has only one.
const DefaultWorkspace WorkspaceID = "ws_default"

// NewID returns prefix, an underscore and a fresh ULID.
func NewID[T ~string](prefix string) T {
	var b [16]byte
	ms := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint64(b[:8], ms<<16)
	rand.Read(b[6:]) // never fails: crypto/rand
	return T(prefix + "_" + crockford(b))
}

func NewTaskID() TaskID           { return newRecordID[TaskID]("task") }
func NewRunID() RunID             { return newRecordID[RunID]("run") }
func NewExecutionID() ExecutionID { return newRecordID[ExecutionID]("exec") }
func NewEventID() EventID         { return newRecordID[EventID]("evt") }
func NewSignalID() SignalID       { return newRecordID[SignalID]("sig") }

// ProjectOf is the project of a repository: the same for every run on the same
// path. Empty for no path.
func ProjectOf(path string) ProjectID {
	if path == "" {
		return ""
	}
	return IDOf[ProjectID]("proj", path)
}

// IDOf returns an id that follows from what it is given.
func IDOf[T ~string](prefix string, from ...string) T {
	h := sha256.New()
	for _, s := range from {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return T(prefix + "_" + crockford([16]byte(h.Sum(nil))))
}

const ulidAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Traceparent is the W3C trace context (https://www.w3.org/TR/trace-context/) of
// everything that a run does: the 128 bits of its ULID are the trace id, and
// their random half is the id of the run's root span. It is empty for a run id
// that is not ours.
func (id RunID) Traceparent() string {
	_, ulid, _ := strings.Cut(string(id), "_")
	if len(ulid) != 26 {
		return ""
	}
	var hi, lo uint64
	for _, c := range ulid {
		n := strings.IndexRune(ulidAlphabet, c)
		if n < 0 {
			return ""
		}
		hi, lo = hi<<5|lo>>59, lo<<5|uint64(n)
	}
	return fmt.Sprintf("00-%016x%016x-%016x-01", hi, lo, lo)
}

// TraceID is the trace id of the run: 32 hexadecimal digits, or empty.
func (id RunID) TraceID() string {
	if _, rest, ok := strings.Cut(id.Traceparent(), "-"); ok {
		return rest[:32]
	}
	return ""
}

// crockford writes 128 bits as 26 characters of Crockford's base 32.
func crockford(b [16]byte) string {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var out [26]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = ulidAlphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}
