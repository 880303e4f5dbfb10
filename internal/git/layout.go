package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mgx"
	"mgx/internal/sandbox"
)

// Where the parts of a run directory are.
func workDir(runDir string) string { return filepath.Join(runDir, "work") }
func gitDir(runDir string) string  { return filepath.Join(runDir, "git") }

// Kept is the directory that grows with each checkpoint, and so is to count to what a
// run may keep.
func Kept(runDir string) string { return gitDir(runDir) }

// emptyFile hides the alternates files of borrowed directories, whose paths are
// the host's: all of the chain is listed in the run's own.
func emptyFile(runDir string) string { return filepath.Join(runDir, "empty") }

// Where the box shows them.
const (
	guestGit    = sandbox.Workspace + "/.git"
	guestBorrow = "/borrow/" // and the index in Source.Objects
)

// What MGX keeps in the git directory beside git's own files.
const (
	checkpointIndex = "mgx.index"    // the index that checkpoints are made with
	preparedMark    = "mgx.prepared" // exists once the first checkout is whole
	bundleName      = "mgx.bundle"
	startRef        = "refs/mgx/start" // the commit the run starts from
	resultRef       = "refs/mgx/result"
	checkpointRefs  = "refs/mgx/checkpoints/" // and a tree id
)

// Layout makes the parts of a run directory that are not there yet. It must be
// called before the box is opened.
func Layout(runDir string) error {
	for _, dir := range []string{workDir(runDir), gitDir(runDir), filepath.Join(runDir, "outputs"), filepath.Join(runDir, "state")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return onDisk(err)
		}
	}
	if err := os.WriteFile(emptyFile(runDir), nil, 0o600); err != nil {
		return onDisk(err)
	}
	point := filepath.Join(workDir(runDir), ".git")
	if info, err := os.Lstat(point); err == nil && !info.IsDir() { // left by a box that cannot mount
		if err := os.Remove(point); err != nil {
			return onDisk(err)
		}
	}
	return onDisk(os.MkdirAll(point, 0o700))
}

// Mounts is what the spec of the run's box must show for git to work in it: the
// git directory and the borrowed objects, all read-only.
func Mounts(runDir string, src *Source) []sandbox.Mount {
	mounts := []sandbox.Mount{{Host: gitDir(runDir), Guest: guestGit, Mode: sandbox.ReadOnly}}
	for i, dir := range src.Objects {
		guest := fmt.Sprint(guestBorrow, i)
		mounts = append(mounts, sandbox.Mount{Host: dir, Guest: guest, Mode: sandbox.ReadOnly})
		if exists(filepath.Join(dir, "info", "alternates")) {
			mounts = append(mounts, sandbox.Mount{Host: emptyFile(runDir), Guest: guest + "/info/alternates", Mode: sandbox.ReadOnly})
		}
	}
	return mounts
}

// config of a git directory that MGX makes. Bulk fsync makes a checkpoint
// survive a power cut at the price of one flush.
const config = `[core]
	repositoryformatversion = %d
	filemode = true
	bare = false
	logallrefupdates = false
	autocrlf = false
	bigFileThreshold = 16m
	fsync = objects,reference
	fsyncMethod = batch
[checkout]
	workers = 0
[gc]
	auto = 0
[maintenance]
	auto = false
[submodule]
	recurse = false
`

// attributes wins over every .gitattributes: no conversion of any kind.
const attributes = "* -text !eol !crlf !ident !filter !working-tree-encoding\n"

// skeleton makes a git directory without running git, as gitrepository-layout(5)
// describes it: a template or a config of the machine could not reach it.
func skeleton(dir, branch string, src *Source) error {
	if err := directories(dir); err != nil {
		return err
	}
	version, extensions := 0, ""
	if src.ObjectFormat != "sha1" {
		version, extensions = 1, fmt.Sprintf("[extensions]\n\tobjectFormat = %s\n", src.ObjectFormat)
	}
	files := []struct{ name, text string }{
		{"HEAD", "ref: refs/heads/" + branch + "\n"},
		{"info/exclude", string(src.ignore)},
		{"info/attributes", attributes},
		{"shallow", string(src.Shallow)},
		{"config", fmt.Sprintf(config, version) + extensions},
	}
	for _, f := range files {
		if f.name == "shallow" && f.text == "" {
			continue // an empty one would still make the clone shallow
		}
		if err := replaceFile(filepath.Join(dir, f.name), f.text); err != nil {
			return err
		}
	}
	return nil
}

// directories makes those that git wants to see in a git directory. A copy from
// a backup lacks the empty ones.
func directories(dir string) error {
	for _, sub := range []string{"objects/info", "objects/pack", "refs/heads", "info"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return onDisk(err)
		}
	}
	return nil
}

// borrow lists the object directories that a git directory borrows from.
func borrow(dir string, objects []string) error {
	var list strings.Builder
	for _, o := range objects {
		list.WriteString(quoteAlternate(o) + "\n")
	}
	return replaceFile(filepath.Join(dir, "objects", "info", "alternates"), list.String())
}

const unfinished = ".mgx-new" // ends the name of a file that is being written

// replaceFile writes a small file whole or not at all.
func replaceFile(name, text string) error {
	tmp := name + unfinished
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return onDisk(err)
	}
	return onDisk(os.Rename(tmp, name))
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// onDisk says what went wrong with the run directory's own files.
func onDisk(err error) error {
	if err == nil {
		return nil
	}
	if full := diskFull(err); full != nil {
		return full
	}
	if errors.Is(err, fs.ErrPermission) {
		return mgx.Errorf(mgx.KindConfig, "data_not_writable", "the run directory cannot be written: %w", err)
	}
	return mgx.Errorf(mgx.KindInternal, "run_directory", "the run directory could not be prepared: %w", err)
}
