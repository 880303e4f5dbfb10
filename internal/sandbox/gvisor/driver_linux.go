//go:build amd64 || arm64 || riscv64

package gvisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/cgroup"
)

type driver struct {
	system func() confine.Plan
	groups func() (*cgroup.Place, error)
}

// New returns the driver.
func New() sandbox.Driver {
	return &driver{
		system: sync.OnceValue(func() confine.Plan {
			p := confine.System()
			p.Contain()
			p.Walls.Landlock = 0 // the sentry has none
			return p
		}),
		groups: cgroup.Find,
	}
}

func (*driver) Name() string { return "gvisor" }

func (d *driver) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Box, error) {
	if err := confine.CheckWork(spec); err != nil {
		return nil, err
	}
	if spec.Gate != nil {
		return nil, sandbox.NoGate(sandbox.LevelGVisor)
	}
	b, err := d.open(spec)
	if err != nil {
		return nil, err
	}
	if _, err := b.Plan(sandbox.Command{}); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (d *driver) open(spec sandbox.Spec) (*box, error) {
	runsc, err := exec.LookPath("runsc")
	if err != nil {
		return nil, unavailable("runsc", errors.New("it is not installed"))
	}
	if os.Geteuid() != 0 {
		return nil, unavailable("user", errors.New("only root can map users for it"))
	}
	program, err := os.Executable()
	if err != nil {
		return nil, unavailable("program", err)
	}
	groups, err := d.groups()
	if err != nil { // nothing else bounds memory and processes
		return nil, unavailable("cgroup", errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	limits := confine.LimitsOf(spec)
	b := &box{
		Box:   confine.Box{Spec: spec, Base: d.system(), Limits: limits, NoOverlay: true},
		runsc: runsc, program: program, groups: groups, quota: confine.Quota(spec, limits),
	}
	if b.dir, err = sandbox.Scratch("gvisor"); err != nil {
		return nil, err
	}
	b.root = filepath.Join(b.dir, "root")
	if err = os.Mkdir(b.root, 0o755); err == nil {
		err = makeRoot(b.root, b.Base)
	}
	if err != nil {
		return nil, errors.Join(unavailable("files", err), b.Close())
	}
	return b, nil
}

// Probe runs a command in a sandbox and looks at what it got.
func (d *driver) Probe(ctx context.Context) sandbox.Report {
	r := sandbox.Report{Driver: d.Name()}
	if err := d.try(ctx); err != nil {
		r.Checks = []sandbox.Check{{Name: "runsc", Detail: mgx.AsError(err).Message}}
		return r
	}
	r.Level = sandbox.LevelGVisor
	r.Checks = []sandbox.Check{
		{Name: "runsc", OK: true},
		{Name: "cgroup", OK: true},
		{Name: "network", OK: true, Detail: "hosts cannot be allowed: gVisor's network is its own; use --sandbox=auto for runs that need some"},
	}
	return r
}

// try has a sandbox write where its workspace is.
func (d *driver) try(ctx context.Context) error {
	err := confine.TryWriting(ctx, "gvisor-probe", func(spec sandbox.Spec) (sandbox.Box, error) { return d.open(spec) })
	if errors.Is(err, confine.ErrUnwritable) {
		err = unavailable("workspace", errors.New("a sandbox cannot write it"))
	}
	return err
}

func unavailable(stage string, err error) error {
	if stage == confine.StageStart {
		stage = "sandbox"
	}
	return &mgx.Error{
		Kind: mgx.KindConfig, Code: "sandbox_unavailable", Err: err,
		Message: fmt.Sprintf("commands cannot be confined by gVisor here (%s: %v). It needs the program runsc and root; --sandbox=auto needs neither", stage, err),
	}
}
