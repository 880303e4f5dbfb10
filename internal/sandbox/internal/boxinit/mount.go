//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"errors"
	"os"
	"path"
	"strconv"
	"syscall"
	"unsafe"
)

// Everything is opened as a detached mount while the host is still in view, and
// attached when only the box's root is. So no host path is ever resolved inside
// the box, and no path of the box on the host.

// detachAll opens every mount of the plan, in order.
func (p *Plan) detachAll() ([]int, error) {
	fds := make([]int, len(p.Mounts))
	for i := range p.Mounts {
		fd, err := p.Mounts[i].detach()
		if err != nil {
			return nil, failing(p.Mounts[i].Target, err)
		}
		fds[i] = fd
	}
	return fds, nil
}

// detach opens m as a mount that is attached nowhere yet.
func (m *Mount) detach() (fd int, err error) {
	switch m.Kind {
	case Bind:
		return openTree(m.Source, attrNoSuid|attrNoDev|m.readOnly())
	case Device:
		return openTree(m.Source, attrNoSuid|attrNoExec|attrReadOnly)
	case Tmpfs:
		return newFS("tmpfs", attrNoSuid|attrNoDev|m.readOnly(),
			[2]string{"size", strconv.FormatInt(m.Size, 10)},
			[2]string{"nr_inodes", strconv.FormatInt(m.Inodes, 10)},
			[2]string{"mode", m.Mode})
	case Proc:
		return m.detachProc()
	case Pts:
		return newFS("devpts", attrNoSuid|attrNoExec,
			[2]string{"ptmxmode", "0666"}, [2]string{"mode", "0620"}, [2]string{"max", strconv.Itoa(maxTerminals)})
	case Overlay:
		return m.detachOverlay()
	}
	return -1, errors.New("unknown kind of mount " + string(m.Kind))
}

// maxTerminals is how many a command can have. All boxes of the machine together have
// 3,072, unless it is set otherwise (kernel.pty.max, less kernel.pty.reserve, which is
// for those outside).
const maxTerminals = 32

func (m *Mount) readOnly() uint64 {
	if m.ReadOnly {
		return attrReadOnly
	}
	return 0
}

func openTree(source string, attrs uint64) (int, error) {
	fd, err := call(sysOpenTree, here, uintptr(pointer(source)), openTreeClone|syscall.O_CLOEXEC|atRecursive)
	if err != nil {
		return -1, &os.PathError{Op: "open_tree", Path: source, Err: err}
	}
	if err := setAttributes(uintptr(fd), "", atEmptyPath|atRecursive, attrs); err != nil {
		return -1, &os.PathError{Op: "mount_setattr", Path: source, Err: err}
	}
	return fd, nil
}

func setAttributes(dir uintptr, name string, flags uintptr, attrs uint64) error {
	attr := struct{ set, clear, propagation, userns uint64 }{set: attrs}
	_, err := call(sysMountSetattr, dir, uintptr(pointer(name)), flags, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	return err
}

func moveMount(fd int, to uintptr, target string, flags uintptr) error {
	_, err := call(sysMoveMount, uintptr(fd), uintptr(pointer("")), to, uintptr(pointer(target)), moveFromEmptyPath|flags)
	return err
}

// detachOverlay names the layers by descriptor: a path could hold the colons
// and commas that separate options, and would show the host's paths in
// /proc/self/mounts.
func (m *Mount) detachOverlay() (int, error) {
	options := [][2]string{{"lowerdir", m.Source}, {"upperdir", m.Upper}, {"workdir", m.Work}}
	for i, o := range options {
		fd, err := syscall.Open(o[1], openPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: o[1], Err: err}
		}
		defer syscall.Close(fd)
		options[i][1] = "/proc/self/fd/" + strconv.Itoa(fd)
	}
	options = append(options, [2]string{"index", "off"}, [2]string{"userxattr"})
	fd, err := newFS("overlay", attrNoSuid|attrNoDev, options...)
	if err != nil {
		return -1, overlayError{err}
	}
	return fd, nil
}

// overlayError is an overlay that could not be mounted.
type overlayError struct{ error }

func (e overlayError) Unwrap() error { return e.error }

// detachProc makes a /proc of the new pid namespace, which the command cannot
// write: much of it belongs to whoever is root outside, and MGX may run as root.
func (m *Mount) detachProc() (int, error) {
	fd, err := newFS("proc", attrNoSuid|attrNoDev|attrNoExec)
	if err != nil {
		return -1, err
	}
	// All are best effort, and the probe says when the first two do not hold: ordinary
	// users are bound by RLIMIT_NPROC, and capabilities in namespaces of one's
	// own reach nothing of the box.
	_ = boundPIDs(uintptr(fd), m.Processes)
	_ = forbidUserNamespaces(uintptr(fd))
	_ = boundWatches(uintptr(fd))
	return fd, setAttributes(uintptr(fd), "", atEmptyPath, attrReadOnly)
}

// newFS makes a file system; options without a value are flags.
func newFS(name string, attrs uint64, options ...[2]string) (int, error) {
	fs, err := call(sysFsopen, uintptr(pointer(name)), fsopenCloexec)
	if err != nil {
		return -1, failing("fsopen "+name, err)
	}
	defer syscall.Close(fs)
	for _, o := range options {
		if o[1] == "" {
			_, err = call(sysFsconfig, uintptr(fs), fsconfigSetFlag, uintptr(pointer(o[0])))
		} else {
			_, err = call(sysFsconfig, uintptr(fs), fsconfigSetString, uintptr(pointer(o[0])), uintptr(pointer(o[1])))
		}
		if err != nil {
			return -1, failing(name+" option "+o[0], err)
		}
	}
	if _, err := call(sysFsconfig, uintptr(fs), fsconfigCreate); err != nil {
		return -1, failing("new "+name, err)
	}
	fd, err := call(sysFsmount, uintptr(fs), fsmountCloexec, uintptr(attrs))
	if err != nil {
		return -1, failing("fsmount "+name, err)
	}
	return fd, nil
}

// attach hangs the detached mount fd at the target.
func (m *Mount) attach(fd int) error {
	defer syscall.Close(fd)
	if err := m.makePoint(); err != nil {
		return err
	}
	var err error
	if m.Make == MakeNothing || m.Make == OverSocket {
		err = m.attachInHost(fd)
	} else {
		err = moveMount(fd, here, m.Target, 0)
	}
	if err != nil {
		return &os.PathError{Op: "mount on", Path: m.Target, Err: err}
	}
	return nil
}

// attachInHost hangs fd where the mount point lies in files of the host, which
// agents may have written: a link planted there must not choose the place.
func (m *Mount) attachInHost(fd int) error {
	how := struct{ flags, mode, resolve uint64 }{openPath | syscall.O_CLOEXEC, 0, resolveNoSymlinks}
	point, err := call(sysOpenat2, here, uintptr(pointer(m.Target)), uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how))
	if err == nil {
		defer syscall.Close(point)
	}
	if m.Make == OverSocket && !isSocket(point, err) {
		return nil
	}
	if err != nil {
		return err
	}
	err = moveMount(fd, uintptr(point), "", moveToEmptyPath)
	if m.Make == OverSocket && err == syscall.ENOENT { // it has gone just now
		return nil
	}
	return err
}

// isSocket reports whether what was opened, or not, is a socket file.
func isSocket(fd int, err error) bool {
	var info syscall.Stat_t
	return err == nil && syscall.Fstat(fd, &info) == nil && info.Mode&syscall.S_IFMT == syscall.S_IFSOCK
}

// makePoint makes the mount point in a tmpfs of ours.
func (m *Mount) makePoint() error {
	if m.Make == MakeNothing || m.Make == OverSocket {
		return nil
	}
	err := m.makeLast()
	if err == syscall.ENOENT {
		if err := os.MkdirAll(path.Dir(m.Target), 0o755); err != nil {
			return err
		}
		err = m.makeLast()
	}
	if err != nil && err != syscall.EEXIST {
		return &os.PathError{Op: "make", Path: m.Target, Err: err}
	}
	return nil
}

func (m *Mount) makeLast() error {
	if m.Make == MakeDir {
		return syscall.Mkdir(m.Target, 0o755)
	}
	return syscall.Mknod(m.Target, syscall.S_IFREG|0o644, 0)
}

// enterRoot makes an empty tmpfs the root, and lets go of the old one.
func enterRoot() error {
	root := Mount{Kind: Tmpfs, Size: 8 << 20, Inodes: 8192, Mode: "0755"}
	fd, err := root.detach()
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	// Any directory serves as the place to pivot from: all sources are open.
	if err := moveMount(fd, here, "/proc", 0); err != nil {
		return failing("move_mount root", err)
	}
	if err := syscall.Fchdir(fd); err != nil {
		return failing("enter root", err)
	}
	if err := syscall.PivotRoot(".", "."); err != nil {
		return failing("pivot_root", err)
	}
	// The old root now lies over the new one; what is left of it goes.
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return failing("detach the host", err)
	}
	return syscall.Chdir("/")
}

func sealRoot() error { return setAttributes(here, "/", 0, attrReadOnly) }

// fill makes the tree of the root and attaches every mount.
func (p *Plan) fill(fds []int) error {
	for _, d := range p.Dirs {
		if err := syscall.Mkdir(d, 0o755); err != nil {
			return &os.PathError{Op: "mkdir", Path: d, Err: err}
		}
	}
	for _, l := range p.Links {
		if err := syscall.Symlink(l.To, l.Path); err != nil {
			return &os.PathError{Op: "symlink", Path: l.Path, Err: err}
		}
	}
	for _, f := range p.Files {
		if err := f.write(); err != nil {
			return &os.PathError{Op: "write", Path: f.Path, Err: err}
		}
	}
	for i := range p.Mounts {
		if err := p.Mounts[i].attach(fds[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f File) write() error {
	fd, err := syscall.Open(f.Path, syscall.O_CREAT|syscall.O_EXCL|syscall.O_WRONLY|syscall.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	_, err = syscall.Write(fd, []byte(f.Text))
	return err
}
