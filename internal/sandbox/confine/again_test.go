//go:build linux && (amd64 || arm64 || riscv64)

package confine_test

import (
	"context"
	"os"
	"testing"
	"time"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
)

// dying are inits that say something, and end.
type dying struct {
	says    []string // one after the other
	started int
}

func (d *dying) start(_ context.Context, files []*os.File, _ confine.Group) (confine.Process, error) {
	_, err := files[4].WriteString(d.says[d.started])
	d.started++
	return gone{}, err
}

type gone struct{}

func (gone) Wait() (int, error) { return 125, nil }
func (gone) Kill()              {}

// TestNothingRunsTwice has inits die at every point of their life. Another is
// started only for one that had not begun to start its command.
func TestNothingRunsTwice(t *testing.T) {
	t.Parallel()
	const began, runs = "\x01", "\x00\x00\x00\x00\x00"
	for name, c := range map[string]struct {
		says    []string
		started int
		code    string // of the error; empty: there is none
	}{
		"never":             {[]string{"", "", "", ""}, 3, "internal"},
		"at the third time": {[]string{"", "", began + runs}, 3, ""},
		"half a word":       {[]string{"\x00\x01", began + runs}, 2, ""},
		"begun":             {[]string{began, began + runs}, 1, "sandbox_broken"},
		"begun, half":       {[]string{began + "\x00\x01", began + runs}, 1, "sandbox_broken"},
		"begun, failed":     {[]string{began + "\x00\x04fork\x00\x0b\x00", began + runs}, 1, "internal"},
		"not to be found":   {[]string{runs, began + runs}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inits := &dying{says: c.says}
			m := confine.Machine{Start: inits.start, Again: 2, Refuse: func(_ string, err error) error { return err }}
			_, err := m.Run(t.Context(), confine.Plan{}, sandbox.Command{Args: []string{"true"}, Timeout: time.Minute}, nil)
			code := ""
			if err != nil {
				code = mgx.AsError(err).Code
			}
			if inits.started != c.started || code != c.code {
				t.Errorf("%d inits, and %v", inits.started, err)
			}
		})
	}
}
