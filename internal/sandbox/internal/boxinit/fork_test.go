//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"runtime"
	"syscall"
	"testing"

	"mgx/internal/sandbox/internal/shell"
)

// A program that is started runs with its limits, one that cannot be says so by its exit
// code, and whoever has started it goes on as before. On other machines than this one:
// GOARCH=arm64 go test -c, and qemu-aarch64.
func TestStart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path string
		plan Plan
		want int
	}{
		{"/bin/sh", Plan{Args: []string{"sh", "-c", "exit 7"}}, 7},
		{"/bin/sh", Plan{Args: []string{"sh", "-c", `exit $(($(ulimit -n) + $N))`}, Env: []string{"N=3"}, Limits: []Limit{{Resource: syscall.RLIMIT_NOFILE, Soft: 30, Hard: 30}}}, 33},
		{t.TempDir() + "/none", Plan{Args: []string{"none"}}, shell.NotFound},
		{"/dev/null", Plan{Args: []string{"null"}}, shell.NotExecutable},
	} {
		p, err := tc.plan.program(tc.path)
		if err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread()
		pid, errno := p.start()
		runtime.UnlockOSThread()
		if errno != 0 || pid <= 0 {
			t.Fatalf("%s: %d, %v", tc.path, pid, errno)
		}
		var status syscall.WaitStatus
		for {
			_, err = syscall.Wait4(pid, &status, 0, nil)
			if err != syscall.EINTR {
				break
			}
		}
		if err != nil || status.ExitStatus() != tc.want {
			t.Errorf("%v: exit code %d, %v", tc.plan.Args, status.ExitStatus(), err)
		}
	}
	if pid, errno := vfork(^uintptr(0), 0); pid != -1 || errno != syscall.ENOSYS {
		t.Errorf("a call that is none: %d, %v", pid, errno)
	}
}
