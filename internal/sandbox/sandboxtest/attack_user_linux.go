package sandboxtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// userAttacks reach others of the command's user, or of the machine, by what it may
// only read, or not even that. They give back what they took.
var userAttacks = map[string]func(args []string) error{
	"lease":    func(a []string) error { return lease(a[0]) },
	"datagram": func(a []string) error { return sendTo(a[0]) },
	"no core":  func([]string) error { return wantNoCore() },
	"watches":  func(a []string) error { return watchMoreThan(number(a[0])) },
	"timers":   func(a []string) error { return setTimers(number(a[0])) },
}

// lease has whoever opens the file to write wait for up to 45 seconds.
func lease(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	return err
}

// sendTo sends by a socket of its own, and from an end of a pair, which needs none.
func sendTo(name string) error {
	send := func(fd int) error {
		defer unix.Close(fd)
		return unix.Sendto(fd, []byte("attacked"), 0, &unix.SockaddrUnix{Name: name})
	}
	own, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err = then(err, func() error { return send(own) }); err == nil {
		return nil
	}
	pair, pairErr := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if pairErr == nil {
		defer unix.Close(pair[1])
		pairErr = send(pair[0])
	}
	if pairErr == nil {
		return nil
	}
	return errors.Join(err, pairErr)
}

// wantNoCore is through when a crash would start the machine's program for core files,
// outside: it does where the limit on them is 0, and does not where that is 1.
func wantNoCore() error {
	var before, now unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_CORE, &before)
	err = then(err, func() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Max: before.Max}) })
	err = then(err, func() error { return unix.Getrlimit(unix.RLIMIT_CORE, &now) })
	if err == nil && now.Cur == 1 {
		err = errors.New("the limit stays 1")
	}
	return errors.Join(err, unix.Setrlimit(unix.RLIMIT_CORE, &before))
}

// watchMoreThan is through when it has so many instances of inotify at once.
func watchMoreThan(n int) error {
	for i := range n {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			return fmt.Errorf("after %d: %w", i, err)
		}
		defer unix.Close(fd)
	}
	return nil
}

// setTimers is through when it has so many at once. Each may have a signal wait.
func setTimers(n int) (err error) {
	timers := make([]int32, n)
	made := 0
	for ; made < n && err == nil; made++ {
		err = raw(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&timers[made])))
	}
	if err != nil {
		made--
		err = fmt.Errorf("after %d: %w", made, err)
	}
	for _, timer := range timers[:made] {
		err = errors.Join(err, raw(unix.SYS_TIMER_DELETE, uintptr(timer)))
	}
	return err
}

// partOfUser aims at a quarter of what the kernel lets a user have, if there is so much
// now; a box has an eighth.
func partOfUser(what string, most func() (int, error)) func(*host) []string {
	return func(*host) []string {
		n, err := most()
		const tooMany = 1 << 18 // to be made in a test
		if err != nil || n < 4 || n/4 > tooMany {
			return nil
		}
		a := []string{what, fmt.Sprint(n / 4)}
		if userAttacks[what](a[1:]) != nil {
			return nil
		}
		return a
	}
}

func mostWatching() (int, error) {
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	if err != nil {
		return 0, err
	}
	return number(strings.TrimSpace(string(text))), nil
}

func mostPending() (int, error) {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_SIGPENDING, &limit)
	return int(min(limit.Max, 1<<31)), err
}

// leasable aims at a file that is shown, where its file system has leases.
func leasable(h *host) []string {
	name := filepath.Join(filepath.Dir(h.shown), "file")
	if lease(name) != nil {
		return nil
	}
	return []string{"lease", name}
}

// coreLimit aims where MGX itself may make core files: commands cannot be allowed more
// of them than MGX is.
func coreLimit(*host) []string {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit.Max == 0 {
		return nil
	}
	return []string{"no core"}
}

// attributed aims at an extended attribute of the secret, if it can have one.
func attributed(h *host) []string {
	if fileAttacks["extended"](h.secret) != nil {
		return nil
	}
	return onFile("read extended", h.secret, h.secret)
}
