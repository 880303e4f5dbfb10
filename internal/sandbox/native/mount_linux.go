//go:build amd64 || arm64 || riscv64

package native

import (
	"errors"
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
		return newFS("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV,
			[2]string{"size", strconv.FormatInt(m.Size, 10)},
			[2]string{"nr_inodes", strconv.FormatInt(m.Inodes, 10)},
			[2]string{"mode", m.Mode})
	case proc:
		return newFS("proc", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_RDONLY)
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
	options = append(options, [2]string{"userxattr"})
	return newFS("overlay", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, options...)
}

// newFS makes a file system; options without a value are flags.
func newFS(name string, attrs int, options ...[2]string) (int, error) {
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
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attrs)
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
	point, err := unix.Openat2(unix.AT_FDCWD, m.Target, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC,
		// A link planted in the workspace must not choose where we mount.
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return &os.PathError{Op: "mount point", Path: m.Target, Err: err}
	}
	defer unix.Close(point)
	err = unix.MoveMount(fd, "", point, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		return &os.PathError{Op: "move_mount", Path: m.Target, Err: err}
	}
	return nil
}

func (m mount) makePoint() error {
	switch m.Make {
	case makeDir:
		return os.MkdirAll(m.Target, 0o755)
	case makeFile:
		if err := os.MkdirAll(path.Dir(m.Target), 0o755); err != nil {
			return err
		}
		f, err := os.OpenFile(m.Target, os.O_CREATE|os.O_WRONLY|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return err
		}
		return f.Close()
	}
	return nil
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
		if err := os.Mkdir(d.Path, os.FileMode(d.Mode)); err != nil {
			return err
		}
	}
	for _, l := range p.Links {
		if err := os.Symlink(l.To, l.Path); err != nil {
			return err
		}
	}
	for _, f := range p.Files {
		if err := os.WriteFile(f.Path, []byte(f.Text), 0o444); err != nil {
			return err
		}
	}
	for i, m := range p.Mounts {
		if err := m.attach(fds[i]); err != nil {
			return err
		}
	}
	return nil
}

func errnoOf(err error) int {
	if e, ok := errors.AsType[unix.Errno](err); ok {
		return int(e)
	}
	return 0
}
