package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"mgx"
	"mgx/internal/sandbox"
)

// Clone is a run's repository. Its methods may be called from several
// goroutines and wait for one another; while one writes, no command of an agent
// may be running in the box. A process that was killed in a method leaves
// nothing that the next one trips over.
type Clone struct {
	box    sandbox.Box
	runDir string
	src    *Source

	mu     sync.Mutex
	opened bool
	tree   string // that the checkpoint index stands for; empty: not known
}

// New returns the clone in a run directory that [Layout] made and whose box
// shows [Mounts]. It touches nothing.
func New(box sandbox.Box, runDir string, src *Source) *Clone {
	return &Clone{box: box, runDir: runDir, src: src}
}

func (c *Clone) git() string             { return gitDir(c.runDir) }
func (c *Clone) file(name string) string { return filepath.Join(gitDir(c.runDir), name) }

// Full is why git stopped where a run keeps more than it may.
type Full sandbox.Reached

func (f Full) Error() string {
	return "the files of the run and all that was kept of them are more than " + f.Setting + ", " + sandbox.Reached(f).Whose()
}

// access is what a git command in the box may write.
type access int

const (
	reads  access = iota // nothing
	stores               // the git directory
	writes               // the files, too
)

// command is one git command, or a script of them, in the run's box.
type command struct {
	args    []string
	script  string // for sh, with args as its arguments; instead of git with args
	access  access
	index   string // name of the index file; git's own when empty
	env     []string
	stdin   io.Reader
	limit   int  // bytes of output
	cut     bool // more output is cut instead of being an error
	all     bool // a file that could not be looked at is an error
	over    *int64
	timeout time.Duration
	doing   string // completes "git could not …"
}

// run runs it, with the git directory and its files named outright.
func (c *Clone) run(ctx context.Context, r command) (string, error) {
	argv := append([]string{"git"}, r.args...)
	if r.script != "" {
		argv = append([]string{"sh", "-c", r.script, "sh"}, r.args...)
	}
	env := append(base(), "GIT_DIR="+c.box.Path(guestGit), "GIT_WORK_TREE="+c.box.Path(sandbox.Workspace))
	if r.index != "" {
		env = append(env, "GIT_INDEX_FILE="+c.box.Path(guestGit+"/"+r.index))
	}
	if r.timeout == 0 {
		r.timeout = long
	}
	if r.limit == 0 {
		r.limit = maxText
	}
	out, said := &capped{max: r.limit}, &capped{max: maxSaid}
	cmd := sandbox.Command{
		Args: argv, Env: append(env, r.env...), Stdin: r.stdin, Stdout: out, Stderr: said,
		Timeout: r.timeout, ReadOnly: r.access != writes,
	}
	if r.access != reads {
		cmd.Mounts = []sandbox.Mount{{Host: c.git(), Guest: guestGit, Mode: sandbox.ReadWrite}}
	}
	result, err := c.box.Run(ctx, cmd)
	switch {
	case err != nil:
		return "", err
	case result.Limit == sandbox.LimitDisk || result.Limit == sandbox.LimitFiles:
		c.opened = false // it was killed, and may have left locks
		return "", mgx.Errorf(mgx.KindGoal, "disk_limit", "git could not %s: %w", r.doing, Full(result.Reached()))
	case result.TimedOut:
		return "", mgx.Errorf(mgx.KindStopped, mgx.CodeTimedOut, "git took longer than %v to %s", r.timeout, r.doing)
	case result.ExitCode == 127:
		return "", mgx.Errorf(mgx.KindConfig, "git_missing", "git was not found in the sandbox; install it under /usr or /usr/local")
	case result.ExitCode != 0 || r.all && refused(said.String()):
		return out.String(), explain(&failed{args: r.args, code: result.ExitCode, said: said.String()}, r.doing)
	}
	if r.over != nil {
		*r.over = out.over
	}
	if !r.cut {
		err = out.tooMuch(r.doing)
	}
	return out.String(), err
}

// begin takes the clone for one method. The first time in a process it brings
// the git directory in line with this box and with where the user's objects are
// today, and clears away what a killed process left.
func (c *Clone) begin() (end func(), err error) {
	c.mu.Lock()
	if c.opened {
		return c.mu.Unlock, nil
	}
	if err := c.open(); err != nil {
		c.mu.Unlock()
		return nil, err
	}
	c.opened = true
	return c.mu.Unlock, nil
}

func (c *Clone) open() error {
	if err := directories(c.git()); err != nil {
		return err
	}
	if !exists(c.file("config")) {
		if err := skeleton(c.git(), c.branch(), c.src); err != nil {
			return err
		}
	}
	objects := make([]string, len(c.src.Objects))
	for i := range objects {
		objects[i] = c.box.Path(fmt.Sprint(guestBorrow, i))
	}
	if err := borrow(c.git(), objects); err != nil {
		return err
	}
	return c.tidy()
}

// branch is the name of the clone's only branch.
func (c *Clone) branch() string {
	if c.src.Branch == "" {
		return "main"
	}
	return c.src.Branch
}

// tidy removes the locks, half files and scratch repositories that a killed process left.
// The run has one owner, so nobody holds them.
func (c *Clone) tidy() error {
	left, err := filepath.Glob(filepath.Join(globQuote(c.runDir), scratchPrefix+"*"))
	for _, name := range left {
		err = errors.Join(err, os.RemoveAll(name))
	}
	if err != nil {
		return onDisk(err)
	}
	return onDisk(filepath.WalkDir(c.git(), func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), scratchPrefix):
			if err := os.RemoveAll(name); err != nil {
				return err
			}
			return fs.SkipDir
		case d.IsDir() && d.Name() == "objects":
			return fs.SkipDir
		case !d.IsDir() && (strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, unfinished)):
			return os.Remove(name)
		}
		return nil
	}))
}
