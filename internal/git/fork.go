package git

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// CopyRun gives the run directory toDir a copy of the git directory of fromDir,
// with every checkpoint and commit, so that [Clone.Restore] there can go on from
// any of them. The files are not copied, and the branch stands where the run
// started. Objects never change and are shared by hard links where the file
// system allows. A copy that was interrupted is made again; one that is whole is
// left alone. The run at fromDir may be going on.
func CopyRun(fromDir, toDir string) error {
	if err := Layout(toDir); err != nil {
		return err
	}
	to := gitDir(toDir)
	if exists(filepath.Join(to, "config")) {
		return nil
	}
	if !exists(gitDir(fromDir)) { // no worker has begun with it
		return nil
	}
	half := to + ".copy"
	if err := os.RemoveAll(half); err != nil {
		return onDisk(err)
	}
	// References come first: what they point at was stored before them.
	for _, objects := range []bool{false, true} {
		if err := copyGitDir(gitDir(fromDir), half, objects); err != nil {
			return onDisk(err)
		}
	}
	if err := rewind(half); err != nil {
		return onDisk(err)
	}
	if err := os.Remove(to); err != nil { // it is empty
		return onDisk(err)
	}
	return onDisk(os.Rename(half, to))
}

// notCopied belongs to the files of one run, or to one command.
var notCopied = []string{"index", checkpointIndex, preparedMark, bundleName, "mgx.gone"}

func copyGitDir(from, to string, objects bool) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(from, name)
		if err = errors.Join(err, relErr); err != nil {
			return skipVanished(err)
		}
		top, _, _ := strings.Cut(rel, string(filepath.Separator))
		target := filepath.Join(to, rel)
		switch {
		case rel != "." && (top == "objects") != objects, slices.Contains(notCopied, rel), strings.HasPrefix(rel, scratchPrefix):
			return skip(d)
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case !d.Type().IsRegular(), strings.HasSuffix(rel, ".lock"), strings.HasPrefix(d.Name(), "tmp_"), strings.HasSuffix(rel, unfinished):
			return nil
		case objects && os.Link(name, target) == nil:
			return nil
		}
		return skipVanished(copyFile(name, target))
	})
}

func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// skipVanished passes over the temporary files of a run that is going on.
func skipVanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	return copyTo(in, to, info.Mode().Perm())
}

// rewind puts the branch of a git directory back to where the run started.
func rewind(dir string) error {
	start, err := os.ReadFile(filepath.Join(dir, startRef))
	if err != nil {
		return skipVanished(err) // nothing was checked out yet
	}
	head, err := os.ReadFile(filepath.Join(dir, "HEAD"))
	if err != nil {
		return err
	}
	branch := strings.TrimSpace(strings.TrimPrefix(string(head), "ref: "))
	return os.WriteFile(filepath.Join(dir, branch), start, 0o600)
}
