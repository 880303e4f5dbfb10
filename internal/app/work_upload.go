package app

import (
	"context"
	"io"
	"strings"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/guard"
	"mgx/internal/lazy"
)

// Uploads keeps repositories that people send, each as long as a run works on it, and
// files until they are attached to one; and packs what runs delivered.
type Uploads interface {
	// Keep makes a repository of a bundle of git with a digest (sha256:…): all of it, or
	// nothing. One that is there already stays as it is.
	Keep(ctx context.Context, ws mgx.WorkspaceID, digest string, bundle io.Reader) (Upload, error)
	// Dir is the directory of a repository of a workspace; an error of code not_found
	// when there is none.
	Dir(ws mgx.WorkspaceID, digest string) (string, error)
	// KeepFile keeps a file that tasks can attach, likewise, and returns its size.
	KeepFile(ctx context.Context, ws mgx.WorkspaceID, digest string, content io.Reader) (size int64, err error)
	// Attach puts files that were kept where a run will have them, before there is the
	// run. What is there goes again by itself when there never is.
	Attach(ctx context.Context, ws mgx.WorkspaceID, run mgx.RunID, files []Attached) ([]mgx.Attachment, error)
	// Pack makes a bundle of the branch that a run delivered, without what it began
	// with. Whoever reads it closes it.
	Pack(ctx context.Context, run mgx.Run) (content io.ReadCloser, size int64, err error)
}

// Upload is a repository that somebody sent.
type Upload struct {
	Digest string `json:"digest" doc:"Of the bundle. A task names it as its upload"`
	Head   string `json:"head" doc:"The commit that runs begin with"`
	Size   int64  `json:"size" doc:"Bytes of the bundle"`
}

// Attached is a file that was sent, for the agents of a run to read.
type Attached struct {
	Name   string `json:"name" doc:"What agents see it as. An archive (tar, tar.gz, zip) is unpacked" minLength:"1" maxLength:"255" example:"failing.log"`
	Digest string `json:"digest" doc:"Of the file that was sent: see putAttachment" maxLength:"100" example:"sha256:0f343b0931126a20f133d67c2b018a3b5e20f8d8a6c5b0a0c1f2e3d4b5a69788"`
}

// SentFile is a file that somebody sent.
type SentFile struct {
	Digest string `json:"digest" doc:"A task names it among its attachments"`
	Size   int64  `json:"size" doc:"In bytes"`
}

// Bounds of what a run is given.
const (
	MaxAttachments = 32
	MaxAttached    = 64 << 20 // bytes of a file that is sent, and of all in a run
)

var digests = lazy.Regexp(`^sha256:[0-9a-f]{64}$`)

// uploads are for those who may have tasks done.
func (w *Work) uploads() (Uploads, error) {
	if w.o.Uploads == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server takes no repositories; name a project of the workspace")
	}
	return w.o.Uploads, nil
}

// Upload keeps a repository that somebody sends as a bundle, for tasks of the
// workspace that name its digest. What no task names goes again after a day.
func (w *Work) Upload(ctx context.Context, actor access.Actor, digest string, bundle io.Reader) (Upload, error) {
	all, err := w.sent(ctx, actor, "bundle", digest)
	if err != nil {
		return Upload{}, err
	}
	return all.Keep(ctx, actor.Workspace, digest, bundle)
}

// sent are where something is kept that somebody sends under a digest.
func (w *Work) sent(ctx context.Context, actor access.Actor, what, digest string) (Uploads, error) {
	if err := w.may(ctx, actor, "create", "tasks"); err != nil {
		return nil, err
	}
	all, err := w.uploads()
	if err == nil && !digests().MatchString(digest) {
		err = mgx.Errorf(mgx.KindUsage, "bad_upload", "a %s is named by its digest: sha256: and 64 small hexadecimal digits", what)
	}
	return all, err
}

// UploadFile keeps a file that somebody sends, for tasks of the workspace that attach it
// within a day.
func (w *Work) UploadFile(ctx context.Context, actor access.Actor, digest string, content io.Reader) (SentFile, error) {
	all, err := w.sent(ctx, actor, "file", digest)
	if err != nil {
		return SentFile{}, err
	}
	size, err := all.KeepFile(ctx, actor.Workspace, digest, content)
	return SentFile{digest, size}, err
}

// attach gives a run that will be begun the files that its task names. With a key by
// which one was begun before, that is returned.
func (w *Work) attach(ctx context.Context, actor access.Actor, n *NewRun, files []Attached) (begun mgx.Run, err error) {
	if len(files) == 0 {
		return begun, nil
	}
	all, err := w.uploads()
	if err != nil {
		return begun, err
	}
	if n.Key != "" {
		d := mgx.RunCreatedData{Task: mgx.TaskInfo{Description: strings.TrimSpace(n.Text)}, Repo: n.Repo}
		if begun, _, err = w.begun(ctx, actor, executionOf(actor, n.Key), d); !mgx.IsCode(err, mgx.CodeNotFound) {
			return begun, err
		}
	}
	n.ID = mgx.NewRunID()
	n.Settings.Attachments, err = all.Attach(ctx, actor.Workspace, n.ID, files)
	return mgx.Run{}, err
}

// checkAttached refuses what is no list of files.
func checkAttached(files []Attached) error {
	if len(files) > MaxAttachments {
		return mgx.Errorf(mgx.KindUsage, "too_many_attachments", "a run takes at most %d attachments; put them into one archive", MaxAttachments)
	}
	for _, f := range files {
		if name, err := guard.Line("bad_attachment", "the name of an attachment", f.Name, 255); err != nil || name != f.Name || name == "" || strings.ContainsAny(name, `/\`) {
			return mgx.Errorf(mgx.KindUsage, "bad_attachment", "the name of an attachment is that of a file, of 1 to 255 bytes, without a directory and without characters that cannot be seen")
		}
		if !digests().MatchString(f.Digest) {
			return mgx.Errorf(mgx.KindUsage, "bad_attachment", "an attachment has the digest of a file that was sent: sha256: and 64 small hexadecimal digits")
		}
	}
	return nil
}

// uploaded is a repository that was sent, as it was.
func (w *Work) uploaded(ctx context.Context, actor access.Actor, digest string) (mgx.RepoInfo, error) {
	all, err := w.uploads()
	if err != nil {
		return mgx.RepoInfo{}, err
	}
	if !digests().MatchString(digest) {
		return mgx.RepoInfo{}, noSuch("upload", digest)
	}
	dir, err := all.Dir(actor.Workspace, digest)
	if err != nil {
		return mgx.RepoInfo{}, err
	}
	seen, err := w.o.Host.Inspect(ctx, dir)
	seen.Dirty = false // there are no files beside its commits
	return seen.RepoInfo, err
}

// Delivered is the branch that a run delivered, as a bundle of git that builds on the
// commit which the run began with.
type Delivered struct {
	Branch, Commit, Base string
	Size                 int64
	Content              io.ReadCloser
}

// Branch packs what a run of the actor's workspace delivered. Whoever reads it closes
// its content.
func (w *Work) Branch(ctx context.Context, actor access.Actor, id mgx.RunID) (d Delivered, err error) {
	run, err := w.runFor(ctx, actor, "read", "artifacts", id)
	if err != nil {
		return d, err
	}
	if err := run.NotErased(); err != nil {
		return d, err
	}
	all, err := w.uploads()
	switch {
	case err != nil:
		return d, err
	case run.Delivered == nil || run.Delivered.Commit == "":
		return d, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "run %s has delivered no branch", id)
	}
	leave, err := w.seats.take(ctx, run.Workspace)
	if err != nil {
		return d, err
	}
	defer leave()
	d = Delivered{Branch: run.Delivered.Branch, Commit: run.Delivered.Commit, Base: run.Repo.Head}
	d.Content, d.Size, err = all.Pack(ctx, run.Run)
	return d, err
}
