package git

import (
	"bytes"
	"context"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Files yields the files of a run directory that a copy of it needs to go on, by
// slash-separated names in it: its git directory without what belongs to one set
// of files, the outputs and the attachments. The files themselves are left out: [Clone.Restore]
// makes them again from any checkpoint. The run may be going on: references come
// before objects, since what a reference points at was stored before it, and
// what vanishes meanwhile was temporary.
func Files(runDir string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if !walkGitDir(runDir, "git", yield) {
			return
		}
		all := func(string, fs.DirEntry) bool { return true }
		if walk(runDir, "outputs", all, yield) {
			walk(runDir, "attachments", all, yield)
		}
	}
}

// carried is what another copy of a git directory needs; the rest belongs to one
// set of files, or to one command.
var carried = []string{"HEAD", "config", "info", "objects", "packed-refs", "refs", "shallow"}

// walkGitDir yields what is carried of a git directory, objects last.
func walkGitDir(dir, gitDir string, yield func(string, error) bool) bool {
	for _, objects := range []bool{false, true} {
		more := walk(dir, gitDir, func(name string, d fs.DirEntry) bool {
			top, _, _ := strings.Cut(strings.TrimPrefix(name, gitDir+"/"), "/")
			switch {
			case name == gitDir:
				return true
			case (top == "objects") != objects, !slices.Contains(carried, top):
				return false
			}
			return d.IsDir() || !strings.HasSuffix(name, ".lock") && !strings.HasPrefix(d.Name(), "tmp_") && !strings.HasSuffix(name, unfinished)
		}, yield)
		if !more {
			return false
		}
	}
	return true
}

// ReceivedFiles yields the files of a repository that [Receive] made, as [Files] does
// those of a run: its git directory, which is all there is of it.
func ReceivedFiles(dir string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { walkGitDir(dir, ".git", yield) }
}

// ValidReceived reports whether a name can be one that [ReceivedFiles] yields.
func ValidReceived(name string) bool {
	rest, git := strings.CutPrefix(name, ".git/")
	return git && ValidFile("git/"+rest)
}

// walk yields the regular files below a directory that wanted approves of. It
// reports whether to go on.
func walk(runDir, dir string, wanted func(string, fs.DirEntry) bool, yield func(string, error) bool) bool {
	more := true
	fs.WalkDir(os.DirFS(runDir), dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			if err = skipVanished(err); err != nil {
				more = yield("", onDisk(err))
			}
		case d.IsDir() && !wanted(name, d):
			return fs.SkipDir
		case d.Type().IsRegular() && wanted(name, d):
			more = yield(name, nil)
		}
		if !more {
			return fs.SkipAll
		}
		return nil
	})
	return more
}

// ValidFile reports whether a name can be one that [Files] yields, and so nothing
// that git would run.
func ValidFile(name string) bool {
	top, rest, _ := strings.Cut(name, "/")
	first, _, _ := strings.Cut(rest, "/")
	return fs.ValidPath(name) && !strings.ContainsAny(name, "\\\x00") &&
		((top == "outputs" || top == "attachments") && rest != "" || top == "git" && slices.Contains(carried, first))
}

// Missing returns those of the trees that the run in a run directory could not
// put back, because something of them is neither there nor in the repository
// that it borrows from. With whole, every object of each tree is looked for,
// else the trees alone.
func Missing(ctx context.Context, runDir string, src *Source, trees []string, whole bool) ([]string, error) {
	if err := needIDs(trees...); err != nil {
		return nil, err
	}
	if !exists(filepath.Join(gitDir(runDir), "HEAD")) {
		return trees, nil
	}
	out, err := onRun(ctx, runDir, src, strings.NewReader(strings.Join(trees, "\n")+"\n"), "cat-file", "--batch-check")
	if err != nil {
		return nil, explain(err, "look for the run's checkpoints")
	}
	var missing []string
	for line := range bytes.Lines(out) {
		if id, rest, _ := strings.Cut(strings.TrimSpace(string(line)), " "); !strings.HasPrefix(rest, "tree ") {
			missing = append(missing, id)
		}
	}
	if !whole {
		return missing, nil
	}
	for _, tree := range trees {
		if slices.Contains(missing, tree) {
			continue
		}
		_, err := onRun(ctx, runDir, src, nil, "rev-list", "--objects", "--quiet", tree)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			missing = append(missing, tree)
		}
	}
	return missing, nil
}

// onRun runs git on the host with a run's git directory, which only MGX writes,
// and the objects that the run borrows.
func onRun(ctx context.Context, runDir string, src *Source, stdin *strings.Reader, args ...string) ([]byte, error) {
	env := append(base(), "GIT_DIR="+gitDir(runDir))
	if src != nil {
		var borrowed []string
		for _, dir := range src.Objects {
			if strings.ContainsAny(dir, ":\"\n") {
				dir = strconv.Quote(dir)
			}
			borrowed = append(borrowed, dir)
		}
		env = append(env, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+strings.Join(borrowed, ":"))
	}
	h := hostCommand{dir: gitDir(runDir), env: env, args: args, limit: maxList, doing: "look for the run's checkpoints"}
	if stdin != nil {
		h.stdin = stdin
	}
	return h.run(ctx)
}
