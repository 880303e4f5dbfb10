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
	stays := []string{ours, "mgx", "other", prefix + "odd", prefix + "4194305-1-2/child"}
	for _, name := range append(stays, prefix+"4194305-1-1", prefix+fmt.Sprint(os.Getpid())+"-1-1") {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	(&Place{parents: map[string]string{memory: dir}}).sweep()
	for _, name := range stays {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s is gone", name)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != len(stays) {
		t.Errorf("left: %v", left)
	}
}

// TestSweepEndsOrphans has a process in a group whose maker is gone: it ends, and
// the group goes.
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
	mine := &Place{parents: map[string]string{}} // where nobody else sweeps
	var groups []string
	for controller, parent := range place.parents {
		dir := filepath.Join(parent, fmt.Sprintf("mgx-test-%d", os.Getpid()))
		group := filepath.Join(dir, prefix+"4194305-1-1")
		if err := os.MkdirAll(group, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Rmdir(dir) })
		if err := write(filepath.Join(group, "cgroup.procs"), fmt.Sprint(orphan.Process.Pid)); err != nil {
			t.Fatal(err)
		}
		mine.parents[controller] = dir
		groups = append(groups, group)
	}
	for left := true; left; { // a process may take longer to die than one sweep waits
		mine.sweep()
		left = slices.ContainsFunc(groups, func(dir string) bool { _, err := os.Stat(dir); return err == nil })
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the orphan ended with %v", err)
	}
}
