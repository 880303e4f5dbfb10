//go:build linux

// Package cgroup bounds what all processes of one command use together, where
// this machine lets us: with cgroups of version 2 below one that was delegated to
// us, or of version 1 where we may make some, which is the way of hybrid systems
// too.
//
// [Find] tries, and never touches a group that is not ours, except that it moves
// this process into one of its own when nobody else is in the way. A [Group]
// lives as long as its command; what a killed process left behind goes when the
// next one looks for a place.
package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"mgx/internal/sandbox/internal/leftover"
)

// Limits of a group; zero fields bound nothing.
type Limits struct {
	Memory    int64   // bytes, swap included
	Processes int     // and threads
	CPUs      float64 // processors' worth of time
}

// Place is where groups can be made.
type Place struct {
	v2      bool
	parents map[string]string // the directory of each controller; one "" in version 2
}

// The controllers of a place. Processor time is bounded where it can be.
const (
	memory = "memory"
	pids   = "pids"
	cpu    = "cpu"
)

// Find returns a place that bounds memory and processes, or why there is none.
func Find() (*Place, error) {
	var errs []error
	for _, find := range []func() (*Place, error){findV2, findV1} {
		p, err := find()
		if err == nil {
			p.sweep()
			err = p.try()
		}
		if err == nil {
			return p, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// try makes a group with limits and removes it.
func (p *Place) try() error {
	g, err := p.New(Limits{Memory: 1 << 30, Processes: 64})
	if err != nil {
		return err
	}
	return g.Remove()
}

// Entered reports whether processes enter groups by themselves, which they can
// also do from a container: by a file that they are given. In version 2 who starts
// them puts them there.
func (p *Place) Entered() bool { return !p.v2 }

// String says what kind of place it is.
func (p *Place) String() string {
	if p.v2 {
		return "version 2"
	}
	return "version 1"
}

// Group bounds the processes of one command.
type Group struct {
	v2   bool
	dirs map[string]string
}

var made atomic.Int64

// New makes a group. Its name tells whose it is, should we not live to remove it.
func (p *Place) New(l Limits) (*Group, error) {
	name := leftover.Name(prefix) + strconv.FormatInt(made.Add(1), 10)
	g := &Group{v2: p.v2, dirs: map[string]string{}}
	for controller, parent := range p.parents {
		if controller == cpu && l.CPUs == 0 {
			continue // a group of its own would get the share of one process
		}
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			g.Remove()
			return nil, err
		}
		g.dirs[controller] = dir
	}
	for _, s := range p.settings(l) {
		dir, ok := g.dirs[s.controller]
		if p.v2 {
			dir, ok = g.dirs[""], true
		}
		if !ok {
			continue
		}
		if p.v2 && s.controller == cpu {
			_ = write(filepath.Join(p.parents[""], "cgroup.subtree_control"), "+cpu") // else the bound fails
		}
		if err := write(filepath.Join(dir, s.file), s.value); err != nil && !s.optional {
			g.Remove()
			return nil, err
		}
	}
	return g, nil
}

// setting is one file of a group. Optional ones are not on every machine, or say
// what a bound already does.
type setting struct {
	controller, file, value string
	optional                bool
}

func (p *Place) settings(l Limits) (list []setting) {
	const period = 100_000 // microseconds
	quota := strconv.FormatInt(int64(l.CPUs*period), 10)
	bytes := strconv.FormatInt(l.Memory, 10)
	add := func(controller, v1, v2 string, value string, optional bool) {
		file := v1
		if p.v2 {
			file = v2
		}
		if file != "" {
			list = append(list, setting{controller, file, value, optional})
		}
	}
	if l.Memory > 0 {
		add(memory, "memory.limit_in_bytes", "memory.max", bytes, false)
		add(memory, "memory.memsw.limit_in_bytes", "", bytes, true)
		add(memory, "", "memory.swap.max", "0", true)
	}
	if l.Processes > 0 {
		add(pids, "pids.max", "pids.max", strconv.Itoa(l.Processes), false)
	}
	if l.CPUs > 0 {
		add(cpu, "cpu.cfs_quota_us", "", quota, false)
		add(cpu, "", "cpu.max", quota+" "+strconv.Itoa(period), false)
	}
	return list
}

// Entries are files of the group, at most MaxEntries, that let a process in; the
// caller closes them. In version 2 it is one, the directory to start the process
// in (clone's CLONE_INTO_CGROUP). In version 1 the process writes "0" to each,
// which moves the writing thread and what it starts from then on. The usual way,
// a number written to cgroup.procs by somebody else, waits for every processor of
// the machine to pass a quiet point: often longer than all else takes.
func (g *Group) Entries() (files []*os.File, err error) {
	for _, dir := range g.dirs {
		name, flag := dir, os.O_RDONLY
		if !g.v2 {
			name, flag = filepath.Join(dir, "tasks"), os.O_WRONLY
		}
		fd, err := syscall.Open(name, flag|syscall.O_CLOEXEC, 0)
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, &os.PathError{Op: "open", Path: name, Err: err}
		}
		files = append(files, os.NewFile(uintptr(fd), name))
	}
	return files, nil
}

// MaxEntries bounds the entries of a group.
const MaxEntries = 3

// ByStart reports whether the one entry is a directory to start a process in.
func (g *Group) ByStart() bool { return g.v2 }

// Reached reports which bounds held something back: the kernel killed a process
// for want of memory, or refused to start one.
func (g *Group) Reached() (outOfMemory, tooManyProcesses bool) {
	if g.v2 {
		return count(g.dirs[""], "memory.events", "oom_kill") > 0, count(g.dirs[""], "pids.events", "max") > 0
	}
	return count(g.dirs[memory], "memory.oom_control", "oom_kill") > 0, count(g.dirs[pids], "pids.events", "max") > 0
}

// count reads a counter of a flat keyed file; 0 when there is none.
func count(dir, file, key string) int64 {
	fd, err := syscall.Open(filepath.Join(dir, file), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer syscall.Close(fd)
	b := make([]byte, 4<<10) // the longest has some hundreds
	n, err := syscall.Read(fd, b)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b[:n])) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// removal is how long the kernel may take to forget processes that have ended.
const removal = 5 * time.Second

// Remove takes the group away; its processes have ended.
func (g *Group) Remove() error {
	var errs []error
	for _, dir := range g.dirs {
		errs = append(errs, remove(dir))
	}
	return errors.Join(errs...)
}

func remove(dir string) error {
	for end := time.Now().Add(removal); ; time.Sleep(time.Millisecond) {
		err := syscall.Rmdir(dir)
		if err != syscall.EBUSY || time.Now().After(end) {
			if err == nil || err == syscall.ENOENT {
				return nil
			}
			return &os.PathError{Op: "remove", Path: dir, Err: err}
		}
	}
}

// write writes to a file of the kernel: whole, and without making one. Like all
// here that is done for every command it makes no [os.File], which would ask
// whether the kernel can tell when such a file is ready, and it cannot.
func write(name, text string) error {
	fd, err := syscall.Open(name, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer syscall.Close(fd)
	for {
		if _, err = syscall.Write(fd, []byte(text)); err != syscall.EINTR { // which setting a bound of memory may say
			break
		}
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}
