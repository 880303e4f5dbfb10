//go:build amd64 || arm64 || riscv64

package native

import (
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
)

// The command runs as this user and group in the box; outside it is whoever
// runs MGX.
const insideID = 1000

// setupCaps are what an init holds while it builds the box. Overlay keeps the
// credentials of who mounted it for its own work on the layers, which is why
// those of files are among them; every access by a command is checked against
// the command first.
var setupCaps = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID,
	unix.CAP_SETPCAP, unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_SYS_RESOURCE,
}

// dropPrivileges leaves this thread, and what it forks, without any capability
// and without a way to gain one.
func dropPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EINVAL { // beyond the last one this kernel knows
			break
		}
		if err == unix.EPERM && os.Geteuid() != 0 {
			break // who holds none can gain none from the set: no_new_privs
		}
		if err != nil {
			return fmt.Errorf("bounding capability %d: %w", c, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	// Same user, same pid namespace: without this the command could trace its init.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("dumpable: %w", err)
	}
	return nil
}

// newKeyring leaves the caller's session keyring behind. Where key calls do not
// exist or are forbidden, the command cannot read keys either.
func newKeyring() error {
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) // 0: without a name
	if err == unix.ENOSYS || err == unix.EPERM {
		return nil
	}
	return err
}

// loopbackUp makes 127.0.0.1 work in the new network namespace; it has no other
// interface.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var request struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = unix.IFF_UP | unix.IFF_RUNNING
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}

// preferForOOM makes the kernel take the box first when memory runs out.
func preferForOOM() error {
	return os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}

// reservedPIDs are never given out again once used; see kernel/pid.c.
const reservedPIDs = 300

// boundPIDs bounds the processes of the pid namespace, also for root, for whom
// RLIMIT_NPROC does not hold. Kernels before 6.14 have one pid_max for all, and
// refuse.
func boundPIDs(procFD, processes int) error {
	return writeAt(procFD, "sys/kernel/pid_max", strconv.Itoa(reservedPIDs+max(processes, 2)))
}

// forbidUserNamespaces denies the command namespaces of its own, and with them
// the parts of the kernel that only their capabilities open. The setting counts
// for the user namespace of the box.
func forbidUserNamespaces(procFD int) error {
	return writeAt(procFD, "sys/user/max_user_namespaces", "0")
}

func writeAt(dir int, name, text string) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return err
}

// rlimits translates limits; those not set are left to the system.
func rlimits(l sandbox.Limits) []rlimit {
	list := []rlimit{{unix.RLIMIT_CORE, unix.Rlimit{}}}
	add := func(resource int, n int64) {
		if n > 0 {
			list = append(list, rlimit{uintptr(resource), unix.Rlimit{Cur: uint64(n), Max: uint64(n)}})
		}
	}
	add(unix.RLIMIT_AS, l.Addresses)
	add(unix.RLIMIT_NPROC, int64(l.Processes))
	add(unix.RLIMIT_FSIZE, l.FileSize)
	add(unix.RLIMIT_NOFILE, int64(l.OpenFiles))
	add(unix.RLIMIT_CPU, int64((l.CPU+999_999_999)/1_000_000_000))
	return list
}
