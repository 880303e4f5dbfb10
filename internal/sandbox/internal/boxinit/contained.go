//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import "syscall"

// ContainedName is the argv[0] of the first process of a container that somebody
// else builds, such as Docker or gVisor. They pass on no descriptors, so it gets
// those of an init from [SocketPath], and becomes one.
const ContainedName = "mgx-sandbox-container"

// Where a container has what is only for its init.
const (
	ContainedDir = "/etc/mgx"
	SocketPath   = ContainedDir + "/socket" // a unix stream socket; who listens sends one message with descriptors
)

// ContainedDescriptors is how many of them there can be.
const ContainedDescriptors = 16

// becomeInit returns only an exit code, when it cannot.
func becomeInit() int {
	files, err := fetchDescriptors()
	if err == nil {
		err = arrange(files)
	}
	if err == nil {
		err = syscall.Exec("/proc/self/exe", []string{movedName}, Env)
	}
	_, _ = syscall.Write(2, []byte("mgx: the init of the container: "+err.Error()+"\n"))
	return 125
}

// fetchDescriptors asks for those of an init, in their order.
func fetchDescriptors() ([]int, error) {
	s, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, failing("socket", err)
	}
	defer syscall.Close(s)
	if err := syscall.Connect(s, &syscall.SockaddrUnix{Name: SocketPath}); err != nil {
		return nil, failing("connect to "+SocketPath, err)
	}
	rights := make([]byte, syscall.CmsgSpace(4*ContainedDescriptors))
	_, n, _, _, err := syscall.Recvmsg(s, make([]byte, 1), rights, syscall.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, failing("recvmsg", err)
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return nil, failing("recvmsg", syscall.EBADMSG)
	}
	return syscall.ParseUnixRights(&messages[0])
}

// An init that was in a container before has its descriptors, except for the
// command's, higher by movedBy: at the lower numbers our own runtime may have had
// some that it uses until the moment of exec.
const (
	movedName = "mgx-sandbox-init-moved"
	movedBy   = 61
	beyond    = 128 // all of them
)

// moved is what has to be added to a number of the plan.
var moved uintptr

func (p *Plan) move() {
	if p.Door != 0 {
		p.Door += int(moved)
	}
	p.Opened += int(moved)
}

// arrange gives files the numbers of an init's descriptors.
func arrange(files []int) error {
	for i, fd := range files {
		high, err := call(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, beyond)
		if err != nil {
			return failing("move a descriptor", err)
		}
		files[i] = high
	}
	for i, fd := range files {
		if i >= PlanFD {
			i += movedBy
		}
		if err := syscall.Dup3(fd, i, 0); err != nil {
			return failing("arrange descriptors", err)
		}
	}
	return nil
}

// settleIn does in a container what is left to do there. Its walls were built by
// others, and not as this init would: what it can, it puts on the command again.
func (p *Plan) settleIn() (stage string, err error) {
	_ = preferForOOM()
	if err := p.handOutListener(); err != nil {
		return "gate", err
	}
	_ = newKeyring() // a container has one of its own
	if err := dropPrivileges(); err != nil {
		return "privileges", err
	}
	syscall.Umask(0o022)
	return "", nil
}
