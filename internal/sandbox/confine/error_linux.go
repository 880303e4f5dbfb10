//go:build amd64 || arm64 || riscv64

package confine

import (
	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/sandbox/internal/boxinit"
)

// failed is the error of what an init said; nil when it is that all went well.
func (m Machine) failed(f boxinit.Failure) error {
	if f == (boxinit.Failure{}) {
		return nil
	}
	if f.Usage {
		return mgx.Errorf(mgx.KindUsage, "bad_command", "the command cannot run as asked: %s", f.Text)
	}
	return m.Refuse(f.Stage, InitError(f))
}

// InitError is a failure with the text as the init said it and its cause.
type InitError boxinit.Failure

func (e InitError) Error() string { return e.Text }
func (e InitError) Unwrap() error { return unix.Errno(e.Errno) }
