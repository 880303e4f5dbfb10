package main

import (
	"strings"
	"testing"

	"mgx"
)

// At a terminal a run at a server asks as one on this machine does.
func TestAtATerminalTheServersRunAsks(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must("project", "add", ".")
	server := l.serve("127.0.0.1:0")
	args := append([]string{}, append(labRun, "--approve", "ask", "--server", server.url)...)
	screen, code := l.atTerminal("y\n", args...)
	if run := l.only(l.store()); code != 0 || run.Status != mgx.RunDone || !strings.Contains(screen, "Approve?") {
		t.Errorf("exit %d, run %s\n%s", code, run.Status, screen)
	}
	server.end()
}
