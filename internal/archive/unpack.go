package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"

	"mgx"
)

// Kind tells by its first bytes what an archive is; "" when it is none.
func Kind(file io.ReaderAt) string {
	head := make([]byte, 512)
	n, _ := file.ReadAt(head, 0) // a short file is no archive
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return Zip
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		zr, err := gzip.NewReader(io.NewSectionReader(file, 0, 1<<20))
		if err != nil {
			return ""
		}
		inner := make([]byte, 512)
		n, _ := io.ReadFull(zr, inner)
		if isTar(inner[:n]) {
			return TarGz
		}
	case isTar(head):
		return Tar
	}
	return ""
}

func isTar(head []byte) bool { return len(head) == 512 && bytes.Equal(head[257:262], []byte("ustar")) }

// Unpack writes what is in an archive of size bytes below into.
func Unpack(ctx context.Context, into *os.Root, file io.ReaderAt, size int64, l Limits) error {
	s := newSink(ctx, into, l, size)
	var err error
	switch Kind(file) {
	case Zip:
		err = s.zip(file, size)
	case TarGz:
		zr, e := gzip.NewReader(io.NewSectionReader(file, 0, size))
		if err = e; e == nil {
			err = s.tar(zr)
		}
	case Tar:
		err = s.tar(io.NewSectionReader(file, 0, size))
	default:
		return refused("it is no tar, tar.gz or zip archive")
	}
	return s.said(err)
}

// said makes an error of a reader one for whoever chose the archive.
func (s *sink) said(err error) error {
	if _, ours := errors.AsType[*mgx.Error](err); err == nil || ours || s.ctx.Err() != nil {
		return err
	}
	if _, ours := errors.AsType[*fs.PathError](err); ours {
		return mgx.Errorf(mgx.KindConfig, "archive_unwritten", "the files cannot be read or written: %w", err)
	}
	return mgx.Errorf(mgx.KindUsage, CodeRefused, "the archive is damaged or not what it says: %w", err)
}

func (s *sink) tar(r io.Reader) error {
	tr := tar.NewReader(r)
	for headers := 0; ; headers++ {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if headers > 2*s.limits.Entries {
			return refused("there are more than %d files and directories", s.limits.Entries)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			err = s.file(h.Name, h.Mode&0o100 != 0, tr)
		case tar.TypeDir:
			err = s.directory(h.Name)
		case tar.TypeXGlobalHeader:
		case tar.TypeSymlink, tar.TypeLink:
			err = refused("%s is a link; archives with links are not taken", strconv.QuoteToASCII(cut(h.Name)))
		default:
			err = refused("%s is neither a file nor a directory", strconv.QuoteToASCII(cut(h.Name)))
		}
		if err != nil {
			return err
		}
	}
}

func (s *sink) zip(file io.ReaderAt, size int64) error {
	// The directory of a zip is read whole, whatever it counts, before it can be
	// looked at; so it may have no more bytes than the entries that are allowed.
	budget := &budgeted{file, int64(s.limits.Entries)*int64(s.limits.Name+256) + 256<<10}
	zr, err := zip.NewReader(budget, size)
	if err != nil {
		return err
	}
	budget.left = 1 << 62
	for _, f := range zr.File {
		if err := s.zipped(f); err != nil {
			return err
		}
	}
	return nil
}

func (s *sink) zipped(f *zip.File) error {
	shown := strconv.QuoteToASCII(cut(f.Name))
	switch mode := f.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return refused("%s is a link; archives with links are not taken", shown)
	case mode.IsDir():
		return s.directory(f.Name)
	case !mode.IsRegular():
		return refused("%s is neither a file nor a directory", shown)
	case f.Flags&1 != 0:
		return refused("%s is encrypted", shown)
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return refused("%s is compressed in a way that is not known", shown)
	}
	content, err := f.Open()
	if err != nil {
		return err
	}
	return errors.Join(s.file(f.Name, f.Mode()&0o100 != 0, content), content.Close())
}

// budgeted gives up a reader that wants too much.
type budgeted struct {
	io.ReaderAt
	left int64
}

func (b *budgeted) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, refused("it has more entries than are allowed")
	}
	return b.ReaderAt.ReadAt(p, off)
}
