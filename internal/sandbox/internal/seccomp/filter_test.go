//go:build linux && (amd64 || arm64 || riscv64)

package seccomp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// run is what the kernel does with a program: the few instructions that ours
// have, on struct seccomp_data.
func run(t interface{ Fatalf(string, ...any) }, code []unix.SockFilter, c Call) Answer {
	data := make([]byte, 64)
	binary.LittleEndian.PutUint32(data, c.Number)
	binary.LittleEndian.PutUint32(data[4:], c.Arch)
	for i, a := range c.Args {
		binary.LittleEndian.PutUint64(data[16+8*i:], a)
	}
	var acc uint32
	for pc := 0; pc < len(code); pc++ {
		in := code[pc]
		jump := func(holds bool) {
			if holds {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		}
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			acc = binary.LittleEndian.Uint32(data[in.K:])
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			jump(acc == in.K)
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			jump(acc > in.K)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			jump(acc >= in.K)
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			jump(acc&in.K != 0)
		case unix.BPF_RET | unix.BPF_K:
			return Answer(in.K)
		default:
			t.Fatalf("instruction %d is %#x", pc, in.Code)
		}
	}
	t.Fatalf("no answer")
	return 0
}

// anyCall aims at what the policy knows, with noise in the high halves.
func anyCall(t *rapid.T, p Policy) Call {
	c := Call{Arch: p.Arch, Number: rapid.Uint32().Draw(t, "number")}
	if rapid.IntRange(0, 9).Draw(t, "other arch") == 0 {
		c.Arch = rapid.Uint32().Draw(t, "arch")
	}
	values := []uint32{0, 1}
	if len(p.Rules) > 0 && rapid.Bool().Draw(t, "aimed") {
		r := rapid.SampledFrom(p.Rules).Draw(t, "rule")
		c.Number = r.Call
		for _, a := range r.Cases {
			for _, w := range a.When {
				values = append(values, w.Value, w.Value&-w.Value)
			}
		}
	}
	for i := range c.Args {
		high := rapid.OneOf(rapid.Just[uint32](0), rapid.Uint32())
		c.Args[i] = uint64(rapid.SampledFrom(values).Draw(t, "low")) | uint64(high.Draw(t, "high"))<<32
	}
	return c
}

func anyPolicy(t *rapid.T) Policy {
	answers := rapid.SampledFrom([]Answer{Allow, Kill, Fail(unix.EPERM), Fail(unix.ENOSYS)})
	p := Policy{Arch: rapid.Uint32().Draw(t, "arch"), Newest: rapid.Uint32Range(0, 500).Draw(t, "newest")}
	for _, call := range rapid.SliceOfDistinct(rapid.Uint32Range(0, 500), rapid.ID[uint32]).Draw(t, "calls") {
		r := Rule{Call: call, Else: answers.Draw(t, "else")}
		for range rapid.IntRange(0, 4).Draw(t, "cases") {
			c := Case{Then: answers.Draw(t, "then")}
			for range rapid.IntRange(0, 3).Draw(t, "conditions") {
				c.When = append(c.When, Cond{rapid.IntRange(0, 5).Draw(t, "arg"), rapid.Uint32().Draw(t, "value"), rapid.Bool().Draw(t, "mask"), rapid.Bool().Draw(t, "half")})
			}
			r.Cases = append(r.Cases, c)
		}
		p.Rules = append(p.Rules, r)
	}
	return p
}

// TestCompile holds programs against the meaning of their policies.
func TestCompile(t *testing.T) {
	t.Parallel()
	for name, draw := range map[string]func(*rapid.T) Policy{
		"any":               anyPolicy,
		"commands":          func(*rapid.T) Policy { return Commands(Box{}) },
		"no namespaces":     func(*rapid.T) Policy { return Commands(Box{Shared: true}) },
		"and no attributes": func(*rapid.T) Policy { return Commands(Box{Shared: true, Sealed: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				p := draw(t)
				code := Compile(p)
				for range 20 {
					c := anyCall(t, p)
					if got, want := run(t, code, c), p.Decide(c); got != want {
						t.Fatalf("%+v: %#x, not %#x", c, got, want)
					}
				}
			})
		})
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	const high = 1 << 32
	eperm, enosys, family := Fail(unix.EPERM), Fail(unix.ENOSYS), Fail(unix.EAFNOSUPPORT)
	boxed, lite, sealed := Commands(Box{}), Commands(Box{Shared: true}), Commands(Box{Shared: true, Sealed: true})
	for _, c := range []struct {
		what   string
		policy Policy
		call   Call
		want   Answer
	}{
		{"read", boxed, Call{Number: unix.SYS_READ}, Allow},
		{"another architecture", boxed, Call{Number: unix.SYS_READ, Arch: unix.AUDIT_ARCH_I386}, Kill},
		{"x32", boxed, Call{Number: 0x40000000 | unix.SYS_READ}, enosys},
		{"a call of the future", boxed, Call{Number: newest + 1}, enosys},
		{"ptrace", boxed, Call{Number: unix.SYS_PTRACE}, eperm},
		{"clone3", boxed, Call{Number: unix.SYS_CLONE3}, enosys},
		{"fork", boxed, Call{Number: unix.SYS_CLONE, Args: [6]uint64{uint64(unix.SIGCHLD)}}, Allow},
		{"thread", boxed, Call{Number: unix.SYS_CLONE, Args: [6]uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}}, Allow},
		{"clone(NEWUSER)", boxed, Call{Number: unix.SYS_CLONE, Args: [6]uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}}, eperm},
		{"clone(NEWNS) with high bits", boxed, Call{Number: unix.SYS_CLONE, Args: [6]uint64{unix.CLONE_NEWNS | high}}, eperm},
		{"TCGETS", boxed, Call{Number: unix.SYS_IOCTL, Args: [6]uint64{0, unix.TCGETS}}, Allow},
		{"TIOCSTI", boxed, Call{Number: unix.SYS_IOCTL, Args: [6]uint64{0, unix.TIOCSTI}}, eperm},
		{"TIOCSTI with high bits", boxed, Call{Number: unix.SYS_IOCTL, Args: [6]uint64{0, unix.TIOCSTI | high}}, eperm},
		{"TIOCLINUX", boxed, Call{Number: unix.SYS_IOCTL, Args: [6]uint64{0, tioclinux | high<<3}}, eperm},
		{"huge pages", boxed, Call{Number: unix.SYS_MMAP, Args: [6]uint64{0, 2 << 20, 3, unix.MAP_HUGETLB | unix.MAP_ANON | unix.MAP_PRIVATE | high}}, Fail(unix.ENOMEM)},
		{"pages", boxed, Call{Number: unix.SYS_MMAP, Args: [6]uint64{0, 2 << 20, 3, unix.MAP_ANON | unix.MAP_PRIVATE | unix.MAP_NORESERVE | unix.MAP_POPULATE | unix.MAP_STACK}}, Allow},
		{"a file of huge pages", lite, Call{Number: unix.SYS_MEMFD_CREATE, Args: [6]uint64{0, unix.MFD_HUGETLB | unix.MFD_CLOEXEC}}, Fail(unix.ENOMEM)},
		{"a file with all flags, to see whether there is the call", lite, Call{Number: unix.SYS_MEMFD_CREATE, Args: [6]uint64{0, 1<<32 - 1}}, Fail(unix.EINVAL)},
		{"a file of the largest pages", lite, Call{Number: unix.SYS_MEMFD_CREATE, Args: [6]uint64{0, unix.MFD_HUGETLB | unix.MFD_HUGE_16GB}}, Fail(unix.ENOMEM)},
		{"a file in memory", lite, Call{Number: unix.SYS_MEMFD_CREATE, Args: [6]uint64{0, unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING}}, Allow},
		{"huge pages to share", boxed, Call{Number: unix.SYS_SHMGET, Args: [6]uint64{0, 2 << 20, 0o1000 | shmHugeTLB}}, Fail(unix.ENOMEM)},
		{"pages to share", boxed, Call{Number: unix.SYS_SHMGET, Args: [6]uint64{0, 2 << 20, 0o1600}}, Allow},
		{"a subvolume", boxed, Call{Number: unix.SYS_IOCTL, Args: [6]uint64{3, 0x5000940e | high}}, eperm},
		{"a snapshot", lite, Call{Number: unix.SYS_IOCTL, Args: [6]uint64{3, 0x50009417}}, eperm},
		{"a copy that shares blocks", boxed, Call{Number: unix.SYS_IOCTL, Args: [6]uint64{3, unix.FICLONE}}, Allow},
		{"TCP", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_INET, unix.SOCK_STREAM}}, Allow},
		{"TCP in a box without a network of its own", lite, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_INET}}, Fail(unix.EACCES)},
		{"a socket file", lite, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_UNIX}}, Fail(unix.EACCES)},
		{"a pair", lite, Call{Number: unix.SYS_SOCKETPAIR, Args: [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}}, Allow},
		{"a pair for datagrams", lite, Call{Number: unix.SYS_SOCKETPAIR, Args: [6]uint64{unix.AF_UNIX, unix.SOCK_DGRAM}}, Fail(unix.EACCES)},
		{"the same by its other name", lite, Call{Number: unix.SYS_SOCKETPAIR, Args: [6]uint64{unix.AF_UNIX, unix.SOCK_RAW | unix.SOCK_NONBLOCK}}, Fail(unix.EACCES)},
		{"a pair for datagrams in a box with a network of its own", boxed, Call{Number: unix.SYS_SOCKETPAIR, Args: [6]uint64{unix.AF_UNIX, unix.SOCK_DGRAM}}, Allow},
		{"a pair of another family", boxed, Call{Number: unix.SYS_SOCKETPAIR, Args: [6]uint64{unix.AF_TIPC | high, unix.SOCK_STREAM}}, family},
		{"a pair of another family at lite", lite, Call{Number: unix.SYS_SOCKETPAIR, Args: [6]uint64{unix.AF_PACKET, unix.SOCK_STREAM}}, Fail(unix.EACCES)},
		{"AF_PACKET", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_PACKET}}, family},
		{"SOCK_PACKET", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_INET, 10}}, eperm},
		{"TCP by its number", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_INET6, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, unix.IPPROTO_TCP}}, Allow},
		{"MPTCP, which Go asks for", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}}, Allow},
		{"ping", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6}}, Allow},
		{"SCTP", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP | high}}, Fail(unix.EPROTONOSUPPORT)},
		{"L2TP", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_L2TP}}, Fail(unix.EPROTONOSUPPORT)},
		{"a kind of no protocol", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_INET6, unix.SOCK_SEQPACKET | unix.SOCK_CLOEXEC}}, Fail(unix.ESOCKTNOSUPPORT)},
		{"a line of a terminal", lite, Call{Number: unix.SYS_IOCTL, Args: [6]uint64{0, unix.TIOCSETD | high}}, eperm},
		{"a core of its own", lite, Call{Number: unix.SYS_PRCTL, Args: [6]uint64{unix.PR_SCHED_CORE | high, 1}}, Fail(unix.EINVAL)},
		{"a name of a thread", lite, Call{Number: unix.SYS_PRCTL, Args: [6]uint64{unix.PR_SET_NAME}}, Allow},
		{"SOCK_PACKET that is closed on exec", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_INET, 10 | unix.SOCK_CLOEXEC}}, eperm},
		{"VSOCK with high bits", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_VSOCK | high}}, family},
		{"ALG", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_ALG}}, family},
		{"NETLINK_ROUTE", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_NETLINK, 0, unix.NETLINK_ROUTE}}, Allow},
		{"NETLINK_NETFILTER", boxed, Call{Number: unix.SYS_SOCKET, Args: [6]uint64{unix.AF_NETLINK, 0, unix.NETLINK_NETFILTER | high}}, family},
		{"chmod u+s", boxed, Call{Number: unix.SYS_FCHMODAT, Args: [6]uint64{0, 0, 0o4755}}, eperm},
		{"chmod 755", boxed, Call{Number: unix.SYS_FCHMODAT, Args: [6]uint64{0, 0, 0o755}}, Allow},
		{"make a setuid file", boxed, Call{Number: unix.SYS_OPENAT, Args: [6]uint64{0, 0, unix.O_CREAT | unix.O_WRONLY, 0o4755 | high}}, eperm},
		{"make a nameless setgid file", boxed, Call{Number: unix.SYS_OPENAT, Args: [6]uint64{0, 0, unix.O_TMPFILE | unix.O_WRONLY, 0o2755}}, eperm},
		{"open with noise for a mode", boxed, Call{Number: unix.SYS_OPENAT, Args: [6]uint64{0, 0, unix.O_RDONLY | unix.O_DIRECTORY, 0xffff}}, Allow},
		{"make a pipe with a name", boxed, Call{Number: unix.SYS_MKNODAT, Args: [6]uint64{0, 0, unix.S_IFIFO | 0o644}}, Allow},
		{"make a file", boxed, Call{Number: unix.SYS_MKNODAT, Args: [6]uint64{0, 0, unix.S_IFREG | 0o644}}, Allow},
		{"make a whiteout", boxed, Call{Number: unix.SYS_MKNODAT, Args: [6]uint64{0, 0, unix.S_IFCHR | high}}, eperm},
		{"make a disk", lite, Call{Number: unix.SYS_MKNODAT, Args: [6]uint64{0, 0, unix.S_IFBLK | 0o600}}, eperm},
		{"leave a whiteout", boxed, Call{Number: unix.SYS_RENAMEAT2, Args: [6]uint64{0, 0, 0, 0, unix.RENAME_WHITEOUT | unix.RENAME_NOREPLACE}}, Fail(unix.EINVAL)},
		{"rename over nothing", boxed, Call{Number: unix.SYS_RENAMEAT2, Args: [6]uint64{0, 0, 0, 0, unix.RENAME_NOREPLACE}}, Allow},
		{"openat2", boxed, Call{Number: unix.SYS_OPENAT2}, enosys},
		{"what personality", boxed, Call{Number: unix.SYS_PERSONALITY, Args: [6]uint64{0xffffffff}}, Allow},
		{"READ_IMPLIES_EXEC", boxed, Call{Number: unix.SYS_PERSONALITY, Args: [6]uint64{0x0400000}}, eperm},
		{"own limits", boxed, Call{Number: unix.SYS_PRLIMIT64, Args: [6]uint64{0, unix.RLIMIT_CPU, high}}, Allow},
		{"own core files", boxed, Call{Number: unix.SYS_PRLIMIT64, Args: [6]uint64{0, unix.RLIMIT_CORE, high}}, done},
		{"own core files, the old way", boxed, Call{Number: unix.SYS_SETRLIMIT, Args: [6]uint64{unix.RLIMIT_CORE | high, 1}}, done},
		{"own core files, and what they were", boxed, Call{Number: unix.SYS_PRLIMIT64, Args: [6]uint64{0, unix.RLIMIT_CORE, 1, high}}, eperm},
		{"what own core files are", boxed, Call{Number: unix.SYS_PRLIMIT64, Args: [6]uint64{0, unix.RLIMIT_CORE, 0, high}}, Allow},
		{"core files of another", boxed, Call{Number: unix.SYS_PRLIMIT64, Args: [6]uint64{1, unix.RLIMIT_CORE, 1}}, eperm},
		{"own limits, the old way", boxed, Call{Number: unix.SYS_SETRLIMIT, Args: [6]uint64{unix.RLIMIT_CPU, 1}}, Allow},
		{"a lease", boxed, Call{Number: unix.SYS_FCNTL, Args: [6]uint64{3, unix.F_SETLEASE | high, unix.F_WRLCK}}, Fail(unix.EINVAL)},
		{"a lease on a directory", boxed, Call{Number: unix.SYS_FCNTL, Args: [6]uint64{3, 1040}}, Fail(unix.EINVAL)},
		{"a flag of a descriptor", boxed, Call{Number: unix.SYS_FCNTL, Args: [6]uint64{3, unix.F_SETFD, 1}}, Allow},
		{"io_setup", boxed, Call{Number: unix.SYS_IO_SETUP}, enosys},
		{"an extended attribute by a path", lite, Call{Number: unix.SYS_LGETXATTR}, Fail(unix.EOPNOTSUPP)},
		{"limits of another", boxed, Call{Number: unix.SYS_PRLIMIT64, Args: [6]uint64{1, unix.RLIMIT_CPU, 0x7f00_1234}}, eperm},
		{"limits of another, at a round address", boxed, Call{Number: unix.SYS_PRLIMIT64, Args: [6]uint64{1, unix.RLIMIT_CPU, high}}, eperm},
		{"what the limits of another are", boxed, Call{Number: unix.SYS_PRLIMIT64, Args: [6]uint64{1, unix.RLIMIT_CPU, 0, high}}, Allow},
		{"System V memory", boxed, Call{Number: unix.SYS_SHMGET}, Allow},
		{"the machine's System V memory", lite, Call{Number: unix.SYS_SHMGET}, eperm},
		{"own processors", lite, Call{Number: unix.SYS_SCHED_SETAFFINITY, Args: [6]uint64{high}}, Allow},
		{"the processors of another", lite, Call{Number: unix.SYS_SCHED_SETAFFINITY, Args: [6]uint64{77}}, eperm},
		{"own priority", lite, Call{Number: unix.SYS_SETPRIORITY, Args: [6]uint64{unix.PRIO_PROCESS, 0, 19}}, Allow},
		{"own group's priority", lite, Call{Number: unix.SYS_SETPRIORITY, Args: [6]uint64{unix.PRIO_PGRP, 0, 19}}, Allow},
		{"the priority of another", lite, Call{Number: unix.SYS_SETPRIORITY, Args: [6]uint64{unix.PRIO_PROCESS, 77, 19}}, eperm},
		{"the priority of all of a user", lite, Call{Number: unix.SYS_SETPRIORITY, Args: [6]uint64{unix.PRIO_USER, 0, 19}}, eperm},
		{"the priority of all of a user at the disk", lite, Call{Number: unix.SYS_IOPRIO_SET, Args: [6]uint64{3, 0, 0}}, eperm},
		{"the flags of a file", lite, Call{Number: unix.SYS_IOCTL, Args: [6]uint64{3, unix.FS_IOC_SETFLAGS}}, eperm},
		{"chmod 755, sealed", sealed, Call{Number: unix.SYS_FCHMODAT, Args: [6]uint64{0, 0, 0o755}}, eperm},
		{"times of a file", lite, Call{Number: unix.SYS_UTIMENSAT}, Allow},
		{"times of a file, sealed", sealed, Call{Number: unix.SYS_UTIMENSAT}, eperm},
	} {
		if c.call.Arch == 0 {
			c.call.Arch = auditArch
		}
		if got := c.policy.Decide(c.call); got != c.want {
			t.Errorf("%s: %#x, not %#x", c.what, got, c.want)
		}
	}
	for _, p := range []Policy{boxed, lite, sealed} {
		seen := map[uint32]bool{}
		for _, r := range p.Rules {
			if seen[r.Call] {
				t.Errorf("call %d has two rules", r.Call)
			}
			seen[r.Call] = true
		}
		if n := len(Compile(p)); n > unix.BPF_MAXINSNS {
			t.Errorf("%d instructions", n)
		}
	}
	if err := Available(); err != nil {
		t.Log("this kernel does not filter calls:", err)
	}
}
