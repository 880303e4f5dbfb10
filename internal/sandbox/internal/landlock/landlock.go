//go:build linux && (amd64 || arm64 || riscv64)

// Package landlock narrows what a command may do with files, by path, whatever
// its user may: a wall of its own, behind the mounts where there are mounts, and
// the wall itself where there are none.
//
// A [Ruleset] denies all that this kernel's version of Landlock knows of, except
// what its rules allow. From version 6 on, a command also reaches no abstract
// socket and signals no process but those that it started itself.
package landlock

import (
	"os"
	"syscall"
	"unsafe"
)

// The kernel's numbers, which are the same on every machine. Package boxinit uses
// this one, and must not wait for golang.org/x/sys to be initialised.
const (
	sysCreateRuleset = 444
	sysAddRule       = 445
	// SysRestrictSelf is the call that puts a ruleset on this thread.
	SysRestrictSelf = 446

	createRulesetVersion = 1
	rulePathBeneath      = 1
	scopeAbstractSocket  = 1
	scopeSignal          = 2
	openPath             = 0x200000 // O_PATH
)

// Rights on files; see landlock(7).
const (
	execute Access = 1 << iota
	writeFile
	readFile
	// ReadDir is to list a directory.
	ReadDir
	removeDir
	removeFile
	makeChar
	makeDir
	makeReg
	makeSock
	makeFifo
	makeBlock
	makeSym
	refer
	truncate
	ioctlDev
)

// Access is a set of rights on files.
type Access int64

const (
	// Look is to read and to execute.
	Look Access = execute | readFile | ReadDir
	// Write changes what is there, devices among it, and makes nothing.
	Write Access = writeFile | truncate | ioctlDev
	// Change is to do anything but make devices.
	Change Access = Look | Write | removeDir | removeFile |
		makeDir | makeReg | makeSock |
		makeFifo | makeSym | refer

	all = Change | makeChar | makeBlock
	// ofFiles are the rights that a rule on a file can have.
	ofFiles = Write | execute | readFile
)

// Versions of Landlock from which on it knows something more.
const (
	VersionRefer    = 2
	VersionTruncate = 3
	VersionIoctl    = 5
	VersionScope    = 6
)

// Version is that of this kernel, or 0 when it has no Landlock or the container
// forbids it.
func Version() int {
	v, _, errno := syscall.RawSyscall(sysCreateRuleset, 0, 0, createRulesetVersion)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// known leaves what a version of Landlock can handle.
func known(version int, a Access) Access {
	for since, right := range map[int]Access{
		VersionRefer:    refer,
		VersionTruncate: truncate,
		VersionIoctl:    ioctlDev,
	} {
		if version < since {
			a &^= right
		}
	}
	return a
}

// Rule allows something at a path and below.
type Rule struct {
	Path  string
	Allow Access
}

// attributes are the kernel's, of a ruleset.
type attributes struct{ files, net, scoped uint64 }

func (a attributes) ruleset(version int) (fd int, err error) {
	size := unsafe.Sizeof(a.files)
	if version >= VersionScope {
		size = unsafe.Sizeof(a)
	}
	set, _, errno := syscall.RawSyscall(sysCreateRuleset, uintptr(unsafe.Pointer(&a)), size, 0)
	if errno != 0 {
		return -1, os.NewSyscallError("landlock_create_ruleset", errno)
	}
	return int(set), nil
}

// KeepSignals leaves this thread, and what it forks, with no process to signal but
// each other: from [VersionScope] on.
func KeepSignals() error {
	set, err := attributes{scoped: scopeSignal}.ruleset(VersionScope)
	if err != nil {
		return err
	}
	defer syscall.Close(set)
	if _, _, errno := syscall.RawSyscall(SysRestrictSelf, uintptr(set), 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}

// Ruleset makes a ruleset for the version and returns its descriptor, which is
// closed on exec.
func Ruleset(version int, rules []Rule) (fd int, err error) {
	attr := attributes{files: uint64(known(version, all))}
	if version >= VersionScope {
		attr.scoped = scopeAbstractSocket | scopeSignal
	}
	set, err := attr.ruleset(version)
	if err != nil {
		return -1, err
	}
	for _, r := range rules {
		if err := r.add(set, version); err != nil {
			syscall.Close(set)
			return -1, err
		}
	}
	return set, nil
}

func (r Rule) add(set, version int) error {
	fd, err := syscall.Open(r.Path, openPath|syscall.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: r.Path, Err: err}
	}
	defer syscall.Close(fd)
	var info syscall.Stat_t
	if err := syscall.Fstat(fd, &info); err != nil {
		return &os.PathError{Op: "stat", Path: r.Path, Err: err}
	}
	allow := known(version, r.Allow)
	if info.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		allow &= ofFiles
	}
	// The kernel's struct is packed: 12 bytes, without what follows here.
	beneath := struct {
		allow  uint64
		parent int32
	}{uint64(allow), int32(fd)}
	_, _, errno := syscall.RawSyscall6(sysAddRule, uintptr(set), rulePathBeneath, uintptr(unsafe.Pointer(&beneath)), 0, 0, 0)
	if errno != 0 {
		return &os.PathError{Op: "landlock_add_rule", Path: r.Path, Err: errno}
	}
	return nil
}
