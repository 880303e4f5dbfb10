// Package tool holds the tools that agents call: a name, a JSON schema, an
// effect class, prose for the model, and a function.
//
// Tools that touch files do so through the workspace's [os.Root], so no path
// and no link leads out of it; tools that run programs do so in the workspace's
// sandbox box. A tool never panics on what a model sends: bad arguments come
// back as a result that tells the model what to do instead. Output is bounded
// and free of terminal control sequences.
package tool

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"mgx/internal/guard"
	"mgx/internal/sandbox"
)

// Effect is the worst a tool can do, for policy to decide on.
type Effect string

const (
	Read    Effect = "read"
	Write   Effect = "write"
	Execute Effect = "execute"
	Network Effect = "network"
	Deliver Effect = "deliver"
	Control Effect = "control" // speaks to the agent's loop only: plan, note, ask, finish
)

// Spec describes a tool.
type Spec struct {
	Name        string
	Description string          // from the .md beside the code
	Schema      json.RawMessage // of an object; arguments are validated against it before Call
	Effect      Effect
	Source      string // where its results come from, such as "mcp:SERVER"; empty: as the effect says
}

// Tool is something an agent can call.
type Tool interface {
	Spec() Spec
	// Call does it. Arguments are valid against the schema. The error is for
	// failures that are not the model's business (ctx ended, the sandbox could
	// not start); everything the model should hear is in the Result.
	Call(ctx context.Context, ws *Workspace, args json.RawMessage) (Result, error)
}

// Workspace is where tools act.
type Workspace struct {
	Root        *os.Root    // the run's files
	Box         sandbox.Box // the same files, for programs
	ReadOnly    bool        // plan mode: programs get a read-only mount, and writing tools refuse
	Step        string      // names the call within the run, and what is kept of its output; empty: by chance
	Attachments *os.Root    // what the run was given besides its repository; seen in the box at AttachmentsDir; nil: nothing
	Outputs     *os.Root    // where whole outputs are kept when the model gets a cut one; seen in the box at OutputsDir
	// Hidden, if set, says which paths of the workspace tools that search and list
	// pass over. Whoever sets it has decided on paths that are named.
	Hidden func(path string) bool
	// Veil is mounted over the workspace for programs, and hides from them what
	// Hidden does, or keeps it from being written.
	Veil []sandbox.Mount
	// Gate is how the command of this one call reaches hosts, where a person or the
	// policy allowed it more than the box's gate does; nil: that one, if any.
	Gate       sandbox.Gate
	GateMounts []sandbox.Mount // what programs need for it
	Redact     *guard.Redactor // hides secrets in what is kept and watched; nil: none
	// Watch, if set, receives the output of programs as it comes, for people to
	// see. It must not block.
	Watch func([]byte)
}

// OutputsDir is where a box shows the kept outputs, read-only.
const OutputsDir = "/outputs"

// AttachmentsDir is where a box shows the attachments of the run, read-only.
const AttachmentsDir = "/attachments"

// Result is what the model is told.
type Result struct {
	Text     string
	Status   Status
	ExitCode *int
	Duration time.Duration
	Limit    sandbox.Reached `json:"-"` // that its command reached; an event of its own tells of it
	Visits   []sandbox.Visit `json:"-"` // what its command asked of the network; events of their own tell of it
}

// Status is how a call ended; the values are those of tool.result.
type Status string

const (
	Success  Status = "success"
	Failure  Status = "error"
	TimedOut Status = "timeout"
	Denied   Status = "denied"
)
