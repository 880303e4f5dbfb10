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
// Openat2 has its mode where no filter can look. Of what io_setup makes there is a
// number for the whole machine (fs.aio-max-nr), which one command could use up.
var absent = []uint32{
	unix.SYS_OPENAT2, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_CLONE3, unix.SYS_IO_SETUP,
}

// kept are calls for memory, semaphores and messages that have no path: the kernel
// keeps them for all processes of a machine, and when these have ended.
var kept = []uint32{
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL,
	unix.SYS_SEMGET, unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, unix.SYS_SEMCTL,
	unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL,
	unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK,
}

// What Landlock does not guard, of files anywhere: extended attributes, with access
// lists, which no file system seems to have; word of what changes in a directory; and
// modes, owners and times.
var (
	extended = []uint32{
		unix.SYS_GETXATTR, unix.SYS_LGETXATTR, unix.SYS_GETXATTRAT, unix.SYS_LISTXATTR, unix.SYS_LLISTXATTR, unix.SYS_LISTXATTRAT,
		unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_SETXATTRAT,
		unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_REMOVEXATTRAT, unix.SYS_FILE_SETATTR,
	}
	watching   = []uint32{unix.SYS_INOTIFY_INIT1, unix.SYS_INOTIFY_ADD_WATCH}
	attributes = []uint32{
		unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
	}
)

// done answers a call that is not made as if it had been.
const done = Answer(unix.SECCOMP_RET_ERRNO)

const (
	setDelegation = unix.F_SETLEASE + 16 // F_SETDELEG, a lease on a directory, since Linux 6.19

	shmHugeTLB = 0o4000 // SHM_HUGETLB
	memfdFlags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING | unix.MFD_HUGETLB | unix.MFD_NOEXEC_SEAL | unix.MFD_EXEC |
		unix.MFD_HUGE_MASK<<unix.MFD_HUGE_SHIFT // all of memfd_create
	tioclinux     = 0x541c     // pastes into a Linux console, as TIOCSTI types into any terminal
	fsIocSetXattr = 0x401c5820 // FS_IOC_FSSETXATTR, which like FS_IOC_SETFLAGS needs no right to write
)

// subvolumes are what btrfs makes and marks them by. One looks like a directory to
// programs, and like another file system to whoever counts what a run keeps; and one
// that is read-only cannot be removed with what is in it.
var subvolumes = []uint32{
	0x50009401, 0x50009417, // BTRFS_IOC_SNAP_CREATE, _V2
	0x5000940e, 0x50009418, // BTRFS_IOC_SUBVOL_CREATE, _V2
	0x4008941a, // BTRFS_IOC_SUBVOL_SETFLAGS
}

// loading are controls for which the kernel loads a module, of whoever asks: of lines
// (n_gsm, slip, ppp) for any terminal, of bridges and of VLANs for any socket.
var loading = []uint32{
	unix.TIOCSETD,
	0x8940, 0x8941, 0x89a0, 0x89a1, // SIOCGIFBR, SIOCSIFBR, SIOCBRADDBR, SIOCBRDELBR
	0x8982, 0x8983, // SIOCGIFVLAN, SIOCSIFVLAN
}

// Box is what the policy has to know of where a command runs.
type Box struct {
	// Shared boxes have no namespaces: processes, what they communicate by, and the
	// network are the machine's.
	Shared bool
	// Sealed commands change no modes, owners and times of files, wherever these are.
	Sealed bool
}

// Commands is the policy for what runs in a box.
func Commands(b Box) Policy {
	p := Policy{Arch: auditArch, Newest: newest}
	controls := slices.Concat([]uint32{unix.TIOCSTI, tioclinux, unix.TIOCCONS}, subvolumes, loading)
	if b.Shared {
		controls = append(controls, unix.FS_IOC_SETFLAGS, fsIocSetXattr)
	}
	p.Rules = append(p.Rules,
		Rule{Call: unix.SYS_IOCTL, Else: Allow, Cases: each(1, Fail(unix.EPERM), controls...)},
		Rule{Call: unix.SYS_CLONE, Else: Allow, Cases: []Case{{[]Cond{{Arg: 0, Value: namespaceFlags, Mask: true}}, Fail(unix.EPERM)}}},
		socketRule(!b.Shared),
		pairRule(!b.Shared),
		limitsRule(),
		Rule{Call: unix.SYS_SETRLIMIT, Else: Allow, Cases: each(0, done, unix.RLIMIT_CORE)},
		// Leases: who may only read a file could hold up all that open it, for whom it
		// lies outside. It looks as if the file system had none.
		Rule{Call: unix.SYS_FCNTL, Else: Allow, Cases: each(1, Fail(unix.EINVAL), unix.F_SETLEASE, setDelegation)},
		// Files that run as their owner, which outside of the box may be root.
		Rule{Call: unix.SYS_OPENAT, Else: Allow, Cases: creates(2, 3)},
		Rule{Call: unix.SYS_MKNODAT, Else: Allow, Cases: makesNode(2)},
		// Whiteouts, by which an overlay hides files, are devices that anybody may make: by
		// a rename, which looks as if the file system could not, Landlock sees none.
		Rule{Call: unix.SYS_RENAMEAT2, Else: Allow, Cases: []Case{{[]Cond{{Arg: 4, Value: unix.RENAME_WHITEOUT, Mask: true}}, Fail(unix.EINVAL)}}},
		Rule{Call: unix.SYS_FCHMOD, Else: Allow, Cases: setsID(1)},
		Rule{Call: unix.SYS_FCHMODAT, Else: Allow, Cases: setsID(2)},
		Rule{Call: unix.SYS_FCHMODAT2, Else: Allow, Cases: setsID(2)},
		// Huge pages that somebody keeps on the machine (vm.nr_hugepages), as databases do,
		// count in no limit on memory. It looks as if there were none left.
		Rule{Call: unix.SYS_MMAP, Else: Allow, Cases: huge(3, unix.MAP_HUGETLB)},
		// What asks with flags that there are not, as browsers do, only wants to know
		// whether there is the call.
		Rule{Call: unix.SYS_MEMFD_CREATE, Else: Allow, Cases: append([]Case{
			{When: []Cond{{Arg: 1, Value: ^uint32(memfdFlags), Mask: true}}, Then: Fail(unix.EINVAL)},
		}, huge(1, unix.MFD_HUGETLB)...)},
		// Who asks that nobody else runs beside it on a core takes what the others of that
		// core have of it, and no share of the processor counts that. It looks as if the
		// kernel could not.
		Rule{Call: unix.SYS_PRCTL, Else: Allow, Cases: each(0, Fail(unix.EINVAL), unix.PR_SCHED_CORE)},
		// Linux itself, 32-bit uname, Linux 2.6 in uname, fixed addresses (which the
		// thread sanitizer asks for), and the question which it is.
		Rule{Call: unix.SYS_PERSONALITY, Else: Fail(unix.EPERM), Cases: each(0, Allow, 0, 8, 0x20000, 0x20008, 0x40000, 0x40008, 0xffffffff)},
	)
	p.Rules = append(p.Rules, rulesHere()...)
	if b.Sealed {
		sealed := slices.Concat(attributes, attributesHere)
		p.Rules = slices.DeleteFunc(p.Rules, func(r Rule) bool { return slices.Contains(sealed, r.Call) })
		p.refuse(unix.EPERM, sealed)
	}
	if b.Shared {
		p.Rules = append(p.Rules, scheduling()...)
		p.refuse(unix.EPERM, kept)
		p.refuse(unix.EOPNOTSUPP, extended)
		p.refuse(unix.ENOSYS, slices.Concat(watching, watchingHere))
	} else {
		p.Rules = append(p.Rules, Rule{Call: unix.SYS_SHMGET, Else: Allow, Cases: huge(2, shmHugeTLB)})
	}
	p.refuse(unix.EPERM, slices.Concat(refused, refusedHere))
	p.refuse(unix.ENOSYS, absent)
	return p
}

func (p *Policy) refuse(errno unix.Errno, calls []uint32) {
	for _, call := range calls {
		p.Rules = append(p.Rules, Rule{Call: call, Else: Fail(errno)})
	}
}

// limitsRule lets a process set its own limits, and ask for those of others. Whoever
// may set them ends another process of the user, by a limit of no time; in a box with
// namespaces that is its init. A caller that names itself by its number is refused
// too: a filter does not know who calls.
//
// The size of its core files stays what it is, since none would have the kernel start
// what the machine has for them, outside; see confine. Programs that want none hear
// that it is so, unless they ask what it was before.
func limitsRule() Rule {
	r := Rule{Call: unix.SYS_PRLIMIT64, Else: Fail(unix.EPERM)}
	core := []Cond{{Arg: 0, Value: 0}, {Arg: 1, Value: unix.RLIMIT_CORE}}
	for _, to := range given(2) {
		for _, from := range given(3) {
			r.Cases = append(r.Cases, Case{append(slices.Clip(core), to, from), Fail(unix.EPERM)})
		}
	}
	for _, to := range given(2) {
		r.Cases = append(r.Cases, Case{append(slices.Clip(core), to), done})
	}
	r.Cases = append(r.Cases,
		Case{[]Cond{{Arg: 0, Value: 0}}, Allow},
		Case{[]Cond{{Arg: 2, Value: 0}, {Arg: 2, Value: 0, High: true}}, Allow})
	return r
}

// given are the two ways in which an address can be another than 0.
func given(arg int) []Cond {
	const any = 1<<32 - 1
	return []Cond{{Arg: arg, Value: any, Mask: true}, {Arg: arg, Value: any, Mask: true, High: true}}
}

// scheduling lets whoever calls say how it is scheduled itself, and no other process
// or thread, nor all of its user. Of threads that have a number, its own are refused
// too.
func scheduling() (rules []Rule) {
	for _, call := range []uint32{unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR} {
		rules = append(rules, Rule{Call: call, Else: Fail(unix.EPERM), Cases: each(0, Allow, 0)})
	}
	ofItself := func(call uint32, kinds ...uint32) Rule {
		r := Rule{Call: call, Else: Fail(unix.EPERM)}
		for _, kind := range kinds {
			r.Cases = append(r.Cases, Case{[]Cond{{Arg: 0, Value: kind}, {Arg: 1, Value: 0}}, Allow})
		}
		return r
	}
	const ioprioProcess, ioprioGroup = 1, 2
	return append(rules, ofItself(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, unix.PRIO_PGRP), ofItself(unix.SYS_IOPRIO_SET, ioprioProcess, ioprioGroup))
}

// setsID holds for a mode that makes a program run as the file's owner or group.
func setsID(arg int) []Case {
	return []Case{{[]Cond{{Arg: arg, Value: unix.S_ISUID | unix.S_ISGID, Mask: true}}, Fail(unix.EPERM)}}
}

// makesNode holds for such a mode, and for that of a device: what kernels let whoever
// has no right to devices make of them, newer versions of Landlock count as files.
func makesNode(mode int) []Case {
	const ofDevices = unix.S_IFCHR // the bit, which only links have besides
	return append(setsID(mode), Case{[]Cond{{Arg: mode, Value: ofDevices, Mask: true}}, Fail(unix.EPERM)})
}

// huge holds for a flag that asks for huge pages.
func huge(arg int, flag uint32) []Case {
	return []Case{{[]Cond{{Arg: arg, Value: flag, Mask: true}}, Fail(unix.ENOMEM)}}
}

// creates holds for such a mode of a file that is made, or else may be anything.
func creates(flags, mode int) []Case {
	c := setsID(mode)
	c[0].When = append(c[0].When, Cond{Arg: flags, Value: unix.O_CREAT, Mask: true})
	tmpfile := setsID(mode)
	tmpfile[0].When = append(tmpfile[0].When, Cond{Arg: flags, Value: unix.O_TMPFILE &^ unix.O_DIRECTORY, Mask: true})
	return append(c, tmpfile...)
}

// socketRule allows the families that programs use among themselves, and the protocols:
// for any other the kernel looks for a module to load, such as those of SCTP, L2TP and
// SMC. Netlink is how they list the interfaces of the box, which is one; its other
// protocols are large parts of the kernel.
//
// Without a network of its own a box has no sockets but pairs.
func socketRule(sockets bool) Rule {
	r := Rule{Call: unix.SYS_SOCKET, Else: Fail(unix.EAFNOSUPPORT)}
	if !sockets {
		r.Else = Fail(unix.EACCES)
		return r
	}
	const obsoletePacket = 10 // SOCK_PACKET makes an AF_PACKET socket of an AF_INET one
	r.Cases = append(r.Cases, ofKind(unix.AF_INET, obsoletePacket, Fail(unix.EPERM))...)
	const otherKinds = 0xc // bits that streams, datagrams and raw sockets do not have
	for _, family := range []uint32{unix.AF_INET, unix.AF_INET6} {
		of := Cond{Arg: 0, Value: family}
		r.Cases = append(r.Cases, Case{[]Cond{of, {Arg: 1, Value: otherKinds, Mask: true}}, Fail(unix.ESOCKTNOSUPPORT)})
		for _, protocol := range []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6, unix.IPPROTO_MPTCP} {
			r.Cases = append(r.Cases, Case{[]Cond{of, {Arg: 2, Value: protocol}}, Allow})
		}
		r.Cases = append(r.Cases, Case{[]Cond{of}, Fail(unix.EPROTONOSUPPORT)})
	}
	r.Cases = append(r.Cases, each(0, Allow, unix.AF_UNIX)...)
	r.Cases = append(r.Cases, Case{[]Cond{{Arg: 0, Value: unix.AF_NETLINK}, {Arg: 2, Value: unix.NETLINK_ROUTE}}, Allow})
	return r
}

// pairRule allows pairs of the family that has them: for others, too, the kernel makes
// the sockets first. Without a network of its own a box has those only that stay with each
// other: an end of a pair for datagrams sends to any socket file.
func pairRule(datagrams bool) Rule {
	if datagrams {
		return Rule{Call: unix.SYS_SOCKETPAIR, Else: Fail(unix.EAFNOSUPPORT), Cases: each(0, Allow, unix.AF_UNIX)}
	}
	return Rule{
		Call: unix.SYS_SOCKETPAIR, Else: Fail(unix.EACCES),
		Cases: append(ofKind(unix.AF_UNIX, unix.SOCK_STREAM, Allow), ofKind(unix.AF_UNIX, unix.SOCK_SEQPACKET, Allow)...),
	}
}

// ofKind is a case for each way to ask for a kind of socket of a family.
func ofKind(family, kind uint32, then Answer) (cases []Case) {
	for _, flags := range []uint32{0, unix.SOCK_CLOEXEC, unix.SOCK_NONBLOCK, unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK} {
		cases = append(cases, Case{[]Cond{{Arg: 0, Value: family}, {Arg: 1, Value: kind | flags}}, then})
	}
	return cases
}

// each is a case for each value of one argument.
func each(arg int, then Answer, values ...uint32) (cases []Case) {
	for _, v := range values {
		cases = append(cases, Case{[]Cond{{Arg: arg, Value: v}}, then})
	}
	return cases
}
