//go:build linux

package cgroup

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mgx/internal/sandbox/internal/leftover"
)

func TestHierarchies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mountinfo, cgroup string
		want              map[string]hierarchy
	}{
		"version 2": {
			"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n25 1 8:1 / / rw - ext4 /dev/sda rw\n",
			"0::/user.slice/user-1000.slice/session-2.scope\n",
			map[string]hierarchy{"": {"/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope"}},
		},
		"version 1 in a container": {
			"36 35 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n37 35 0:32 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n",
			"5:cpu,cpuacct:/docker/abc/x\n4:memory:/docker/abc\n3:freezer:/docker/abc\n",
			map[string]hierarchy{
				"memory":  {"/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory"},
				"cpu":     {"/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/x"},
				"cpuacct": {"/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/x"},
			},
		},
		"hybrid": {
			"36 35 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n38 35 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"5:pids:/a\n0::/b:c\n",
			map[string]hierarchy{
				"pids": {"/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids/a"},
				"":     {"/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/b:c"},
			},
		},
		"a group outside of what is mounted": {
			"36 35 0:31 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/../other\n",
			map[string]hierarchy{"": {"/sys/fs/cgroup", "/sys/fs/cgroup"}},
		},
		"none": {"25 1 8:1 / / rw - ext4 /dev/sda rw\n\n", "\n0::/\n", map[string]hierarchy{}},
	} {
		if got := hierarchies(c.mountinfo, c.cgroup); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestSweep has groups of processes that are gone and of one that is not.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours := leftover.Name(prefix) + "7"
	stays := []string{ours, "mgx", "other", prefix + "odd"}
	for _, name := range append(stays, nobodys()+"1", nobodys()+"2/3/4") {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	(&Place{parents: level{memory: dir}}).sweep()
	for _, name := range stays {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s is gone", name)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != len(stays) {
		t.Errorf("left: %v", left)
	}
}

// nobodys is what the names of a process begin with that is gone.
func nobodys() string {
	return strings.Replace(leftover.Name(prefix), fmt.Sprint(prefix, os.Getpid()), prefix+"4194305", 1)
}

// TestSweepEndsOrphans has a process in a group whose maker is gone: it ends, and
// the group and those around it go.
func TestSweepEndsOrphans(t *testing.T) {
	t.Parallel()
	place, err := Find()
	if err != nil {
		t.Skip("no cgroups can be made here: ", err)
	}
	orphan := exec.Command("sleep", "1000")
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- orphan.Wait() }()
	mine := &Place{parents: level{}} // where nobody else sweeps
	var groups []string
	for controller, parent := range place.parents {
		dir := filepath.Join(parent, fmt.Sprintf("mgx-test-%d", os.Getpid()))
		group := filepath.Join(dir, nobodys()+"1", "2", "3")
		if err := os.MkdirAll(group, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Rmdir(dir) })
		if err := write(filepath.Join(group, "cgroup.procs"), fmt.Sprint(orphan.Process.Pid)); err != nil {
			t.Fatal(err)
		}
		mine.parents[controller] = dir
		groups = append(groups, filepath.Join(dir, nobodys()+"1"))
	}
	for left := true; left; { // a process may take longer to die than one sweep waits
		mine.sweep()
		left = slices.ContainsFunc(groups, func(dir string) bool { _, err := os.Stat(dir); return err == nil })
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the orphan ended with %v", err)
	}
}

// own is a place below that of this machine, where nobody else makes groups.
func own(t *testing.T, memory int64) *Place {
	t.Helper()
	found, err := Find()
	if err != nil {
		t.Skip("no cgroups can be made here: ", err)
	}
	p := &Place{v2: found.v2, shares: found.shares, memory: memory}
	if p.parents, err = found.within(found.parents, fmt.Sprintf("mgx-test-%s-%d", t.Name(), os.Getpid()), Limits{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.parents.remove(removal); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
	if err := p.divide(p.parents); err != nil {
		t.Fatal(err)
	}
	return p
}

// groups are those of a place, in one of its trees.
func (p *Place) groups(t *testing.T) (names []string) {
	t.Helper()
	dir := slices.Sorted(maps.Values(p.parents))[0]
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && name != dir {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestNested has the groups of commands lie in those of their runs, and these in one;
// each goes when there is nothing left that needs it.
func TestNested(t *testing.T) {
	t.Parallel()
	p := own(t, 1<<30)
	count := func(what string, want int) {
		t.Helper()
		if names := p.groups(t); len(names) != want {
			t.Errorf("%s: %v", what, names)
		}
	}
	add := func(run string) *Group {
		t.Helper()
		g, err := p.New(run, Limits{Memory: 64 << 20, Processes: 8})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	release, err := p.Hold()
	if err != nil {
		t.Fatal(err)
	}
	count("held", 1)
	first, second, other := add("a"), add("a"), add("b")
	count("three commands of two runs", 1+2+3)
	for _, g := range []*Group{first, second} {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	}
	count("one command", 3)
	release()
	again, err := p.Hold()
	if err != nil {
		t.Fatal(err)
	}
	release()
	count("one command, and held", 3)
	if err := other.Remove(); err != nil {
		t.Error(err)
	}
	count("held once more", 1)
	again()
	count("nothing", 0)
}

// TestElsewhere has two commands of two runs, each with less memory than its run has,
// have more than all runs together. One of them is killed, and it is known that it was
// not for the bound of its run.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	p := own(t, 96<<20)
	var ends []func() error
	var groups []*Group
	for _, run := range []string{"a", "b"} {
		g, err := p.New(run, Limits{Memory: 90 << 20, Processes: 16})
		if err != nil {
			t.Fatal(err)
		}
		// tail writes when it has all, and keeps that until it is read, or killed.
		cmd := exec.Command("sh", "-c", "exec 3<&0; read go; head -c 60000000 /dev/zero | tail -c 59999999 | (head -c 1 >/dev/null; echo full; read end <&3)")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range g.level {
			if err := write(filepath.Join(dir, "cgroup.procs"), fmt.Sprint(cmd.Process.Pid)); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintln(in, "go")
		_, _ = out.Read(make([]byte, 1)) // or it is killed
		groups, ends = append(groups, g), append(ends, in.Close, cmd.Wait)
	}
	for _, end := range ends {
		_ = end()
	}
	killed := 0
	for _, g := range groups {
		outOfMemory, elsewhere, _ := g.Reached()
		if outOfMemory {
			killed++
		}
		if outOfMemory != elsewhere {
			t.Errorf("out of memory: %t, elsewhere: %t", outOfMemory, elsewhere)
		}
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	}
	if killed == 0 {
		t.Error("they have more than there is")
	}
}

// TestLeast is the lowest bound of the groups around ours, where the highest need not
// have one.
func TestLeast(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	own := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(own, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "4096\n"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := (hierarchy{root, own}).least("memory.max"); got != 4096 {
		t.Errorf("the least is %d", got)
	}
}
