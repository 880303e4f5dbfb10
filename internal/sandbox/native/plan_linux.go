//go:build amd64 || arm64 || riscv64

package native

import (
	"mgx/internal/sandbox"
)

// plan is all that an init is told. The parent has checked and resolved
// everything in it; the init only obeys.
type plan struct {
	Dirs   []dir
	Files  []file
	Links  []link
	Mounts []mount
	Args   []string
	Env    []string
	Dir    string
	Limits sandbox.Limits
}

// Parts of the root, a tmpfs of ours. They are made before anything is mounted.
type (
	dir struct {
		Path string
		Mode uint32
	}
	file struct{ Path, Text string }
	link struct{ Path, To string }
)

// mount is one thing mounted in the root.
type mount struct {
	Kind     kind
	Source   string // on the host; for an overlay its lower layer
	Target   string // in the box
	Make     making // what to make at Target first; only where Target lies in a tmpfs of ours
	ReadOnly bool
	Upper    string // overlay
	Work     string
	Size     int64  // tmpfs, bytes
	Inodes   int64  // tmpfs
	Mode     string // tmpfs, octal
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

// failure is what an init reports when it could not do as told.
type failure struct {
	Stage string `json:"stage"`
	Text  string `json:"text"`
	Errno int    `json:"errno,omitempty"`
	Usage bool   `json:"usage,omitempty"` // the command asked for something that is not there
}
