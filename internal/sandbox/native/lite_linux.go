//go:build amd64 || arm64 || riscv64

package native

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/boxinit"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/disk"
	"mgx/internal/sandbox/internal/landlock"
	"mgx/internal/sandbox/internal/seccomp"
	"mgx/internal/sandbox/view"
)

// liteScratch names directories for home and temporary files.
const liteScratch = "lite"

type lite struct {
	groups func() (*cgroup.Place, error)
}

// NewLite returns the driver for machines that forbid user namespaces. Landlock
// says which files a command may touch, the filter lets it make no socket but
// pairs, and it has no capability. It shares everything else with the machine:
// it sees which processes there are, and its mounts are links and translated
// paths as in the driver "off".
func NewLite() sandbox.Driver { return &lite{cgroup.Find} }

func (*lite) Name() string { return "lite" }

// liteWalls is an error when the kernel lacks one that cannot be done without.
func liteWalls() (confine.Walls, error) {
	w := confine.Walls{Seccomp: seccomp.Available() == nil, Landlock: landlock.Version()}
	if c := landlockCheck(w.Landlock); !c.OK {
		return w, liteUnavailable(c.Detail)
	}
	if !w.Seccomp {
		return w, liteUnavailable("the kernel has no seccomp filters, or the container forbids them")
	}
	if _, err := os.Stat("/proc/thread-self/children"); err != nil {
		return w, liteUnavailable("the kernel does not list the children of processes (CONFIG_PROC_CHILDREN)")
	}
	return w, nil
}

func liteUnavailable(why string) error {
	return mgx.Errorf(mgx.KindConfig, "sandbox_unavailable",
		"this machine does not let MGX confine commands, not even without namespaces: %s. To run commands without any walls, type --sandbox=off.", why)
}

func (d *lite) Probe(ctx context.Context) sandbox.Report {
	r := sandbox.Report{Driver: d.Name()}
	w, err := liteWalls()
	if err == nil {
		err = d.try(ctx)
	}
	if err != nil {
		r.Checks = []sandbox.Check{{Name: "walls", Detail: err.Error()}}
		return r
	}
	r.Level = sandbox.LevelLite
	signals := sandbox.Check{Name: "signals", OK: w.Landlock >= landlock.VersionScope}
	if !signals.OK {
		signals.Detail = "commands can signal other processes of this user; it needs Linux 6.12"
	}
	r.Checks = append(r.Checks, sandbox.Check{Name: "system call filter", OK: true}, landlockCheck(w.Landlock), signals, cgroupCheck(d.groups))
	return r
}

func (d *lite) try(ctx context.Context) error {
	dir, err := sandbox.Scratch(liteScratch)
	if err != nil {
		return err
	}
	defer sandbox.RemoveState(dir)
	box, err := d.Open(ctx, sandbox.Spec{ID: "probe", Work: dir})
	if err != nil {
		return err
	}
	defer box.Close()
	_, err = box.Run(ctx, sandbox.Command{Args: []string{"true"}, Timeout: 10 * time.Second})
	return err
}

func (d *lite) Open(_ context.Context, spec sandbox.Spec) (sandbox.Box, error) {
	if err := confine.CheckWork(spec); err != nil {
		return nil, err
	}
	if spec.Gate != nil {
		return nil, sandbox.NoGate(sandbox.LevelLite)
	}
	w, err := liteWalls()
	if err != nil {
		return nil, err
	}
	dir, err := sandbox.Scratch(liteScratch)
	if err != nil {
		return nil, err
	}
	groups, _ := d.groups()
	b := &liteBox{spec: spec, dir: dir, walls: w, limits: confine.LimitsOf(spec), groups: groups}
	counted := spec
	counted.Kept = append(slices.Clip(spec.Kept), dir) // which no mount of its own bounds
	b.quota = confine.Quota(counted, b.limits)
	b.view = view.New(spec.Work, filepath.Join(dir, "home"), filepath.Join(dir, "tmp"))
	for _, sub := range []string{b.view.Home, b.view.Tmp} {
		err = errors.Join(err, os.Mkdir(sub, 0o700))
	}
	if err == nil {
		b.mounts, err = b.resolve(spec.Mounts)
	}
	if err == nil {
		b.release, err = confine.Hold(groups)
	}
	if err != nil {
		return nil, errors.Join(err, b.view.Close(), sandbox.RemoveState(dir))
	}
	return b, nil
}

type liteBox struct {
	spec   sandbox.Spec
	dir    string // home and temporary files
	view   *view.View
	mounts []sandbox.Mount // of the spec, as they are on this host
	walls  confine.Walls
	limits sandbox.Limits
	groups *cgroup.Place
	quota  *disk.Quota

	release func() // of the group around those of all commands
}

func (b *liteBox) Path(guest string) string { return b.view.Path(guest) }
func (b *liteBox) Level() sandbox.Level     { return sandbox.LevelLite }

func (b *liteBox) Close() error {
	b.release()
	return errors.Join(b.view.Close(), sandbox.RemoveState(b.dir))
}

// resolve checks mounts and makes them true as far as links can. A cache is a
// directory of the box's own: nothing can lie over the host's.
func (b *liteBox) resolve(mounts []sandbox.Mount) (out []sandbox.Mount, err error) {
	for _, m := range mounts {
		if _, err := confine.CheckMount(m); err != nil {
			return nil, err
		}
		switch m.Mode {
		case sandbox.Cache:
			if b.spec.State == "" {
				return nil, mgx.Errorf(mgx.KindUsage, "bad_mount", "a cache at %s needs a state directory in the spec of the sandbox", m.Guest)
			}
			m.Host = filepath.Join(b.spec.State, "cache", url.PathEscape(path.Clean(m.Guest)))
			if err := os.MkdirAll(m.Host, 0o700); err != nil {
				return nil, mgx.Errorf(mgx.KindConfig, "sandbox_state", "the sandbox cannot keep its state in %s: %w", b.spec.State, err)
			}
			m.Mode = sandbox.ReadWrite
		case sandbox.Overlay:
			m.Mode = sandbox.ReadOnly
		}
		out = append(out, m)
	}
	seen := slices.DeleteFunc(slices.Clone(out), func(m sandbox.Mount) bool { return hides(m) })
	return out, b.view.Add(seen)
}

func (b *liteBox) Run(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error) {
	if err := confine.Check(cmd); err != nil {
		return sandbox.Result{}, err
	}
	if cmd.Gate != nil {
		return sandbox.Result{}, sandbox.NoGate(sandbox.LevelLite)
	}
	mounts, err := b.resolve(cmd.Mounts)
	if err != nil {
		return sandbox.Result{}, err
	}
	dir := cmd.Dir
	if dir == "" {
		dir = sandbox.Workspace
	}
	p := confine.Plan{Limits: b.limits, Walls: b.walls, Beside: confine.Beside(), Sealed: sealed(cmd), Plan: boxinit.Plan{
		Args:  cmd.Args,
		Env:   sandbox.Environ(b.view.Home, b.view.Tmp, b.spec.Env, cmd.Env),
		Dir:   b.view.Path(dir),
		Lite:  true,
		Rules: b.rules(confine.Merge(b.mounts, mounts), cmd.ReadOnly),
	}}
	m := confine.Machine{Groups: b.groups, Whose: b.spec.ID, Quota: b.quota, Start: start(beside), Gentle: true, Refuse: unavailable}
	return m.Run(ctx, p, cmd, nil)
}

// sealed reports whether a command must leave modes, owners and times of files alone:
// Landlock does not guard them, and the filter cannot tell files apart. Whoever is
// given a directory to write in, as git is its own, has to set them there.
func sealed(cmd sandbox.Command) bool {
	return cmd.ReadOnly && !slices.ContainsFunc(cmd.Mounts, func(m sandbox.Mount) bool { return m.Mode == sandbox.ReadWrite })
}

// shownEtc are files of the host that a box with mounts has of its own.
var shownEtc = []string{"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname", "/etc/nsswitch.conf", "/etc/mtab"}

// rules say what a command may touch, by the host's paths.
func (b *liteBox) rules(mounts []sandbox.Mount, readOnly bool) []landlock.Rule {
	javas, _ := filepath.Glob("/etc/java-*-openjdk")
	masks := masked(mounts)
	rules := []landlock.Rule{{Path: b.view.Home, Allow: landlock.Change}, {Path: b.view.Tmp, Allow: landlock.Change}, {Path: b.spec.Work, Allow: landlock.Change}}
	if readOnly {
		rules[2].Allow = landlock.Look
	}
	for _, name := range slices.Concat(confine.SystemDirs, confine.SystemFiles, javas, shownEtc, []string{"/proc"}) {
		if real, err := filepath.EvalSymlinks(name); err == nil {
			rules = append(rules, around(real, masks)...)
		}
	}
	for _, name := range confine.Devices {
		rules = append(rules, landlock.Rule{Path: name, Allow: landlock.Look | landlock.Write})
	}
	for _, m := range mounts {
		switch {
		case hides(m):
		case m.Mode == sandbox.ReadWrite:
			rules = append(rules, landlock.Rule{Path: m.Host, Allow: landlock.Change})
		default:
			rules = append(rules, around(m.Host, masks)...)
		}
	}
	return slices.DeleteFunc(rules, func(r landlock.Rule) bool {
		_, err := os.Stat(r.Path)
		return err != nil
	})
}

// hides reports whether a mount is there to keep from being seen what it covers.
func hides(m sandbox.Mount) bool { return m.Host == os.DevNull || m.Mode == sandbox.Empty }

// masked are the paths of the host that are hidden: of what lies in a tree that is shown
// at another path, those in the tree.
func masked(mounts []sandbox.Mount) (masks []string) {
	for _, m := range mounts {
		if !hides(m) {
			continue
		}
		guest := path.Clean(m.Guest)
		masks = append(masks, guest)
		for _, tree := range mounts {
			if at := path.Clean(tree.Guest); !hides(tree) && tree.Host != "" && confine.Within(guest, at) {
				masks = append(masks, filepath.Join(tree.Host, strings.TrimPrefix(guest, at)))
			}
		}
	}
	return masks
}

// around allows to look at dir but not at what is masked in it: a rule on a
// directory cannot be taken back for something below, so there is one for
// everything beside.
func around(dir string, masks []string) (rules []landlock.Rule) {
	inside := func(at string) bool {
		return slices.ContainsFunc(masks, func(m string) bool { return confine.Within(m, at) })
	}
	if !inside(dir) {
		return []landlock.Rule{{Path: dir, Allow: landlock.Look}}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || slices.Contains(masks, dir) {
		return nil
	}
	rules = []landlock.Rule{{Path: dir, Allow: landlock.ReadDir}}
	for _, e := range entries {
		if e.Type()&os.ModeSymlink == 0 {
			rules = append(rules, around(filepath.Join(dir, e.Name()), masks)...)
		}
	}
	return rules
}
