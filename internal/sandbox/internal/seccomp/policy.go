//go:build linux && (amd64 || arm64 || riscv64)

package seccomp

import (
	"slices"

	"golang.org/x/sys/unix"
)

// newest is the highest call that this policy was written with. What later
// kernels add is looked at before commands get it.
const newest = unix.SYS_RSEQ_SLICE_YIELD

// namespaceFlags are those of clone and unshare.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// refused are calls that fail with EPERM, as they would for whoever lacks the
// right, and programs are prepared for that.
var refused = []uint32{
	// other processes
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE,
	unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	// keys, programs for the kernel, its measurements
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN,
	unix.SYS_USERFAULTFD, unix.SYS_FANOTIFY_INIT, unix.SYS_SYSLOG,
	// files beside their paths, mounts, roots, namespaces
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT,
	unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR, unix.SYS_FSOPEN, unix.SYS_FSCONFIG,
	unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_SETNS, unix.SYS_UNSHARE,
	// the machine
	unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT,
	unix.SYS_CLOCK_SETTIME, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
	unix.SYS_ACCT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_VHANGUP,
}

// absent are calls that look as if this kernel had none, for which libraries
// have another way: without io_uring they poll, without clone3 they clone, whose
// flags a filter can see.
//
// Openat2 has its mode where no filter can look.
var absent = []uint32{unix.SYS_OPENAT2, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_CLONE3}

// tioclinux pastes into a Linux console, as TIOCSTI types into any terminal.
const tioclinux = 0x541c

// Commands is the policy for what runs in a box. Without sockets, which is for
// boxes that have no network namespace, a command can make none but pairs.
func Commands(sockets bool) Policy {
	p := Policy{Arch: auditArch, Newest: newest}
	p.Rules = append(p.Rules,
		Rule{Call: unix.SYS_IOCTL, Else: Allow, Cases: each(1, Fail(unix.EPERM), unix.TIOCSTI, tioclinux, unix.TIOCCONS)},
		Rule{Call: unix.SYS_CLONE, Else: Allow, Cases: []Case{{[]Cond{{Arg: 0, Value: namespaceFlags, Mask: true}}, Fail(unix.EPERM)}}},
		socketRule(sockets),
		// Files that run as their owner, which outside of the box may be root.
		Rule{Call: unix.SYS_OPENAT, Else: Allow, Cases: creates(2, 3)},
		Rule{Call: unix.SYS_MKNODAT, Else: Allow, Cases: setsID(2)},
		Rule{Call: unix.SYS_FCHMOD, Else: Allow, Cases: setsID(1)},
		Rule{Call: unix.SYS_FCHMODAT, Else: Allow, Cases: setsID(2)},
		Rule{Call: unix.SYS_FCHMODAT2, Else: Allow, Cases: setsID(2)},
		// Linux itself, 32-bit uname, Linux 2.6 in uname, fixed addresses (which the
		// thread sanitizer asks for), and the question which it is.
		Rule{Call: unix.SYS_PERSONALITY, Else: Fail(unix.EPERM), Cases: each(0, Allow, 0, 8, 0x20000, 0x20008, 0x40000, 0x40008, 0xffffffff)},
	)
	p.Rules = append(p.Rules, rulesHere()...)
	for _, call := range slices.Concat(refused, refusedHere) {
		p.Rules = append(p.Rules, Rule{Call: call, Else: Fail(unix.EPERM)})
	}
	for _, call := range absent {
		p.Rules = append(p.Rules, Rule{Call: call, Else: Fail(unix.ENOSYS)})
	}
	return p
}

// setsID holds for a mode that makes a program run as the file's owner or group.
func setsID(arg int) []Case {
	return []Case{{[]Cond{{Arg: arg, Value: unix.S_ISUID | unix.S_ISGID, Mask: true}}, Fail(unix.EPERM)}}
}

// creates holds for such a mode of a file that is made, or else may be anything.
func creates(flags, mode int) []Case {
	c := setsID(mode)
	c[0].When = append(c[0].When, Cond{Arg: flags, Value: unix.O_CREAT, Mask: true})
	tmpfile := setsID(mode)
	tmpfile[0].When = append(tmpfile[0].When, Cond{Arg: flags, Value: unix.O_TMPFILE &^ unix.O_DIRECTORY, Mask: true})
	return append(c, tmpfile...)
}

// socketRule allows the families that programs use among themselves. Netlink is
// how they list the interfaces of the box, which is one; its other protocols
// are large parts of the kernel.
func socketRule(sockets bool) Rule {
	r := Rule{Call: unix.SYS_SOCKET, Else: Fail(unix.EAFNOSUPPORT)}
	if !sockets {
		r.Else = Fail(unix.EACCES)
		return r
	}
	const obsoletePacket = 10 // SOCK_PACKET makes an AF_PACKET socket of an AF_INET one
	r.Cases = append(r.Cases, Case{[]Cond{{Arg: 0, Value: unix.AF_INET}, {Arg: 1, Value: obsoletePacket}}, Fail(unix.EPERM)})
	r.Cases = append(r.Cases, each(0, Allow, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6)...)
	r.Cases = append(r.Cases, Case{[]Cond{{Arg: 0, Value: unix.AF_NETLINK}, {Arg: 2, Value: unix.NETLINK_ROUTE}}, Allow})
	return r
}

// each is a case for each value of one argument.
func each(arg int, then Answer, values ...uint32) (cases []Case) {
	for _, v := range values {
		cases = append(cases, Case{[]Cond{{Arg: arg, Value: v}}, then})
	}
	return cases
}
