package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mgx"
)

const maxSnapshot = 2 << 30 // bytes of changed files that a snapshot takes

// Snapshot commits the user's work tree as it is, changed and new files but not
// ignored ones, on top of the source's head, into the run's own object store,
// and makes the run start from it. It returns the commit: the head itself when
// nothing differs.
//
// Of files behind a filter, such as LFS, the version in the user's index is
// taken, since only the filter could store another; the commit message names
// them. Repositories inside the work tree that are not submodules are left out.
func (c *Clone) Snapshot(ctx context.Context) (commit string, err error) {
	end, err := c.begin()
	if err != nil {
		return "", err
	}
	defer end()
	commit, err = c.takeSnapshot(ctx)
	if err != nil {
		return "", err
	}
	if err := c.keep(startRef, commit); err != nil {
		return "", err
	}
	if !exists(c.file(preparedMark)) {
		return commit, nil
	}
	if err := c.restore(ctx, commit); err != nil {
		return "", err
	}
	return commit, c.moveTo(ctx, commit)
}

// takeSnapshot works on the host, in a repository of MGX's own that borrows the
// user's objects and work tree: no configuration of the user's is in force
// there, and nothing of it can be written.
func (c *Clone) takeSnapshot(ctx context.Context) (string, error) {
	s, err := newScratch(c.runDir, c.src)
	if err != nil {
		return "", err
	}
	defer s.remove()
	if err := s.borrowIndex(ctx); err != nil {
		return "", err
	}
	message, err := s.addChanged(ctx)
	if err != nil {
		return "", err
	}
	commit, err := s.commit(ctx, message)
	if err != nil {
		return "", err
	}
	return commit, moveObjects(filepath.Join(s.dir, "objects"), c.file("objects"))
}

// scratch is a repository that lives for one operation on the host.
type scratch struct {
	dir string
	src *Source
	env []string
}

const scratchPrefix = "scratch-"

func newScratch(parent string, src *Source) (*scratch, error) {
	dir, err := os.MkdirTemp(parent, scratchPrefix)
	if err != nil {
		return nil, onDisk(err)
	}
	s := &scratch{dir: dir, src: src}
	s.env = append(base(append([]string{"core.untrackedCache", "false"}, src.convert...)...), "GIT_DIR="+dir)
	if err := skeleton(dir, "main", src); err != nil {
		s.remove()
		return nil, err
	}
	if err := borrow(dir, src.Objects); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func (s *scratch) remove() { os.RemoveAll(s.dir) }

func (s *scratch) git(ctx context.Context, doing string, stdin io.Reader, args ...string) (string, error) {
	out, err := hostCommand{dir: s.dir, env: s.env, stdin: stdin, limit: maxList, doing: doing, args: args}.run(ctx)
	return string(out), explain(err, doing)
}

// borrowIndex copies the user's index, with its knowledge of which files are
// unchanged, and turns to the user's work tree.
func (s *scratch) borrowIndex(ctx context.Context) error {
	s.env = append(s.env, "GIT_WORK_TREE="+s.src.Path)
	// Files in the user's work tree look as the user's attributes say.
	text, err := readSide(s.src.CommonDir, "info/attributes")
	if err != nil {
		return mgx.Errorf(mgx.KindUsage, "unreadable_repository", "the repository at %s cannot be read: %w", s.src.Path, err)
	}
	if err := replaceFile(filepath.Join(s.dir, "info", "attributes"), string(text)); err != nil {
		return err
	}
	shared, err := filepath.Glob(filepath.Join(globQuote(s.src.GitDir), "sharedindex.*"))
	if err != nil {
		return onDisk(err)
	}
	for _, name := range append(shared, filepath.Join(s.src.GitDir, "index")) {
		if err := copyIfThere(name, filepath.Join(s.dir, filepath.Base(name))); err != nil {
			return err
		}
	}
	if exists(filepath.Join(s.dir, "index")) {
		return nil
	}
	_, err = s.git(ctx, "read HEAD", nil, "read-tree", s.src.Head)
	return err
}

func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// copyIfThere copies a file with its time: git compares an index's own time with
// those in it to know which files may have changed unseen. In a repository that
// somebody else made it could be a link to a file without an end, or a pipe.
func copyIfThere(from, to string) error {
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return mgx.Errorf(mgx.KindUsage, "unreadable_repository", "%s cannot be read: %w", from, err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return onDisk(err)
	}
	if !info.Mode().IsRegular() {
		return mgx.Errorf(mgx.KindUsage, "unreadable_repository", "%s is no regular file", from)
	}
	if err := copyTo(in, to, 0o600); err != nil {
		return err
	}
	return onDisk(os.Chtimes(to, time.Time{}, info.ModTime()))
}

func copyTo(in io.Reader, to string, mode os.FileMode) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return onDisk(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return onDisk(err)
	}
	return onDisk(out.Close())
}

// addChanged brings the copied index in line with the work tree, and returns the
// message of the commit.
func (s *scratch) addChanged(ctx context.Context) (message string, err error) {
	ch, err := s.changed(ctx)
	if err != nil {
		return "", err
	}
	filtered, err := s.filtered(ctx, ch.put)
	if err != nil {
		return "", err
	}
	var put, left []string
	for _, name := range ch.put {
		if filtered[name] {
			left = append(left, name)
		} else {
			put = append(put, name)
		}
	}
	if err := s.checkSize(put); err != nil {
		return "", err
	}
	if _, err := s.git(ctx, "note removed files", strings.NewReader(list(ch.gone)), "update-index", "-z", "--force-remove", "--stdin"); err != nil {
		return "", err
	}
	_, err = s.git(ctx, "read the changed files", strings.NewReader(list(put)), "update-index", "-z", "--add", "--replace", "--remove", "--stdin")
	if denied(err) {
		err = mgx.Errorf(mgx.KindUsage, "unreadable_file", "a changed file of the work tree cannot be read: %s", sentence(saidBy(err)))
	}
	return snapshotMessage(left), err
}

func (s *scratch) changed(ctx context.Context) (changes, error) {
	tracked, err := s.git(ctx, "compare the work tree", nil, "diff-files", "-z", "--raw", "--no-renames", "--ignore-submodules=dirty")
	if err != nil {
		return changes{}, err
	}
	others, err := s.git(ctx, "list new files", nil, "ls-files", "-z", "--others", "--exclude-standard")
	if err != nil {
		return changes{}, err
	}
	ch := parseTracked(tracked)
	for name := range strings.SplitSeq(others, "\x00") {
		if name != "" && !strings.HasSuffix(name, "/") && storable(name) {
			ch.put = append(ch.put, name)
		}
	}
	return ch, nil
}

// parseTracked reads diff-files -z --raw: ":oldmode newmode oldid newid status"
// and a path, in turn. Unmerged files come twice.
func parseTracked(out string) changes {
	var ch changes
	r := records{rest: out}
	for r.rest != "" {
		fields, name := strings.Fields(strings.TrimPrefix(r.next(), ":")), r.next()
		switch {
		case len(fields) != 5:
		case fields[4] == "D":
			ch.gone = append(ch.gone, name)
		case fields[1] != gitlink || fields[0] == gitlink:
			ch.put = append(ch.put, name)
		}
	}
	return ch
}

// filtered says which of the files are behind a filter.
func (s *scratch) filtered(ctx context.Context, names []string) (map[string]bool, error) {
	out, err := s.git(ctx, "read the attributes", strings.NewReader(list(names)), "check-attr", "-z", "--stdin", "filter")
	if err != nil {
		return nil, err
	}
	fields := strings.Split(out, "\x00")
	filtered := map[string]bool{}
	for i := 0; i+2 < len(fields); i += 3 { // path, "filter", value
		if v := fields[i+2]; v != "unspecified" && v != "unset" {
			filtered[fields[i]] = true
		}
	}
	return filtered, nil
}

func (s *scratch) checkSize(names []string) error {
	var sum int64
	for _, name := range names {
		if info, err := os.Lstat(filepath.Join(s.src.Path, name)); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	if sum > maxSnapshot {
		return mgx.Errorf(mgx.KindUsage, "snapshot_too_large", "the uncommitted files are %d MB and --include-dirty takes %d; commit or ignore the large ones", sum>>20, maxSnapshot>>20)
	}
	return nil
}

func snapshotMessage(left []string) string {
	var b strings.Builder
	b.WriteString("Uncommitted changes at the start of the run\n")
	if len(left) > 0 {
		b.WriteString("\nNot included, because only their filter could store them:\n")
	}
	for i, name := range left {
		if i == 50 {
			fmt.Fprintf(&b, "and %d more\n", len(left)-i)
			break
		}
		fmt.Fprintf(&b, "- %q\n", name)
	}
	return b.String()
}

// commit commits the index on top of HEAD, unless it is HEAD's.
func (s *scratch) commit(ctx context.Context, message string) (string, error) {
	tree, err := s.git(ctx, "store the work tree", nil, "write-tree")
	if err != nil {
		return "", err
	}
	tree = strings.TrimSpace(tree)
	head, err := s.git(ctx, "read HEAD", nil, "rev-parse", "--verify", s.src.Head+"^{tree}")
	if err != nil {
		return "", err
	}
	if tree == strings.TrimSpace(head) {
		return s.src.Head, nil
	}
	s.env = append(s.env, identity("AUTHOR", "MGX", "mgx@localhost", mgx.Stamp())...)
	s.env = append(s.env, identity("COMMITTER", "MGX", "mgx@localhost", mgx.Stamp())...)
	commit, err := s.git(ctx, "commit the work tree", bytes.NewReader([]byte(message)), "commit-tree", "-p", s.src.Head, "-F", "-", tree)
	return strings.TrimSpace(commit), err
}

// moveObjects moves objects and packs from one store to another. Objects come
// before anything that needs them only in the end, so a move that was cut short
// leaves unused objects and no broken ones.
func moveObjects(from, to string) error {
	return onDisk(filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if rel == "info" {
			return fs.SkipDir
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return os.Rename(name, target)
	}))
}
