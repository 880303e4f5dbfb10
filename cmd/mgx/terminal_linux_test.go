package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mgx"
)

// atTerminal runs mgx with a terminal on standard input and standard error, at
// which the words are typed, and returns what the screen got and the exit code.
func (l *lab) atTerminal(typed string, args ...string) (screen string, code int) {
	l.t.Helper()
	master, slave := openTerminal(l.t)
	cmd := l.mgx(args...)
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdin, cmd.Stderr = slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	slave.Close()
	if _, err := io.WriteString(master, typed); err != nil {
		l.t.Fatal(err)
	}
	var got bytes.Buffer
	io.Copy(&got, master) // ends with EIO when the process has gone
	cmd.Wait()
	return got.String(), cmd.ProcessState.ExitCode()
}

// openTerminal makes a terminal: what its screen gets comes from master.
func openTerminal(t testing.TB) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this machine gives out no terminals: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// What agents made does not control the terminal at which it is shown.
func TestAtATerminalArtifactsAreCleaned(t *testing.T) {
	t.Parallel()
	for media, content := range map[string]string{
		"text/markdown": "one\x1b]0;owned\x07\n\x1b[2Jtwo\u202e\r\nthree\x00",
		patchMedia:      "+one\x1b]0;owned\x07\n+\x1b[2Jtwo\r\n+three\x00",
	} {
		master, slave := openTerminal(t)
		c := &cli{out: slave}
		if err := c.showArtifact(media, []byte(content)); err != nil {
			t.Fatal(err)
		}
		slave.Close()
		var screen bytes.Buffer
		io.Copy(&screen, master) // ends with EIO when nobody has the terminal
		got := screen.String()
		for _, bad := range []string{"\x1b]", "\x1b[2J", "\x07", "\x00", "\u202e"} {
			if strings.Contains(got, bad) {
				t.Errorf("%s: the screen got %q", media, got)
			}
		}
		for _, word := range []string{"one", "two", "three"} {
			if !strings.Contains(got, word) {
				t.Errorf("%s: the screen did not get %s: %q", media, word, got)
			}
		}
	}
}

// A new password is typed twice.
func TestAtATerminalPasswordsAreAskedTwice(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	screen, code := l.atTerminal("the one they have\nthe new one of theirs\nthe new one of others\n", "password", "--server", "http://127.0.0.1:1", "--token", "x")
	if code != 2 || !strings.Contains(screen, "its repetition differ; nothing was changed") {
		t.Errorf("exit %d\n%s", code, screen)
	}
	if screen, code = l.atTerminal("the one they have\nthe new one of theirs\nthe new one of theirs\n", "password", "--server", "http://127.0.0.1:1", "--token", "x"); code != 3 || !strings.Contains(screen, "cannot be reached") {
		t.Errorf("exit %d\n%s", code, screen)
	}
}

func TestAtATerminalThePersonIsAsked(t *testing.T) {
	t.Parallel()
	ask := append([]string{}, append(labRun, "--approve", "ask")...)
	for typed, want := range map[string]struct {
		code   int
		status mgx.RunStatus
		reason string
	}{
		"y\n":                {0, mgx.RunDone, ""},
		"too much at once\n": {6, mgx.RunRefused, "too much at once"},
		"later\n":            {6, mgx.RunWaiting, ""},
		"\x04":               {6, mgx.RunWaiting, ""}, // end of input
	} {
		t.Run(fmt.Sprintf("%q", typed), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, labScript)
			screen, code := l.atTerminal(typed, ask...)
			run := l.only(l.store())
			if code != want.code || run.Status != want.status {
				t.Fatalf("exit %d, run %s\n%s", code, run.Status, screen)
			}
			if !strings.Contains(screen, "Approve?") || !strings.Contains(screen, "change greet.sh") {
				t.Errorf("the plan was not put to the person:\n%s", screen)
			}
			if want.reason != "" && (run.Approval == nil || run.Approval.Reason != want.reason) {
				t.Errorf("the reason is not kept: %+v", run.Approval)
			}
		})
	}
}

// TestAtATerminalCallsAreAskedAbout answers each call that the policy asks about, one
// of them for the rest of the run.
func TestAtATerminalCallsAreAskedAbout(t *testing.T) {
	t.Parallel()
	l := newLab(t, policyScript)
	screen, code := l.atTerminal("y\nr\nlook at the diff\ny\n", "run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--policy", "accept-edits")
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, screen)
	}
	for _, want := range []string{`{"command":"echo made >> made.txt"}`, "no rule allows this command", "[r]est", "this exact command", "untrusted content"} {
		if !strings.Contains(screen, want) {
			t.Errorf("%q was not put to the person:\n%s", want, screen)
		}
	}
	l.verify(0)
}

// changesScript changes a file, and once more when a person wants it different.
const changesScript = `{
 "models": ["lab"],
 "roles": {
  "triage": [{"calls": [{"name": "finish", "args": {"kind": "change", "type": "code_generation", "size": "S", "title": "Say hello"}}]}],
  "implementer": [
   {"calls": [{"name": "edit", "args": {"path": "greet.sh", "old_string": "echo bye", "new_string": "echo hello"}}]},
   {"calls": [{"name": "finish", "args": {"status": "done", "subject": "Say hello", "body": "", "summary": "It says hello."}}]},
   {"expect": "name the world, too", "calls": [{"name": "write", "args": {"path": "world.txt", "content": "world\\n"}}]},
   {"calls": [{"name": "finish", "args": {"status": "done", "subject": "Say hello to the world", "body": "", "summary": "It names the world."}}]}],
  "reviewer": [{"calls": [{"name": "finish", "args": {"verdict": "approve", "summary": "Fine.", "findings": []}}]}]
 }}`

// At a terminal, here and of a run at a server, a delivery is answered with what
// should be different; without words there is nothing to request, which is said and
// asked again.
func TestAtATerminalChangesAreRequested(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"here", "at a server"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, changesScript)
			args := []string{"run", "say hello", "--model", "openai/lab"}
			if place == "here" {
				args = append(args, "--policy", "accept-edits")
			} else {
				l.must("project", "add", ".")
				server := l.serve("127.0.0.1:0")
				defer server.end()
				args = append(args, "--policy", "accept-edits", "--server", server.url)
			}
			screen, code := l.atTerminal("c\n\nchanges\nname the world, too\ny\n", args...)
			if code != 0 {
				t.Fatalf("exit %d\n%s", code, screen)
			}
			for _, want := range []string{"[c]hanges", "What should be different?", "say in words what should be different"} {
				if !strings.Contains(screen, want) {
					t.Errorf("%q is not on the screen:\n%s", want, screen)
				}
			}
			s := l.store()
			run := l.only(s)
			if n := len(l.eventsOf(s, run, string(mgx.RunChangesRequested))); n != 1 || run.Status != mgx.RunDone {
				t.Errorf("changes were requested %d times, and the run is %s", n, run.Status)
			}
			if files := l.git("ls-tree", "--name-only", run.Delivered.Branch); !strings.Contains(files, "world.txt") {
				t.Errorf("delivered are %s", files)
			}
		})
	}
}

// TestNoTerminalNoPrompt has the same run without one: it must not even print
// the question.
func TestNoTerminalNoPrompt(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	_, stderr, code := l.run(append(labRun, "--approve", "ask")...)
	if code != 6 || strings.Contains(stderr, "Approve?") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}
