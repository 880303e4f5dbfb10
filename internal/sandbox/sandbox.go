// Package sandbox is the contract between MGX and whatever confines the
// programs that agents run.
//
// A [Driver] opens a [Box]: one workspace directory and what may be seen around
// it. Every command in a box starts from the same walls: it sees an allow-listed
// read-only system, the workspace at /workspace, the mounts of its spec and
// nothing else of the host; no network but its [Gate], where a person gave it one;
// no environment, descriptors or terminal of ours; limits on processes, memory, files and time; and when it ends or its
// deadline comes, every process it started is dead before Run returns. Only the
// driver "off" promises none of that, and says so by its level.
//
// No field that a model can influence weakens a wall: models choose the words
// of a command and a time-out below the maximum, nothing else.
package sandbox

import (
	"context"
	"io"
	"slices"
	"time"

	"mgx"
)

// Level says how strong the walls of a box are, weakest first.
type Level string

const (
	LevelOff    Level = "off"    // none: the user typed --sandbox=off
	LevelLite   Level = "lite"   // Landlock, seccomp, no capabilities, rlimits; where there can be no namespaces
	LevelBasic  Level = "basic"  // namespaces, read-only root, no network, no capabilities, rlimits; something of full is missing
	LevelDocker Level = "docker" // a container of Docker or Podman with the walls of full inside; no user namespace of its own
	LevelFull   Level = "full"   // basic with seccomp, Landlock and cgroups
	LevelGVisor Level = "gvisor" // a kernel of its own, in user space; the host's sees hardly a call of the command
)

// Levels lists all, weakest first.
var Levels = []Level{LevelOff, LevelLite, LevelBasic, LevelDocker, LevelFull, LevelGVisor}

// AtLeast reports whether a level is as strong as another. A level that is not
// known is weaker than all.
func (l Level) AtLeast(other Level) bool {
	return slices.Index(Levels, l) >= slices.Index(Levels, other)
}

// Workspace is where the run's files are inside every box that can mount.
const Workspace = "/workspace"

// Mode is how a mount may be used.
type Mode string

const (
	ReadOnly  Mode = "ro"
	ReadWrite Mode = "rw"
	// Overlay shows Host, and keeps what is written in the box's own state
	// directory: a warm cache that the host's copy never learns about.
	// Where the machine cannot, Host is shown read-only.
	Overlay Mode = "overlay"
	// Cache is an overlay of things that can be made again: where the machine
	// cannot overlay, or Host is empty, it starts empty. It is kept all the same.
	Cache Mode = "cache"
	// Empty is a directory with nothing in it, over one that must not be seen. It
	// has no Host.
	Empty Mode = "empty"
)

// Mount shows a host directory or file at a path inside the box. A mount whose
// host path does not exist is an error of Open.
type Mount struct {
	Host  string
	Guest string
	Mode  Mode
}

// Spec describes a box.
type Spec struct {
	ID     string  // whose it is, usually of a run: what bounds all processes together bounds all boxes of one together
	Work   string  // host directory shown read-write at Workspace
	State  string  // host directory for the box's own data (overlay layers); created if absent
	Mounts []Mount // around the workspace, later ones over earlier ones; may lie inside it
	Env    []string
	Limits Limits
	Quotas map[mgx.Quota]int64 // of the workspace, which lower limits
	AtOnce int                 // how many may work at the same time on this machine, who share its memory; 0: this one
	Kept   []string            // directories of the host that count to its disk, beside the workspace and the state
	Gate   Gate                // nil: no network for anybody
}

// Command is one program to run in a box.
type Command struct {
	Args     []string // Args[0] is looked up in the box's PATH
	Dir      string   // guest path; Workspace when empty
	Env      []string // added to the box's
	Stdin    io.Reader
	Stdout   io.Writer // written by one goroutine at a time; may be the same as Stderr
	Stderr   io.Writer
	Timeout  time.Duration // required; then the whole tree is killed
	ReadOnly bool          // the workspace is mounted read-only for this command
	Online   bool          // it may use the box's gate, if there is one
	Gate     Gate          // used instead of the box's, if it is Online; a box that can have none refuses the command
	Mounts   []Mount       // for this command only; replaces those of the spec at the same Guest
	// Visited, if it is not nil, is called once the command has its gate, with what
	// tells what it asked of that until now: for commands that live long.
	Visited func(soFar func() []Visit)
}

// Result is how a command ended. A command that could not be started at all is
// an error of Run instead.
type Result struct {
	ExitCode int // as the shell counts: 128+n when killed by signal n
	TimedOut bool
	Limit    Limit  // that was reached; empty when none is known to be
	Told     bool   // only the command's output says that it was, and could have made it up
	Allowed  Limits // what bounded it, as far as it is known
	Duration time.Duration
	Visits   []Visit // what it asked of the gate, by first time; bounded
}

// Box confines commands. Its methods may be called from several goroutines.
type Box interface {
	// Run runs one command to its end. The error is non-nil only when the
	// command could not be run as asked (no such program is exit code 127, not an
	// error) or when ctx ended, after the tree was killed.
	Run(ctx context.Context, cmd Command) (Result, error)
	// Path translates a guest path to what a command in this box must use for
	// it: the same path, except in boxes that cannot mount.
	Path(guest string) string
	Level() Level
	// Close removes what Open made, not the workspace and not the state.
	Close() error
}

// Driver opens boxes of one kind.
type Driver interface {
	Name() string
	// Probe tries what the driver needs, by doing it, and reports.
	Probe(ctx context.Context) Report
	// Open refuses with kind config when the machine cannot give the driver's level.
	Open(ctx context.Context, spec Spec) (Box, error)
}

// Report is what a probe found.
type Report struct {
	Driver string  `json:"driver"`
	Level  Level   `json:"level"` // reached; empty when the driver cannot run here
	Checks []Check `json:"checks"`
}

// Check is one thing a probe tried.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // what was found, or what is missing and how to get it
}
