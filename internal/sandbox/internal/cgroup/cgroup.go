//go:build linux

// Package cgroup bounds what all processes of one command use together, and of all
// commands of a run, where this machine lets us: with cgroups of version 2 below one
// that was delegated to us, or of version 1 where we may make some, which is the way
// of hybrid systems too.
//
// Groups nest. One is of this process and holds all that it starts for others: its
// memory leaves room for who is not in it. In that there is one for each run, and
// in those one for each command. Beside each other all weigh the same when they want
// the processor, however many processes they have.
//
// [Find] tries, and never touches a group that is not ours, except that it moves
// this process into one of its own when nobody else is in the way. A [Group]
// lives as long as its command, those around it as long as there is one in them;
// what a killed process left behind goes when the next one looks for a place.
package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
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
	parents level
	beside  bool // processes stand there beside the groups, this one among them
	shares  bool // of the processor, by weight
	memory  int64
	buffers int64 // of sockets, in bytes, that all may have together; 0: the memory counts them, or nothing

	mu   sync.Mutex
	all  *branch // of this process; nil: nobody needs it
	runs map[string]*branch
}

// level is a group in each tree: its directory by controller; in version 2 one, "".
type level map[string]string

// branch is a group with others in it.
type branch struct {
	level
	limits Limits
	holds  int
}

// The controllers of a place. Processor time is bounded and shared out where it can be.
const (
	memory = "memory"
	pids   = "pids"
	cpu    = "cpu"
)

// Find returns the place of this process that bounds memory and processes, or why
// there is none. It looks once.
var Find = sync.OnceValues(func() (*Place, error) {
	var errs []error
	for _, find := range []func() (*Place, error){findV2, findV1} {
		p, err := find()
		if err == nil {
			p.memory = Memory()
			if !p.v2 {
				p.buffers = socketBuffers()
			}
			p.sweep()
			err = p.try()
		}
		if err == nil {
			return p, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
})

// try makes a group with limits and removes it.
func (p *Place) try() error {
	g, err := p.New("", Limits{Memory: 1 << 30, Processes: 64})
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
	kind := "version 1"
	if p.v2 {
		kind = "version 2"
	}
	if !p.shares {
		kind += ", without the controller cpu: who starts more processes gets more of the processor"
	}
	return kind
}

// Group bounds the processes of one command.
type Group struct {
	level
	v2    bool
	place *Place
	run   string
	all   level // of the run
}

var made atomic.Int64

// New makes a group for a command of a run; empty: of none. Memory and processor time
// bound all commands of the run together, too.
func (p *Place) New(run string, l Limits) (*Group, error) {
	name := strconv.FormatInt(made.Add(1), 10)
	if run == "" {
		run = name
	}
	around, err := p.enter(run, l.together())
	if err != nil {
		return nil, err
	}
	g := &Group{v2: p.v2, place: p, run: run, all: around}
	if g.level, err = p.within(around, name, l); err != nil {
		p.leave(run)
		return nil, err
	}
	return g, nil
}

// Hold keeps the group of this process, which is dear to make, between commands, until
// it is released. Those of runs do not stay: files that an earlier command read or
// wrote, and the system remembers, would leave less to the next.
func (p *Place) Hold() (release func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.take(); err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.drop()
	}), nil
}

// together are the limits of all commands of a run.
func (l Limits) together() Limits { return Limits{Memory: l.Memory, CPUs: l.CPUs} }

// enter returns the group of a run, which stays until as many have left as entered.
func (p *Place) enter(run string, l Limits) (level, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.runs[run]
	switch {
	case b == nil:
		var err error
		if b, err = p.grow(run, l); err != nil {
			return nil, err
		}
	case b.limits != l: // they were changed since, and what is there already may be more
		_ = p.apply(b.level, l)
		b.limits = l
	}
	b.holds++
	return b.level, nil
}

// grow makes the group of a run.
func (p *Place) grow(run string, l Limits) (*branch, error) {
	if err := p.take(); err != nil {
		return nil, err
	}
	at, err := p.within(p.all.level, strconv.FormatInt(made.Add(1), 10), l)
	if err == nil {
		if err = p.divide(at); err != nil {
			at.remove(0)
		}
	}
	if err != nil {
		p.drop()
		return nil, err
	}
	p.runs[run] = &branch{level: at, limits: l}
	return p.runs[run], nil
}

// leave removes the group of a run when nobody is in it any more. What the kernel does
// not let go of yet is for the next process that looks for a place.
func (p *Place) leave(run string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.runs[run]
	if b.holds--; b.holds > 0 {
		return
	}
	delete(p.runs, run)
	b.remove(0)
	p.drop()
}

// take needs the group of this process, and makes it if it is not there. Its name
// tells whose it is, should we not live to remove it.
func (p *Place) take() error {
	if p.all == nil {
		at, err := p.within(p.parents, leftover.Name(prefix)+strconv.FormatInt(made.Add(1), 10), Limits{Memory: p.memory})
		if err != nil {
			return err
		}
		p.weigh(at)
		if err := p.divide(at); err != nil {
			at.remove(0)
			return err
		}
		p.all, p.runs = &branch{level: at}, map[string]*branch{}
	}
	p.all.holds++
	return nil
}

// drop needs it no longer, and removes it when nobody does.
func (p *Place) drop() {
	if p.all.holds--; p.all.holds == 0 {
		p.all.remove(0)
		p.all = nil
	}
}

// within makes a group in another.
func (p *Place) within(around level, name string, l Limits) (level, error) {
	at := level{}
	for controller, parent := range around {
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			at.remove(0)
			return nil, err
		}
		at[controller] = dir
	}
	if err := p.apply(at, l); err != nil {
		at.remove(0)
		return nil, err
	}
	return at, nil
}

func (p *Place) apply(at level, l Limits) error {
	for _, s := range p.settings(l) {
		dir, ok := at[s.controller]
		if p.v2 {
			dir, ok = at[""], true
		}
		if !ok {
			continue
		}
		if err := write(filepath.Join(dir, s.file), s.value); err != nil && !s.optional {
			return err
		}
	}
	return nil
}

// divide lets a group have others in it, which version 1 always does.
func (p *Place) divide(at level) error {
	if !p.v2 {
		return nil
	}
	return enable(at[""])
}

// weigh gives the group of this process its weight. Where groups stand beside
// processes, each of those weighs as much as a group, so this one gets as much for
// every processor; elsewhere it is one of several groups, as that of MGX itself is.
func (p *Place) weigh(at level) {
	if !p.beside {
		return
	}
	if p.v2 {
		_ = write(filepath.Join(at[""], "cpu.weight"), strconv.Itoa(min(100*runtime.NumCPU(), 10_000)))
	} else if dir, ok := at[cpu]; ok {
		_ = write(filepath.Join(dir, "cpu.shares"), strconv.Itoa(min(1024*runtime.NumCPU(), 1<<18)))
	}
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
	if p.buffers > 0 && p.memory > 0 && l.Memory > 0 { // as much of them as of the memory
		share := float64(min(l.Memory, p.memory)) / float64(p.memory)
		add(memory, "memory.kmem.tcp.limit_in_bytes", "", strconv.FormatInt(int64(share*float64(p.buffers)), 10), true)
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
	for _, dir := range g.level {
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
// for want of memory, or refused to start one. Elsewhere is memory that was not
// wanting to the run: that of all runs together, or the machine's.
func (g *Group) Reached() (outOfMemory, elsewhere, tooManyProcesses bool) {
	if g.v2 {
		outOfMemory = count(g.level[""], "memory.events", "oom_kill") > 0
		return outOfMemory, outOfMemory && count(g.all[""], "memory.events", "max") == 0, count(g.level[""], "pids.events", "max") > 0
	}
	outOfMemory = count(g.level[memory], "memory.oom_control", "oom_kill") > 0
	elsewhere = outOfMemory && !refused(g.level[memory]) && !refused(g.all[memory])
	return outOfMemory, elsewhere, count(g.level[pids], "pids.events", "max") > 0
}

// refused reports whether the bound of a group of version 1 held memory back, which
// not every kernel counts: whether there once was no room for what it is asked for at
// a time, a huge page and a bit.
func refused(dir string) bool {
	const atOnce = 4 << 20
	return number(dir, "memory.max_usage_in_bytes") > number(dir, "memory.limit_in_bytes")-atOnce
}

// count reads a counter of a flat keyed file; 0 when there is none.
func count(dir, file, key string) int64 {
	for line := range strings.Lines(read(dir, file)) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// number reads a file that is one; 0 when it is none.
func number(dir, file string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(read(dir, file)), 10, 64)
	return n
}

// read reads a file of the kernel, of which the longest have some hundreds of bytes.
func read(dir, file string) string {
	fd, err := syscall.Open(filepath.Join(dir, file), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer syscall.Close(fd)
	b := make([]byte, 4<<10)
	n, err := syscall.Read(fd, b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// removal is how long the kernel may take to forget processes that have ended.
const removal = 5 * time.Second

// Remove takes the group away; its processes have ended.
func (g *Group) Remove() error {
	defer g.place.leave(g.run)
	return g.remove(removal)
}

func (l level) remove(patience time.Duration) error {
	var errs []error
	for _, dir := range l {
		errs = append(errs, remove(dir, patience))
	}
	return errors.Join(errs...)
}

func remove(dir string, patience time.Duration) error {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
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
