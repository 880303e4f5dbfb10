package app

import (
	"context"
	"io"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/lazy"
)

// Uploads keeps repositories that people send, each as long as a run works on it, and
// packs what runs delivered.
type Uploads interface {
	// Keep makes a repository of a bundle of git with a digest (sha256:…): all of it, or
	// nothing. One that is there already stays as it is.
	Keep(ctx context.Context, ws mgx.WorkspaceID, digest string, bundle io.Reader) (Upload, error)
	// Dir is the directory of a repository of a workspace; an error of code not_found
	// when there is none.
	Dir(ws mgx.WorkspaceID, digest string) (string, error)
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
	if err := w.may(ctx, actor, "create", "tasks"); err != nil {
		return Upload{}, err
	}
	all, err := w.uploads()
	if err != nil {
		return Upload{}, err
	}
	if !digests().MatchString(digest) {
		return Upload{}, mgx.Errorf(mgx.KindUsage, "bad_upload", "a bundle is named by its digest: sha256: and 64 small hexadecimal digits")
	}
	return all.Keep(ctx, actor.Workspace, digest, bundle)
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
