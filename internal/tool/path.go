package tool

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"mgx/internal/guard"
	"mgx/internal/sandbox"
)

// place is a file or directory that a model named.
type place struct {
	root *os.Root
	name string // within root, slash-separated and clean; "." is the root itself
	kept string // the directory beside the workspace in which it lies, as the box shows it; empty: the workspace

	hidden func(string) bool // of the workspace; nil: nothing is
}

// String is the place as models see and name it.
func (p place) String() string {
	if p.kept != "" {
		return quoted(path.Join(p.kept, p.name))
	}
	return quoted(p.name)
}

func (p place) join(name string) place {
	p.name = path.Join(p.name, name)
	return p
}

// at finds what a model means by a path, for reading: a path in the workspace,
// or below OutputsDir or AttachmentsDir. It follows nothing; the root refuses what leads out.
func (ws *Workspace) at(named string) (place, error) {
	p := unquoted(named)
	if strings.ContainsRune(p, 0) {
		return place{}, failf("The path contains a NUL character; no file has such a name.")
	}
	if rest, ok := ws.below(OutputsDir, p); ok && ws.Outputs != nil {
		return within(ws.Outputs, rest, named, OutputsDir, nil)
	}
	if rest, ok := ws.below(AttachmentsDir, p); ok && ws.Attachments != nil {
		return within(ws.Attachments, rest, named, AttachmentsDir, nil)
	}
	if rest, ok := ws.below(sandbox.Workspace, p); ok {
		return within(ws.Root, rest, named, "", ws.Hidden)
	}
	if path.IsAbs(p) {
		return place{}, deniedf("%s is outside the workspace. File tools reach only the workspace; use a path relative to it.", quoted(named))
	}
	return within(ws.Root, p, named, "", ws.Hidden)
}

// below returns what remains of an absolute path under a guest directory, by
// its name in the box or the one the box's commands have to use.
func (ws *Workspace) below(dir, p string) (string, bool) {
	dirs := []string{dir}
	if ws.Box != nil {
		dirs = append(dirs, ws.Box.Path(dir))
	}
	for _, d := range dirs {
		if rest, ok := strings.CutPrefix(p, d); ok && (rest == "" || rest[0] == '/') {
			return strings.TrimLeft(rest, "/"), true
		}
	}
	return "", false
}

func within(root *os.Root, rel, named, kept string, hidden func(string) bool) (place, error) {
	rel = path.Clean(rel)
	if rel == ".." || strings.HasPrefix(rel, "../") {
		return place{}, outside(quoted(named))
	}
	return place{root, rel, kept, hidden}, nil
}

func outside(shown string) error {
	return deniedf("%s leads out of the workspace. File tools reach only the workspace; links and \"..\" that leave it are not followed.", shown)
}

// target finds what a model means by a path, for writing: links are followed to
// the file they stand for, and repositories' own files are kept out of reach.
func (ws *Workspace) target(named string) (place, error) {
	p, err := ws.at(named)
	if err != nil {
		return p, err
	}
	if p.kept != "" {
		return p, deniedf("%s is a kept output or an attachment and cannot be changed.", p)
	}
	real, err := follow(p.root, p.name)
	if err != nil {
		return p, fileError(p, err)
	}
	if inRepository(p.name) || inRepository(real) {
		return p, deniedf("%s is inside .git, which is not for editing; git commands in the shell tool change it.", p)
	}
	p.name = real
	return p, nil
}

// inRepository reports whether a component of the path is .git, also as file
// systems that fold case or drop characters would see it.
func inRepository(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		part = strings.ToLower(strings.TrimRight(Clean(part), " ."))
		if part == ".git" || part == "git~1" || strings.HasPrefix(part, ".git:") {
			return true
		}
	}
	return false
}

const maxLinks = 40

var errOutside = errors.New("path escapes from parent")

// follow resolves the symbolic links in a path by their text, so that what is
// replaced is the file and not the link. A path whose end does not exist is
// resolved as far as it does. Whoever opens the result still goes through the
// root, which checks again.
func follow(root *os.Root, name string) (string, error) {
	done, rest := ".", strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == ".." && done == ".":
			return "", errOutside
		case part == "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		info, err := root.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) {
			return stepOver(next, rest)
		}
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		to, err := root.Readlink(next)
		if err != nil {
			return "", err
		}
		if links++; links > maxLinks {
			return "", syscall.ELOOP
		}
		if path.IsAbs(to) {
			return "", errOutside
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return done, nil
}

// stepOver joins what is left of a path to a part that does not exist.
func stepOver(missing string, rest []string) (string, error) {
	name := path.Join(append([]string{missing}, rest...)...)
	if name == ".." || strings.HasPrefix(name, "../") {
		return "", errOutside
	}
	return name, nil
}

// fileError says what a failed file operation means to a model. Errors that are
// already replies stay as they are.
func fileError(p place, err error) error {
	if r, ok := errors.AsType[*reply](err); ok {
		return r
	}
	if strings.Contains(err.Error(), errOutside.Error()) { // os does not export it
		return outside(p.String())
	}
	for _, known := range fileErrors {
		if errors.Is(err, known.err) {
			return failf("%s: %s.", p, known.says)
		}
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return failf("%s: %s.", p, Clean(err.Error()))
}

var fileErrors = []struct {
	err  error
	says string
}{
	{fs.ErrNotExist, "no such file or directory"},
	{fs.ErrPermission, "permission denied"},
	{fs.ErrExist, "it exists already"},
	{syscall.ENOTDIR, "a part of the path is a file, not a directory"},
	{syscall.EISDIR, "it is a directory"},
	{syscall.ENAMETOOLONG, "the name is too long"},
	{syscall.ENOSPC, "no space left on the device; nothing was changed"},
	{syscall.EDQUOT, "no space left in the quota; nothing was changed"},
	{syscall.EROFS, "the file system is read-only"},
	{syscall.ELOOP, "too many symbolic links"},
}

// quoted shows a name as it is when that is plain, else as a Go string that the
// tools take back.
func quoted(name string) string {
	if name == "" || strings.HasPrefix(name, `"`) || strings.TrimSpace(name) != name || !utf8.ValidString(name) {
		return strconv.QuoteToASCII(name)
	}
	for _, r := range name {
		if unicode.IsControl(r) || guard.Hidden(r) {
			return strconv.QuoteToASCII(name)
		}
	}
	return name
}

func unquoted(name string) string {
	if strings.HasPrefix(name, `"`) && strings.HasSuffix(name, `"`) {
		if s, err := strconv.Unquote(name); err == nil {
			return s
		}
	}
	return name
}
