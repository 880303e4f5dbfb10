//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// insideID is the user and group of the box, who outside is whoever runs MGX.
const insideID = 1000

// nameUser tells the new user namespace who its one user is. A process may say
// that of itself, once it has given up changing its other groups.
func (p *Plan) nameUser() error {
	for _, f := range []struct{ name, text string }{
		{"/proc/self/setgroups", "deny"},
		{"/proc/self/uid_map", only(p.UID)},
		{"/proc/self/gid_map", only(p.GID)},
	} {
		if err := write(here, f.name, f.text); err != nil {
			return err
		}
	}
	return nil
}

func only(outside int) string {
	return strconv.Itoa(insideID) + " " + strconv.Itoa(outside) + " 1"
}

// dropPrivileges leaves this thread, and what it forks, without any capability
// and without a way to gain one.
func dropPrivileges() error {
	if err := prctl(prSetNoNewPrivs, 1); err != nil {
		return failing("no_new_privs", err)
	}
	if err := prctl(prCapAmbient, prCapAmbientClear); err != nil && err != syscall.EINVAL { // which says that there are no such
		return failing("ambient capabilities", err)
	}
	for c := 0; ; c++ {
		has, err := call(syscall.SYS_PRCTL, prCapBSetRead, uintptr(c), 0, 0, 0)
		if err == syscall.EINVAL { // beyond the last one this kernel knows
			break
		}
		if err == nil && has == 0 { // as in a container that others built
			continue
		}
		err = prctl(prCapBSetDrop, uintptr(c))
		if err == syscall.EPERM && os.Geteuid() != 0 {
			break // who holds none can gain none from the set: no_new_privs
		}
		if err != nil {
			return failing("bounding capability "+strconv.Itoa(c), err)
		}
	}
	header := struct {
		version uint32
		pid     int32
	}{version: capabilityVersion3}
	var none [2]struct{ effective, permitted, inheritable uint32 }
	if _, err := call(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none))); err != nil {
		return failing("capset", err)
	}
	// Same user, same pid namespace: without this the command could trace its init.
	if err := prctl(prSetDumpable, 0); err != nil {
		return failing("dumpable", err)
	}
	return nil
}

// newKeyring leaves the caller's session keyring behind. Where key calls do not
// exist or are forbidden, the command cannot read keys either.
func newKeyring() error {
	_, err := call(syscall.SYS_KEYCTL, keyctlJoinSession, 0) // 0: without a name
	if err == syscall.ENOSYS || err == syscall.EPERM {
		return nil
	}
	return err
}

// loopbackUp makes 127.0.0.1 work in the new network namespace; it has no other
// interface.
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	_, err = call(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	return err
}

// handOutListener listens in the network of the box and gives the socket to the
// parent, which accepts in its own.
func (p *Plan) handOutListener() error {
	if p.Door == 0 {
		return nil
	}
	defer syscall.Close(p.Door)
	if len(p.Listen) != 6 {
		return failing("bind", syscall.EINVAL)
	}
	at := &syscall.SockaddrInet4{Addr: [4]byte([]byte(p.Listen[:4])), Port: int(p.Listen[4])<<8 | int(p.Listen[5])}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return failing("socket", err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, at); err != nil {
		return failing("bind", err)
	}
	if err := syscall.Listen(fd, syscall.SOMAXCONN); err != nil {
		return failing("listen", err)
	}
	if err := syscall.Sendmsg(p.Door, []byte{0}, syscall.UnixRights(fd), nil, 0); err != nil {
		return failing("sendmsg", err)
	}
	return nil
}

// preferForOOM makes the kernel take the box first when memory runs out.
func preferForOOM() error { return write(here, "/proc/self/oom_score_adj", "1000") }

// ReservedPIDs are never given out again once used; see kernel/pid.c.
const ReservedPIDs = 300

// boundPIDs bounds the processes of the pid namespace, also for root, for whom
// RLIMIT_NPROC does not hold. Kernels before 6.14 have one pid_max for the whole
// machine, which root could set from here: plans for them have no such bound.
func boundPIDs(proc uintptr, processes int) error {
	if processes == 0 {
		return nil
	}
	return write(proc, "sys/kernel/pid_max", strconv.Itoa(ReservedPIDs+max(processes, 2)))
}

// forbidUserNamespaces denies the command namespaces of its own, and with them
// the parts of the kernel that only their capabilities open. The setting counts
// for the user namespace of the box.
func forbidUserNamespaces(proc uintptr) error {
	return write(proc, "sys/user/max_user_namespaces", "0")
}

// PartOfUser is which part of what the kernel counts for a user one box may have, an
// eighth, so that it takes nothing from others of this user.
const PartOfUser = 8

// boundWatches bounds the watches on files of the user namespace: for who made it the
// kernel counts them together with those outside.
func boundWatches(proc uintptr) error {
	for _, what := range []string{"instances", "watches"} {
		most, err := readNumber(proc, "sys/fs/inotify/max_user_"+what)
		if err == nil {
			err = write(proc, "sys/user/max_inotify_"+what, strconv.Itoa(most/PartOfUser))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
