//go:build amd64 || arm64 || riscv64

package confine

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
)

// door is how the gate of a box comes to hear what its commands say. The init
// listens in the network of the box, which nobody else is in, and hands that
// listener out; what connects to it is accepted in ours. So nothing of the gate
// runs in the box, and the box has no other way out. A nil door is none.
type door struct {
	gate     sandbox.Gate
	inner    *os.File // the init's end, until it is started
	outer    *os.File
	finish   func() []sandbox.Visit
	finished bool
}

// Gate is what a command may use to reach hosts; nil: nothing.
func (b *Box) Gate(cmd sandbox.Command) sandbox.Gate {
	switch {
	case !cmd.Online:
		return nil
	case cmd.Gate != nil:
		return cmd.Gate
	}
	return b.Spec.Gate
}

func (b *Box) gateEnviron(cmd sandbox.Command) []string {
	if gate := b.Gate(cmd); gate != nil {
		return gate.Environ()
	}
	return nil
}

// openDoor tells the plan of the door.
func openDoor(gate sandbox.Gate, p *Plan) (*door, error) {
	if gate == nil {
		return nil, nil
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	p.gated = true
	return &door{gate: gate, outer: os.NewFile(uintptr(pair[0]), "door"), inner: os.NewFile(uintptr(pair[1]), "door")}, nil
}

// theirs is what the init inherits.
func (d *door) theirs() []*os.File {
	if d == nil {
		return nil
	}
	return []*os.File{d.inner}
}

// open takes the listener, which was sent before the command was started, and
// has the gate serve it.
func (d *door) open(visited func(soFar func() []sandbox.Visit)) error {
	if d == nil {
		return nil
	}
	l, err := d.receive()
	if err != nil {
		return err
	}
	soFar, end := d.gate.Serve(l)
	d.finish = end
	if visited != nil {
		visited(soFar)
	}
	return nil
}

func (d *door) receive() (net.Listener, error) {
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(d.outer.Fd()), make([]byte, 1), rights, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(errors.New("the init handed out no listener"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(errors.New("the init handed out no listener"), err)
	}
	f := os.NewFile(uintptr(fds[0]), "gate")
	defer f.Close() // a listener has a copy of its own
	return net.FileListener(f)
}

// close ends what the gate serves. It is called once everything in the box is
// dead, and again by whoever gives up before.
func (d *door) close() []sandbox.Visit {
	if d == nil || d.finished {
		return nil
	}
	d.finished = true
	d.inner.Close()
	d.outer.Close()
	if d.finish == nil {
		return nil
	}
	return d.finish()
}
