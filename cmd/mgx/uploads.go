package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/git"
	"mgx/internal/limit"
)

const (
	uploadsDir   = "uploads"       // in the data directory; then the workspace, then the digest
	filePrefix   = "file-"         // begins the name of a file that tasks can attach; then its digest
	receiving    = "new-"          // begins the name of a directory in which one is received; then who does, and a dot
	uploadUnused = 24 * time.Hour  // after which an upload goes that no run works on
	uploadFresh  = 5 * time.Minute // in which a task may be about to name one
	uploadsSwept = time.Hour       // how often that is looked for
	uploadsAt    = 16              // that are received at once, one repository of each workspace
	uploadsMade  = 2               // that are made repositories at once; others wait
	uploadsADay  = 50              // new ones of a workspace
	filesADay    = 1000            // new files of a workspace
	filesAt      = 4               // of a workspace that are received at once
	uploadBusy   = "uploads_busy"  // code: too many are
	bundleFile   = "bundle"
)

// uploads are the repositories, and the files to attach, that people sent to this node.
type uploads struct {
	n     *node
	seats chan struct{}
	mine  limit.Shares // by workspace
	made  chan struct{}
	sizes sync.Map // bytes by directory: what is in its place does not change
}

func newUploads(n *node) *uploads {
	return &uploads{n: n, seats: make(chan struct{}, uploadsAt), made: make(chan struct{}, uploadsMade)}
}

func (u *uploads) root(ws mgx.WorkspaceID) string {
	return filepath.Join(u.n.data, uploadsDir, string(ws))
}

// place is where a repository of a digest is. Both are checked by who calls: an id
// that the store gave, and small hexadecimal digits.
func (u *uploads) place(ws mgx.WorkspaceID, digest string) string {
	return filepath.Join(u.root(ws), strings.TrimPrefix(digest, "sha256:"))
}

func (u *uploads) Dir(ws mgx.WorkspaceID, digest string) (string, error) {
	dir := u.place(ws, digest)
	if _, err := os.Stat(dir); err != nil {
		return "", mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no upload %s in this workspace; send the repository first", digest)
	}
	return dir, nil
}

// Keep receives a repository beside its place, and puts it there when it is whole and
// sound: a process that is killed leaves nothing there, and what it leaves goes again.
func (u *uploads) Keep(ctx context.Context, ws mgx.WorkspaceID, digest string, bundle io.Reader) (app.Upload, error) {
	up := app.Upload{Digest: digest}
	place := u.place(ws, digest)
	err := u.enter(ctx, ws, limit.Share{Owner: string(ws), Most: 1}, place, uploadsADay, func(tmp string) (err error) {
		if up.Size, err = u.take(filepath.Join(tmp, bundleFile), digest, bundle, git.MaxUpload); err != nil {
			return err
		}
		if up.Head, err = u.receive(ctx, ws, tmp); err != nil {
			return err
		}
		return u.put(ctx, ws, filepath.Join(tmp, "repo"), place)
	})
	if err != nil {
		return app.Upload{}, err
	}
	return up, nil
}

// KeepFile does so with a file, which stays as it is.
func (u *uploads) KeepFile(ctx context.Context, ws mgx.WorkspaceID, digest string, content io.Reader) (size int64, err error) {
	place := u.file(ws, digest)
	err = u.enter(ctx, ws, limit.Share{Owner: filePrefix + string(ws), Most: filesAt}, place, filesADay, func(tmp string) (err error) {
		name := filepath.Join(tmp, "file")
		if size, err = u.take(name, digest, content, app.MaxAttached); err != nil {
			return err
		}
		return u.put(ctx, ws, name, place)
	})
	return size, err
}

func (u *uploads) file(ws mgx.WorkspaceID, digest string) string {
	return filepath.Join(u.root(ws), filePrefix+strings.TrimPrefix(digest, "sha256:"))
}

// Attach gives files that were sent to a run that there is not yet.
func (u *uploads) Attach(ctx context.Context, ws mgx.WorkspaceID, run mgx.RunID, files []app.Attached) ([]mgx.Attachment, error) {
	var all []given
	for _, f := range files {
		at := u.file(ws, f.Digest)
		if _, err := os.Stat(at); err != nil {
			return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no file %s in this workspace; send it first", f.Digest)
		}
		all = append(all, given{at, f.Name, f.Name})
	}
	return u.n.give(ctx, ws, run, all)
}

// enter has something received in a directory of its own, which then goes, when it is
// this one's turn.
func (u *uploads) enter(ctx context.Context, ws mgx.WorkspaceID, share limit.Share, place string, aDay int, receive func(tmp string) error) error {
	leave, err := u.mine.Enter(share)
	if err != nil {
		return err
	}
	defer leave()
	select {
	case u.seats <- struct{}{}:
		defer func() { <-u.seats }()
	default:
		return mgx.Errorf(mgx.KindConfig, uploadBusy, "the server is receiving %d uploads already; try again in a moment", uploadsAt)
	}
	if err := os.MkdirAll(u.root(ws), 0o700); err != nil {
		return dataError(u.n.data, err)
	}
	if err := u.room(ctx, ws, place, aDay); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(u.root(ws), receiving+u.n.owner.id+".")
	if err != nil {
		return dataError(u.n.data, err)
	}
	defer removeRun(tmp)
	if err := receive(tmp); err != nil {
		return err
	}
	// Whoever erases the workspace says so before they look for what to remove.
	gone, err := u.n.store.Erased(ctx, ws)
	if gone {
		err = errors.Join(mgx.Errorf(mgx.KindRefused, mgx.CodeErased, "workspace %s was erased", ws), u.remove(ws))
	}
	return err
}

// remove removes all that a workspace was sent.
func (u *uploads) remove(ws mgx.WorkspaceID) error {
	u.sizes.Range(func(dir, _ any) bool {
		if filepath.Dir(dir.(string)) == u.root(ws) {
			u.sizes.Delete(dir)
		}
		return true
	})
	return removeRun(u.root(ws))
}

// put puts what was received in its place, if the workspace may keep that much more. What is
// there is whole and outlasts a power cut: a run may name it at once.
func (u *uploads) put(ctx context.Context, ws mgx.WorkspaceID, received, place string) error {
	size, err := sizeOf(received)
	if err != nil {
		return dataError(u.n.data, err)
	}
	if _, err := os.Stat(place); err != nil {
		if err := u.n.store.TakeRoom(ctx, ws, size); err != nil {
			return err
		}
	}
	if err = durable(received); err == nil {
		err = os.Rename(received, place)
	}
	if errors.Is(err, fs.ErrExist) { // it was sent before; it is as if it had been just now
		now := time.Now()
		err = os.Chtimes(place, now, now)
	}
	if err == nil {
		err = durableNames(u.root(ws), filepath.Dir(u.root(ws)), u.n.data)
	}
	if err != nil {
		return dataError(u.n.data, err)
	}
	return nil
}

// size is what a workspace was sent takes, in bytes of files.
func (u *uploads) size(ws mgx.WorkspaceID) (sum int64, err error) {
	all, err := os.ReadDir(u.root(ws))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, dataError(u.n.data, err)
	}
	for _, entry := range all {
		dir := filepath.Join(u.root(ws), entry.Name())
		if strings.HasPrefix(entry.Name(), receiving) {
			continue
		}
		size, known := u.sizes.Load(dir)
		if !known {
			n, err := sizeOf(dir)
			if errors.Is(err, fs.ErrNotExist) { // it goes just now
				continue
			}
			if err != nil {
				return 0, dataError(u.n.data, err)
			}
			size = n
			u.sizes.Store(dir, n)
		}
		sum += size.(int64)
	}
	return sum, nil
}

// sizeOf is what the files below a directory take, in bytes.
func sizeOf(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

// room refuses more new repositories or files of a workspace than one can want in a
// day. Older ones are there because runs work on them, or go.
func (u *uploads) room(ctx context.Context, ws mgx.WorkspaceID, place string, aDay int) error {
	if _, err := os.Stat(place); err == nil {
		return nil
	}
	if err := u.n.store.TakeRoom(ctx, ws, 0); err != nil {
		return err
	}
	all, err := os.ReadDir(u.root(ws))
	if err != nil {
		return dataError(u.n.data, err)
	}
	lately := 0
	files := isSentFile(place)
	for _, entry := range all {
		if info, err := entry.Info(); err == nil && isSentFile(entry.Name()) == files && time.Since(info.ModTime()) < uploadUnused {
			lately++
		}
	}
	switch {
	case lately < aDay:
		return nil
	case files:
		return mgx.Errorf(mgx.KindRefused, "too_many_uploads", "the workspace was sent %d files within a day, and that is the limit; put several into one archive", aDay)
	}
	return mgx.Errorf(mgx.KindRefused, "too_many_uploads", "the workspace was sent %d repositories within a day, and that is the limit; send fewer states of them, or have an admin make them projects", aDay)
}

func isSentFile(place string) bool { return strings.HasPrefix(filepath.Base(place), filePrefix) }

// take writes what comes into a file, and refuses what is not what it is called.
func (u *uploads) take(name, digest string, content io.Reader, most int64) (int64, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, dataError(u.n.data, err)
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(content, most+1))
	if closed := f.Close(); err == nil && closed != nil {
		err = dataError(u.n.data, closed)
	}
	switch got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); {
	case err != nil:
		return 0, err
	case size > most:
		return 0, mgx.Errorf(mgx.KindUsage, "bad_upload", "what was sent is larger than %d MB", most>>20)
	case got != digest:
		return 0, mgx.Errorf(mgx.KindUsage, "bad_upload", "what was sent has the digest %s and not the one that it was sent as; it may have broken off: send it again", got)
	}
	return size, nil
}

// receive makes the repository in a box, which has nothing else to see.
func (u *uploads) receive(ctx context.Context, ws mgx.WorkspaceID, tmp string) (head string, err error) {
	select {
	case u.made <- struct{}{}:
		defer func() { <-u.made }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	work := filepath.Join(tmp, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		return "", dataError(u.n.data, err)
	}
	spec := boxSpec(u.n.data, besides, work, filepath.Join(tmp, "state"), nil)
	if err := u.n.limit(ctx, &spec, ws); err != nil {
		return "", err
	}
	least, err := u.n.leastFor(ctx, ws, mgx.RepoInfo{})
	if err != nil {
		return "", err
	}
	box, err := openBox(ctx, driver(u.n.sandbox), least, spec)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	return git.Receive(ctx, box, work, filepath.Join(tmp, bundleFile), filepath.Join(tmp, "repo"))
}

// Pack has the clone of a run make the bundle, in its box.
func (u *uploads) Pack(ctx context.Context, run mgx.Run) (io.ReadCloser, int64, error) {
	site, err := u.n.siteFor(ctx, besides, scopeOf(run), run.Repo, withoutServers(run.Settings))
	if err != nil {
		return nil, 0, err
	}
	defer site.Box.Close()
	path, err := site.Clone.Bundle(ctx, run.Repo.Head, run.Delivered.Commit)
	if err != nil {
		return nil, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, dataError(u.n.data, err)
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() > git.MaxUpload) {
		err = mgx.Errorf(mgx.KindRefused, "branch_too_large", "what the run delivered is larger than %d MB", git.MaxUpload>>20)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// sweep removes, now and then, uploads that no run works on, and what killed
// processes left.
func (u *uploads) sweep(ctx context.Context) {
	tick := time.NewTicker(uploadsSwept)
	defer tick.Stop()
	for {
		if err := u.sweepOnce(ctx, time.Now().Add(-uploadUnused)); err != nil && ctx.Err() == nil {
			u.n.log.Error("uploads that nobody needs cannot be removed; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweepOnce removes those whose runs are all erased, those that came before a moment
// and have none, as files never do, those of erased workspaces, which came to another process than erased
// them, and what processes received that died meanwhile.
func (u *uploads) sweepOnce(ctx context.Context, before time.Time) error {
	found, err := filepath.Glob(filepath.Join(u.n.data, uploadsDir, "*", "*"))
	if err != nil {
		return err
	}
	var failed error
	for _, dir := range found {
		ws := mgx.WorkspaceID(filepath.Base(filepath.Dir(dir)))
		if gone, err := u.n.store.Erased(ctx, ws); gone || err != nil {
			if err == nil {
				err = u.remove(ws)
			}
			failed = errors.Join(failed, err)
			continue
		}
		half, isHalf := strings.CutPrefix(filepath.Base(dir), receiving)
		if owner, _, _ := strings.Cut(half, "."); isHalf && !u.n.owner.alive(owner) {
			failed = errors.Join(failed, removeRun(dir))
			continue
		}
		info, err := os.Lstat(dir)
		if err != nil || time.Since(info.ModTime()) < uploadFresh && info.ModTime().After(before) {
			continue
		}
		old, had, works := info.ModTime().Before(before), false, false
		if !isHalf && !isSentFile(dir) {
			had, works, err = u.runs(ctx, ws, dir)
		}
		if err == nil && !works && (had || old) {
			err = removeRun(dir)
			u.sizes.Delete(dir)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// runs reports whether a repository had runs, and whether one of them is not erased.
func (u *uploads) runs(ctx context.Context, ws mgx.WorkspaceID, dir string) (had, works bool, err error) {
	projects, err := u.projects(dir)
	for _, project := range projects {
		if err == nil && !works {
			var its bool
			its, works, err = u.runsOf(ctx, ws, project)
			had = had || its
		}
	}
	return had, works, err
}

func (u *uploads) runsOf(ctx context.Context, ws mgx.WorkspaceID, project mgx.ProjectID) (had, works bool, err error) {
	after := mgx.RunID("")
	for {
		runs, err := u.n.store.RunInfos(mgx.InWorkspace(ctx, ws), mgx.RunFilter{Workspace: ws, Project: project}, after, app.MaxPage)
		if err != nil {
			return had, false, err
		}
		for _, r := range runs {
			if after, had = r.ID, true; r.ErasedAt.IsZero() {
				return true, true, nil
			}
		}
		if len(runs) < app.MaxPage {
			return had, false, nil
		}
	}
}
