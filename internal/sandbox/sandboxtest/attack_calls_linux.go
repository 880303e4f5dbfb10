package sandboxtest

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls are system calls that a command has no business with, with arguments
// that do no harm. Each returns what the kernel answered.
var calls = map[string]func() error{
	"TIOCSTI":                func() error { return onTerminal(unix.TIOCSTI) },
	"TIOCSTI with high bits": func() error { return onTerminal(unix.TIOCSTI | 1<<32) },
	"TIOCLINUX":              func() error { return onTerminal(0x541c) },
	"TIOCSETD":               func() error { return onTerminal(unix.TIOCSETD) },
	"ptrace":                 func() error { return raw(unix.SYS_PTRACE, unix.PTRACE_TRACEME) },
	"keyctl":                 func() error { return raw(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, 0xfffffffd, 0) },
	"add_key": func() error {
		const process = ^uintptr(1) // KEY_SPEC_PROCESS_KEYRING
		return raw6(unix.SYS_ADD_KEY, text("user"), text("mgx"), text("x"), 1, process, 0)
	},
	"io_uring": func() error {
		var params [120]byte
		return raw(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)))
	},
	"io_setup": func() error {
		var context uintptr
		return raw(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&context)))
	},
	"perf": func() error {
		attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: unix.PERF_ATTR_SIZE_VER0, Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv}
		return raw6(unix.SYS_PERF_EVENT_OPEN, uintptr(unsafe.Pointer(&attr)), 0, ^uintptr(0), ^uintptr(0), 0, 0)
	},
	"userfaultfd":   func() error { return raw(unix.SYS_USERFAULTFD, 1) }, // UFFD_USER_MODE_ONLY
	"unshare":       func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"unshare files": func() error { return unix.Unshare(unix.CLONE_FILES) },
	"clone3":        func() error { return raw(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&[11]uint64{})), 88) },
	"kexec":         func() error { return raw(unix.SYS_KEXEC_LOAD, 0, 0, 0) },
	"huge pages": func() error {
		_, err := unix.Mmap(-1, 0, 2<<20, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_HUGETLB)
		return err
	},
	"personality": func() error { return raw(unix.SYS_PERSONALITY, 0x0400000) },
	"setuid file by chmod": func() error {
		return then(os.WriteFile("setuid", nil, 0o755), func() error { return syscall.Chmod("setuid", 0o4755) })
	},
	"setuid file by open":     func() error { return got(syscall.Open("setuid-made", os.O_CREATE|os.O_WRONLY, 0o4755)) },
	"kcmp":                    func() error { return raw6(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(os.Getpid()), 0, 0, 1, 0) },
	"AF_VSOCK":                func() error { return got(unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)) },
	"AF_VSOCK with high bits": func() error { return raw(unix.SYS_SOCKET, unix.AF_VSOCK|1<<32, unix.SOCK_STREAM) },
	"AF_ALG":                  func() error { return got(unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)) },
	"AF_PACKET":               func() error { return got(unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)) },
	"NETLINK_NETFILTER":       func() error { return got(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)) },
	"NETLINK_AUDIT":           func() error { return got(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT)) },
	"acct":                    func() error { return raw(unix.SYS_ACCT, 0) },
	"quotactl":                func() error { return raw6(unix.SYS_QUOTACTL, 0x800001<<8, 0, 0, 0, 0, 0) }, // Q_SYNC
	"vhangup":                 func() error { return raw(unix.SYS_VHANGUP) },
	"syslog":                  func() error { return raw(unix.SYS_SYSLOG, 10) },
	"x32":                     func() error { return raw(0x40000000 | unix.SYS_GETPID) },
	"a call of the future":    func() error { return raw(0x3fffffff) },
	"process_madvise":         func() error { return raw(unix.SYS_PROCESS_MADVISE, ^uintptr(0)) },
}

// here makes calls without walls, to learn whether this machine has them at all.
// Some do something to whoever makes them, and are made with arguments that the
// kernel looks at and refuses.
func here(name string) error {
	harmless := map[string]func() error{
		"ptrace":               func() error { return raw(unix.SYS_PTRACE, unix.PTRACE_DETACH, 1<<30) },
		"clone3":               func() error { return raw(unix.SYS_CLONE3, 0, 0) },
		"kexec":                func() error { return raw(unix.SYS_KEXEC_LOAD, 0, 1<<20, 0) },
		"io_setup":             func() error { return raw(unix.SYS_IO_SETUP, 0, 0) },
		"acct":                 func() error { return raw(unix.SYS_ACCT, 1) },
		"vhangup":              func() error { return nil },
		"setuid file by chmod": func() error { return nil },
		"setuid file by open":  func() error { return nil },
		"personality":          func() error { return nil },
		"unshare":              func() error { return nil },
		"unshare files":        func() error { return nil },
	}
	call, ok := harmless[name]
	if !ok {
		call = calls[name]
	}
	return call()
}

// absentHere reports whether the kernel answers a call as one that it lacks, or
// refuses it outside of the box as inside, though not for want of a right.
func absentHere(name, refusal string) bool {
	switch err := here(name); err {
	case unix.ENOSYS, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ENOPKG:
		return true
	case nil, unix.EPERM, unix.EACCES:
		return false
	default:
		return err.Error() == refusal
	}
}

// numbers are the calls of attacks that are named otherwise. With arguments that
// are all wrong they do nothing but say whether they are there.
var numbers = map[string]uintptr{
	"ptrace the host": unix.SYS_PTRACE, "read the host's memory": unix.SYS_PROCESS_VM_READV, "pidfd_getfd of the host": unix.SYS_PIDFD_GETFD,
	"ptrace init": unix.SYS_PTRACE, "read init's memory": unix.SYS_PROCESS_VM_READV, "pidfd_getfd of init": unix.SYS_PIDFD_GETFD,
	"mount_setattr": unix.SYS_MOUNT_SETATTR, "open_tree": unix.SYS_OPEN_TREE, "fsopen": unix.SYS_FSOPEN, "setns": unix.SYS_SETNS,
	"open_by_handle_at": unix.SYS_OPEN_BY_HANDLE_AT, "bpf": unix.SYS_BPF, "modules": unix.SYS_FINIT_MODULE,
	"reboot": unix.SYS_REBOOT, "swapoff": unix.SYS_SWAPOFF,
}

func lackedCall(name string) bool {
	const wrong = ^uintptr(0)
	number, ok := numbers[name]
	return ok && errors.Is(raw6(number, wrong, wrong, wrong, wrong, wrong, wrong), unix.ENOSYS)
}

// texts keeps what the kernel is given the address of.
var texts [][]byte

func text(s string) uintptr {
	texts = append(texts, append([]byte(s), 0))
	return uintptr(unsafe.Pointer(&texts[len(texts)-1][0]))
}

func raw6(trap uintptr, a1, a2, a3, a4, a5, a6 uintptr) error {
	if _, _, e := syscall.Syscall6(trap, a1, a2, a3, a4, a5, a6); e != 0 {
		return e
	}
	return nil
}

// onTerminal makes a control call on a new terminal, or on a pipe where none can
// be had: a filter refuses before it is known which.
func onTerminal(request uintptr) error {
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		if f, _, err = os.Pipe(); err != nil {
			return err
		}
	}
	defer f.Close()
	const discipline = "\x1b\x00\x00\x00" // N_NULL, which every kernel has
	return raw(unix.SYS_IOCTL, f.Fd(), request, text(discipline))
}
