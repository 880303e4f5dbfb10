package git

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"mgx/internal/sandbox"
)

// Blank is what programs of a run are shown in place of what they must not see.
type Blank struct {
	File, Dir string // on the host, empty
	// History hides the repository's, which holds what the files do: the mounts
	// of [Mounts] with nothing in them.
	History []sandbox.Mount
}

// Blank makes what is needed for it in the run directory, where no program of a
// box can write.
func (c *Clone) Blank() (Blank, error) {
	b := Blank{File: emptyFile(c.runDir), Dir: filepath.Join(c.runDir, "blank")}
	history := filepath.Join(c.runDir, "blank.git")
	if err := errors.Join(os.MkdirAll(b.Dir, 0o700), os.MkdirAll(filepath.Join(history, "info"), 0o700)); err != nil {
		return Blank{}, onDisk(err)
	}
	// The box mounts an empty file of this name in what is borrowed.
	alternates := filepath.Join(history, "info", "alternates")
	if _, err := os.Lstat(alternates); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(alternates, nil, 0o600); err != nil {
			return Blank{}, onDisk(err)
		}
	}
	for _, m := range Mounts(c.runDir, c.src) {
		if m.Host != b.File {
			b.History = append(b.History, sandbox.Mount{Host: history, Guest: m.Guest, Mode: sandbox.ReadOnly})
		}
	}
	return b, nil
}
