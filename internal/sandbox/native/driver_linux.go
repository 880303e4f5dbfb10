//go:build amd64 || arm64 || riscv64

package native

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/boxinit"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/disk"
)

// Default limits of one command. Addresses have none: the race detector, the JVM
// and V8 reserve far more than they use. Memory is most of what the machine has;
// where that cannot be bounded, the kernel takes commands before it takes MGX.
var defaults = sandbox.Limits{
	Memory:    memoryOfMachine() / 4 * 3,
	Processes: 1024,
	FileSize:  8 << 30,
	OpenFiles: 8192,
	CPU:       time.Hour,
	Tmp:       2 << 30,
	Disk:      32 << 30,
	Files:     4_000_000,
}

type driver struct {
	system func() plan                   // what every box shows of this machine; read once
	groups func() (*cgroup.Place, error) // where processes can be bounded together; tried once
	usable func() error                  // whether it can run a box at all; tried once
}

// New returns the driver.
func New() sandbox.Driver {
	d := &driver{system: sync.OnceValue(system), groups: sync.OnceValues(cgroup.Find)}
	d.usable = sync.OnceValue(func() error { return d.try(context.Background()) })
	return d
}

func (*driver) Name() string { return "native" }

func (d *driver) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Box, error) {
	b, err := d.box(spec)
	if err != nil {
		return nil, err
	}
	p, err := b.plan(sandbox.Command{Args: []string{"true"}})
	if err == nil && !p.hasOverlay() {
		err = d.usable()
	}
	if err != nil || !p.hasOverlay() {
		return b, err
	}
	err = b.try(ctx) // with its overlays, which shows the rest as well
	if e, ok := errors.AsType[initError](err); ok && e.Stage == boxinit.StageOverlay {
		b.noOverlay, err = true, nil
	}
	return b, err
}

func (d *driver) box(spec sandbox.Spec) (*box, error) {
	info, err := os.Stat(spec.Work)
	if err != nil || !info.IsDir() || !filepath.IsAbs(spec.Work) {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_workspace", "the workspace %q of a sandbox must be an existing directory with an absolute path", spec.Work)
	}
	groups, _ := d.groups()
	limits := orDefault(spec.Limits)
	return &box{
		spec: spec, base: d.system(), limits: limits, groups: groups, quota: quota(spec, limits),
		overlays: make(chan struct{}, 1),
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

func quota(spec sandbox.Spec, l sandbox.Limits) *disk.Quota {
	dirs := []string{spec.Work}
	if spec.State != "" {
		dirs = append(dirs, spec.State)
	}
	return disk.New(disk.Use{Bytes: l.Disk, Files: l.Files}, dirs...)
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
	fill(&l.Addresses, defaults.Addresses)
	fillInt(&l.Processes, defaults.Processes)
	fill(&l.FileSize, defaults.FileSize)
	fillInt(&l.OpenFiles, defaults.OpenFiles)
	fill((*int64)(&l.CPU), int64(defaults.CPU))
	fill(&l.Tmp, defaults.Tmp)
	fill(&l.Disk, defaults.Disk)
	fill(&l.Files, defaults.Files)
	return l
}

// memoryOfMachine is in bytes, or 0 when it is not known.
func memoryOfMachine() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
