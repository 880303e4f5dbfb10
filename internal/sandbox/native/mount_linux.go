//go:build amd64 || arm64 || riscv64

package native

import (
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// Everything is opened as a detached mount while the host is still in view, and
// attached when only the box's root is. So no host path is ever resolved inside
// the box, and no path of the box on the host.

// detach opens m as a mount that is attached nowhere yet.
func (m mount) detach() (fd int, err error) {
	switch m.Kind {
	case bind:
		return openTree(m.Source, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|m.readOnly())
	case device:
		return openTree(m.Source, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_RDONLY)
	case tmpfs:
		return newFS("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|m.readOnly(),
			[2]string{"size", strconv.FormatInt(m.Size, 10)},
			[2]string{"nr_inodes", strconv.FormatInt(m.Inodes, 10)},
			[2]string{"mode", m.Mode})
	case proc:
		return m.detachProc()
	case overlay:
		return m.detachOverlay()
	}
	return -1, fmt.Errorf("unknown mount kind %q", m.Kind)
}

func (m mount) readOnly() uint64 {
	if m.ReadOnly {
		return unix.MOUNT_ATTR_RDONLY
	}
	return 0
}

func openTree(source string, attrs uint64) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, &os.PathError{Op: "open_tree", Path: source, Err: err}
	}
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attrs})
	if err != nil {
		return -1, &os.PathError{Op: "mount_setattr", Path: source, Err: err}
	}
	return fd, nil
}

// detachOverlay names the layers by descriptor: a path could hold the colons
// and commas that separate options, and would show the host's paths in
// /proc/self/mounts.
func (m mount) detachOverlay() (int, error) {
	options := [][2]string{{"lowerdir", m.Source}, {"upperdir", m.Upper}, {"workdir", m.Work}}
	for i, o := range options {
		fd, err := unix.Open(o[1], unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: o[1], Err: err}
		}
		defer unix.Close(fd)
		options[i][1] = "/proc/self/fd/" + strconv.Itoa(fd)
	}
	options = append(options, [2]string{"index", "off"}, [2]string{"userxattr"})
	fd, err := newFS("overlay", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, options...)
	if err != nil {
		return -1, overlayError{err}
	}
	return fd, nil
}

// detachProc makes a /proc of the new pid namespace, which the command cannot
// write: much of it belongs to whoever is root outside, and MGX may run as root.
func (m mount) detachProc() (int, error) {
	fd, err := newFS("proc", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return -1, err
	}
	// Both are best effort, and the probe says when they do not hold: ordinary
	// users are bound by RLIMIT_NPROC, and capabilities in namespaces of one's
	// own reach nothing of the box.
	boundPIDs(fd, m.Processes)
	forbidUserNamespaces(fd)
	return fd, unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// newFS makes a file system; options without a value are flags.
func newFS(name string, attrs uint64, options ...[2]string) (int, error) {
	fs, err := unix.Fsopen(name, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen %s: %w", name, err)
	}
	defer unix.Close(fs)
	for _, o := range options {
		if o[1] == "" {
			err = unix.FsconfigSetFlag(fs, o[0])
		} else {
			err = unix.FsconfigSetString(fs, o[0], o[1])
		}
		if err != nil {
			return -1, fmt.Errorf("%s option %s: %w", name, o[0], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("new %s: %w", name, err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(attrs))
	if err != nil {
		return -1, fmt.Errorf("fsmount %s: %w", name, err)
	}
	return fd, nil
}

// attach hangs the detached mount fd at the target.
func (m mount) attach(fd int) error {
	defer unix.Close(fd)
	if err := m.makePoint(); err != nil {
		return err
	}
	var err error
	if m.Make == makeNothing {
		err = m.attachInHost(fd)
	} else {
		err = unix.MoveMount(fd, "", unix.AT_FDCWD, m.Target, unix.MOVE_MOUNT_F_EMPTY_PATH)
	}
	if err != nil {
		return &os.PathError{Op: "mount on", Path: m.Target, Err: err}
	}
	return nil
}

// attachInHost hangs fd where the mount point lies in files of the host, which
// agents may have written: a link planted there must not choose the place.
func (m mount) attachInHost(fd int) error {
	point, err := unix.Openat2(unix.AT_FDCWD, m.Target, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return err
	}
	defer unix.Close(point)
	return unix.MoveMount(fd, "", point, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// makePoint makes the mount point in a tmpfs of ours.
func (m mount) makePoint() error {
	if m.Make == makeNothing {
		return nil
	}
	err := m.makeLast()
	if err == unix.ENOENT {
		if err := os.MkdirAll(path.Dir(m.Target), 0o755); err != nil {
			return err
		}
		err = m.makeLast()
	}
	if err != nil && err != unix.EEXIST {
		return &os.PathError{Op: "make", Path: m.Target, Err: err}
	}
	return nil
}

func (m mount) makeLast() error {
	if m.Make == makeDir {
		return unix.Mkdir(m.Target, 0o755)
	}
	return unix.Mknod(m.Target, unix.S_IFREG|0o644, 0)
}

// enterRoot makes an empty tmpfs the root, and lets go of the old one.
func enterRoot() error {
	fd, err := mount{Kind: tmpfs, Size: 8 << 20, Inodes: 8192, Mode: "0755"}.detach()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// Any directory serves as the place to pivot from: all sources are open.
	const place = "/proc"
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, place, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount root: %w", err)
	}
	if err := unix.Fchdir(fd); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	// The old root now lies over the new one; what is left of it goes.
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the host: %w", err)
	}
	return os.Chdir("/")
}

func sealRoot() error {
	return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// detachAll opens every mount of the plan, in order.
func (p plan) detachAll() ([]int, error) {
	fds := make([]int, len(p.Mounts))
	for i, m := range p.Mounts {
		fd, err := m.detach()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Target, err)
		}
		fds[i] = fd
	}
	return fds, nil
}

// fill makes the tree of the root and attaches every mount.
func (p plan) fill(fds []int) error {
	for _, d := range p.Dirs {
		if err := unix.Mkdir(d, 0o755); err != nil {
			return &os.PathError{Op: "mkdir", Path: d, Err: err}
		}
	}
	for _, l := range p.Links {
		if err := unix.Symlink(l.To, l.Path); err != nil {
			return &os.PathError{Op: "symlink", Path: l.Path, Err: err}
		}
	}
	for _, f := range p.Files {
		if err := f.write(); err != nil {
			return &os.PathError{Op: "write", Path: f.Path, Err: err}
		}
	}
	for i, m := range p.Mounts {
		if err := m.attach(fds[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f file) write() error {
	fd, err := unix.Open(f.Path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(f.Text))
	return err
}
