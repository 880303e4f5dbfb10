package git

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"mgx"
)

// DiffOptions says how to show a difference.
type DiffOptions struct {
	MaxBytes int      // more is cut, with a notice; 0: 256 KB
	Stat     bool     // a summary by file instead of the lines
	Paths    []string // only these files and directories, literally
}

const defaultDiff = 256 << 10

// Diff shows how two trees or commits differ, as text of git's usual form.
// Nothing outside of git takes part in it.
func (c *Clone) Diff(ctx context.Context, from, to string, o DiffOptions) (string, error) {
	if err := needIDs(from, to); err != nil {
		return "", err
	}
	end, err := c.begin()
	if err != nil {
		return "", err
	}
	defer end()
	args := []string{"diff", "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short", "--find-renames"}
	if o.Stat {
		args = append(args, "--stat=120")
	}
	args = append(append(args, from, to, "--"), o.Paths...)
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultDiff
	}
	var over int64
	out, err := c.run(ctx, command{args: args, limit: o.MaxBytes, cut: true, over: &over, timeout: quick, doing: "compare two trees"})
	if err != nil || over == 0 {
		return out, err
	}
	kept := out[:strings.LastIndexByte(out, '\n')+1]
	return fmt.Sprintf("%s[… %d more bytes of this diff are not shown; ask for single files]\n", kept, over+int64(len(out)-len(kept))), nil
}

// Status of a file in a change.
const (
	Added    = "added"
	Modified = "modified"
	Deleted  = "deleted"
	Renamed  = "renamed"
	Retyped  = "retyped" // a file became a link, or the like
)

// FileChange is one file that differs between two trees.
type FileChange struct {
	Path      string // bytes as git has them; need not be UTF-8
	OldPath   string // of a renamed file
	Status    string
	Additions int // lines; 0 for binary files
	Deletions int
	Binary    bool
}

// Changes lists the files that differ between two trees or commits, in path order.
func (c *Clone) Changes(ctx context.Context, from, to string) ([]FileChange, error) {
	if err := needIDs(from, to); err != nil {
		return nil, err
	}
	end, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	out, err := c.run(ctx, command{
		args:  []string{"diff-tree", "-r", "-z", "--raw", "--numstat", "--no-ext-diff", "--no-textconv", "--find-renames", from, to, "--"},
		limit: maxList, timeout: quick, doing: "compare two trees",
	})
	if err != nil {
		return nil, err
	}
	return parseChanges(out)
}

var statusOf = map[byte]string{'A': Added, 'M': Modified, 'D': Deleted, 'R': Renamed, 'T': Retyped, 'C': Added}

// parseChanges reads what diff-tree -z --raw --numstat prints: first a record
// ":oldmode newmode oldid newid status" with its path, or two for a rename, for
// each file; then, in the same order, "additions TAB deletions TAB" with the
// same paths, those of a rename in records of their own.
func parseChanges(out string) ([]FileChange, error) {
	r := records{rest: out}
	var changes []FileChange
	for strings.HasPrefix(r.rest, ":") {
		fields := strings.Fields(r.next())
		if len(fields) != 5 {
			return nil, r.bad()
		}
		ch := FileChange{Status: statusOf[fields[4][0]], Path: r.next()}
		if c := fields[4][0]; c == 'R' || c == 'C' {
			ch.OldPath, ch.Path = ch.Path, r.next()
		}
		if ch.Status == "" || ch.Path == "" {
			return nil, r.bad()
		}
		changes = append(changes, ch)
	}
	for i := range changes {
		if err := changes[i].count(&r); err != nil {
			return nil, err
		}
	}
	if r.rest != "" {
		return nil, r.bad()
	}
	return changes, nil
}

func (ch *FileChange) count(r *records) error {
	parts := strings.SplitN(r.next(), "\t", 3)
	if len(parts) != 3 {
		return r.bad()
	}
	if parts[2] == "" { // a rename
		r.next()
		parts[2] = r.next()
	}
	if parts[2] != ch.Path {
		return r.bad()
	}
	if ch.Binary = parts[0] == "-"; ch.Binary {
		return nil
	}
	var err error
	if ch.Additions, err = strconv.Atoi(parts[0]); err != nil {
		return r.bad()
	}
	if ch.Deletions, err = strconv.Atoi(parts[1]); err != nil {
		return r.bad()
	}
	return nil
}

// records reads NUL-terminated records.
type records struct{ rest string }

func (r *records) next() string {
	record, rest, _ := strings.Cut(r.rest, "\x00")
	r.rest = rest
	return record
}

func (r *records) bad() error {
	return mgx.Errorf(mgx.KindInternal, "bad_diff", "git described a change in a way that MGX does not know: %.80q", r.rest)
}
