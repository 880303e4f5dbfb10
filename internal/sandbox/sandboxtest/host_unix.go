//go:build unix

package sandboxtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const nonblock = syscall.O_NONBLOCK

func mkfifo(name string) error { return syscall.Mkfifo(name, 0o644) }

// footprint counts what a driver could leave behind. Of mounts it takes those below
// the directories of this test, or of its engine: others mount on this machine too.
func footprint(t *testing.T, w *world) string {
	t.Helper()
	fds, _ := filepath.Glob("/proc/self/fd/*")
	table, _ := os.ReadFile("/proc/self/mountinfo")
	mounts := 0
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 4 && slices.ContainsFunc(ownDirectories(w), func(dir string) bool { return strings.HasPrefix(f[4], dir+"/") }) {
			mounts++
		}
	}
	tmp, _ := os.ReadDir(os.TempDir())
	children := 0
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, name := range tasks {
		list, _ := os.ReadFile(name)
		children += len(strings.Fields(string(list)))
	}
	return fmt.Sprint(len(fds), mounts, children, len(tmp))
}

func ownDirectories(w *world) []string {
	dirs := []string{filepath.Dir(w.work), os.TempDir()}
	if socket, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		dirs = append(dirs, filepath.Dir(socket))
	}
	return dirs
}
