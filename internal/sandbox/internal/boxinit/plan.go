//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import "mgx/internal/sandbox/internal/landlock"

// Name is the argv[0] that makes this program an init. It is no secret: a process
// gains nothing by it that it could not do without us.
const Name = "mgx-sandbox-init"

// Env is the environment of an init. It lives too briefly to collect garbage; and
// with one processor the runtime would start a thread at every system call that
// takes longer than some microseconds. A GODEBUG takes longer to read than its
// settings save.
var Env = []string{"GOGC=off", "GOMAXPROCS=2"}

// Descriptors of an init beside the command's 0, 1 and 2.
const (
	PlanFD   = 3 // the plan, then nothing until the parent is gone
	StatusFD = 4 // what the init says; see DecodeSaid and Filled
	FreeFD   = 5 // the first of those that the plan speaks of
)

// Plan is all that an init is told. The parent has checked and resolved
// everything in it; the init only obeys.
type Plan struct {
	Dirs   []string // with Files and Links the root, a tmpfs of ours
	Files  []File
	Links  []Link
	Mounts []Mount // in order, once the root is there

	Args []string
	Env  []string
	Dir  string

	Limits   []Limit
	Filter   string // the program that answers system calls, as the kernel has it; empty: none
	Landlock int    // its version; 0: none
	Rules    []landlock.Rule

	UID, GID  int  // who the user of the box is outside
	Lite      bool // there are no namespaces, and so no mounts
	Contained bool // others have made the namespaces and mounts

	Groups int    // files from FreeFD on that let whoever writes to them into a cgroup
	Door   int    // descriptor by which the gate's listener is handed out; 0: there is none
	Listen string // its IPv4 address, 4 bytes, and port, 2 bytes
	Opened int    // descriptors from here on are not ours, but whoever's started the parent
}

type (
	File struct{ Path, Text string }
	Link struct{ Path, To string }

	// Limit is one of setrlimit.
	Limit struct{ Resource, Soft, Hard int64 }
)

// Mount is one thing mounted in the root. Most fields are empty in most mounts.
type Mount struct {
	Kind      Kind
	Source    string // on the host; for an overlay its lower layer
	Target    string // in the box
	Make      Making // the mount point, when it lies in a tmpfs of ours; else it must exist
	ReadOnly  bool
	Upper     string // overlay
	Work      string
	Size      int64 // tmpfs, bytes
	Inodes    int64
	Mode      string // octal
	Processes int    // proc: how many there can be; 0: not bounded here
}

type Kind string

const (
	Bind    Kind = "bind"
	Device  Kind = "device"
	Tmpfs   Kind = "tmpfs"
	Proc    Kind = "proc"
	Pts     Kind = "pts" // terminals of the box's own
	Overlay Kind = "overlay"
)

type Making string

const (
	MakeNothing Making = ""
	MakeDir     Making = "dir"
	MakeFile    Making = "file"
	OverSocket  Making = "socket" // the mount point is one; if it is not any more, nothing is mounted
)

// Failure is what an init reports when it could not do as told. An empty one
// says that it did.
type Failure struct {
	Stage string
	Text  string
	Errno int
	Usage bool // the command asked for something that is not there
}

// StageOverlay is the one stage that a box can do without.
const StageOverlay = "overlay"
