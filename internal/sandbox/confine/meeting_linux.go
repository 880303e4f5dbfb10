//go:build amd64 || arm64 || riscv64

package confine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox/internal/boxinit"
)

// Meeting is where the init of a container gets its descriptors, which whoever
// builds containers does not pass on: a socket that is shown to one container,
// answers one process, which is the init as long as there is no other, and is then
// deaf.
type Meeting struct {
	dir string
	l   *net.UnixListener
}

// meetingPatience is how long a container may take to be built.
const meetingPatience = 2 * time.Minute

// Meet listens in a directory of its own below dir.
func Meet(dir string) (*Meeting, error) {
	own, err := os.MkdirTemp(dir, "meeting-")
	if err != nil {
		return nil, err
	}
	m := &Meeting{dir: own}
	if m.l, err = listen(own); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// listen goes by the directory's descriptor: addresses of sockets are short, paths
// may be long.
func listen(dir string) (*net.UnixListener, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	name := "/proc/self/fd/" + strconv.Itoa(int(d.Fd())) + "/socket"
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err == nil {
		l.SetUnlinkOnClose(false) // by then the name leads elsewhere
	}
	return l, err
}

// Path is where the socket is on this host; a container has it at
// boxinit.SocketPath.
func (m *Meeting) Path() string { return filepath.Join(m.dir, "socket") }

// Hand gives the files to the init when it comes, or returns why it did not: ctx
// ended, or gone was closed because there is no container any more.
func (m *Meeting) Hand(ctx context.Context, gone <-chan struct{}, files []*os.File) error {
	if len(files) > boxinit.ContainedDescriptors {
		return errors.New("too many descriptors")
	}
	ctx, cancel := context.WithTimeout(ctx, meetingPatience)
	defer cancel()
	met := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-gone:
		case <-met:
		}
		m.l.Close()
	}()
	conn, err := m.l.AcceptUnix()
	close(met)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("the container did not begin: %w", ctx.Err())
		}
		return errors.New("the container did not begin")
	}
	defer conn.Close()
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	_, _, err = conn.WriteMsgUnix([]byte{0}, unix.UnixRights(fds...), nil)
	return err
}

// Close removes what there is of the meeting.
func (m *Meeting) Close() {
	if m.l != nil {
		m.l.Close()
	}
	_ = os.RemoveAll(m.dir)
}
