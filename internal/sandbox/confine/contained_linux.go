//go:build amd64 || arm64 || riscv64

package confine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"mgx/internal/sandbox/internal/shell"
)

// Builder starts containers, each for one init.
type Builder struct {
	// Dir is a directory of this process, for sockets.
	Dir string
	// Build is the command that builds a container which shows socket at
	// boxinit.SocketPath, runs its first process as boxinit.ContainedName, and lasts
	// as long, with its exit code. The returned function ends the container
	// whatever becomes of the command.
	Build func(socket string) (cmd *exec.Cmd, end func(), err error)
}

// Start is a [Start]: the init is the first process of a new container.
func (b Builder) Start(ctx context.Context, files []*os.File, group Group) (Process, error) {
	m, err := Meet(b.Dir)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	c := &container{gone: make(chan struct{})}
	if c.cmd, c.end, err = b.Build(m.Path()); err != nil {
		return nil, err
	}
	c.cmd.Stdout, c.cmd.Stderr = &c.said, &c.said
	enter(c.cmd, group)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.gone)
	}()
	if err := m.Hand(ctx, c.gone, files); err != nil {
		c.Kill()
		<-c.gone
		if words := c.said.words(); words != "" {
			err = fmt.Errorf("%w: %s", err, words)
		}
		return nil, err
	}
	return c, nil
}

// enter has a command that was not started yet begin in a cgroup. It enters by
// itself, as a shell, which becomes the command.
func enter(cmd *exec.Cmd, g Group) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if g.Directory != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(g.Directory.Fd())
	}
	if len(g.Entries) == 0 {
		return
	}
	const first = 3 // of ExtraFiles
	var script strings.Builder
	script.WriteString("set -e; ")
	for i := range g.Entries {
		fmt.Fprintf(&script, "echo 0 >&%d; exec %[1]d>&-; ", first+i)
	}
	cmd.ExtraFiles = g.Entries
	cmd.Args = append([]string{"sh", "-c", script.String() + `exec "$@"`, "sh"}, append([]string{cmd.Path}, cmd.Args[1:]...)...)
	cmd.Path = "/bin/sh"
}

// container is a container seen from outside: the command that built it and waits
// for its end.
type container struct {
	cmd  *exec.Cmd
	end  func()
	said said
	gone chan struct{} // closed when the command has ended
	err  error         // of the command; read when it has ended
}

// Words are what was said by whoever built it, and by its init before that had
// streams of its own.
func (c *container) Words() string {
	<-c.gone
	return c.said.words()
}

func (c *container) Kill() {
	select {
	case <-c.gone:
		return
	default:
	}
	c.end()
	_ = c.cmd.Process.Kill()
}

func (c *container) Wait() (code int, err error) {
	<-c.gone
	state := c.cmd.ProcessState
	if state == nil {
		return 0, c.err
	}
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		return shell.Killed + int(status.Signal()), nil
	}
	return state.ExitCode(), nil
}

// said keeps the beginning of what a builder says, which is why it failed.
type said struct{ text bytes.Buffer }

func (s *said) Write(p []byte) (int, error) {
	const most = 2 << 10
	s.text.Write(p[:min(len(p), max(0, most-s.text.Len()))])
	return len(p), nil
}

func (s *said) words() string { return strings.Join(strings.Fields(s.text.String()), " ") }
