//go:build amd64 || arm64 || riscv64

package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/landlock"
)

type driver struct {
	engine func() (*engine, error) // looked for once
	system func() confine.Plan
	groups func() *cgroup.Place // nil: the engine bounds processes
}

// New returns the driver for the first of the programs, docker and podman by
// default, that has a server which answers. With none installed it says so when
// it is used.
func New(programs ...string) sandbox.Driver {
	if len(programs) == 0 {
		programs = []string{"docker", "podman"}
	}
	d := &driver{
		engine: sync.OnceValues(func() (*engine, error) {
			e, err := findEngine(context.Background(), programs)
			if err == nil {
				e.sweep(context.Background())
			}
			return e, err
		}),
		groups: sync.OnceValue(func() *cgroup.Place {
			if place, err := cgroup.Find(); err == nil && place.Entered() {
				return place
			}
			return nil
		}),
	}
	d.system = sync.OnceValue(func() confine.Plan {
		p := confine.System()
		p.Contain()
		p.Owner(os.Geteuid(), os.Getegid())
		return p
	})
	return d
}

func (*driver) Name() string { return "docker" }

func (d *driver) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Box, error) {
	if err := confine.CheckWork(spec); err != nil {
		return nil, err
	}
	b, err := d.open(ctx, spec)
	if err != nil {
		return nil, err
	}
	if _, err := b.Plan(sandbox.Command{}); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (d *driver) open(ctx context.Context, spec sandbox.Spec) (*box, error) {
	e, err := d.engine()
	if err != nil {
		return nil, unavailable("engine", err)
	}
	base := d.system()
	if !base.Walls.Seccomp {
		return nil, unavailable("system calls", errors.New("the kernel has no seccomp filters"))
	}
	image, err := e.image(ctx, base)
	if err != nil {
		return nil, unavailable("image", err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, unavailable("program", err)
	}
	limits := confine.LimitsOf(spec)
	b := &box{
		Box:    confine.Box{Spec: spec, Base: base, Limits: limits, NoOverlay: true},
		engine: e, image: image, program: program, groups: d.groups(), quota: confine.Quota(spec, limits),
	}
	if b.dir, err = sandbox.Scratch("docker"); err != nil {
		return nil, err
	}
	for _, f := range base.Files { // the engine has its own of some, which tell of the host
		if err := os.WriteFile(filepath.Join(b.dir, filepath.Base(f.Path)), []byte(f.Text), 0o444); err != nil {
			return nil, errors.Join(unavailable("files", err), b.Close())
		}
	}
	return b, nil
}

// Probe runs a command in a container and looks at what it got.
func (d *driver) Probe(ctx context.Context) sandbox.Report {
	r := sandbox.Report{Driver: d.Name()}
	e, err := d.engine()
	if err != nil {
		r.Checks = []sandbox.Check{{Name: "engine", Detail: "install and start Docker or Podman, and let this user command it (" + oneLine(err) + ")"}}
		return r
	}
	r.Checks = []sandbox.Check{{Name: "engine", OK: true, Detail: e.name() + " " + e.version}}
	if err := d.try(ctx); err != nil {
		r.Checks = append(r.Checks, sandbox.Check{Name: "container", Detail: mgx.AsError(err).Message})
		return r
	}
	r.Level = sandbox.LevelDocker
	r.Checks = append(r.Checks, sandbox.Check{Name: "container", OK: true}, sandbox.Check{Name: "system call filter", OK: true})
	ll := sandbox.Check{Name: "Landlock", OK: d.system().Walls.Landlock >= landlock.VersionTruncate}
	if !ll.OK {
		ll.Detail = "it needs Linux 6.2"
	}
	user := sandbox.Check{Name: "user", OK: e.maps || os.Geteuid() != 0}
	if !user.OK {
		user.Detail = "commands run as root, without capabilities, because MGX does; run MGX as an ordinary user"
	}
	groups := sandbox.Check{Name: "cgroup", OK: d.groups() != nil}
	switch {
	case groups.OK:
	case e.bounds:
		groups.Detail = "the engine bounds memory and processes of each command; MGX cannot say which of both was reached"
	default:
		groups.Detail = "neither MGX nor the engine can bound memory and processes of a command together; run MGX where it may make cgroups"
	}
	r.Checks = append(r.Checks, ll, user, groups)
	return r
}

// try has a container write where its workspace is.
func (d *driver) try(ctx context.Context) error {
	err := confine.TryWriting(ctx, "docker-probe", func(spec sandbox.Spec) (sandbox.Box, error) { return d.open(ctx, spec) })
	if errors.Is(err, confine.ErrUnwritable) {
		err = unavailable("workspace", errors.New("a container cannot write it; the engine runs commands as another user"))
	}
	return err
}

func unavailable(stage string, err error) error {
	if stage == confine.StageStart {
		stage = "container"
	}
	return &mgx.Error{
		Kind: mgx.KindConfig, Code: "sandbox_unavailable", Err: err,
		Message: fmt.Sprintf("commands cannot be confined by Docker or Podman here (%s: %v). mgx doctor tells more; --sandbox=auto needs neither", stage, oneLine(err)),
	}
}

// oneLine is what engines said of themselves, with those of several in one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
