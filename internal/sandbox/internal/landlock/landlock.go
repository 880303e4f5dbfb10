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
	"unsafe"

	"golang.org/x/sys/unix"
)

// Access is a set of rights on files.
type Access uint64

const (
	// Look is to read and to execute.
	Look Access = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// Write changes what is there, devices among it, and makes nothing.
	Write Access = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	// Change is to do anything but make devices.
	Change Access = Look | Write | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER

	all = Change | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
	// ofFiles are the rights that a rule on a file can have.
	ofFiles = Write | unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE
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
	v, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// known leaves what a version of Landlock can handle.
func known(version int, a Access) Access {
	for since, right := range map[int]Access{
		VersionRefer:    unix.LANDLOCK_ACCESS_FS_REFER,
		VersionTruncate: unix.LANDLOCK_ACCESS_FS_TRUNCATE,
		VersionIoctl:    unix.LANDLOCK_ACCESS_FS_IOCTL_DEV,
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

// Ruleset makes a ruleset for the version and returns its descriptor, which is
// closed on exec.
func Ruleset(version int, rules []Rule) (fd int, err error) {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: uint64(known(version, all))}
	size := unsafe.Sizeof(attr.Handled_access_fs)
	if version >= VersionScope {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
		size = unsafe.Offsetof(attr.Scoped) + unsafe.Sizeof(attr.Scoped)
	}
	set, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return -1, os.NewSyscallError("landlock_create_ruleset", errno)
	}
	for _, r := range rules {
		if err := r.add(int(set), version); err != nil {
			unix.Close(int(set))
			return -1, err
		}
	}
	return int(set), nil
}

func (r Rule) add(set, version int) error {
	fd, err := unix.Open(r.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: r.Path, Err: err}
	}
	defer unix.Close(fd)
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return &os.PathError{Op: "stat", Path: r.Path, Err: err}
	}
	allow := known(version, r.Allow)
	if info.Mode&unix.S_IFMT != unix.S_IFDIR {
		allow &= ofFiles
	}
	beneath := unix.LandlockPathBeneathAttr{Allowed_access: uint64(allow), Parent_fd: int32(fd)}
	_, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&beneath)), 0, 0, 0)
	if errno != 0 {
		return &os.PathError{Op: "landlock_add_rule", Path: r.Path, Err: errno}
	}
	return nil
}
