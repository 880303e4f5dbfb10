package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mgx"
)

// Prepare checks out the commit that the run starts from: the snapshot if there
// is one, else the source's head. It does nothing when that has been done
// before, and starts over when it was interrupted.
func (c *Clone) Prepare(ctx context.Context) error {
	end, err := c.begin()
	if err != nil {
		return err
	}
	defer end()
	if exists(c.file(preparedMark)) {
		return nil
	}
	if err := c.clear(); err != nil {
		return err
	}
	if err := c.checkout(ctx); err != nil {
		return err
	}
	return c.prepared()
}

const checkoutScript = `
git update-ref ` + startRef + ` "$1" &&
git update-ref HEAD "$1" &&
git read-tree --reset -u "$1"`

func (c *Clone) checkout(ctx context.Context) error {
	start := c.start()
	if err := needIDs(start); err != nil {
		return err
	}
	_, err := c.run(ctx, command{script: checkoutScript, args: []string{start}, access: writes, doing: "check out the files"})
	return err
}

// start is the commit the run starts from.
func (c *Clone) start() string {
	if text, err := os.ReadFile(c.file(startRef)); err == nil {
		return strings.TrimSpace(string(text))
	}
	return c.src.Head
}

// prepared notes that the checkout is whole. Checkpoints start from its index,
// which knows the times of all files.
func (c *Clone) prepared() error {
	if err := copyIfThere(c.file("index"), c.file(checkpointIndex)); err != nil {
		return err
	}
	c.tree = ""
	return replaceFile(c.file(preparedMark), "")
}

// clear removes what an interrupted checkout left.
func (c *Clone) clear() error {
	for _, name := range []string{"index", checkpointIndex} {
		if err := os.RemoveAll(c.file(name)); err != nil {
			return onDisk(err)
		}
	}
	root, err := os.OpenRoot(workDir(c.runDir))
	if err != nil {
		return onDisk(err)
	}
	defer root.Close()
	entries, err := os.ReadDir(workDir(c.runDir))
	if err != nil {
		return onDisk(err)
	}
	for _, e := range entries {
		if e.Name() == ".git" {
			continue
		}
		if err := root.RemoveAll(e.Name()); err != nil {
			return onDisk(err)
		}
	}
	return nil
}

// makeReadable gives the owner back what a program took away: files that cannot
// be read cannot be kept, and directories that cannot be written not be put back.
// Git records none of it.
func (c *Clone) makeReadable() error {
	root, err := os.OpenRoot(workDir(c.runDir))
	if err != nil {
		return onDisk(err)
	}
	defer root.Close()
	return onDisk(openUp(root, "."))
}

func (c *Clone) makeEnterable() error {
	info, err := os.Lstat(workDir(c.runDir))
	if err == nil && info.Mode().Perm()&0o700 != 0o700 {
		err = os.Chmod(workDir(c.runDir), info.Mode().Perm()|0o700)
	}
	return onDisk(err)
}

func openUp(root *os.Root, dir string) error {
	if err := allow(root, dir, 0o700); err != nil {
		return err
	}
	d, err := root.OpenFile(dir, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe that it became must not be waited for
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch {
		case name == ".git":
		case e.IsDir():
			err = openUp(root, name)
		case e.Type().IsRegular():
			err = allow(root, name, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// allow gives the owner the permissions in need.
func allow(root *os.Root, name string, need os.FileMode) error {
	info, err := root.Lstat(name)
	if err != nil || info.Mode().Perm()&need == need {
		return err
	}
	return root.Chmod(name, info.Mode().Perm()|need)
}

// denied reports whether git failed for want of a permission on a file.
func denied(err error) bool {
	return err != nil && refused(saidBy(err))
}

func refused(said string) bool {
	return strings.Contains(said, "ermission denied") || strings.Contains(said, "unable to unlink")
}

// insist tries again with the files made readable when permissions were in the
// way. Without those of the top directory no command can even start.
func insist[T any](c *Clone, do func() (T, error)) (out T, err error) {
	if err := c.makeEnterable(); err != nil {
		return out, err
	}
	out, err = do()
	if !denied(err) {
		return out, err
	}
	if err := c.makeReadable(); err != nil {
		return out, err
	}
	if out, err = do(); denied(err) {
		return out, mgx.Errorf(mgx.KindConfig, "unreadable_file", "a file of the run cannot be read or replaced: %s", sentence(saidBy(err)))
	}
	return out, err
}
