//go:build unix

package sandboxtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const nonblock = syscall.O_NONBLOCK

func mkfifo(name string) error { return syscall.Mkfifo(name, 0o644) }

// footprint counts what a driver could leave behind.
func footprint(t *testing.T, w *world) string {
	t.Helper()
	fds, _ := filepath.Glob("/proc/self/fd/*")
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	tmp, _ := os.ReadDir(os.TempDir())
	children := 0
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, name := range tasks {
		list, _ := os.ReadFile(name)
		children += len(strings.Fields(string(list)))
	}
	return fmt.Sprint(len(fds), strings.Count(string(mounts), "\n"), children, len(tmp))
}
