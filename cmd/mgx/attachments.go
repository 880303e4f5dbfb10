package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/archive"
	"mgx/internal/sandbox"
	"mgx/internal/tool"
)

const attachmentsDir = "attachments" // in the directory of a run

// given is a file or a directory that a run is given.
type given struct {
	path string
	name string // of it; agents see it as that
	said string // what whoever gives it calls it
}

// start starts a run, with what it is given in its directory already. What is kept
// of it there goes again when there will be no run.
func (n *node) start(ctx context.Context, r app.NewRun, attach []string) (mgx.Run, error) {
	if len(attach) == 0 {
		return n.app.StartRun(ctx, n.me(), r)
	}
	r.ID = mgx.NewRunID()
	var all []given
	for _, path := range attach {
		abs, err := attachedPath(path)
		if err != nil {
			return mgx.Run{}, err
		}
		all = append(all, given{abs, filepath.Base(abs), path})
	}
	var err error
	if r.Settings.Attachments, err = n.give(ctx, n.me().Workspace, r.ID, all); err != nil {
		return mgx.Run{}, err
	}
	run, err := n.app.StartRun(ctx, n.me(), r)
	if err != nil {
		err = errors.Join(err, removeRun(n.runDir(r.ID)))
	}
	return run, err
}

// give puts into the directory of a run, before there is the run, what it is given, if
// the workspace may keep that much more: all of it, or nothing.
func (n *node) give(ctx context.Context, ws mgx.WorkspaceID, id mgx.RunID, files []given) (all []mgx.Attachment, err error) {
	if err = n.noteMaking(ctx, id); err == nil {
		all, err = n.keepAttachments(ctx, id, files)
	}
	if err == nil {
		size := int64(0)
		for _, a := range all {
			size += a.Size
		}
		err = n.store.TakeRoom(ctx, ws, size)
	}
	if err == nil {
		err = n.made(id)
	}
	if err != nil {
		return nil, errors.Join(err, removeRun(n.runDir(id)))
	}
	return all, nil
}

// keepAttachments copies what a run is given into its directory, before there is
// the run. Whoever fails later removes the directory.
func (n *node) keepAttachments(ctx context.Context, id mgx.RunID, files []given) ([]mgx.Attachment, error) {
	if err := fewEnough(len(files)); err != nil {
		return nil, err
	}
	dir := filepath.Join(n.runDir(id), attachmentsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, dataError(n.data, err)
	}
	left := archive.Defaults
	left.Bytes = app.MaxAttached
	var all []mgx.Attachment
	for _, g := range files {
		a, err := keepAttachment(ctx, dir, g, all, left)
		if err != nil {
			return nil, attachError(g.said, err)
		}
		left.Bytes -= a.Size
		left.Entries -= a.Files
		all = append(all, a)
	}
	return all, nil
}

func fewEnough(attachments int) error {
	if attachments > app.MaxAttachments {
		return usage("too_many_attachments", "a run takes at most %d attachments; put them into one directory or archive", app.MaxAttachments)
	}
	return nil
}

// attachedPath is where what is named lies. An empty name is one that a script failed to
// fill in, and not the directory that the command is given in.
func attachedPath(path string) (abs string, err error) {
	if path == "" {
		return "", usage("bad_attachment", "--attach is empty; name a file, a directory or an archive")
	}
	if abs, err = filepath.Abs(path); err != nil {
		return "", attachError(path, err)
	}
	return abs, nil
}

// attachable is what is at a path, a file or a directory.
func attachable(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, usage("bad_attachment", "there is no such file or directory, or it cannot be read")
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil, usage("bad_attachment", "it is neither a file nor a directory")
	}
	return info, nil
}

func attachError(path string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	e := mgx.AsError(err)
	kind := e.Kind
	if kind == mgx.KindInternal {
		kind = mgx.KindUsage
	}
	return &mgx.Error{Kind: kind, Code: "bad_attachment", Message: strconv.Quote(path) + " cannot be attached: " + e.Message, Err: err}
}

// keepAttachment copies a directory or a file, or unpacks an archive.
func keepAttachment(ctx context.Context, dir string, g given, before []mgx.Attachment, l archive.Limits) (a mgx.Attachment, err error) {
	info, err := attachable(g.path)
	if err != nil {
		return a, err
	}
	base := g.name
	if !info.IsDir() {
		base = strings.TrimSuffix(strings.TrimSuffix(base, filepath.Ext(base)), ".tar")
	}
	a.Name = attachmentName(base, before)
	into := filepath.Join(dir, a.Name)
	if err := os.Mkdir(into, 0o755); err != nil {
		return a, err
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return a, err
	}
	defer root.Close()
	if info.IsDir() {
		err = keepDirectory(ctx, root, g.path, l)
	} else {
		err = keepFile(ctx, root, g, l)
	}
	if err != nil {
		return a, err
	}
	t, err := archive.Look(root)
	a.Digest, a.Files, a.Size = t.Digest, t.Files, t.Size
	return a, err
}

func keepDirectory(ctx context.Context, into *os.Root, dir string, l archive.Limits) error {
	from, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer from.Close()
	return archive.Copy(ctx, into, from, l)
}

func keepFile(ctx context.Context, into *os.Root, g given, l archive.Limits) error {
	f, err := os.Open(g.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if archive.Kind(f) != "" {
		return archive.Unpack(ctx, into, f, info.Size(), l)
	}
	return archive.CopyFile(ctx, into, g.name, f, l)
}

// attachmentName is a directory name that is new among the attachments.
func attachmentName(base string, before []mgx.Attachment) string {
	plain := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, base)
	plain = strings.Trim(plain[:min(len(plain), 60)], ".-")
	if plain == "" {
		plain = "attachment"
	}
	taken := map[string]bool{}
	for _, a := range before {
		taken[strings.ToLower(a.Name)] = true
	}
	name := plain
	for i := 2; taken[strings.ToLower(name)]; i++ {
		name = plain + "-" + strconv.Itoa(i)
	}
	return name
}

// attachments opens what a run was given, when it is still what was given.
func (n *node) attachments(id mgx.RunID, given []mgx.Attachment) (*os.Root, []sandbox.Mount, error) {
	if len(given) == 0 {
		return nil, nil, nil
	}
	dir := filepath.Join(n.runDir(id), attachmentsDir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, attachmentsGone(id, err)
	}
	for _, a := range given {
		sub, err := root.OpenRoot(a.Name)
		if err != nil {
			root.Close()
			return nil, nil, attachmentsGone(id, err)
		}
		t, err := archive.Look(sub)
		sub.Close()
		if err != nil || t.Digest != a.Digest {
			root.Close()
			return nil, nil, attachmentsGone(id, err)
		}
	}
	return root, []sandbox.Mount{{Host: dir, Guest: tool.AttachmentsDir, Mode: sandbox.ReadOnly}}, nil
}

func attachmentsGone(id mgx.RunID, err error) error {
	return mgx.Errorf(mgx.KindConfig, "attachments_changed", "the attachments of %s are gone or no longer what was attached; start a new run with --attach: %w", id, err)
}

// copyAttachments gives a fork what the run it forks was given.
func (n *node) copyAttachments(from, to mgx.RunID) error {
	root, err := os.OpenRoot(filepath.Join(n.runDir(from), attachmentsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return dataError(n.data, err)
	}
	defer root.Close()
	dir := filepath.Join(n.runDir(to), attachmentsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return dataError(n.data, err)
	}
	into, err := os.OpenRoot(dir)
	if err != nil {
		return dataError(n.data, err)
	}
	defer into.Close()
	l := archive.Defaults
	l.Depth++ // the directory of each
	l.Entries += app.MaxAttachments
	return archive.Copy(context.Background(), into, root, l)
}
