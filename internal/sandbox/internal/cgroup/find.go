//go:build linux

package cgroup

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"mgx/internal/sandbox/internal/leftover"
)

// hierarchy is one tree of groups: where it is mounted, and where we are in it.
type hierarchy struct{ root, own string }

// hierarchies returns the tree of version 2 under "", those of version 1 under
// the names of their controllers.
func hierarchies(mountinfo, cgroup string) map[string]hierarchy {
	own := map[string]string{}
	for line := range strings.Lines(cgroup) { // id:controllers:path
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) == 3 {
			for c := range strings.SplitSeq(f[1], ",") {
				own[c] = f[2]
			}
		}
	}
	found := map[string]hierarchy{}
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		f, fs := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(fs) < 3 || fs[0] != "cgroup" && fs[0] != "cgroup2" {
			continue
		}
		names := []string{""}
		if fs[0] == "cgroup" {
			names = strings.Split(fs[2], ",")
		}
		for _, c := range names {
			if path, ok := own[c]; ok {
				found[c] = hierarchy{f[4], filepath.Join(f[4], below(path, f[3]))}
			}
		}
	}
	return found
}

// below is the path of a group from the group that is mounted, which in a
// container need not be the first.
func below(path, root string) string {
	if rel, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return ""
}

func here() (map[string]hierarchy, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	cgroup, err := os.ReadFile("/proc/self/cgroup")
	return hierarchies(string(mountinfo), string(cgroup)), err
}

// findV1 wants a group of its own below ours in each tree.
func findV1() (*Place, error) {
	all, err := here()
	if err != nil {
		return nil, err
	}
	p := &Place{parents: level{}, beside: true}
	for _, c := range []string{memory, pids, cpu} {
		h, ok := all[c]
		if ok && syscall.Access(h.own, 2) == nil {
			p.parents[c] = h.own
		} else if c != cpu {
			return nil, fmt.Errorf("version 1: the controller %s is not there or not ours", c)
		}
	}
	_, p.shares = p.parents[cpu]
	return p, nil
}

// findV2 takes the nearest group, from ours upwards, that may have others below
// it with limits.
func findV2() (*Place, error) {
	all, err := here()
	if err != nil {
		return nil, err
	}
	h, ok := all[""]
	if !ok {
		return nil, errors.New("version 2: not mounted")
	}
	for dir := h.own; ; dir = filepath.Dir(dir) {
		if err = mayDivide(dir, dir == h.own); err == nil {
			return &Place{v2: true, parents: level{"": dir}, beside: len(members(dir)) > 0, shares: has(dir, "cgroup.subtree_control", cpu)}, nil
		}
		if dir == h.root || !strings.HasPrefix(dir, h.root) {
			return nil, fmt.Errorf("version 2: no group is delegated to us: %w", err)
		}
	}
}

// mayDivide reports whether groups with limits can be made in dir, and processes
// moved there from below.
func mayDivide(dir string, own bool) error {
	if err := syscall.Access(filepath.Join(dir, "cgroup.procs"), 2); err != nil {
		return &os.PathError{Op: "write", Path: dir, Err: err}
	}
	if has(dir, "cgroup.subtree_control", memory, pids) {
		enableCPU(dir)
		return nil
	}
	if !has(dir, "cgroup.controllers", memory, pids) {
		return fmt.Errorf("%s has no controllers for memory and processes", dir)
	}
	err := enable(dir)
	if own && errors.Is(err, syscall.EBUSY) && alone(dir) {
		// Only a group without processes of its own can be divided.
		self := filepath.Join(dir, "mgx")
		if err := os.Mkdir(self, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err := write(filepath.Join(self, "cgroup.procs"), strconv.Itoa(os.Getpid())); err != nil {
			return err
		}
		return enable(dir)
	}
	return err
}

func has(dir, file string, controllers ...string) bool {
	b, _ := os.ReadFile(filepath.Join(dir, file))
	f := strings.Fields(string(b))
	return !slices.ContainsFunc(controllers, func(c string) bool { return !slices.Contains(f, c) })
}

// enable lets what is below a group be bounded. Not everybody who is given a group
// is given the processor, too.
func enable(dir string) error {
	err := write(filepath.Join(dir, "cgroup.subtree_control"), "+memory +pids")
	if err == nil {
		enableCPU(dir)
	}
	return err
}

func enableCPU(dir string) { _ = write(filepath.Join(dir, "cgroup.subtree_control"), "+cpu") }

// alone reports whether we are the only process in a group.
func alone(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	return err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(os.Getpid())
}

// prefix begins the names of our groups.
const prefix = "mgx-box-"

// sweep removes the groups of processes that are gone. They are empty as a rule,
// since a box ends with the process that opened it; what is in one all the same,
// because its init was killed too, is killed.
func (p *Place) sweep() {
	for _, parent := range p.parents {
		dirs, _ := filepath.Glob(filepath.Join(parent, prefix+"*"))
		for _, dir := range dirs {
			if leftover.Gone(prefix, filepath.Base(dir)) {
				empty(dir)
			}
		}
	}
}

// empty ends what is in a group, and in those in it, and removes it. A process that
// takes longer to die leaves the group to the next sweep.
func empty(dir string) {
	below, _ := os.ReadDir(dir)
	for _, d := range below {
		if d.IsDir() {
			empty(filepath.Join(dir, d.Name()))
		}
	}
	for range 100 {
		if err := syscall.Rmdir(dir); err != syscall.EBUSY {
			return
		}
		for _, pid := range members(dir) {
			kill(dir, pid)
		}
		time.Sleep(time.Millisecond)
	}
}

// kill ends a process if it is in the group still: its number may be another's by
// now, unless it was there to be held before we looked again.
func kill(dir string, pid int) {
	process, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	defer process.Release()
	if slices.Contains(members(dir), pid) {
		_ = process.Kill()
	}
}

func members(dir string) (pids []int) {
	list, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for pid := range strings.FieldsSeq(string(list)) {
		if n, err := strconv.Atoi(pid); err == nil && n > 1 {
			pids = append(pids, n)
		}
	}
	return pids
}

// Memory is what all commands of this process may have together, in bytes: three
// quarters of what the machine has, or of what the groups leave it that it is in
// itself; 0 when that is not known.
var Memory = sync.OnceValue(func() int64 {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0
	}
	most := int64(info.Totalram) * int64(info.Unit)
	all, _ := here()
	for controller, file := range map[string]string{"": "memory.max", memory: "memory.limit_in_bytes"} {
		if h, ok := all[controller]; ok {
			most = min(most, h.least(file))
		}
	}
	return most / 4 * 3 >> 20 << 20 // so that it can be told in MB
})

// least is the lowest of the bounds that our group and those around it have.
func (h hierarchy) least(file string) int64 {
	least := int64(math.MaxInt64)
	for dir := h.own; ; dir = filepath.Dir(dir) {
		if n := number(dir, file); n > 0 {
			least = min(least, n)
		}
		if dir == h.root || !strings.HasPrefix(dir, h.root) {
			return least
		}
	}
}

// socketBuffers is half of what all TCP connections of a machine may hold without being
// asked to hold less (tcp_mem(7), in pages), in bytes; 0: not known. In version 1 the
// limit on memory does not count it, and whoever fills all of it cuts everybody's
// connections off.
func socketBuffers() int64 {
	var pages int64
	if _, err := fmt.Sscan(read("/proc/sys/net/ipv4", "tcp_mem"), &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize()) / 2
}
