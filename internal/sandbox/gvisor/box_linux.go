//go:build amd64 || arm64 || riscv64

package gvisor

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/disk"
	"mgx/internal/sandbox/internal/leftover"
)

type box struct {
	confine.Box
	runsc   string // the program
	program string // of MGX, which is the init
	dir     string // of this box
	root    string // in it: what sandboxes have as their root
	groups  *cgroup.Place
	quota   *disk.Quota
}

func (b *box) Path(guest string) string { return guest }
func (b *box) Level() sandbox.Level     { return sandbox.LevelGVisor }
func (b *box) Close() error             { return sandbox.RemoveState(b.dir) }

func (b *box) Run(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	if err := confine.Check(cmd); err != nil {
		return sandbox.Result{}, err
	}
	if cmd.Gate != nil {
		return sandbox.Result{}, sandbox.NoGate(sandbox.LevelGVisor)
	}
	p, err := b.Plan(cmd)
	if err == nil {
		err = p.CheckPoints()
	}
	if err != nil {
		return sandbox.Result{}, err
	}
	own, err := os.MkdirTemp(b.dir, "command-")
	if err != nil {
		return sandbox.Result{}, unavailable("files", err)
	}
	defer sandbox.RemoveState(own)
	builder := confine.Builder{Dir: own, Build: func(socket string) (*exec.Cmd, func(), error) { return b.build(own, p, socket) }}
	m := confine.Machine{Groups: b.groups, Whose: b.Spec.ID, Quota: b.quota, Start: builder.Start, Gentle: true, Outside: true, Extra: ofSentry, Again: 2, Refuse: unavailable}
	return m.Run(ctx, p, cmd, nil)
}

// ofSentry is what a sentry and its helpers need for themselves.
var ofSentry = cgroup.Limits{Memory: 128 << 20, Processes: 256}

// prefix begins the names of sandboxes, which are sockets of this machine too.
const prefix = "mgx-box-"

var made atomic.Int64

// build is the command that runs a sandbox for one init.
func (b *box) build(own string, p confine.Plan, socket string) (*exec.Cmd, func(), error) {
	if err := b.writeBundle(own, p, socket); err != nil {
		return nil, nil, err
	}
	name := leftover.Name(prefix) + strconv.FormatInt(made.Add(1), 10)
	flags := []string{
		"--root", filepath.Join(own, "state"), "--platform=ptrace", "--network=none", "--ignore-cgroups", "--host-uds=open", "--host-fifo=open",
		"--oci-seccomp=false", "--overlay2=none",
	}
	end := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = exec.CommandContext(ctx, b.runsc, append(flags, "delete", "--force", name)...).Run()
	}
	cmd := exec.Command(b.runsc, append(flags, "run", "--bundle", own, name)...)
	cmd.Env = []string{"PATH=" + sandbox.DefaultPath, "TMPDIR=/tmp"} // where the sentry has its root; it must be able to go there
	return cmd, end, nil
}
