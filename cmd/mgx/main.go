package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/ui"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run executes one command line and returns the exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	c := &cli{out: os.Stdout, err: os.Stderr, in: os.Stdin, getenv: os.Getenv}
	root := c.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if c.stranger != "" && mgx.IsCode(err, access.CodeUnauthenticated) {
		err = notSignedIn(c.stranger)
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if said, ok := errors.AsType[*saidError](err); ok {
		return said.cause.Kind.ExitCode()
	}
	e := mgx.AsError(err)
	shown := *e
	shown.Message = redactor().String(e.Message)
	ui.Error(os.Stderr, &shown)
	return e.Kind.ExitCode()
}

// saidError is a failure that the person has been told about already.
type saidError struct{ cause *mgx.Error }

func (e *saidError) Error() string { return e.cause.Message }
func (e *saidError) Unwrap() error { return e.cause }

// exitCode is how a command of the user's own ended, which is how mgx then ends.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func usage(code, format string, args ...any) error {
	return mgx.Errorf(mgx.KindUsage, code, format, args...)
}

// version is set by the build; see the Makefile.
var version = "dev"
