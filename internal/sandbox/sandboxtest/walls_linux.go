package sandboxtest

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
)

// host is what an attack is aimed at, beside the world's files.
type host struct {
	*world
	*gated       // nil: the box has no gate
	victim   int // a process with a secret in its environment
	tcp      string
	tcp6     string // empty where the machine has no IPv6
	udp      string
	socket   string // of a unix listener outside of the box
	shown    string // of one in a directory that it shows read-only, beside a file
	layered  string // of one in a cache
	abstract string
	settings string // of the machine, as they were

	datagrams, shownDatagrams string // of unix sockets for those, as socket and shown
}

// attackCase is one attack and where it aims. Those with teeth do no harm when
// they get through, and do without walls.
type attackCase struct {
	name  string
	args  func(h *host) []string
	teeth bool
}

// Walls attacks a driver of any level but off: every attack must fail, except
// those that are known to get through at its level, and the host must be
// unharmed. With MGX_UPDATE it keeps what came of every case, as the column of
// that name; else of a native driver it must be what was kept.
func Walls(t *testing.T, d sandbox.Driver, name string) {
	level, scores := attacked(t, d)
	for _, c := range wallTests {
		scores = append(scores, c.score(t, d, level))
	}
	switch {
	case os.Getenv(updateEnv) != "" && !t.Failed():
		keepColumn(t, name, level, scores)
	case os.Getenv(updateEnv) == "" && level != sandbox.LevelDocker && level != sandbox.LevelGVisor:
		compareColumn(t, name, level, scores)
	}
}

// Slowly is Contract and Walls for drivers whose boxes take long to build, if they
// are asked for; else it is a sample of both, with every attack.
func Slowly(t *testing.T, d sandbox.Driver, name string) {
	if !Whole() {
		sample(t, d)
		return
	}
	if os.Getenv(wholeEnv) != "" {
		Contract(t, d)
	}
	Walls(t, d, name)
}

// Whole reports whether make walls, or make docs, asks slow drivers for all cases.
func Whole() bool { return os.Getenv(wholeEnv) != "" || os.Getenv(updateEnv) != "" }

const (
	wholeEnv  = "MGX_WALLS"
	updateEnv = "MGX_UPDATE"
)

func sample(t *testing.T, d sandbox.Driver) {
	level, _ := attacked(t, d)
	for _, c := range wallTests {
		if slices.Contains([]string{
			"the guest paths are true", "a read-only workspace", "a directory mounted over itself stays where it is", "a directory of which nothing is seen",
			"orphans of another session die at the end", "hosts that are allowed", "space in /tmp and home", "inherited descriptors",
			"memory of all processes", "memory of all commands of a run", "output flood",
		}, c.name) {
			c.score(t, d, level)
		}
	}
	for name, test := range map[string]func(*testing.T, sandbox.Driver){
		"output keeps its order in one writer": outputOrder, "output comes as it is written": outputStreams, "standard input": standardInput,
		"the environment is the box's alone": cleanEnvironment, "the deadline kills the tree": deadline, "a cancelled ctx kills the tree": cancel,
		"commands side by side": sideBySide, "a directory mounted over one of the workspace": mountInWorkspace,
	} {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
}

// attacked makes every attack in one box.
func attacked(t *testing.T, d sandbox.Driver) (sandbox.Level, []Score) {
	h := openHost(t, d)
	scores := h.score(t)
	for _, s := range scores {
		t.Run(s.Name, func(t *testing.T) {
			switch s.Outcome {
			case Absent:
				t.Skip("there is nothing to aim at on this machine")
			case Fell:
				t.Errorf("%v: it got through", s.aim)
			case Broken:
				t.Errorf("%v: %s", s.aim, s.Detail)
			}
			t.Log(s.Outcome, s.Detail)
		})
	}
	h.unharmed(t)
	return h.box.Level(), scores
}

// callCases is an attack with each system call that the filter refuses.
func callCases() (cases []attackCase) {
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		cases = append(cases, attackCase{"call " + name, aim("call", name), false})
	}
	return cases
}

// Teeth shows that attacks work where there are no walls.
func Teeth(t *testing.T, d sandbox.Driver) {
	for _, c := range attackCases {
		if !c.teeth {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			h := openHost(t, d)
			args := c.args(h)
			if args == nil {
				t.Skip("there is nothing to aim at on this machine")
			}
			if r := h.attack(t, args)[0]; r != fell {
				t.Errorf("%v: %s", args, r)
			}
		})
	}
}

// attack makes attacks from one process in the box, and returns a line for each;
// those without an aim are left out.
func (w *world) attack(t *testing.T, attacks ...[]string) []string {
	t.Helper()
	args := []string{w.box.Path(attacker)}
	for _, a := range attacks {
		if a == nil {
			continue
		}
		if len(args) > 1 {
			args = append(args, separator)
		}
		args = append(args, a...)
	}
	inner := *w
	inner.t = t
	o := inner.run(sandbox.Command{Args: args, Env: []string{attackerEnv + "=1"}, Online: true})
	if o.ExitCode != 0 {
		t.Errorf("the attacker ended with %d: %s", o.ExitCode, o.err)
	}
	lines := strings.Split(o.out, "\n")
	results := make([]string, len(attacks))
	for i, a := range attacks {
		if a != nil && len(lines) > 0 {
			results[i], lines = lines[0], lines[1:]
		}
	}
	return results
}

// holds fails unless a wall held against one attack, and returns how.
func (w *world) holds(attack ...string) string {
	w.t.Helper()
	r := w.attack(w.t, attack)[0]
	if !strings.HasPrefix(r, held) {
		w.t.Errorf("%v: %s", attack, r)
	}
	return r
}

func openHost(t *testing.T, d sandbox.Driver) *host {
	var g *gated
	var shown, layered string
	withGate := mayGate(t, d)
	h := &host{settings: settings(t), world: open(t, d, func(w *world) {
		if withGate {
			g = openGate(w)
		}
		must(t, os.Symlink(w.secret, filepath.Join(w.work, "absolute")))
		must(t, os.Symlink("../outside/secret", filepath.Join(w.work, "relative")))
		must(t, os.Symlink(filepath.Join(w.outside, "dangling"), filepath.Join(w.work, "dangling")))
		must(t, os.Symlink(w.outside, filepath.Join(w.work, "directory")))
		shown, layered = t.TempDir(), t.TempDir()
		must(t, os.WriteFile(filepath.Join(shown, "file"), nil, 0o644))
		w.spec.Mounts = append(w.spec.Mounts, sandbox.Mount{Host: shown, Guest: shown, Mode: sandbox.ReadOnly}, sandbox.Mount{Host: layered, Guest: layered, Mode: sandbox.Overlay})
	})}
	h.gated = g
	victim := exec.Command("sleep", "1000")
	victim.Env = []string{"SECRET=" + secretText}
	must(t, victim.Start())
	t.Cleanup(func() { victim.Process.Kill(); victim.Wait() })
	h.victim = victim.Process.Pid

	h.tcp = serve(t, "tcp", "127.0.0.1:0")
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		h.tcp6 = serve(t, "tcp", "[::1]:0")
	}
	h.socket = serve(t, "unix", filepath.Join(h.outside, "socket"))
	serve(t, "unix", filepath.Join(h.work, "socket"))
	must(t, os.Rename(serve(t, "unix", filepath.Join(h.work, "before")), filepath.Join(h.work, "moved")))
	h.shown, h.layered = serve(t, "unix", filepath.Join(shown, "socket")), serve(t, "unix", filepath.Join(layered, "socket"))
	h.datagrams, h.shownDatagrams = takeDatagrams(t, filepath.Join(h.outside, "datagrams")), takeDatagrams(t, filepath.Join(shown, "datagrams"))
	h.abstract = serve(t, "unix", fmt.Sprintf("@mgx-test-%d-%d", os.Getpid(), h.victim))
	h.udp = serveUDP(t)
	return h
}

// settings are those of the machine that have a value of their own in a box, where
// the kernel is new enough. Where it is not, whoever is root must not set the
// machine's.
func settings(t *testing.T) string {
	t.Helper()
	var all []byte
	for _, name := range []string{"/proc/sys/kernel/pid_max", "/proc/sys/user/max_user_namespaces"} {
		b, err := os.ReadFile(name)
		must(t, err)
		all = append(all, b...)
	}
	return string(all)
}

func serve(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func takeDatagrams(t *testing.T, name string) string {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return name
}

func serveUDP(t *testing.T) string {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 64)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			c.WriteTo(b[:n], from)
		}
	}()
	return c.LocalAddr().String()
}

// unharmed checks that the host is as it was.
func (h *host) unharmed(t *testing.T) {
	t.Helper()
	if err := unix.Kill(h.victim, 0); err != nil {
		t.Errorf("the host's process: %v", err)
	}
	entries, err := os.ReadDir(h.outside)
	must(t, err)
	for _, e := range entries {
		if !slices.Contains([]string{"secret", "socket", "datagrams"}, e.Name()) {
			t.Errorf("%s appeared outside", e.Name())
		}
	}
	b, err := os.ReadFile(h.secret)
	must(t, err)
	equal(t, "the secret", string(b), secretText)
	equal(t, "the machine's settings", settings(t), h.settings)
	for _, name := range []string{"/usr/mgx-attacked", "/etc/mgx-attacked", "/mgx-attacked"} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

func aim(args ...string) func(*host) []string { return func(*host) []string { return args } }

// existing aims at a path of the host, if there is one.
func existing(attack, name string) func(*host) []string {
	return func(*host) []string {
		if _, err := os.Lstat(name); err != nil {
			return nil
		}
		return []string{attack, name}
	}
}

// releaseAgent aims at that of any tree of groups which has one, as those of version
// 1 do.
func releaseAgent(*host) []string {
	found, _ := filepath.Glob("/sys/fs/cgroup/*/release_agent")
	return []string{"openwrite", append(found, "/sys/fs/cgroup/release_agent")[0]}
}

func atVictim(attack ...string) func(*host) []string {
	return func(h *host) []string { return append(slices.Clip(attack), fmt.Sprint(h.victim)) }
}

var attackCases = []attackCase{
	{"read outside", func(h *host) []string { return []string{"read", h.secret} }, true},
	{"read by ..", func(h *host) []string { return []string{"read", strings.Repeat("../", 30) + h.secret} }, true},
	{"read by an absolute link", aim("read", "absolute"), true},
	{"read by a relative link", aim("read", "relative"), true},
	{"read by a linked directory", aim("read", "directory/secret"), true},
	{"read by the root of init", func(h *host) []string { return []string{"read", "/proc/1/root" + h.secret} }, false},
	{"read by the directory of init", func(h *host) []string { return []string{"read", "/proc/1/cwd" + h.secret} }, false},
	{"write outside", func(h *host) []string { return []string{"write", filepath.Join(h.outside, "new")} }, true},
	{"write by a dangling link", aim("write", "dangling"), true},
	{"write by a linked directory", aim("write", "directory/new"), true},
	{"hard link from outside", func(h *host) []string { return []string{"link", h.secret} }, true},
	{"hard link from the system", aim("link", "/usr/bin/env"), false},
	{"rename to outside", func(h *host) []string { return []string{"rename", filepath.Join(h.outside, "moved")} }, true},
	{"rename to the root", aim("rename", "/mgx-attacked"), false},
	{"write to /", aim("write", "/mgx-attacked"), false},
	{"write to /usr", aim("write", "/usr/mgx-attacked"), false},
	{"write to /etc", aim("write", "/etc/mgx-attacked"), false},
	{"write to /dev", aim("write", "/dev/mgx-attacked"), false},
	{"write to /proc", aim("write", "/proc/self/oom_score_adj"), false},
	{"change /dev/null", aim("chmod", "/dev/null"), false},
	{"change a program", aim("chmod", "/usr/bin/env"), false},
	{"mode of the host's file", ofSecret("mode"), true},
	{"owner of the host's file", ofSecret("owner"), true},
	{"times of the host's file", ofSecret("times"), true},
	{"extended attributes of the host's file", ofSecret("extended"), true},
	{"reading extended attributes of the host's file", attributed, true},
	{"lease on a file that is shown", leasable, true},
	{"flags of the host's program", ofShown("flags"), true},
	{"whether the host's file is there", ofSecret("look"), true},
	{"enter the host's directory", func(h *host) []string { return []string{"file", "enter", h.outside} }, true},
	{"watch the host's directory", func(h *host) []string { return []string{"file", "watch", h.outside} }, true},
	{"/etc/shadow", existing("openread", "/etc/shadow"), false},
	{"/etc/ssh", existing("listing", "/etc/ssh"), true},
	{"/root", aim("listing", "/root"), false},
	{"/home", aim("listing", "/home", "mgx"), false},
	{"what is in /", aim("listing", "/", ".dockerenv", "attacker", "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "nix", "gnu", "proc", "run", "sbin", "sys", "tmp", "usr", "var", "workspace"), false},
	{"what is in /dev", aim("listing", "/dev", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"), false},
	{"terminals of others", aim("listing", "/dev/pts", "ptmx"), false},
	{"what is in /sys", aim("listing", "/sys"), true},
	{"what is in /run", aim("listing", "/run"), false},
	{"docker.sock", aim("dial", "unix", "/var/run/docker.sock"), false},

	{"environment of others", aim("environ"), true},
	{"memory of init", aim("readmem", "1"), false},
	{"root of init", aim("rootof", "1"), false},
	{"program of init", aim("openread", "/proc/1/exe"), false},
	{"own program", aim("openwrite", "/proc/self/exe"), false},
	{"a program in memory alone", func(h *host) []string { return []string{"memfd", "read", h.secret} }, true},
	{"core_pattern", aim("openwrite", "/proc/sys/kernel/core_pattern"), false},
	{"sysctl", aim("openwrite", "/proc/sys/kernel/hostname"), false},
	{"pid_max", aim("openwrite", "/proc/sys/kernel/pid_max"), false},
	{"namespaces allowed", aim("openwrite", "/proc/sys/user/max_user_namespaces"), false},
	{"sysrq", aim("openwrite", "/proc/sysrq-trigger"), false},
	{"kallsyms", aim("kallsyms"), false},
	{"kcore", aim("openread", "/proc/kcore"), false},
	{"kmsg", aim("openread", "/proc/kmsg"), false},
	{"kernel pages", aim("openread", "/proc/kpageflags"), false},
	{"keys", aim("openread", "/proc/keys"), false},
	{"disk", aim("openread", "/dev/vda"), false},
	{"kvm", aim("openread", "/dev/kvm"), false},
	{"mem", aim("openread", "/dev/mem"), false},
	{"release_agent", releaseAgent, false},
	{"terminal", aim("tty"), false},
	{"mknod in /tmp", aim("mknod"), false},
	{"mknod in the workspace", aim("mknodws"), false},
	{"mknod of a whiteout", aim("whiteout"), true},
	{"a whiteout left by a rename", func(h *host) []string { return onFile("leave a whiteout", h.work, ".") }, true},

	{"signal the host", atVictim("signal"), true},
	{"signal init", func(h *host) []string {
		if landlockVersion() < 6 && h.box.Level() != sandbox.LevelLite {
			return nil // the first process of its namespace, which heeds no signal
		}
		return []string{"signalled", "init"}
	}, false},
	{"limit the host", atVictim("limit"), true},
	{"limit init", aim("limit", "init"), false},
	{"priority of the host", atVictim("schedule", "priority"), true},
	{"processors of the host", atVictim("schedule", "processors"), true},
	{"scheduler of the host", atVictim("schedule", "scheduler"), true},
	{"scheduler's parameter of the host", atVictim("schedule", "parameter"), true},
	{"scheduler's attributes of the host", atVictim("schedule", "attributes"), true},
	{"turn at the disk of the host", atVictim("schedule", "turn at the disk"), true},
	{"System V memory of the host", keptBy("memory"), true},
	{"System V semaphores of the host", keptBy("semaphores"), true},
	{"System V messages of the host", keptBy("messages"), true},
	{"POSIX messages of the host", keptBy("POSIX messages"), true},
	{"watches of its user", partOfUser("watches", mostWatching), true},
	{"timers of its user", partOfUser("timers", mostPending), true},
	{"ptrace the host", atVictim("ptrace"), true},
	{"ptrace init", aim("ptrace", "1"), false},
	{"read the host's memory", atVictim("processvm"), true},
	{"read init's memory", aim("processvm", "1"), false},
	{"pidfd_getfd of the host", atVictim("pidfd"), true},
	{"pidfd_getfd of init", aim("pidfd", "1"), false},

	{"TCP to the host's loopback", func(h *host) []string { return []string{"dial", "tcp", h.tcp} }, true},
	{"TCP to the host's IPv6 loopback", func(h *host) []string {
		if h.tcp6 == "" {
			return nil
		}
		return []string{"dial", "tcp", h.tcp6}
	}, true},
	{"UDP to the host's loopback", func(h *host) []string { return []string{"echo", h.udp} }, true},
	{"abstract socket of the host", func(h *host) []string { return []string{"dial", "unix", h.abstract} }, true},
	{"socket file of the host", func(h *host) []string { return []string{"dial", "unix", h.socket} }, true},
	{"socket file in the workspace", aim("dial", "unix", "socket"), true},
	{"socket file in a directory that is shown", func(h *host) []string { return []string{"dial", "unix", h.shown} }, true},
	{"socket file in a cache", func(h *host) []string { return []string{"dial", "unix", h.layered} }, true},
	{"socket file under another name", aim("dial", "unix", "moved"), true},
	{"datagram to the host", func(h *host) []string { return []string{"datagram", h.datagrams} }, true},
	{"datagram to a socket file that is shown", func(h *host) []string { return []string{"datagram", h.shownDatagrams} }, true},
	{"metadata address", aim("dial", "tcp", "169.254.169.254:80"), false},
	{"IPv4-mapped metadata address", aim("dial", "tcp", "[::ffff:169.254.169.254]:80"), false},
	{"a public address", aim("dial", "tcp", "1.1.1.1:443"), false},
	{"DNS", aim("resolve"), false},
	{"DNS by UDP", aim("echo", "8.8.8.8:53"), false},
	{"interfaces", aim("links"), false},
	{"AF_PACKET", aim("packet"), false},
	{"raw IP", aim("rawip"), false},

	{"mount", aim("mount"), false},
	{"bind mount", aim("bind"), false},
	{"remount", aim("remount"), false},
	{"mount_setattr", aim("setattr"), false},
	{"umount /proc/keys", aim("umount", "/proc/keys"), false},
	{"umount the workspace", aim("umount", "/workspace"), false},
	{"umount /", aim("umount", "/"), false},
	{"open_tree", aim("opentree"), false},
	{"fsopen", aim("fsopen"), false},
	{"pivot_root", aim("pivot"), false},
	{"chroot", aim("chroot"), false},
	{"clone user namespace", aim("cloneuser"), false},
	{"unshare mounts", aim("mountns"), false},
	{"unshare pids", aim("pidns"), false},
	{"setns", aim("setns"), false},

	{"capabilities", aim("capabilities"), false},
	{"capset", aim("capset"), false},
	{"setuid", aim("setuid"), false},
	{"setgroups", aim("setgroups"), false},
	{"no_new_privs", aim("newprivs"), true},
	{"nosuid and nodev", aim("nosuid"), false},
	{"host name", aim("hostname"), false},
	{"clock", aim("clock"), false},
	{"open_by_handle_at", aim("handle"), false},
	{"bpf", aim("bpf"), false},
	{"modules", aim("module"), false},
	{"reboot", aim("reboot"), false},
	{"swapoff", aim("swapoff"), false},
	{"core files", aim("core"), false},
	{"the machine's program for core files", coreLimit, true},
	{"lift limits", aim("limitup"), false},
}

// inTime fails when something hung that a wall should have ended.
func inTime(t *testing.T, o outcome) {
	t.Helper()
	if o.Duration > patience/2 {
		t.Errorf("took %v", o.Duration.Round(time.Millisecond))
	}
}
