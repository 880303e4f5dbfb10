//go:build amd64 || arm64 || riscv64

package docker

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/boxinit"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/disk"
	"mgx/internal/sandbox/internal/leftover"
)

type box struct {
	confine.Box
	engine  *engine
	image   string
	program string // of MGX, which is the init
	dir     string // of this box: sockets, and files for /etc
	groups  *cgroup.Place
	quota   *disk.Quota
}

func (b *box) Path(guest string) string { return guest }
func (b *box) Level() sandbox.Level     { return sandbox.LevelDocker }
func (b *box) Close() error             { return sandbox.RemoveState(b.dir) }

func (b *box) Run(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	if err := confine.Check(cmd); err != nil {
		return sandbox.Result{}, err
	}
	p, err := b.Plan(cmd)
	if err == nil {
		p.CoverSockets()
		err = p.CheckPoints()
	}
	if err != nil {
		return sandbox.Result{}, err
	}
	if !b.engine.maps {
		p.Beside = confine.Beside() + initThreads + clientThreads
	}
	builder := confine.Builder{Dir: b.dir, Build: func(socket string) (*exec.Cmd, func(), error) {
		cmd, end := b.build(p, socket)
		return cmd, end, nil
	}}
	m := confine.Machine{Groups: b.groups, Whose: b.Spec.ID, Quota: b.quota, Start: builder.Start, Gentle: true, Refuse: unavailable}
	return m.Run(ctx, p, cmd, b.Gate(cmd))
}

// label names our containers, with the machine on which the process lives that
// their names tell.
const (
	label  = "mgx.box"
	prefix = "mgx-box-"
)

var made atomic.Int64

// build is the command that runs a container for one init.
func (b *box) build(p confine.Plan, socket string) (*exec.Cmd, func()) {
	name := leftover.Name(prefix) + strconv.FormatInt(made.Add(1), 10)
	args := []string{
		"run", "--rm", "--pull=never", "--log-driver=none", "--name", name, "--label", label + "=" + here(),
		"--network=none", "--hostname=mgx", "--ipc=private", "--cgroupns=private",
		"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
		// The init puts the filter of native boxes on the command, which is stricter
		// than that of the engine and knows Landlock.
		"--security-opt=seccomp=unconfined",
		"--oom-score-adj=1000", "--workdir=/", "--entrypoint=" + boxinit.ContainedName,
		fmt.Sprintf("--ulimit=core=%d:%[1]d", confine.CoreSize()), fmt.Sprintf("--ulimit=sigpending=%d:%[1]d", confine.PendingSignals()),
		fmt.Sprintf("--ulimit=nofile=%d:%[1]d", b.Limits.OpenFiles+initFiles), fmt.Sprintf("--ulimit=nproc=%d:%[1]d", confine.MostProcesses(b.Limits)+p.Beside+initThreads),
		"--env=PATH=" + boxinit.ContainedDir,
	}
	if b.engine.podman { // which would mount places to write, pass on settings of ours, and show what it has in /run and /sys
		args = append(args, "--read-only-tmpfs=false", "--http-proxy=false", "--tmpfs=/run:ro,size=4k,mode=555", "--security-opt=mask=/sys")
	}
	args = append(args, b.engine.user()...)
	args = append(args, b.bounds()...)
	for _, kv := range boxinit.Env {
		args = append(args, "--env="+kv)
	}
	args = append(args, mount("bind", b.program, boxinit.ContainedDir+"/"+boxinit.ContainedName, true), mount("bind", socket, boxinit.SocketPath, false), "--tmpfs=/sys:ro,size=4k,mode=555")
	for _, f := range b.Base.Files {
		args = append(args, mount("bind", filepath.Join(b.dir, filepath.Base(f.Path)), f.Path, true))
	}
	for _, m := range p.Mounts {
		args = append(args, b.mount(m)...)
	}
	end := func() { b.engine.ask(context.Background(), nil, "rm", "--force", name) }
	return exec.Command(b.engine.program, append(args, b.image)...), end
}

// What the init itself uses of what bounds the container.
const (
	initFiles   = 192
	initThreads = 32
)

// clientThreads are what the engine's own program has of them, as the same user.
const clientThreads = 32

// bounds are the engine's, where ours cannot be: more processes are then refused,
// and too much memory kills, without that MGX hears which it was.
func (b *box) bounds() []string {
	if b.groups != nil {
		return nil
	}
	args := []string{
		fmt.Sprintf("--pids-limit=%d", b.Limits.Processes+initThreads),
		fmt.Sprintf("--memory=%d", b.Limits.Memory), fmt.Sprintf("--memory-swap=%d", b.Limits.Memory),
	}
	if b.Limits.CPUs > 0 {
		args = append(args, fmt.Sprintf("--cpus=%.3f", b.Limits.CPUs))
	}
	return args
}

// user is whoever runs MGX, so that the workspace is theirs.
func (e *engine) user() []string {
	uid, gid := os.Geteuid(), os.Getegid()
	switch {
	case e.podman && e.maps:
		return []string{"--userns=keep-id", fmt.Sprintf("--user=%d:%d", uid, gid)}
	case e.maps:
		return []string{"--user=0:0"}
	}
	return []string{fmt.Sprintf("--user=%d:%d", uid, gid)}
}

// mount translates one of the plan's. The engine makes /proc and devices, and
// hides what tells of the host there.
func (b *box) mount(m boxinit.Mount) []string {
	how := "rw"
	if m.ReadOnly {
		how = "ro"
		if b.engine.podman { // which copies into a tmpfs what it covers
			how += ",notmpcopyup"
		}
	}
	switch {
	case m.Kind == boxinit.Tmpfs && !confine.Within(m.Target, "/proc"):
		return []string{fmt.Sprintf("--tmpfs=%s:%s,exec,nosuid,nodev,size=%d,mode=1777", m.Target, how, m.Size) + b.engine.inodes(m.Inodes)}
	case m.Kind == boxinit.Bind && !confine.Within(m.Target, "/proc"):
		return []string{mount("bind", m.Source, m.Target, m.ReadOnly)}
	}
	return nil
}

// inodes bounds the files of a tmpfs, of which Podman knows no way.
func (e *engine) inodes(n int64) string {
	if e.podman {
		return ""
	}
	return fmt.Sprintf(",nr_inodes=%d", n)
}

// mount is the flag for a mount; its value is a line of CSV.
func mount(kind, source, target string, readOnly bool) string {
	fields := []string{"type=" + kind, "source=" + source, "target=" + target}
	if readOnly {
		fields = append(fields, "readonly")
	}
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	_ = w.Write(fields) // a buffer takes everything
	w.Flush()
	return "--mount=" + strings.TrimSuffix(line.String(), "\n")
}

// here names this machine and the processes that can be seen from here: another
// MGX may share the engine and not see ours.
func here() string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	pids, _ := os.Readlink("/proc/self/ns/pid")
	return strings.TrimSpace(string(boot)) + "." + strings.Trim(strings.TrimPrefix(pids, "pid:"), "[]")
}

// sweep removes containers of processes that were killed while one was being
// built. Those whose init lived have ended by themselves.
func (e *engine) sweep(ctx context.Context) {
	list, err := e.ask(ctx, nil, "ps", "--all", "--filter", "label="+label+"="+here(), "--format", "{{.Names}}")
	if err != nil {
		return
	}
	for name := range strings.FieldsSeq(list) {
		if leftover.Gone(prefix, name) {
			_, _ = e.ask(ctx, nil, "rm", "--force", name)
		}
	}
}
