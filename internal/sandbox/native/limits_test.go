//go:build linux

package native_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

const lowEnv = "MGX_SANDBOX_TEST_LOW"

// TestUnderLowerLimits has MGX itself be allowed less than it allows commands by
// default, as where nobody raised what the kernel begins with. Commands run, and
// are allowed no more than MGX.
func TestUnderLowerLimits(t *testing.T) {
	if os.Getenv(lowEnv) == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", `ulimit -Sn 1000 && ulimit -Hn 1000 && exec "$@"`, "sh", exe, "-test.run=^TestUnderLowerLimits$")
		cmd.Env = append(os.Environ(), lowEnv+"=1")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		return
	}
	for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
		box, err := d.Open(t.Context(), sandbox.Spec{Work: t.TempDir()})
		if err != nil {
			t.Skip(err)
		}
		defer box.Close()
		var out bytes.Buffer
		r, err := box.Run(t.Context(), sandbox.Command{Args: []string{"sh", "-c", "ulimit -Hn"}, Stdout: &out, Stderr: &out, Timeout: time.Minute})
		if err != nil || r.ExitCode != 0 || strings.TrimSpace(out.String()) != "1000" {
			t.Errorf("%s: exit code %d, %v, and it may open %q files", box.Level(), r.ExitCode, err, out.String())
		}
	}
}

const besideEnv = "MGX_SANDBOX_TEST_BESIDE"

// TestLiteGivesProcessesBesideThoseOfTheUser has an ordinary user with more processes
// than a command may have, and a command that starts all it can. Both that command and
// one that begins meanwhile have theirs, and so has whoever is in no box.
func TestLiteGivesProcessesBesideThoseOfTheUser(t *testing.T) {
	if os.Getenv(besideEnv) == "" {
		if os.Geteuid() != 0 {
			t.Skip("only root becomes another user")
		}
		runAsNobody(t, "^TestLiteGivesProcessesBesideThoseOfTheUser$", func(string) string { return besideEnv + "=1" })
		return
	}
	const sleepers = "i=0; while [ $i -lt 400 ]; do sleep 1000 & i=$((i+1)); done; echo ready; read x"
	others := exec.Command("sh", "-c", sleepers)
	others.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := others.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := others.StdoutPipe()
	if err == nil {
		err = others.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-others.Process.Pid, syscall.SIGKILL)
		_ = others.Wait()
	}()
	if _, err := out.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	run := func(script string, stdin io.Reader, stdout io.Writer) sandbox.Result {
		box, err := native.NewLite().Open(t.Context(), sandbox.Spec{Work: t.TempDir(), Limits: sandbox.Limits{Processes: 100}})
		if err != nil {
			t.Error(err)
			return sandbox.Result{}
		}
		defer box.Close()
		r, err := box.Run(t.Context(), sandbox.Command{Args: []string{"sh", "-c", script}, Stdin: stdin, Stdout: stdout, Timeout: time.Minute})
		if err != nil {
			t.Error(err)
		}
		return r
	}
	few := "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo started"
	if r := run(few, nil, nil); r.ExitCode != 0 {
		t.Errorf("a command beside the user's processes: %+v", r)
	}
	begun, release := io.Pipe()
	hold, let := io.Pipe()
	ended := make(chan sandbox.Result, 1)
	go func() {
		ended <- run("("+sleepers+") 2>&1; echo full; read x", hold, release)
		release.Close()
	}()
	text := make([]byte, 100)
	n, err := begun.Read(text)
	if err != nil {
		t.Errorf("the command that starts all it can: %v", err)
		return
	}
	go io.Copy(io.Discard, begun)
	if strings.HasPrefix(string(text[:n]), "ready") {
		t.Error("nothing bounds a command's processes")
	}
	if err := exec.Command("sh", "-c", "sleep 0 & wait").Run(); err != nil {
		t.Errorf("others of the user, while one starts all it can: %v", err)
	}
	if r := run(few, nil, nil); r.ExitCode != 0 {
		t.Errorf("another command meanwhile: %+v", r)
	}
	let.Close()
	<-ended
}
