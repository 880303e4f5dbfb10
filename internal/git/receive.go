package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mgx"
	"mgx/internal/sandbox"
)

// MaxUpload bounds the bundle of a repository that is sent to a server, in bytes.
const MaxUpload = 256 << 20

// receiveWait is how long a bundle may take to be unpacked and checked.
const receiveWait = 5 * time.Minute

// uploadedBranch is the branch of a repository that was sent.
const uploadedBranch = "main"

// Pack writes the head of the repository, with all of its history, into a bundle.
func (s *Source) Pack(ctx context.Context, file string) error {
	if len(s.Shallow) > 0 {
		return mgx.Errorf(mgx.KindUsage, "bad_upload", "the repository at %s is a shallow clone, which cannot be sent; git fetch --unshallow completes it", s.Path)
	}
	if _, err := s.git(ctx, "bundle", "create", "-q", file, "HEAD"); err != nil {
		return explain(err, "write the bundle")
	}
	info, err := os.Stat(file)
	if err != nil {
		return onDisk(err)
	}
	if info.Size() > MaxUpload {
		return mgx.Errorf(mgx.KindUsage, "upload_too_large", "the repository at %s has %d MB with its history, and the limit is %d; have an admin make it a project of the workspace: mgx project add", s.Path, info.Size()>>20, MaxUpload>>20)
	}
	return nil
}

// receiveScript unpacks the objects that come on standard input and looks whether
// the commit has all that it needs.
const receiveScript = `
git init -q --template= --object-format="$1" . &&
git index-pack --strict --stdin --max-input-size="$3" >/dev/null &&
test "$(git cat-file -t "$2")" = commit &&
git rev-list --objects --quiet "$2"`

// Receive makes a repository in a directory that does not exist yet, of a bundle that
// somebody sent, and returns its head. Nothing of the bundle is believed: its objects
// are unpacked in a box, as strictly as git can, into the directory of the host that
// is the box's workspace; and nothing but the packs leaves that. The bundle has one
// head and everything that it needs.
func Receive(ctx context.Context, box sandbox.Box, workspace, bundle, into string) (head string, err error) {
	b, err := openBundle(bundle, "")
	if err != nil {
		return "", refusedUpload(err)
	}
	defer b.file.Close()
	if b.needs {
		return "", mgx.Errorf(mgx.KindUsage, "bad_upload", "the bundle was refused: it builds on commits that it does not hold; send the whole history")
	}
	if err := b.unpackIn(ctx, box); err != nil {
		return "", err
	}
	dir := filepath.Join(into, ".git")
	if err := skeleton(dir, uploadedBranch, &Source{RepoInfo: mgx.RepoInfo{}, ObjectFormat: b.format}); err != nil {
		return "", err
	}
	if err := takePacks(workspace, filepath.Join(dir, "objects", "pack")); err != nil {
		return "", err
	}
	return b.tip, replaceFile(filepath.Join(dir, "refs", "heads", uploadedBranch), b.tip+"\n")
}

func (b *bundle) unpackIn(ctx context.Context, box sandbox.Box) error {
	objects, err := b.objects()
	if err != nil {
		return err
	}
	said := &capped{max: maxSaid}
	result, err := box.Run(ctx, sandbox.Command{
		Args: []string{"sh", "-c", receiveScript, "sh", b.format, b.tip, fmt.Sprint(int64(MaxUpload))}, Env: append(base(), "GIT_DIR="+box.Path(sandbox.Workspace)+"/.git"),
		Stdin: objects, Stdout: &capped{max: maxSaid}, Stderr: said, Timeout: receiveWait,
	})
	switch {
	case err != nil:
		return err
	case result.TimedOut:
		return mgx.Errorf(mgx.KindUsage, "bad_upload", "the bundle was refused: it took longer than %v to check", receiveWait)
	case result.ExitCode == 127:
		return mgx.Errorf(mgx.KindConfig, "git_missing", "git was not found in the sandbox; install it under /usr or /usr/local")
	case result.ExitCode != 0:
		return mgx.Errorf(mgx.KindUsage, "bad_upload", "the bundle was refused: git found it unsound (%s)", sentence(said.String()))
	}
	return nil
}

// takePacks moves the packs that git made in a workspace, and nothing else: no links,
// no settings, no other stores of objects.
func takePacks(workspace, to string) error {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return onDisk(err)
	}
	defer root.Close()
	dir, err := root.OpenRoot(".git/objects/pack")
	if err != nil {
		return onDisk(err)
	}
	defer dir.Close()
	list, err := dir.Open(".")
	if err != nil {
		return onDisk(err)
	}
	defer list.Close()
	names, err := list.Readdirnames(mostPackFiles + 1)
	if err != nil || len(names) > mostPackFiles {
		return mgx.Errorf(mgx.KindUsage, "bad_upload", "the bundle was refused: it has no objects, or too many packs of them")
	}
	for _, name := range names {
		kind := filepath.Ext(name)
		if !strings.HasPrefix(name, "pack-") || kind != ".pack" && kind != ".idx" && kind != ".rev" {
			continue
		}
		if err := takeFile(dir, name, filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

const mostPackFiles = 16

func takeFile(from *os.Root, name, to string) error {
	info, err := from.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return mgx.Errorf(mgx.KindUsage, "bad_upload", "the bundle was refused: its objects are no file")
	}
	f, err := from.Open(name)
	if err != nil {
		return onDisk(err)
	}
	defer f.Close()
	return copyTo(f, to, 0o400)
}

// refusedUpload is what is wrong with a bundle, said of one that was sent.
func refusedUpload(err error) error {
	if e := mgx.AsError(err); e.Code == "bad_result" {
		return mgx.Errorf(mgx.KindUsage, "bad_upload", "the bundle was refused: %s", strings.TrimPrefix(e.Message, "the run's result was refused: "))
	}
	return err
}
