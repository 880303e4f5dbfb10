//go:build linux

package native_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// Roles that this test binary plays as another process.
const (
	roleEnv       = "MGX_NATIVE_TEST_ROLE"
	roleRun       = "run"        // run a command in a box until killed
	roleMany      = "many"       // run commands, many at once, until killed
	roleOpen      = "open"       // open a box and say what came of it
	roleProbe     = "probe"      // the same for a probe
	roleNoOverlay = "no overlay" // use overlays where there can be none
	roleChain     = "chain"      // run a command at lite that leaves processes
)

func playRole() {
	work := os.Getenv("WORK")
	switch os.Getenv(roleEnv) {
	case "":
		return
	case roleRun:
		box, err := native.New().Open(context.Background(), sandbox.Spec{Work: work})
		if err != nil {
			panic(err)
		}
		_, err = box.Run(context.Background(), sandbox.Command{
			Args:    []string{"sh", "-c", "exec 9>alive; setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & wait' & echo started; sleep 1000"},
			Stdout:  os.Stdout,
			Timeout: time.Hour,
		})
		panic(err)
	case roleMany:
		box, err := driverOf(os.Getenv(driverEnv)).Open(context.Background(), sandbox.Spec{Work: work})
		if err != nil {
			panic(err)
		}
		for range 3 {
			go func() {
				for {
					box.Run(context.Background(), sandbox.Command{Args: []string{"sh", "-c", "exec 9>alive; setsid sleep 1000 & :"}, Timeout: time.Hour})
					os.Stdout.WriteString("ended\n")
				}
			}()
		}
		select {}
	case roleOpen:
		_, err := native.New().Open(context.Background(), sandbox.Spec{Work: work})
		e := mgx.AsError(err)
		os.Stdout.WriteString(string(e.Kind) + "\n" + e.Code + "\n" + e.Message + "\n")
	case roleProbe:
		r := driverOf(os.Getenv(driverEnv)).Probe(context.Background())
		os.Stdout.WriteString(string(r.Level) + "\n")
		for _, c := range r.Checks {
			if !c.OK {
				os.Stdout.WriteString(c.Name + ": " + c.Detail + "\n")
			}
		}
	case roleChain:
		runChain(work)
	case roleNoOverlay:
		if err := withoutOverlay(work); err != nil {
			os.Stdout.WriteString(err.Error())
			os.Exit(1)
		}
	}
	os.Exit(0)
}

// driverEnv names the driver of a role.
const driverEnv = "MGX_NATIVE_TEST_DRIVER"

func driverOf(name string) sandbox.Driver {
	if name == "lite" {
		return native.NewLite()
	}
	return native.New()
}

func role(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), roleEnv+"="+name, "WORK="+t.TempDir())
	return cmd
}

func workOf(cmd *exec.Cmd) string {
	for _, kv := range cmd.Env {
		if work, ok := strings.CutPrefix(kv, "WORK="); ok {
			return work
		}
	}
	return ""
}

// TestKilledParent kills MGX with a command running: everything in the box must
// end, although nobody is left to end it.
func TestKilledParent(t *testing.T) {
	cmd := role(t, roleRun)
	work := workOf(cmd)
	fifo := filepath.Join(work, "alive")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("a process of the box lives on: %v", err)
	}
}

// TestKilledAnywhere kills MGX at whatever it is doing, many times, and looks for
// what stays: no process of a box at once, no cgroup and no directory after the
// next start.
func TestKilledAnywhere(t *testing.T) {
	for _, driver := range []string{"native", "lite"} {
		t.Run(driver, func(t *testing.T) { killedAnywhere(t, driver) })
	}
}

func killedAnywhere(t *testing.T, driver string) {
	t.Setenv(driverEnv, driver)
	tmp := t.TempDir()
	var killed []int
	for i := range 8 {
		cmd := role(t, roleMany)
		cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
		work := workOf(cmd)
		fifo := filepath.Join(work, "alive")
		if err := syscall.Mkfifo(fifo, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It tells of each command that ended; the kill comes at another moment
		// between two of them each time.
		lines := bufio.NewReader(out)
		for range i + 1 {
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Duration(i) * 700 * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
		killed = append(killed, cmd.Process.Pid)
		r.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("a process of a box lives on: %v", err)
		}
		r.Close()
	}
	// A process that has closed its files may still be a moment from its end. All end
	// by themselves, before the next start would end them.
	living := membersOf(killed)
	for end := time.Now().Add(time.Minute); len(living) != 0 && time.Now().Before(end); living = membersOf(killed) {
		time.Sleep(time.Millisecond)
	}
	if len(living) != 0 {
		t.Errorf("these live on: %v", living)
	}
	left := []string{"unknown"}
	for end := time.Now().Add(time.Minute); len(left) != 0 && time.Now().Before(end); left = groupsOf(killed) {
		probe := role(t, roleProbe) // sweeps
		probe.Env = append(probe.Env, "TMPDIR="+tmp)
		if out, err := probe.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if left, _ := os.ReadDir(tmp); len(left) != 0 {
		t.Errorf("left in %s: %v", tmp, left)
	}
}

// membersOf are the processes in the cgroups that processes made.
func membersOf(pids []int) (members []string) {
	for _, group := range groupsOf(pids) {
		list, _ := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		members = append(members, strings.Fields(string(list))...)
	}
	return members
}

// groupsOf are the cgroups that processes made.
func groupsOf(pids []int) (names []string) {
	filepath.WalkDir("/sys/fs/cgroup", func(name string, e fs.DirEntry, err error) error {
		for _, pid := range pids {
			if err == nil && strings.HasPrefix(e.Name(), fmt.Sprintf("mgx-box-%d-", pid)) {
				names = append(names, name)
			}
		}
		return nil
	})
	return names
}

// TestProgramHeld has a command whose program the kernel does not let it open: the
// command ends with its time all the same, at level lite too, where its init ends it.
func TestProgramHeld(t *testing.T) {
	for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
		work := t.TempDir()
		program := filepath.Join(work, "program")
		if err := os.WriteFile(program, []byte("#!/bin/sh\ntouch ran\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		box, err := d.Open(t.Context(), sandbox.Spec{Work: work})
		if err != nil {
			t.Skip(err)
		}
		defer box.Close()
		held, err := os.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(held.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
			t.Skip(err)
		}
		begin := time.Now()
		r, err := box.Run(t.Context(), sandbox.Command{Args: []string{"./program"}, Timeout: time.Second})
		if took := time.Since(begin); err != nil || !r.TimedOut || took > 15*time.Second {
			t.Errorf("%s: after %v: timed out: %v, %v", box.Level(), took, r.TimedOut, err)
		}
		held.Close()
		if _, err := os.Stat(filepath.Join(work, "ran")); err == nil {
			t.Errorf("%s: it ran", box.Level())
		}
	}
}

// TestForbidden runs where the kernel refuses user namespaces: inside one that
// may have none below it.
func TestForbidden(t *testing.T) {
	forbid := func(t *testing.T, name string) string {
		cmd := role(t, name)
		cmd.Args = []string{"sh", "-c", `echo 0 >/proc/sys/user/max_user_namespaces && exec "$0"`, cmd.Path}
		cmd.Path = "/bin/sh"
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	out := forbid(t, roleOpen)
	if !strings.HasPrefix(out, "config\nsandbox_unavailable\n") {
		t.Errorf("open: %s", out)
	}
	for _, word := range []string{"user.max_user_namespaces", "--sandbox=off"} {
		if !strings.Contains(out, word) {
			t.Errorf("open does not name %s: %s", word, out)
		}
	}
	if out := forbid(t, roleProbe); !strings.HasPrefix(out, "\nuser namespace: ") {
		t.Errorf("probe: %s", out)
	}
}

func TestErrorsAreForPeople(t *testing.T) {
	box, err := native.New().Open(t.Context(), sandbox.Spec{Work: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = box.Run(t.Context(), sandbox.Command{Args: []string{"true"}, Timeout: time.Minute, Dir: "/workspace/absent"})
	e, ok := errors.AsType[*mgx.Error](err)
	if !ok || e.Kind != mgx.KindUsage || !strings.Contains(e.Message, "/workspace/absent") || strings.Contains(e.Message, "machine") {
		t.Errorf("%v", err)
	}
}

// TestWithoutOverlay keeps the state of a box on an overlay, which cannot be the
// upper layer of another: as in most containers.
func TestWithoutOverlay(t *testing.T) {
	cmd := role(t, roleNoOverlay)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func withoutOverlay(dir string) error {
	for _, d := range []string{"lower", "upper", "work", "on", "cache"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	on := filepath.Join(dir, "on")
	layers := "userxattr,lowerdir=" + dir + "/lower,upperdir=" + dir + "/upper,workdir=" + dir + "/work"
	if err := syscall.Mount("overlay", on, "overlay", 0, layers); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "cache/file"), []byte("host"), 0o644); err != nil {
		return err
	}
	box, err := native.New().Open(context.Background(), sandbox.Spec{Work: on, State: filepath.Join(on, "state"), Mounts: []sandbox.Mount{
		{Host: filepath.Join(dir, "cache"), Guest: "/overlay", Mode: sandbox.Overlay},
		{Host: filepath.Join(dir, "cache"), Guest: "/cache", Mode: sandbox.Cache},
	}})
	if err != nil {
		return err
	}
	for _, script := range []string{
		`test "$(cat /overlay/file)" = host && ! touch /overlay/new 2>/dev/null`,
		`test -z "$(ls /cache)" && echo kept >/cache/file`,
		`test "$(cat /cache/file)" = kept`,
	} {
		r, err := box.Run(context.Background(), sandbox.Command{Args: []string{"sh", "-c", script}, Stderr: os.Stderr, Timeout: time.Minute})
		if err != nil || r.ExitCode != 0 {
			return fmt.Errorf("%s: %d, %v", script, r.ExitCode, err)
		}
	}
	return nil
}
