package confine

import (
	"context"
	"errors"
	"time"

	"mgx/internal/sandbox"
)

// ErrUnwritable says that a command could not write in its workspace.
var ErrUnwritable = errors.New("the workspace cannot be written")

// TryWriting has a box that open makes write where its workspace is: a directory of
// the probe's name that is there for as long.
func TryWriting(ctx context.Context, name string, open func(sandbox.Spec) (sandbox.Box, error)) error {
	dir, err := sandbox.Scratch(name)
	if err != nil {
		return err
	}
	defer sandbox.RemoveState(dir)
	b, err := open(sandbox.Spec{ID: "probe", Work: dir})
	if err != nil {
		return err
	}
	defer b.Close()
	ended, err := b.Run(ctx, sandbox.Command{Args: []string{"sh", "-c", "echo x >made"}, Timeout: time.Minute})
	if err == nil && ended.ExitCode != 0 {
		err = ErrUnwritable
	}
	return err
}
