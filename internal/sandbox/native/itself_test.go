//go:build linux

package native_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
)

// TestProgramsRuleThemselves has programs set limits of their own and how they are
// scheduled, and files be what they are told to be. What a box refuses is only to
// do so to others.
func TestProgramsRuleThemselves(t *testing.T) {
	for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
		t.Run(d.Name(), func(t *testing.T) {
			box, err := d.Open(t.Context(), sandbox.Spec{Work: t.TempDir()})
			if err != nil {
				t.Skip(err)
			}
			defer box.Close()
			for _, line := range []string{
				"ulimit -n 100 && ulimit -t 60", "nice -n 1 true",
				"prlimit --nofile=100 true", "prlimit --pid $$", "taskset ffffffff true", "chrt --batch 0 true", "ionice -c 3 true",
				"touch file && chmod 700 file && touch -d @1 file && chgrp $(id -g) file && cp -p file copy && mv copy file",
				"tar -cf tar file && mkdir out && tar -xf tar -C out",
			} {
				program := strings.Fields(line)[0]
				if _, err := exec.LookPath(program); err != nil && program != "ulimit" {
					t.Logf("%s is not installed", program)
					continue
				}
				succeeds(t, box, sandbox.Command{Args: []string{"sh", "-c", line}})
			}
		})
	}
}

// TestWhoIsGivenADirectoryRulesItsFiles has a command that may not change the
// workspace change modes and times in a directory that it is given, as git does.
func TestWhoIsGivenADirectoryRulesItsFiles(t *testing.T) {
	for _, d := range []sandbox.Driver{native.New(), native.NewLite()} {
		t.Run(d.Name(), func(t *testing.T) {
			given := sandbox.Mount{Host: t.TempDir(), Guest: "/given", Mode: sandbox.ReadOnly}
			box, err := d.Open(t.Context(), sandbox.Spec{Work: t.TempDir(), Mounts: []sandbox.Mount{given}})
			if err != nil {
				t.Skip(err)
			}
			defer box.Close()
			given.Mode = sandbox.ReadWrite
			succeeds(t, box, sandbox.Command{
				Args:   []string{"sh", "-c", `cd "$1" && touch file && chmod 700 file`, "sh", box.Path(given.Guest)},
				Mounts: []sandbox.Mount{given}, ReadOnly: true,
			})
		})
	}
}

func succeeds(t *testing.T, box sandbox.Box, cmd sandbox.Command) {
	t.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Timeout = &said, &said, time.Minute
	if r, err := box.Run(t.Context(), cmd); err != nil || r.ExitCode != 0 {
		t.Errorf("%v: exit code %d, %v: %s", cmd.Args, r.ExitCode, err, said.String())
	}
}
