//go:build amd64 || arm64 || riscv64

package native

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/boxinit"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/landlock"
)

// Probe runs a command in a box and looks at what it got. A piece that keeps a
// box from starting is the first check that failed; those after it were not
// reached.
func (d *driver) Probe(ctx context.Context) sandbox.Report {
	r := sandbox.Report{Driver: d.Name()}
	b, err := d.bare()
	var seen string
	if err == nil {
		seen, err = b.look(ctx, time.Minute)
	}
	if err != nil {
		r.Checks = failedChecks(err)
		return r
	}
	r.Level = b.Level()
	for _, p := range pieces {
		r.Checks = append(r.Checks, p.check(seen))
	}
	r.Checks = append(r.Checks, landlockCheck(b.Base.Walls.Landlock), cgroupCheck(d.groups), processCheck(b, seen), d.probeOverlay(ctx))
	return r
}

// look returns what a command in a box sees of its walls. One that did not get to see
// all of them says nothing.
func (b *box) look(ctx context.Context, patience time.Duration) (string, error) {
	var out bytes.Buffer
	r, err := b.Run(ctx, sandbox.Command{
		Args: []string{
			"cat", "/proc/self/status", "/proc/1/status", "/proc/self/limits", "/proc/self/mounts", "/proc/net/dev",
			"/proc/sys/kernel/pid_max", "/proc/sys/user/max_user_namespaces",
		},
		Stdout: &out, Timeout: patience, ReadOnly: true,
	})
	if err == nil && r.TimedOut {
		err = confine.InitError{Stage: "time", Text: fmt.Sprintf("a command that looks at its walls did not end in %v", patience)}
	}
	return out.String(), err
}

// piece is a part of the walls: the stages that build it, and what shows that it
// stands.
type piece struct {
	name    string
	stages  []string
	stands  string // a regular expression for what a command then sees
	without string // what it means when it does not
}

var pieces = []piece{
	{"user namespace", []string{"pipes", "namespaces", "init", "plan", "close inherited descriptors"}, `(?m)^Uid:\t1000\t`, "commands run as another user than expected"},
	{"mounts", []string{"private mounts", "oom score", "mounts", "pivot", "root", "seal"}, `(?m)^\S+ / tmpfs ro,`, "the root of the box is not a read-only tmpfs"},
	{"pid namespace", nil, `(?m)^Name:\tmgx-init\n`, "the first process is not the box's"},
	{"network namespace", []string{"network", "gate"}, `(?m)\A(?:.*\n)*Inter-.*\n.*\n +lo:.*\n\d`, "there are other interfaces than the loopback"},
	{"capabilities", []string{"host name", "keyring", "privileges"}, `(?m)^CapInh:\t0+\nCapPrm:\t0+\nCapEff:\t0+\nCapBnd:\t0+\nCapAmb:\t0+\nNoNewPrivs:\t1\n`, "commands keep capabilities"},
	{"limits", []string{"directory", "cgroup", "command", "landlock", "fork"}, `(?m)^Max core file size +(0 +0|1 +1) `, "resource limits are not set"},
	{"system call filter", nil, `(?m)^Seccomp:\t2\n`, "the kernel has no seccomp filters (CONFIG_SECCOMP_FILTER), or the container forbids them; commands reach every system call"},
	{"nested namespaces", nil, `\n0\n\z`, "commands may make user namespaces of their own; what they gain there does not reach the box"},
}

func (p piece) check(seen string) sandbox.Check {
	c := sandbox.Check{Name: p.name, OK: regexp.MustCompile(p.stands).MatchString(seen)}
	if !c.OK {
		c.Detail = p.without
	}
	return c
}

// failedChecks says which pieces stood before err.
func failedChecks(err error) (checks []sandbox.Check) {
	stage := "namespaces"
	if e, ok := errors.AsType[confine.InitError](err); ok {
		stage = e.Stage
	}
	for _, p := range pieces {
		if slices.Contains(p.stages, stage) {
			return append(checks, sandbox.Check{Name: p.name, Detail: err.Error()})
		}
		if p.stages != nil {
			checks = append(checks, sandbox.Check{Name: p.name, OK: true})
		}
	}
	return append(checks, sandbox.Check{Name: stage, Detail: err.Error()})
}

// landlockCheck goes by the version: a box that says it has Landlock did not run
// a command without.
func landlockCheck(version int) sandbox.Check {
	c := sandbox.Check{Name: "Landlock", OK: version >= landlock.VersionTruncate, Detail: fmt.Sprintf("version %d", version)}
	switch {
	case version == 0:
		c.Detail = "the kernel has no Landlock, or it is not among those that run, or the container forbids it; it needs Linux 6.2 with CONFIG_SECURITY_LANDLOCK and \"landlock\" in the boot parameter lsm="
	case !c.OK:
		c.Detail = fmt.Sprintf("the kernel has version %d of Landlock, which does not guard against truncation; it needs Linux 6.2", version)
	}
	return c
}

func cgroupCheck(groups func() (*cgroup.Place, error)) sandbox.Check {
	place, err := groups()
	if err != nil {
		return sandbox.Check{Name: "cgroup", Detail: "memory and processor time of all processes together are not bounded; start MGX where a group is delegated to it, such as: systemd-run --user --scope -p Delegate=yes mgx serve (" + strings.ReplaceAll(err.Error(), "\n", "; ") + ")"}
	}
	return sandbox.Check{Name: "cgroup", OK: true, Detail: place.String()}
}

// processCheck is whether the number of processes is bounded: by a cgroup, by
// RLIMIT_NPROC, which root is exempt from, or by the pids of the namespace.
func processCheck(b *box, seen string) sandbox.Check {
	c := sandbox.Check{Name: "processes"}
	bounded := strings.Contains(seen, fmt.Sprintf("\n%d\n", boxinit.ReservedPIDs+confine.Defaults.Processes))
	c.OK = bounded || b.groups != nil || os.Geteuid() != 0
	if !c.OK {
		c.Detail = "the number of processes is not bounded: MGX runs as root, whom limits exempt, and the kernel is older than 6.14; run MGX as an ordinary user"
	}
	return c
}

// probeOverlay tries an overlay where temporary files are; the state of a run may
// lie on another file system, so opening a box tries again.
func (d *driver) probeOverlay(ctx context.Context) sandbox.Check {
	c := sandbox.Check{Name: "overlay"}
	dir, err := sandbox.Scratch("probe")
	if err != nil {
		c.Detail = err.Error()
		return c
	}
	defer sandbox.RemoveState(dir)
	lower := filepath.Join(dir, "lower")
	if err := os.Mkdir(lower, 0o755); err != nil {
		c.Detail = err.Error()
		return c
	}
	b, err := d.box(sandbox.Spec{ID: "probe", Work: dir, State: filepath.Join(dir, "state"), Mounts: []sandbox.Mount{
		{Host: lower, Guest: "/overlay", Mode: sandbox.Overlay},
	}})
	if err == nil {
		err = b.try(ctx)
	}
	if c.OK = err == nil; !c.OK {
		c.Detail = "caches of toolchains are shown read-only or start empty: " + err.Error()
	}
	return c
}
