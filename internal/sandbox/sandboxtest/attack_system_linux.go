package sandboxtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func joinInit([]string) error {
	fd, err := unix.Open("/proc/1/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Setns(fd, unix.CLONE_NEWNS)
}

func landlockVersion() int {
	v, _, errno := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

func makeDevice(name string) error {
	for _, device := range []uint64{unix.Mkdev(1, 3), unix.Mkdev(254, 0)} {
		if err := unix.Mknod(name, unix.S_IFCHR|0o666, int(device)); err != nil {
			return err
		}
	}
	return nil
}

// capabilities is through when any set has any.
func capabilities() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if !strings.HasPrefix(name, "Cap") {
			continue
		}
		n++
		if strings.Trim(value, "0 \t\n") != "" {
			return nil
		}
	}
	if n < 4 { // gVisor has no ambient ones
		return nil // a wall that cannot be seen does not stand
	}
	return fmt.Errorf("all %d sets are empty", n)
}

func raiseCapability([]string) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_ADMIN, Permitted: 1 << unix.CAP_SYS_ADMIN}}
	return unix.Capset(&header, &data[0])
}

func newPrivileges([]string) error {
	on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err == nil && on == 1 {
		return errors.New("no_new_privs is set")
	}
	return err
}

// mountsWithoutNosuid is through when a program on any mount could be setuid,
// or a device on any but the known ones could be opened.
func mountsWithoutNosuid([]string) error {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(string(info)) {
		f := strings.Fields(line)
		options := strings.Split(f[5], ",")
		if !slices.Contains(options, "nosuid") || !slices.Contains(options, "nodev") && !strings.HasPrefix(f[4], "/dev/") {
			return nil
		}
		n++
	}
	return fmt.Errorf("%d mounts, all nosuid and nodev", n)
}

func openByHandle([]string) error {
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/workspace", 0)
	if err != nil {
		return err
	}
	at, err := unix.Open("/workspace", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return got(unix.OpenByHandleAt(at, handle, unix.O_RDONLY))
}

func bpfMap() (int, error) {
	attr := [12]uint32{1, 4, 4, 1} // BPF_MAP_TYPE_HASH of one
	fd, _, e := syscall.Syscall(unix.SYS_BPF, 0, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}

// inheritedDescriptors is through when there is one beyond the three streams and
// what the runtime opened itself.
func inheritedDescriptors([]string) error {
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		return err
	}
	for _, name := range names {
		to, err := os.Readlink(name)
		if err != nil {
			continue // the one that Glob had open
		}
		if slices.Contains([]string{"0", "1", "2"}, filepath.Base(name)) || strings.HasPrefix(to, "anon_inode:") || strings.HasSuffix(to, "/max_user_namespaces") {
			continue
		}
		if !strings.HasPrefix(to, "/proc/") && !strings.HasPrefix(to, "/sys/") {
			return nil
		}
	}
	return fmt.Errorf("%d descriptors, all known", len(names))
}

func unexpectedIn(dir string, expected []string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(expected, e.Name()) {
			return nil
		}
	}
	return fmt.Errorf("%d entries, all expected", len(entries))
}

// fromMemory has an attack made by a program that no file system holds, and which
// no wall of files saw begin (memfd_create).
func fromMemory(attack []string) error {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("", 0)
	if err != nil {
		return err
	}
	memory := os.NewFile(uintptr(fd), "memory")
	defer memory.Close()
	if _, err := memory.Write(program); err != nil {
		return err
	}
	said, err := exec.Command(fmt.Sprintf("/proc/self/fd/%d", fd), attack...).Output()
	if line := strings.TrimSpace(string(said)); err == nil && line != fell {
		err = errors.New(line)
	}
	return err
}

// forkMoreThan is through when more than n processes live at once.
func forkMoreThan(n int) error {
	for i := range n {
		if err := exec.Command("/bin/sleep", "1000").Start(); err != nil {
			return fmt.Errorf("after %d: %w", i, err)
		}
	}
	return nil
}

func openMoreThan(n int) error {
	for i := range n {
		if _, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("after %d: %w", i, err)
		}
	}
	return nil
}

func allocate(bytes int) error {
	m, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return err
	}
	return unix.Munmap(m)
}

// touch is through when it has so much memory, with something in it, and keeps that
// until it has read all there is.
func touch(bytes int, until io.Reader) error {
	m, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	for i := 0; i < len(m); i += os.Getpagesize() {
		m[i] = 1
	}
	if until != nil {
		fmt.Println("started")
		_, _ = io.Copy(io.Discard, until)
	}
	return unix.Munmap(m)
}

// fill is through when a file of so many bytes can be written.
func fill(name string, bytes int) error {
	signal.Ignore(unix.SIGXFSZ)
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for written := 0; written < bytes; written += len(block) {
		if _, err := f.Write(block); err != nil {
			return fmt.Errorf("after %d: %w", written, err)
		}
	}
	return nil
}

func makeFiles(dir string, n int) error {
	for i := range n {
		if err := os.WriteFile(fmt.Sprint(dir, "/", i), nil, 0o644); err != nil {
			return fmt.Errorf("after %d: %w", i, err)
		}
	}
	return nil
}

func dumpsCore() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &l); err != nil || l.Max > 1 { // of one byte none is made
		return err
	}
	return errors.New("core files are limited to nothing")
}

// raiseLimits is through when a limit can be lifted again.
func raiseLimits() error {
	var errs []error
	for _, r := range []int{unix.RLIMIT_NOFILE, unix.RLIMIT_FSIZE, unix.RLIMIT_NPROC, unix.RLIMIT_CORE, unix.RLIMIT_CPU} {
		err := unix.Setrlimit(r, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
		if err == nil { // which is also said where nothing is done
			var now unix.Rlimit
			if err = unix.Getrlimit(r, &now); err == nil && now.Max == unix.RLIM_INFINITY {
				return nil
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
