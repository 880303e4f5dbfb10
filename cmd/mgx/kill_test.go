package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
)

var labRun = []string{"run", "say hello", "--model", "openai/lab", "--check", "sh check.sh"}

// TestKilledAtAnyEventTheRunCompletes kills the process when the n-th event has
// been seen, for every n, or for a sample of them unless MGX_KILL=all, and lets
// another process go on.
func TestKilledAtAnyEventTheRunCompletes(t *testing.T) {
	t.Parallel()
	events, _ := newLab(t, labScript).killAt(func(int, mgx.Event) bool { return false }, labRun...)
	step := 9
	if os.Getenv("MGX_KILL") == "all" {
		step = 1
	}
	for n := 1; n <= events; n += step {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, labScript)
			before := l.fingerprint()
			if _, killed := l.killAt(func(seen int, _ mgx.Event) bool { return seen == n }, labRun...); !killed {
				t.Fatal("the run ended first")
			}
			l.resumeKilled()
			l.verify(1)
			if l.fingerprint() != before {
				t.Error("the user's repository has changed")
			}
		})
	}
}

// resumeKilled goes on with a run, which may have ended just before the kill.
func (l *lab) resumeKilled() {
	l.t.Helper()
	_, stderr, code := l.run("resume")
	if code != 0 {
		l.t.Fatalf("resume: exit %d\n%s", code, stderr)
	}
}

// TestKilledInTheMiddleOfAModelStream kills the process while the provider is in
// the middle of its n-th answer, for every n.
func TestKilledInTheMiddleOfAModelStream(t *testing.T) {
	t.Parallel()
	turns := 8
	for n := 1; n <= turns; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, labScript)
			process := make(chan *os.Process, 1)
			kill := func(request, piece int) {
				if request == n && piece == 2 {
					(<-process).Kill()
				}
			}
			l.streaming.Store(&kill)
			cmd := l.mgx(labRun...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			process <- cmd.Process
			if err := cmd.Wait(); err == nil {
				t.Fatal("the process was not killed")
			}
			l.streaming.Store(nil)
			l.resumeKilled()
			l.verify(1)
		})
	}
}

// TestKilledInTheMiddleOfATool kills the process when a shell command has done
// half of its work. The files must be put back before it runs again, or its line
// would be there twice.
func TestKilledInTheMiddleOfATool(t *testing.T) {
	t.Parallel()
	l := newLab(t, strings.Replace(labScript, "echo made >> made.txt;", "echo made >> made.txt; sleep 1;", 1))
	_, killed := l.killAt(func(_ int, e mgx.Event) bool {
		if e.Type != mgx.ToolCalled || !strings.Contains(string(e.Data), "sleep 1") {
			return false
		}
		made := filepath.Join(l.home, ".local/share/mgx/runs", string(e.Run), "work/made.txt")
		for range 5000 {
			if text, err := os.ReadFile(made); err == nil && len(text) > 0 {
				return true
			}
			time.Sleep(time.Millisecond)
		}
		t.Error("the command did not begin")
		return true
	}, labRun...)
	if !killed {
		t.Fatal("the command was not seen")
	}
	l.resumeKilled()
	l.verify(1)
}

// TestKilledAgainAndAgain kills the process at every tenth event, resuming in
// between, until the run is through.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	args, crashes := labRun, 0
	for {
		_, killed := l.killAt(func(seen int, _ mgx.Event) bool { return seen == 10 }, args...)
		if !killed {
			break
		}
		if crashes++; crashes > 60 {
			t.Fatal("the run makes no progress")
		}
		args = []string{"resume"}
	}
	if crashes < 3 {
		t.Errorf("only %d crashes", crashes)
	}
	l.verify(crashes)
}

// TestTwoProcessesNeverWorkOnOneRun starts the same run's work twice at once.
func TestTwoProcessesNeverWorkOnOneRun(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.killAt(func(seen int, _ mgx.Event) bool { return seen == 12 }, labRun...)
	id := string(l.only(l.store()).ID)
	codes := make([]int, 3)
	var wg sync.WaitGroup
	for i := range codes {
		wg.Go(func() { _, _, codes[i] = l.run("resume", id) })
	}
	wg.Wait()
	done := 0
	for _, code := range codes {
		switch code {
		case 0:
			done++
		case 2, 3: // busy elsewhere, or ended already
		default:
			t.Errorf("exit codes %v", codes)
		}
	}
	if done == 0 {
		t.Errorf("nobody did it: exit codes %v", codes)
	}
	l.verify(1)
}
