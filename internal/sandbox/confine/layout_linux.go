//go:build amd64 || arm64 || riscv64

package confine

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/boxinit"
)

const (
	homeDir = "/home/mgx"
	tmpDir  = "/tmp"
)

// SystemDirs are shown whole and read-only: the programs and libraries of the
// host. Where the host has a link, the box has the same link.
var SystemDirs = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"}

// SystemFiles are the parts of /etc that programs need to run. /etc as a whole
// holds secrets and is never shown.
var SystemFiles = []string{
	"/etc/alternatives",
	"/etc/chromium.d", // without which Debian's Chromium does not start
	"/etc/crypto-policies",
	"/etc/fonts",
	"/etc/ld.so.cache",
	"/etc/localtime",
	"/etc/man_db.conf", "/etc/manpath.config", // without which man shows nothing
	"/etc/maven/logging", "/etc/maven/m2.conf", // Debian's Maven links to them; its settings are not shown
	"/etc/os-release",
	"/etc/pki/ca-trust/extracted", "/etc/pki/java", "/etc/pki/tls/certs",
	"/etc/protocols", "/etc/services",
	"/etc/ssl/certs", "/etc/ssl/openssl.cnf",
}

// etc is what the box has instead of the host's.
var etc = []file{
	{Path: "/etc/passwd", Text: "root:x:0:0:root:/:/usr/sbin/nologin\nmgx:x:1000:1000:mgx:" + homeDir + ":/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"},
	{Path: "/etc/group", Text: "root:x:0:\nmgx:x:1000:\nnogroup:x:65534:\n"},
	{Path: "/etc/hosts", Text: "127.0.0.1 localhost mgx\n::1 localhost\n"},
	{Path: "/etc/hostname", Text: "mgx\n"},
	{Path: "/etc/nsswitch.conf", Text: "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
	{Path: "/etc/resolv.conf", Text: "# no network\n"},
}

// Devices are those of every box.
var Devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// masked entries of /proc tell of the host, not of the box, and the kernel gives
// them to whoever is the right user, which MGX may be, without a capability. All
// of /proc is read-only besides.
var masked = []string{
	"/proc/acpi", "/proc/scsi",
	"/proc/kcore", "/proc/key-users", "/proc/keys", "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags",
	"/proc/latency_stats", "/proc/sched_debug", "/proc/slabinfo", "/proc/timer_list", "/proc/vmallocinfo",
}

// System is the part of a plan that is the same for every command of a machine.
func System() Plan {
	p := Plan{Walls: FindWalls(), Plan: boxinit.Plan{
		Dirs:  []string{"/etc", "/dev", "/home", "/run", "/var"},
		Files: etc,
		Links: []link{
			{Path: "/dev/fd", To: "/proc/self/fd"},
			{Path: "/dev/ptmx", To: "pts/ptmx"},
			{Path: "/dev/stdin", To: "/proc/self/fd/0"},
			{Path: "/dev/stdout", To: "/proc/self/fd/1"},
			{Path: "/dev/stderr", To: "/proc/self/fd/2"},
			{Path: "/etc/mtab", To: "/proc/self/mounts"},
			{Path: "/var/tmp", To: tmpDir},
			{Path: "/var/run", To: "/run"},
		},
		Mounts: []mount{
			{Kind: boxinit.Proc, Target: "/proc", Make: boxinit.MakeDir},
			{Kind: boxinit.Pts, Target: "/dev/pts", Make: boxinit.MakeDir},
		},
	}}
	for _, name := range masked {
		p.mask(name)
	}
	for _, name := range Devices {
		p.Mounts = append(p.Mounts, mount{Kind: boxinit.Device, Source: name, Target: name, Make: boxinit.MakeFile})
	}
	javas, _ := filepath.Glob("/etc/java-*-openjdk") // Debian's JDKs link into it
	for _, name := range slices.Concat(SystemDirs, SystemFiles, javas) {
		p.show(name)
	}
	return p
}

// mask hides what this process could open itself; commands can do no more.
func (p *Plan) mask(name string) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		p.Mounts = append(p.Mounts, nothing(name))
		return
	}
	// A device on a mount without devices: opening it is refused.
	p.Mounts = append(p.Mounts, mount{Kind: boxinit.Bind, Source: os.DevNull, Target: name, ReadOnly: true})
}

// nothing is an empty directory that stays so.
func nothing(at string) mount {
	return mount{Kind: boxinit.Tmpfs, Target: at, Size: 4096, Inodes: 1, Mode: "0555", Make: boxinit.MakeDir, ReadOnly: true}
}

// show adds a part of the host at its own path, if the host has it.
func (p *Plan) show(name string) {
	info, err := os.Lstat(name)
	if err != nil {
		return
	}
	if info.Mode()&os.ModeSymlink != 0 {
		if to, err := os.Readlink(name); err == nil && (path.Dir(name) == "/" || strings.HasPrefix(to, "/usr/") || strings.HasPrefix(to, "../usr/")) {
			p.Links = append(p.Links, link{Path: name, To: to})
			return
		}
	}
	p.Mounts = append(p.Mounts, mount{Kind: boxinit.Bind, Source: name, Target: name, Make: makeFor(info), ReadOnly: true})
}

func makeFor(info os.FileInfo) boxinit.Making {
	if info.IsDir() {
		return boxinit.MakeDir
	}
	return boxinit.MakeFile
}

// Box is what a box shows, and what bounds its commands.
type Box struct {
	Spec      sandbox.Spec
	Base      Plan // of this machine
	Limits    sandbox.Limits
	NoOverlay bool // the machine cannot, where this box keeps its state
}

// Plan is what the init of one command is told.
func (b *Box) Plan(cmd sandbox.Command) (Plan, error) {
	p := b.Base
	p.Limits = b.Limits
	p.Args = cmd.Args
	p.Env = sandbox.Environ(homeDir, tmpDir, b.Spec.Env, b.gateEnviron(cmd), cmd.Env)
	p.Dir = cmd.Dir
	if p.Dir == "" {
		p.Dir = sandbox.Workspace
	}
	p.Mounts = slices.Clone(p.Mounts)
	for _, m := range []mount{
		{Target: tmpDir, Mode: "1777", Size: b.Limits.Tmp},
		{Target: homeDir, Mode: "0700", Size: b.Limits.Tmp},
		{Target: "/dev/shm", Mode: "1777", Size: min(b.Limits.Tmp, 64<<20)},
	} {
		m.Kind, m.Inodes, m.Make = boxinit.Tmpfs, inodes(m.Size), boxinit.MakeDir
		p.Mounts = append(p.Mounts, m)
	}
	p.Mounts = append(p.Mounts, mount{Kind: boxinit.Bind, Source: b.Spec.Work, Target: sandbox.Workspace, Make: boxinit.MakeDir, ReadOnly: cmd.ReadOnly})
	for _, m := range Merge(b.Spec.Mounts, cmd.Mounts) {
		planned, err := b.mount(m)
		if err != nil {
			return Plan{}, err
		}
		p.Mounts = append(p.Mounts, planned)
	}
	p.pointMounts()
	return p, nil
}

// inodes allows one file for every 16 KB of a tmpfs.
func inodes(size int64) int64 { return max(size/16384, 64) }

// Merge lets the mounts of a command replace those of the box at the same path.
func Merge(box, command []sandbox.Mount) []sandbox.Mount {
	var out []sandbox.Mount
	for _, m := range box {
		replaced := func(c sandbox.Mount) bool { return path.Clean(c.Guest) == path.Clean(m.Guest) }
		if !slices.ContainsFunc(command, replaced) {
			out = append(out, m)
		}
	}
	return append(out, command...)
}

// mount checks one mount of a spec and says how it is done.
func (b *Box) mount(m sandbox.Mount) (mount, error) {
	info, err := CheckMount(m)
	switch {
	case err != nil:
		return mount{}, err
	case m.Mode == sandbox.Empty:
		return nothing(path.Clean(m.Guest)), nil
	}
	out := mount{Kind: boxinit.Bind, Source: m.Host, Target: path.Clean(m.Guest), Make: boxinit.MakeDir, ReadOnly: m.Mode != sandbox.ReadWrite}
	if info != nil {
		out.Make = makeFor(info)
	}
	if m.Mode != sandbox.Cache && (m.Mode != sandbox.Overlay || b.NoOverlay) {
		return out, nil
	}
	upper, work, err := b.layers(m)
	if err != nil {
		return mount{}, err
	}
	if m.Host == "" || b.NoOverlay {
		out.Source, out.ReadOnly = upper, false
		return out, nil
	}
	out.Kind, out.Upper, out.Work, out.ReadOnly = boxinit.Overlay, upper, work, false
	return out, nil
}

// CheckMount returns what is at the host path, or nil for a mount without one.
func CheckMount(m sandbox.Mount) (os.FileInfo, error) {
	bad := func(format string, args ...any) (os.FileInfo, error) {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_mount", format, args...)
	}
	guest := path.Clean(m.Guest)
	layered := m.Mode == sandbox.Overlay || m.Mode == sandbox.Cache
	switch {
	case !path.IsAbs(guest), guest == "/", guest == sandbox.Workspace,
		Within(guest, "/proc"), Within(guest, "/dev"), Within(guest, "/etc"):
		return bad("nothing can be mounted at %q in a sandbox", m.Guest)
	case m.Mode == sandbox.Empty && m.Host == "":
		return nil, nil
	case !layered && m.Mode != sandbox.ReadOnly && m.Mode != sandbox.ReadWrite:
		return bad("%q is not a way to mount; use ro, rw, overlay, cache or empty", m.Mode)
	case m.Mode == sandbox.Cache && m.Host == "":
		return nil, nil
	case !filepath.IsAbs(m.Host):
		return bad("the host path %q of a mount must be absolute", m.Host)
	}
	info, err := os.Stat(m.Host)
	switch {
	case err != nil:
		return bad("%s cannot be mounted: %w", m.Host, err)
	case layered && !info.IsDir():
		return bad("only a directory can be an overlay, and %s is none", m.Host)
	}
	return info, nil
}

// layers returns the directories that keep what is written over an overlay. The
// same guest path finds the same layers again in the next command.
func (b *Box) layers(m sandbox.Mount) (upper, work string, err error) {
	if b.Spec.State == "" {
		return "", "", mgx.Errorf(mgx.KindUsage, "bad_mount", "an overlay at %s needs a state directory in the spec of the sandbox", m.Guest)
	}
	base := filepath.Join(b.Spec.State, "overlay", url.PathEscape(path.Clean(m.Guest)))
	upper, work = filepath.Join(base, "upper"), filepath.Join(base, "work")
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", "", mgx.Errorf(mgx.KindConfig, "sandbox_state", "the sandbox cannot keep its state in %s: %w", b.Spec.State, err)
		}
	}
	return upper, work, nil
}

// pointMounts lets mount points be made only where they lie in a tmpfs of the
// box: making one below another mount would write on the host.
func (p *Plan) pointMounts() {
	for i := range p.Mounts {
		for _, over := range p.Mounts[:i] {
			if Within(p.Mounts[i].Target, over.Target) && over.Kind != boxinit.Tmpfs {
				p.Mounts[i].Make = boxinit.MakeNothing
			}
		}
	}
}

// Within reports whether name is dir or lies below it.
func Within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}
