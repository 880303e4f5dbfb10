//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestNumbers compares the numbers written down here, to start without
// golang.org/x/sys, with those that it has.
func TestNumbers(t *testing.T) {
	for _, n := range []struct {
		name       string
		ours, unix uint64
	}{
		{"open_tree", sysOpenTree, unix.SYS_OPEN_TREE},
		{"move_mount", sysMoveMount, unix.SYS_MOVE_MOUNT},
		{"fsopen", sysFsopen, unix.SYS_FSOPEN},
		{"fsconfig", sysFsconfig, unix.SYS_FSCONFIG},
		{"fsmount", sysFsmount, unix.SYS_FSMOUNT},
		{"close_range", sysCloseRange, unix.SYS_CLOSE_RANGE},
		{"openat2", sysOpenat2, unix.SYS_OPENAT2},
		{"mount_setattr", sysMountSetattr, unix.SYS_MOUNT_SETATTR},
		{"seccomp", sysSeccomp, unix.SYS_SECCOMP},
		{"prlimit64", sysPrlimit64, unix.SYS_PRLIMIT64},
		{"AT_EMPTY_PATH", atEmptyPath, unix.AT_EMPTY_PATH},
		{"AT_RECURSIVE", atRecursive, unix.AT_RECURSIVE},
		{"O_PATH", openPath, unix.O_PATH},
		{"OPEN_TREE_CLONE", openTreeClone, unix.OPEN_TREE_CLONE},
		{"OPEN_TREE_CLOEXEC", syscall.O_CLOEXEC, unix.OPEN_TREE_CLOEXEC},
		{"FSOPEN_CLOEXEC", fsopenCloexec, unix.FSOPEN_CLOEXEC},
		{"FSMOUNT_CLOEXEC", fsmountCloexec, unix.FSMOUNT_CLOEXEC},
		{"FSCONFIG_SET_FLAG", fsconfigSetFlag, unix.FSCONFIG_SET_FLAG},
		{"FSCONFIG_SET_STRING", fsconfigSetString, unix.FSCONFIG_SET_STRING},
		{"FSCONFIG_CMD_CREATE", fsconfigCreate, unix.FSCONFIG_CMD_CREATE},
		{"MOUNT_ATTR_RDONLY", attrReadOnly, unix.MOUNT_ATTR_RDONLY},
		{"MOUNT_ATTR_NOSUID", attrNoSuid, unix.MOUNT_ATTR_NOSUID},
		{"MOUNT_ATTR_NODEV", attrNoDev, unix.MOUNT_ATTR_NODEV},
		{"MOUNT_ATTR_NOEXEC", attrNoExec, unix.MOUNT_ATTR_NOEXEC},
		{"MOVE_MOUNT_F_EMPTY_PATH", moveFromEmptyPath, unix.MOVE_MOUNT_F_EMPTY_PATH},
		{"MOVE_MOUNT_T_EMPTY_PATH", moveToEmptyPath, unix.MOVE_MOUNT_T_EMPTY_PATH},
		{"RESOLVE_NO_SYMLINKS", resolveNoSymlinks, unix.RESOLVE_NO_SYMLINKS},
		{"PR_SET_DUMPABLE", prSetDumpable, unix.PR_SET_DUMPABLE},
		{"PR_SET_NAME", prSetName, unix.PR_SET_NAME},
		{"PR_CAPBSET_READ", prCapBSetRead, unix.PR_CAPBSET_READ},
		{"PR_CAPBSET_DROP", prCapBSetDrop, unix.PR_CAPBSET_DROP},
		{"PR_SET_TIMERSLACK", prSetTimerSlack, unix.PR_SET_TIMERSLACK},
		{"PR_SET_CHILD_SUBREAPER", prSetChildSubreaper, unix.PR_SET_CHILD_SUBREAPER},
		{"PR_SET_NO_NEW_PRIVS", prSetNoNewPrivs, unix.PR_SET_NO_NEW_PRIVS},
		{"PR_CAP_AMBIENT", prCapAmbient, unix.PR_CAP_AMBIENT},
		{"PR_CAP_AMBIENT_CLEAR_ALL", prCapAmbientClear, unix.PR_CAP_AMBIENT_CLEAR_ALL},
		{"LINUX_CAPABILITY_VERSION_3", capabilityVersion3, unix.LINUX_CAPABILITY_VERSION_3},
		{"KEYCTL_JOIN_SESSION_KEYRING", keyctlJoinSession, unix.KEYCTL_JOIN_SESSION_KEYRING},
		{"SECCOMP_SET_MODE_FILTER", seccompSetFilter, unix.SECCOMP_SET_MODE_FILTER},
		{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", seccompFlags, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW},
		{"SIG_SETMASK", sigSetMask, unix.SIG_SETMASK},
		{"size of sock_filter", instructionBytes, uint64(unsafe.Sizeof(unix.SockFilter{}))},
		{"size of sock_fprog", uint64(unsafe.Sizeof(filter{})), uint64(unsafe.Sizeof(unix.SockFprog{}))},
	} {
		if n.ours != n.unix {
			t.Errorf("%s is %d here and %d in golang.org/x/sys", n.name, n.ours, n.unix)
		}
	}
	if fd := here; int(fd) != unix.AT_FDCWD {
		t.Errorf("AT_FDCWD is %d", int(fd))
	}
}
