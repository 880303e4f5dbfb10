package sandboxtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
)

// setLimit sets a limit of another process to what it is.
func setLimit(pid int) error {
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_CPU, nil, &limit); err != nil {
		return err
	}
	return unix.Prlimit(pid, unix.RLIMIT_CPU, &limit, nil)
}

// schedulings each set how a process is scheduled: to what it is, where that can be
// asked.
var schedulings = map[string]func(pid int) error{
	"priority": func(pid int) error {
		now, err := unix.Getpriority(unix.PRIO_PROCESS, pid) // as the kernel counts, from 40 on downwards
		return then(err, func() error { return unix.Setpriority(unix.PRIO_PROCESS, pid, 20-now) })
	},
	"processors": func(pid int) error {
		var set unix.CPUSet
		return then(unix.SchedGetaffinity(pid, &set), func() error { return unix.SchedSetaffinity(pid, &set) })
	},
	"scheduler": func(pid int) error { return raw(unix.SYS_SCHED_SETSCHEDULER, uintptr(pid), 0, parameter()) },
	"parameter": func(pid int) error { return raw(unix.SYS_SCHED_SETPARAM, uintptr(pid), parameter()) },
	"attributes": func(pid int) error {
		now, err := unix.SchedGetAttr(pid, 0)
		return then(err, func() error { return unix.SchedSetAttr(pid, now, 0) })
	},
	"turn at the disk": func(pid int) error {
		const ofProcess, fourthBestEffort = 1, 2<<13 | 4
		return raw(unix.SYS_IOPRIO_SET, ofProcess, uintptr(pid), fourthBestEffort)
	},
}

// parameter is that of who has no priority in real time.
func parameter() uintptr { return text("\x00\x00\x00") }

// fileAttacks each change an attribute of a file to what it is, or say something of it.
var fileAttacks = map[string]func(name string) error{
	"mode":  func(name string) error { return os.Chmod(name, 0o600) },
	"owner": func(name string) error { return os.Chown(name, os.Getuid(), os.Getgid()) },
	"times": func(name string) error { return os.Chtimes(name, time.Time{}, time.Unix(1, 0)) },
	"extended": func(name string) error {
		return unix.Setxattr(name, "user.mgx", []byte("attacked"), 0)
	},
	"read extended": func(name string) error {
		return got(unix.Getxattr(name, "user.mgx", make([]byte, 16)))
	},
	"flags": func(name string) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		now, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		return then(err, func() error { return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, now) })
	},
	"leave a whiteout": func(dir string) error {
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		err := os.WriteFile(from, nil, 0o644)
		err = then(err, func() error { return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_WHITEOUT) })
		os.Remove(from)
		return errors.Join(err, os.RemoveAll(to))
	},
	"look": func(name string) error { _, err := os.Lstat(name); return err },
	"enter": func(name string) error {
		back, err := os.Open(".")
		if err != nil {
			return err
		}
		defer back.Close()
		return then(os.Chdir(name), back.Chdir)
	},
	"watch": func(name string) error {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return got(unix.InotifyAddWatch(fd, name, unix.IN_CREATE))
	},
}

// ofSecret aims at the secret, if its file system has such an attribute at all.
func ofSecret(what string) func(*host) []string {
	return func(h *host) []string { return onFile(what, h.secret, h.secret) }
}

// ofShown aims at a file that is shown, and may be read.
func ofShown(what string) func(*host) []string {
	return func(h *host) []string { return onFile(what, h.spec.Mounts[0].Host, h.box.Path(attacker)) }
}

func onFile(what, outside, inside string) []string {
	if fileAttacks[what](outside) != nil {
		return nil
	}
	return []string{"file", what, inside}
}

// keeper is something that the kernel keeps without a path for all processes of an IPC
// namespace, and that outlives them.
type keeper struct {
	open   func(key uintptr, create bool) (id uintptr, err error)
	put    func(id uintptr) error      // the secret, in a new one
	take   func(key, id uintptr) error // is through when the secret is had from another's
	remove func(key, id uintptr) error
}

const ipcSize = 64

// flags are those of System V.
func flags(create bool) uintptr {
	if create {
		return unix.IPC_CREAT | unix.IPC_EXCL | 0o600
	}
	return 0
}

var keepers = map[string]keeper{
	"memory": {
		open: func(key uintptr, create bool) (uintptr, error) {
			return value(unix.SYS_SHMGET, key, ipcSize, flags(create))
		},
		put: func(id uintptr) error {
			return withMemory(id, func(b []byte) error { copy(b, secretText); return nil })
		},
		take:   func(_, id uintptr) error { return withMemory(id, hasSecret) },
		remove: func(_, id uintptr) error { return raw(unix.SYS_SHMCTL, id, unix.IPC_RMID) },
	},
	"semaphores": {
		open: func(key uintptr, create bool) (uintptr, error) {
			return value(unix.SYS_SEMGET, key, 1, flags(create))
		},
		put:    func(uintptr) error { return nil },
		take:   func(_, id uintptr) error { const getValue = 12; return raw(unix.SYS_SEMCTL, id, 0, getValue) },
		remove: func(_, id uintptr) error { return raw(unix.SYS_SEMCTL, id, 0, unix.IPC_RMID) },
	},
	"messages": {
		open: func(key uintptr, create bool) (uintptr, error) { return value(unix.SYS_MSGGET, key, flags(create)) },
		put: func(id uintptr) error {
			m := message{kind: 1}
			copy(m.text[:], secretText)
			return raw6(unix.SYS_MSGSND, id, uintptr(unsafe.Pointer(&m)), ipcSize, 0, 0, 0)
		},
		take: func(_, id uintptr) error {
			var m message
			err := raw6(unix.SYS_MSGRCV, id, uintptr(unsafe.Pointer(&m)), ipcSize, 0, unix.IPC_NOWAIT, 0)
			return then(err, func() error { return hasSecret(m.text[:]) })
		},
		remove: func(_, id uintptr) error { return raw(unix.SYS_MSGCTL, id, unix.IPC_RMID) },
	},
	"POSIX messages": {
		open: openQueue,
		put: func(id uintptr) error {
			return raw6(unix.SYS_MQ_TIMEDSEND, id, text(secretText), uintptr(len(secretText)), 0, 0, 0)
		},
		take: func(key, _ uintptr) error {
			id, err := openQueue(key, false)
			if err != nil {
				return err
			}
			var said [ipcSize]byte
			err = raw6(unix.SYS_MQ_TIMEDRECEIVE, id, uintptr(unsafe.Pointer(&said)), ipcSize, 0, 0, 0)
			return then(err, func() error { return hasSecret(said[:]) })
		},
		remove: func(key, id uintptr) error {
			return then(unix.Close(int(id)), func() error { return raw(unix.SYS_MQ_UNLINK, queueName(key)) })
		},
	},
}

func openQueue(key uintptr, create bool) (uintptr, error) {
	flags := uintptr(unix.O_RDWR | unix.O_NONBLOCK)
	if create {
		flags |= unix.O_CREAT | unix.O_EXCL
	}
	attr := [8]uintptr{1: 1, 2: ipcSize} // struct mq_attr: how many messages, and their size
	return value(unix.SYS_MQ_OPEN, queueName(key), flags, 0o600, uintptr(unsafe.Pointer(&attr)))
}

func queueName(key uintptr) uintptr { return text(fmt.Sprint("mgx-test-", key)) }

// message is the kernel's struct msgbuf.
type message struct {
	kind int
	text [ipcSize]byte
}

func withMemory(id uintptr, do func([]byte) error) error {
	b, err := unix.SysvShmAttach(int(id), 0, 0)
	if err != nil {
		return err
	}
	defer unix.SysvShmDetach(b)
	return do(b)
}

func hasSecret(b []byte) error {
	if !bytes.Contains(b, []byte(secretText)) {
		return errors.New("something else is there")
	}
	return nil
}

func value(trap uintptr, args ...uintptr) (uintptr, error) {
	args = append(args, 0, 0)
	r, _, e := unix.Syscall6(trap, args[0], args[1], args[2], args[3], 0, 0)
	if e != 0 {
		return 0, e
	}
	return r, nil
}

// keptBy aims at something that the host keeps, if this kernel has such.
func keptBy(what string) func(*host) []string {
	return func(h *host) []string {
		k, key := keepers[what], uintptr(h.victim)
		id, err := k.open(key, true)
		if errors.Is(err, unix.ENOSYS) {
			return nil
		}
		must(h.t, err)
		h.t.Cleanup(func() { must(h.t, k.remove(key, id)) })
		must(h.t, k.put(id))
		return []string{"take", what, fmt.Sprint(key), fmt.Sprint(id)}
	}
}

// leaveAll makes what a command leaves that does not tidy up.
func leaveAll(key uintptr) error {
	var errs []error
	for what, k := range keepers {
		if _, err := k.open(key, true); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	return errors.Join(errs...)
}

// nothingKept has a command make what outlives processes, and looks for it.
func nothingKept(t *testing.T, d sandbox.Driver) {
	w := open(t, d, nil)
	key := uintptr(os.Getpid())<<8 | 1
	t.Log(w.attack(t, []string{"leave", fmt.Sprint(key)}))
	for what, k := range keepers {
		if id, err := k.open(key, false); err == nil {
			t.Errorf("%s outlived the command", what)
			must(t, k.remove(key, id))
		}
	}
}
