package sandboxtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Main attacks and never returns, if this process was started to be the
// attacker.
func Main() {
	if len(os.Args) < 2 || os.Getenv(attackerEnv) == "" {
		return
	}
	for _, a := range split(os.Args[1:]) {
		fmt.Println(result(a))
	}
	os.Exit(0)
}

const (
	attackerEnv = "MGX_SANDBOXTEST_ATTACKER"
	separator   = "--" // between the attacks of one command line
	held        = "held: "
	fell        = "fell"
)

func split(args []string) (attacks [][]string) {
	attacks = [][]string{nil}
	for _, a := range args {
		if a == separator {
			attacks = append(attacks, nil)
			continue
		}
		last := &attacks[len(attacks)-1]
		*last = append(*last, a)
	}
	return attacks
}

// result is one line.
func result(args []string) string {
	attack, known := attacks[args[0]]
	if !known {
		attack, known = gateAttacks[args[0]]
	}
	if !known {
		attack, known = userAttacks[args[0]]
	}
	if !known {
		return "no such attack"
	}
	if err := attack(args[1:]); err != nil {
		return held + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return fell
}

// attacks each return nil when they got through the wall.
var attacks = map[string]func(args []string) error{
	"read":      func(a []string) error { return readsSecret(a[0]) },
	"write":     func(a []string) error { return os.WriteFile(a[0], []byte("attacked"), 0o644) },
	"openwrite": func(a []string) error { return opens(a[0], os.O_WRONLY) },
	"openread":  func(a []string) error { return opens(a[0], os.O_RDONLY) },
	"link": func(a []string) error {
		return then(os.Link(a[0], "linked"), func() error { return readsSecret("linked") })
	},
	"rename": func(a []string) error {
		return then(os.WriteFile("moving", nil, 0o644), func() error { return os.Rename("moving", a[0]) })
	},
	"memfd":  fromMemory,
	"remove": func(a []string) error { return os.Remove(a[0]) },
	"move":   func(a []string) error { return os.Rename(a[0], a[0]+".moved") },
	"chmod":  func(a []string) error { return os.Chmod(a[0], 0o777) },

	"kallsyms":  kernelAddresses,
	"environ":   environOfOthers,
	"readmem":   func(a []string) error { return opens("/proc/"+a[0]+"/mem", os.O_RDONLY) },
	"rootof":    func(a []string) error { _, err := os.ReadDir("/proc/" + a[0] + "/root/"); return err },
	"signal":    func(a []string) error { return syscall.Kill(number(a[0]), syscall.SIGKILL) },
	"signalled": func(a []string) error { return syscall.Kill(process(a[0]), 0) },
	"limit":     func(a []string) error { return setLimit(process(a[0])) },
	"schedule":  func(a []string) error { return schedulings[a[0]](process(a[1])) },
	"take":      func(a []string) error { return keepers[a[0]].take(uintptr(number(a[1])), uintptr(number(a[2]))) },
	"leave":     func(a []string) error { return leaveAll(uintptr(number(a[0]))) },
	"file":      func(a []string) error { return fileAttacks[a[0]](a[1]) },
	"ptrace":    func(a []string) error { return syscall.PtraceAttach(number(a[0])) },
	"processvm": func(a []string) error { return readProcess(number(a[0])) },
	"pidfd":     func(a []string) error { return stealDescriptor(number(a[0])) },

	"dial":     func(a []string) error { return dial(a[0], a[1]) },
	"echo":     func(a []string) error { return echo(a[0]) },
	"loopback": func([]string) error { return ownServer() },
	"resolve":  func([]string) error { _, err := net.LookupHost("example.com"); return err },
	"links":    otherInterfaces,
	"packet": func([]string) error {
		return got(unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, int(htons(unix.ETH_P_ALL))))
	},
	"rawip": func([]string) error { return got(unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)) },

	"mount":   func([]string) error { return unix.Mount("none", "/tmp", "tmpfs", 0, "") },
	"bind":    func([]string) error { return unix.Mount("/usr", "/tmp", "", unix.MS_BIND, "") },
	"remount": func([]string) error { return unix.Mount("", "/usr", "", unix.MS_REMOUNT|unix.MS_BIND, "") },
	"setattr": func([]string) error {
		return unix.MountSetattr(unix.AT_FDCWD, "/usr", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	},
	"umount":   func(a []string) error { return unix.Unmount(a[0], unix.MNT_DETACH) },
	"opentree": func([]string) error { return got(unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)) },
	"fsopen":   func([]string) error { return got(unix.Fsopen("tmpfs", 0)) },
	"pivot":    func([]string) error { return unix.PivotRoot("/workspace", "/workspace") },
	"chroot":   func([]string) error { return unix.Chroot("/workspace") },
	"cloneuser": func([]string) error {
		return (&exec.Cmd{Path: "/bin/true", SysProcAttr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}}).Run()
	},
	"mountns":  func([]string) error { return unix.Unshare(unix.CLONE_NEWNS) },
	"pidns":    func([]string) error { return unix.Unshare(unix.CLONE_NEWPID) },
	"setns":    joinInit,
	"call":     func(a []string) error { return calls[a[0]]() },
	"mknod":    func([]string) error { return makeDevice("/tmp/device") },
	"whiteout": func([]string) error { return unix.Mknod("whiteout", unix.S_IFCHR, 0) },
	"mknodws":  func([]string) error { return makeDevice("device") },

	"capabilities": func([]string) error { return capabilities() },
	"setuid":       func([]string) error { return syscall.Setuid(0) },
	"setgroups":    func([]string) error { return syscall.Setgroups([]int{0}) },
	"capset":       raiseCapability,
	"newprivs":     newPrivileges,
	"hostname":     func([]string) error { return unix.Sethostname([]byte("attacked")) },
	"clock":        func([]string) error { return unix.ClockSettime(unix.CLOCK_REALTIME, &unix.Timespec{Sec: 1}) },
	"nosuid":       mountsWithoutNosuid,
	"handle":       openByHandle,
	"bpf":          func([]string) error { return got(bpfMap()) },
	"module":       func([]string) error { return unix.FinitModule(0, "", 0) },
	"reboot":       func([]string) error { return unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF) },
	"swapoff":      func([]string) error { return raw(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(&[]byte("/x\x00")[0]))) },
	"tty":          func([]string) error { return opens("/dev/tty", os.O_RDWR) },
	"descriptors":  inheritedDescriptors,
	"listing":      func(a []string) error { return unexpectedIn(a[0], a[1:]) },

	"fork":    func(a []string) error { return forkMoreThan(number(a[0])) },
	"files":   func(a []string) error { return openMoreThan(number(a[0])) },
	"memory":  func(a []string) error { return allocate(number(a[0])) },
	"hog":     func(a []string) error { return touch(number(a[0]), nil) },
	"keep":    func(a []string) error { return touch(number(a[0]), os.Stdin) },
	"fill":    func(a []string) error { return fill(a[0], number(a[1])) },
	"inodes":  func(a []string) error { return makeFiles(a[0], number(a[1])) },
	"core":    func([]string) error { return dumpsCore() },
	"limitup": func([]string) error { return raiseLimits() },
}

func then(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

// got turns a descriptor that should not have been had into success.
func got(fd int, err error) error { return err }

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	return n
}

// process is the one that an attack is aimed at: by its number, or the init of the
// box, which started the attacker.
func process(s string) int {
	if s == "init" {
		return os.Getppid()
	}
	return number(s)
}

func raw(trap uintptr, args ...uintptr) error {
	args = append(args, 0, 0, 0)
	if _, _, e := syscall.Syscall(trap, args[0], args[1], args[2]); e != 0 {
		return e
	}
	return nil
}

func readsSecret(name string) error {
	b, err := os.ReadFile(name)
	if err == nil && !strings.Contains(string(b), secretText) {
		err = errors.New("something else is there")
	}
	return err
}

func opens(name string, flag int) error {
	f, err := os.OpenFile(name, flag|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if flag == os.O_RDONLY {
		_, err = f.Read(make([]byte, 1))
	}
	return err
}

func environOfOthers([]string) error {
	names, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && bytes.Contains(b, []byte(secretText)) {
			return nil
		}
	}
	return fmt.Errorf("no secret in the environment of %d processes", len(names))
}

// kernelAddresses is through when a symbol of the kernel has an address.
func kernelAddresses([]string) error {
	b, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if strings.Trim(strings.Fields(line)[0], "0") != "" {
			return nil
		}
	}
	return errors.New("all addresses are zero")
}

func readProcess(pid int) error {
	var b [1]byte
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	start, err := strconv.ParseUint(string(maps[:bytes.IndexByte(maps, '-')]), 16, 64)
	if err != nil {
		return err
	}
	local := []unix.Iovec{{Base: &b[0], Len: 1}}
	return got(unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(start), Len: 1}}, 0))
}

func stealDescriptor(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	return got(unix.PidfdGetfd(fd, 0, 0))
}

func dial(network, address string) error {
	c, err := net.DialTimeout(network, address, 2*time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// ownServer listens and is reached, on addresses of this machine's own.
func ownServer() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	return dial("tcp", l.Addr().String())
}

// echo is through when a datagram comes back.
func echo(address string) error {
	c, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 8))
	return err
}

func otherInterfaces([]string) error {
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Flags&net.FlagLoopback == 0 && l.Flags&net.FlagUp != 0 {
			return nil
		}
	}
	return fmt.Errorf("%d interfaces, all loopback or down", len(links))
}

func htons(n uint16) uint16 { return n<<8 | n>>8 }
