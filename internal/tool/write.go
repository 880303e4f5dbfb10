package tool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

type writeArgs struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

// write makes or replaces a whole file.
func write(ctx context.Context, ws *Workspace, a writeArgs) (Result, error) {
	p, err := ws.target(a.Path)
	if err != nil {
		return Result{}, err
	}
	if len(a.Content) > maxEditable {
		return Result{}, failf("The content has %s; write takes up to %s.", size(int64(len(a.Content))), size(maxEditable))
	}
	old, err := replaceable(p)
	if err != nil {
		return Result{}, err
	}
	d := document{body: a.Content, mode: newFileMode}
	did := "Created"
	if old != nil {
		d.mode, did = old.Mode().Perm(), "Replaced"
	}
	if _, err := save(p, d); err != nil {
		return Result{}, fileError(p, err)
	}
	n := len(splitLines(a.Content))
	return succeed(fmt.Sprintf("%s %s (%s, %s).", did, p, count(n, "line"), size(int64(len(a.Content)))))
}

// replaceable returns what is at p: a regular file, or nil for nothing.
func replaceable(p place) (fs.FileInfo, error) {
	info, err := p.root.Lstat(p.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fileError(p, err)
	case info.IsDir():
		return nil, failf("%s is a directory, so it cannot be written as a file.", p)
	case !info.Mode().IsRegular():
		return nil, failf("%s is not a regular file and is not replaced.", p)
	}
	return info, nil
}
