package archive

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// sink writes entries into a root and holds them to the limits.
type sink struct {
	ctx     context.Context
	root    *os.Root
	limits  Limits
	packed  int64 // bytes of the archive; 0: no archive
	entries int
	bytes   int64
	seen    map[string]entry // by name as the least able file system sees it
}

type entry struct {
	name string // as it was spelled
	dir  bool
}

func newSink(ctx context.Context, root *os.Root, l Limits, packed int64) *sink {
	return &sink{ctx: ctx, root: root, limits: l, packed: packed, seen: map[string]entry{}}
}

// clean checks a name and returns it without what means nothing: "./a//b/" is a/b.
// The root itself is ".".
func (s *sink) clean(name string) (string, error) {
	shown := strconv.QuoteToASCII(cut(name))
	switch {
	case len(name) > s.limits.Name:
		return "", refused("the name %s has more than %d bytes", shown, s.limits.Name)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", refused("the name %s has characters that cannot be seen", shown)
	case strings.Contains(name, `\`):
		return "", refused(`the name %s has a \`, shown)
	case path.IsAbs(name):
		return "", refused("the name %s is absolute", shown)
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return "", refused("the name %s leads out", shown)
		case len(part) > 255:
			return "", refused("a part of the name %s has more than 255 bytes", shown)
		}
	}
	name = path.Clean(name)
	if strings.Count(name, "/") >= s.limits.Depth {
		return "", refused("%s lies more than %d directories deep", shown, s.limits.Depth)
	}
	return name, nil
}

func cut(s string) string { return s[:min(len(s), 100)] }

// folded is a name as a file system sees it that knows neither case nor the
// several ways to write an accent.
func folded(name string) string {
	return norm.NFC.String(strings.ToLower(strings.ToUpper(norm.NFKC.String(name))))
}

// claim takes a name, and those of the directories above it. A directory may come
// again; whatever else meets a name that is taken is refused.
func (s *sink) claim(name string, dir bool) error {
	for i := range len(name) {
		if name[i] == '/' {
			if err := s.claim1(name[:i], true); err != nil {
				return err
			}
		}
	}
	return s.claim1(name, dir)
}

func (s *sink) claim1(name string, dir bool) error {
	key := folded(name)
	if old, taken := s.seen[key]; taken {
		if old.name == name && old.dir && dir {
			return nil
		}
		return refused("%s comes twice, or differs from %s only in how it is written", strconv.QuoteToASCII(cut(name)), strconv.QuoteToASCII(cut(old.name)))
	}
	if s.entries++; s.entries > s.limits.Entries {
		return refused("there are more than %d files and directories", s.limits.Entries)
	}
	s.seen[key] = entry{name, dir}
	return nil
}

func (s *sink) directory(name string) error {
	name, err := s.clean(name)
	if err != nil || name == "." {
		return err
	}
	if err := s.claim(name, true); err != nil {
		return err
	}
	return s.mkdir(name)
}

func (s *sink) mkdir(name string) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	return s.root.MkdirAll(name, 0o755)
}

// file writes one file. Its content is read up to what the limits leave.
func (s *sink) file(name string, executable bool, content io.Reader) error {
	name, err := s.clean(name)
	if err != nil {
		return err
	}
	if name == "." {
		return refused("a file has no name")
	}
	if err := s.claim(name, false); err != nil {
		return err
	}
	if err := s.mkdir(path.Dir(name)); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &counted{s, content})
	if err == nil {
		err = f.Chmod(mode) // whatever the umask
	}
	return errors.Join(err, f.Close())
}

// counted is content that counts against the limits as it comes.
type counted struct {
	s *sink
	r io.Reader
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.s.bytes += int64(n)
	switch s := c.s; {
	case s.bytes > s.limits.Bytes:
		return 0, refused("the files have more than %d MB together", s.limits.Bytes>>20)
	case s.packed > 0 && s.bytes > 1<<20 && s.bytes/s.packed >= s.limits.Ratio:
		return 0, refused("it unpacks to more than %d times its size", s.limits.Ratio)
	}
	return n, err
}
