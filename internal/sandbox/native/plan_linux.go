//go:build amd64 || arm64 || riscv64

package native

import (
	"slices"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/landlock"
)

// plan is all that an init is told. The parent has checked and resolved
// everything in it; the init only obeys.
type plan struct {
	Dirs   []string // with Files and Links the root, a tmpfs of ours
	Files  []file
	Links  []link
	Mounts []mount // in order, once the root is there
	Args   []string
	Env    []string
	Dir    string
	Limits sandbox.Limits
	Walls  walls
	Door   int             `json:",omitempty"` // descriptor by which the init hands out the gate's listener; 0: it has none
	Lite   []landlock.Rule `json:",omitempty"` // of a box without namespaces; it has no mounts
}

// walls are those that not every kernel has.
type walls struct {
	Network  bool // the box has one of its own, so sockets reach only that
	Seccomp  bool
	Landlock int // its version; 0: none
	Groups   int // cgroups to enter by the descriptors from groupFD on
}

func (p plan) hasOverlay() bool {
	return slices.ContainsFunc(p.Mounts, func(m mount) bool { return m.Kind == overlay })
}

type (
	file struct{ Path, Text string }
	link struct{ Path, To string }
)

// mount is one thing mounted in the root. Most fields are empty in most mounts,
// and every init has to parse all of them: omitempty halves the time.
type mount struct {
	Kind      kind
	Source    string `json:",omitempty"` // on the host; for an overlay its lower layer
	Target    string // in the box
	Make      making `json:",omitempty"` // the mount point, when it lies in a tmpfs of ours; else it must exist
	ReadOnly  bool   `json:",omitempty"`
	Upper     string `json:",omitempty"` // overlay
	Work      string `json:",omitempty"`
	Size      int64  `json:",omitempty"` // tmpfs, bytes
	Inodes    int64  `json:",omitempty"`
	Mode      string `json:",omitempty"` // octal
	Processes int    `json:",omitempty"` // proc: how many there can be
}

type kind string

const (
	bind    kind = "bind"
	device  kind = "device"
	tmpfs   kind = "tmpfs"
	proc    kind = "proc"
	overlay kind = "overlay"
)

type making string

const (
	makeNothing making = ""
	makeDir     making = "dir"
	makeFile    making = "file"
)

// failure is what an init reports when it could not do as told. An empty one
// says that it did.
type failure struct {
	Stage string `json:"stage,omitempty"`
	Text  string `json:"text,omitempty"`
	Errno int    `json:"errno,omitempty"`
	Usage bool   `json:"usage,omitempty"` // the command asked for something that is not there
}

// stageOverlay is the one stage that a box can do without.
const stageOverlay = "overlay"

// overlayError is an overlay that could not be mounted.
type overlayError struct{ error }

func (e overlayError) Unwrap() error { return e.error }
