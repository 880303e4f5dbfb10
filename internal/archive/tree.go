package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// Copy writes the files of a directory below into. What is in it is held to the
// same rules as an archive.
func Copy(ctx context.Context, into, from *os.Root, l Limits) error {
	s := newSink(ctx, into, l, 0)
	return s.said(fs.WalkDir(from.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return s.directory(name)
		case d.Type()&fs.ModeSymlink != 0:
			return refused("%s is a link; links are not taken", strconv.QuoteToASCII(cut(name)))
		case !d.Type().IsRegular():
			return refused("%s is neither a file nor a directory", strconv.QuoteToASCII(cut(name)))
		}
		return s.copy(from, name)
	}))
}

// CopyFile writes one open file below into.
func CopyFile(ctx context.Context, into *os.Root, name string, file *os.File, l Limits) error {
	s := newSink(ctx, into, l, 0)
	return s.said(s.opened(name, file))
}

func (s *sink) copy(from *os.Root, name string) error {
	f, err := from.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a fifo must not be waited for
	if err != nil {
		return err
	}
	return errors.Join(s.opened(name, f), f.Close())
}

// opened looks again at what was opened: it may have become something else.
func (s *sink) opened(name string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return refused("%s is neither a file nor a directory", strconv.QuoteToASCII(cut(name)))
	}
	return s.file(name, info.Mode()&0o100 != 0, f)
}

// Tree is what lies below a directory.
type Tree struct {
	Digest string // sha256:… of names, modes and contents
	Files  int
	Size   int64 // bytes of all files
}

// Look reads all of a directory that Unpack or Copy wrote. Directories without
// files count for nothing.
func Look(root *os.Root) (Tree, error) {
	var t Tree
	sum := sha256.New()
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		if !d.Type().IsRegular() {
			return refused("%s is neither a file nor a directory", strconv.QuoteToASCII(cut(name)))
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		own := sha256.New()
		n, err := io.Copy(own, f)
		fmt.Fprintf(sum, "f %q %t %d %x\n", name, info.Mode()&0o100 != 0, n, own.Sum(nil))
		t.Files++
		t.Size += n
		return errors.Join(err, f.Close())
	})
	t.Digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return t, err
}
