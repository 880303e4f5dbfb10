package git

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// Checkpoint stores the run's files and returns their tree. Files that git
// ignores are not in it.
func (c *Clone) Checkpoint(ctx context.Context) (tree string, err error) {
	end, err := c.begin()
	if err != nil {
		return "", err
	}
	defer end()
	return insist(c, func() (string, error) { return c.checkpoint(ctx) })
}

func (c *Clone) checkpoint(ctx context.Context) (string, error) {
	ch, err := c.changed(ctx)
	if err != nil {
		return "", err
	}
	if c.tree != "" && ch.none() {
		return c.tree, nil
	}
	c.tree = ""
	tree, err := c.store(ctx, ch)
	if err == nil {
		c.tree = tree
	}
	return tree, err
}

// changes is how the files differ from the checkpoint index.
type changes struct {
	put, gone []string
	inside    []string // repositories that are not submodules
}

func (ch changes) none() bool { return len(ch.put)+len(ch.gone) == 0 }

// changed asks git status, which is the fastest look at all files, and lets it
// write what it learned to the index. Of a submodule only the directory counts:
// looking into one would run git with a configuration that an agent wrote.
func (c *Clone) changed(ctx context.Context) (changes, error) {
	out, err := c.run(ctx, command{
		args:   []string{"status", "--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=dirty", "--no-renames"},
		access: stores, index: checkpointIndex, env: []string{"GIT_OPTIONAL_LOCKS=1"}, limit: maxList, all: true, doing: "list the changed files",
	})
	if err != nil {
		return changes{}, err
	}
	ch := parseStatus(out)
	if err := c.unborn(&ch); err != nil {
		return ch, err
	}
	for _, dir := range ch.inside {
		names, err := c.nested(ctx, dir, 1)
		if err != nil {
			return ch, err
		}
		ch.put = append(ch.put, names...)
	}
	ch.put = slices.DeleteFunc(ch.put, func(name string) bool { return !storable(name) })
	return ch, nil
}

// unborn finds repositories without a commit in the place of files: git status
// says only that the files are gone.
func (c *Clone) unborn(ch *changes) error {
	if len(ch.gone) == 0 {
		return nil
	}
	root, err := os.OpenRoot(workDir(c.runDir))
	if err != nil {
		return onDisk(err)
	}
	defer root.Close()
	for _, name := range ch.gone {
		if !slices.Contains(ch.inside, name) && isDirectory(root, name) && isThere(root, name+"/.git") {
			ch.inside = append(ch.inside, name)
		}
	}
	return nil
}

func isThere(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return err == nil
}

// isDirectory reports whether every part of the path is a directory, not a link.
func isDirectory(root *os.Root, name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if info, err := root.Lstat(name); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// parseStatus reads git status --porcelain=v2 -z: "1 XY sub mH mI mW hH hI path"
// of a tracked file, where Y tells the file from the index, and mI and mW are the
// modes there;
// "? path" of an untracked file or, with a slash at its end, a repository.
func parseStatus(out string) changes {
	var ch changes
	for record := range strings.SplitSeq(out, "\x00") {
		name, untracked := strings.CutPrefix(record, "? ")
		dir, inside := strings.CutSuffix(name, "/")
		fields := strings.SplitN(record, " ", 9)
		switch {
		case untracked && inside:
			ch.inside = append(ch.inside, dir)
		case untracked:
			ch.put = append(ch.put, name)
		case len(fields) != 9 || fields[0] != "1" || len(fields[1]) != 2 || fields[1][1] == '.':
		case fields[1][1] == 'D':
			ch.gone = append(ch.gone, fields[8])
		case fields[5] != gitlink:
			ch.put = append(ch.put, fields[8])
		case fields[4] != gitlink: // a repository in the place of a file
			ch.gone, ch.inside = append(ch.gone, fields[8]), append(ch.inside, fields[8])
		}
	}
	return ch
}

const gitlink = "160000" // the mode of a submodule

const (
	maxNesting = 8 // repositories within repositories that are followed

	nestedScript = `
dir=$(cat)
GIT_WORK_TREE="$GIT_WORK_TREE/$dir" git ls-files -z --others --exclude-standard`
)

// nested lists the files of a repository that was made inside the run's files.
// Git itself would store a link to a commit that nobody has.
func (c *Clone) nested(ctx context.Context, dir string, depth int) ([]string, error) {
	if depth > maxNesting {
		return nil, nil
	}
	// The slash keeps a newline at the end of the name from being cut.
	out, err := c.run(ctx, command{
		script: nestedScript, stdin: strings.NewReader(dir + "/"), index: "mgx.none", limit: maxList,
		all: true, doing: "list the files of a repository inside the run's files",
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		inner, deeper := strings.CutSuffix(name, "/")
		switch {
		case name == "":
		case deeper:
			more, err := c.nested(ctx, dir+"/"+inner, depth+1)
			if err != nil {
				return nil, err
			}
			names = append(names, more...)
		default:
			names = append(names, dir+"/"+name)
		}
	}
	if depth > 1 || len(names) == 0 {
		return names, nil
	}
	return c.notIgnored(ctx, names)
}

// notIgnored drops what the ignore files above a nested repository name. This
// command alone cannot be told that paths are literal, so "./" keeps a colon from
// leading one.
func (c *Clone) notIgnored(ctx context.Context, names []string) ([]string, error) {
	out, err := c.run(ctx, command{
		args: []string{"check-ignore", "-z", "--stdin"}, stdin: strings.NewReader("./" + strings.Join(names, "\x00./") + "\x00"),
		env: []string{"GIT_LITERAL_PATHSPECS=0"}, index: "mgx.none", limit: maxList, doing: "see which files are ignored",
	})
	if err != nil && exitCode(err) != 1 { // 1: none is
		return nil, err
	}
	ignored := map[string]bool{}
	for name := range strings.SplitSeq(out, "\x00") {
		ignored[name] = true
	}
	var kept []string
	for _, name := range names {
		if !ignored["./"+name] {
			kept = append(kept, name)
		}
	}
	return kept, nil
}

const storeScript = `
{ [ ! -s "$GIT_DIR/mgx.gone" ] || git update-index -z --force-remove --stdin <"$GIT_DIR/mgx.gone"; } &&
git update-index -z --add --replace --remove --stdin &&
exec git write-tree`

// store brings the checkpoint index up to date and writes its tree. What is
// gone goes first, so that a directory can take the place of a file.
func (c *Clone) store(ctx context.Context, ch changes) (string, error) {
	if err := replaceFile(c.file("mgx.gone"), list(ch.gone)); err != nil {
		return "", err
	}
	out, err := c.run(ctx, command{
		script: storeScript, stdin: strings.NewReader(list(ch.put)), access: stores, index: checkpointIndex,
		doing: "store the files",
	})
	if err != nil {
		return "", err
	}
	tree := strings.TrimSpace(out)
	if err := needIDs(tree); err != nil {
		return "", err
	}
	return tree, c.keep(checkpointRefs+tree, tree)
}

// keep writes a reference without running git for it, which would cost
// a small checkpoint a fifth of its time.
func (c *Clone) keep(ref, id string) error {
	if err := os.MkdirAll(filepath.Dir(c.file(ref)), 0o700); err != nil {
		return onDisk(err)
	}
	return replaceFile(c.file(ref), id+"\n")
}

// list terminates each name with a NUL.
func list(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return strings.Join(names, "\x00") + "\x00"
}

// storable reports whether no part of the path is .git on some file system that
// people check repositories out on: git refuses to store or to fetch those.
func storable(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if dotGit(part) {
			return false
		}
	}
	return true
}

// dotGit follows git's is_ntfs_dotgit and is_hfs_dotgit: case, the short name
// git~1, streams, trailing dots and spaces, and code points that HFS+ ignores.
func dotGit(part string) bool {
	for piece := range strings.SplitSeq(part, `\`) {
		piece = strings.Map(func(r rune) rune {
			if ignoredByHFS(r) {
				return -1
			}
			return unicode.ToLower(r)
		}, piece)
		piece, _, _ = strings.Cut(piece, ":")
		piece = strings.TrimRight(piece, ". ")
		if piece == ".git" || piece == "git~1" {
			return true
		}
	}
	return false
}

func ignoredByHFS(r rune) bool {
	return r >= 0x200c && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x206a && r <= 0x206f || r == 0xfeff
}
