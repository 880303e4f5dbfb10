package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mgx"
)

// The directory of a run that is forked, or given attachments, is made before there
// is the run, so that whoever works on the run finds it whole. Until the run is known
// to be there a note says who makes it: in a directory of the data directory, a file by
// the name of the run. What a process that died has noted, and no run came of, goes.
const (
	makingDir  = "making"
	makingLong = time.Hour   // after which a process that lives counts as having given up
	commitLate = time.Minute // within which a server may still commit for a process that died
)

// making is the note.
type making struct {
	Owner string `json:"owner"` // the process
	Epoch string `json:"epoch"` // of the log that the run comes into: a data directory can be used with several databases
}

func (n *node) makingPath(id mgx.RunID) string {
	return filepath.Join(n.data, makingDir, string(id))
}

// noteMaking notes that this process makes the directory of a run.
func (n *node) noteMaking(ctx context.Context, id mgx.RunID) error {
	epoch, err := n.store.Epoch(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(making{n.owner.id, epoch})
	if err != nil {
		return err
	}
	half := n.makingPath("." + id)
	err = os.MkdirAll(filepath.Join(n.data, makingDir), 0o700)
	if err == nil {
		err = os.WriteFile(half, text, 0o600)
	}
	if err == nil {
		err = os.Rename(half, n.makingPath(id))
	}
	if err != nil {
		return dataError(n.data, err)
	}
	return nil
}

// made has what was made for a run outlast a power cut, before there is the run.
func (n *node) made(id mgx.RunID) error {
	if err := durable(n.runDir(id)); err != nil {
		return dataError(n.data, err)
	}
	now := time.Now()
	if err := os.Chtimes(n.makingPath(id), now, now); err != nil {
		return dataError(n.data, err)
	}
	return nil
}

// sweepMaking removes the directories of runs that there will not be, and the notes
// on those that there are.
func (n *node) sweepMaking(ctx context.Context) error {
	notes, err := os.ReadDir(filepath.Join(n.data, makingDir))
	if errors.Is(err, fs.ErrNotExist) || len(notes) == 0 {
		return nil
	}
	if err != nil {
		return dataError(n.data, err)
	}
	epoch, err := n.store.Epoch(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, note := range notes {
		if id := mgx.RunID(note.Name()); strings.HasPrefix(note.Name(), "run_") {
			failed = errors.Join(failed, n.sweepNoted(ctx, id, epoch))
		}
	}
	return failed
}

func (n *node) sweepNoted(ctx context.Context, id mgx.RunID, epoch string) error {
	info, err := os.Lstat(n.makingPath(id))
	if err != nil {
		return ifThere(err) // another process sweeps, too
	}
	text, err := os.ReadFile(n.makingPath(id))
	if err != nil {
		return ifThere(err)
	}
	var m making
	if err := json.Unmarshal(text, &m); err != nil || m.Epoch != epoch {
		return nil // whatever it is of, it is not for this process to remove
	}
	age := time.Since(info.ModTime())
	// Whether it lives comes first: what a process commits it commits before it dies.
	gone := !n.owner.alive(m.Owner) && (!n.elsewhere || age > commitLate) || age > makingLong
	there, err := n.store.HasRun(ctx, id)
	if err != nil || !there && !gone {
		return err
	}
	if !there {
		if err := removeRun(n.runDir(id)); err != nil {
			return err
		}
	}
	return ifThere(os.Remove(n.makingPath(id)))
}

// ifThere leaves out that something is not there any more.
func ifThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// durable has all that was written to the disk of a directory outlast a power cut,
// which costs far less than a file at a time.
func durable(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// durableNames does so for the entries of directories.
func durableNames(dirs ...string) error {
	for _, dir := range dirs {
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
