//go:build amd64 || arm64 || riscv64

package native

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/boxinit"
	"mgx/internal/sandbox/internal/cgroup"
)

type driver struct {
	system func() confine.Plan           // what every box shows of this machine; read once
	groups func() (*cgroup.Place, error) // where processes can be bounded together
	usable func() error                  // whether it can run a box at all; tried once
}

// New returns the driver.
func New() sandbox.Driver {
	d := &driver{system: sync.OnceValue(confine.System), groups: cgroup.Find}
	d.usable = sync.OnceValue(func() error { return d.try(context.Background()) })
	return d
}

func (*driver) Name() string { return "native" }

func (d *driver) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Box, error) {
	b, err := d.box(spec)
	if err != nil {
		return nil, err
	}
	p, err := b.Plan(sandbox.Command{Args: []string{"true"}})
	if err != nil {
		return nil, err
	}
	if p.HasOverlay() {
		err = b.try(ctx) // with its overlays, which shows the rest as well
		if e, ok := errors.AsType[confine.InitError](err); ok && e.Stage == boxinit.StageOverlay {
			b.NoOverlay, err = true, nil
		}
	} else {
		err = d.usable()
	}
	if err == nil {
		b.release, err = confine.Hold(b.groups)
	}
	return b, err
}

func (d *driver) box(spec sandbox.Spec) (*box, error) {
	if err := confine.CheckWork(spec); err != nil {
		return nil, err
	}
	groups, _ := d.groups()
	limits := confine.LimitsOf(spec)
	return &box{
		Box:    confine.Box{Spec: spec, Base: d.system(), Limits: limits},
		groups: groups, quota: confine.Quota(spec, limits), overlays: make(chan struct{}, 1),
	}, nil
}

// try runs true in a box.
func (d *driver) try(ctx context.Context) error {
	b, err := d.bare()
	if err != nil {
		return err
	}
	return b.try(ctx)
}

// bare is a box with nothing of anybody's in it; its commands are read-only. It
// makes no directory, which would stay when this process is killed.
func (d *driver) bare() (*box, error) {
	b, err := d.box(sandbox.Spec{ID: "probe", Work: os.TempDir()})
	if err == nil {
		b.quota = nil // what others keep there is no matter of ours
	}
	return b, err
}

func (b *box) try(ctx context.Context) error {
	_, err := b.Run(ctx, sandbox.Command{Args: []string{"true"}, Timeout: 10 * time.Second, ReadOnly: true})
	return err
}
