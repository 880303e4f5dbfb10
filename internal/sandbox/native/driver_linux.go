//go:build amd64 || arm64 || riscv64

package native

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mgx"
	"mgx/internal/sandbox"
)

// Default limits of one command.
var defaults = sandbox.Limits{
	Processes: 1024,
	FileSize:  8 << 30,
	OpenFiles: 8192,
	CPU:       time.Hour,
	Tmp:       2 << 30,
}

type driver struct {
	system func() plan
	usable func() error
}

// New returns the driver.
func New() sandbox.Driver {
	d := &driver{system: sync.OnceValue(system)}
	d.usable = sync.OnceValue(d.try)
	return d
}

func (*driver) Name() string { return "native" }

// Open tries once per driver whether the machine can do it.
func (d *driver) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Box, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	b, err := d.box(spec)
	if err != nil {
		return nil, err
	}
	if _, err := b.plan(sandbox.Command{Args: []string{"true"}}); err != nil {
		return nil, err
	}
	return b, nil
}

func (d *driver) box(spec sandbox.Spec) (*box, error) {
	info, err := os.Stat(spec.Work)
	if err != nil || !info.IsDir() || !filepath.IsAbs(spec.Work) {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_workspace", "the workspace %q of a sandbox must be an existing directory with an absolute path", spec.Work)
	}
	return &box{spec: spec, base: d.system(), limits: orDefault(spec.Limits), overlays: make(chan struct{}, 1)}, nil
}

func orDefault(l sandbox.Limits) sandbox.Limits {
	fill := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	fillInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	fill(&l.Memory, defaults.Memory)
	fillInt(&l.Processes, defaults.Processes)
	fill(&l.FileSize, defaults.FileSize)
	fillInt(&l.OpenFiles, defaults.OpenFiles)
	fill((*int64)(&l.CPU), int64(defaults.CPU))
	fill(&l.Tmp, defaults.Tmp)
	return l
}

// try runs /bin/true in a box.
func (d *driver) try() error {
	work, err := os.MkdirTemp("", "mgx-probe-")
	if err != nil {
		return mgx.Errorf(mgx.KindConfig, "sandbox_unavailable", "the sandbox cannot be tried: %w", err)
	}
	defer os.RemoveAll(work)
	b, err := d.box(sandbox.Spec{ID: "probe", Work: work})
	if err != nil {
		return err
	}
	_, err = b.Run(context.Background(), sandbox.Command{Args: []string{"true"}, Timeout: 10 * time.Second})
	return err
}
