//go:build linux && (amd64 || arm64 || riscv64)

package landlock

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const confinedEnv = "MGX_LANDLOCK_TEST"

// TestMain plays the confined process when it is started as one.
func TestMain(m *testing.M) {
	if version, err := strconv.Atoi(os.Getenv(confinedEnv)); err == nil {
		if err := confined(version, os.Args[1]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// confined narrows itself to dir and tells what it can then do.
func confined(version int, dir string) error {
	runtime.LockOSThread()
	set, err := Ruleset(version, []Rule{
		{dir + "/look", Look},
		{dir + "/change", Change},
		{dir + "/file", Look | Write},
		{"/usr", Look},
		{"/lib", Look},
		{"/dev/null", Look | Write},
	})
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(set), 0, 0); errno != 0 {
		return errno
	}
	try := func(what string, err error) { fmt.Println(what, err == nil) }
	open := func(name string, flags int) error {
		fd, err := unix.Open(filepath.Join(dir, name), flags|unix.O_CLOEXEC, 0o644)
		unix.Close(fd)
		return err
	}
	try("read", open("look/a", unix.O_RDONLY))
	try("list", open("look", unix.O_RDONLY|unix.O_DIRECTORY))
	try("read-one-file", open("file", unix.O_RDONLY))
	try("write-one-file", open("file", unix.O_WRONLY))
	try("null", open("../../../../../../dev/null", unix.O_RDWR))
	try("make", open("change/new", unix.O_WRONLY|unix.O_CREAT))
	try("move", unix.Rename(dir+"/change/new", dir+"/change/sub/new"))
	try("remove", unix.Unlink(dir+"/change/sub/new"))
	try("pipe", unix.Mkfifo(dir+"/change/pipe", 0o644))

	try("not-read", open("outside", unix.O_RDONLY))
	try("not-read-by-link", open("change/link", unix.O_RDONLY))
	try("not-write", open("look/a", unix.O_WRONLY))
	try("not-make", open("look/new", unix.O_WRONLY|unix.O_CREAT))
	try("not-remove", unix.Unlink(dir+"/look/a"))
	try("not-link", unix.Link(dir+"/look/a", dir+"/change/a"))
	try("not-move-in", unix.Rename(dir+"/outside", dir+"/change/outside"))
	try("not-device", unix.Mknod(dir+"/change/dev", unix.S_IFCHR|0o644, int(unix.Mkdev(1, 3))))
	if version >= VersionTruncate {
		try("not-truncate", unix.Truncate(dir+"/look/a", 0))
	}
	if version >= VersionScope {
		try("not-signal", unix.Kill(os.Getppid(), 0))
	}
	return nil
}

// TestRuleset tries every version that this kernel has.
func TestRuleset(t *testing.T) {
	t.Parallel()
	newest := Version()
	if newest == 0 {
		t.Skip("this kernel has no Landlock")
	}
	for version := 1; version <= min(newest, VersionScope); version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, d := range []string{"look", "change", "change/sub"} {
				if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range []string{"look/a", "file", "outside"} {
				if err := os.WriteFile(filepath.Join(dir, f), []byte("x"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(filepath.Join(dir, "outside"), filepath.Join(dir, "change/link")); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/proc/self/exe", dir)
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", confinedEnv, version))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				what, worked, _ := strings.Cut(strings.TrimSpace(line), " ")
				want := !strings.HasPrefix(what, "not-") && (what != "move" || version >= VersionRefer)
				if what == "remove" && version < VersionRefer {
					continue // it was not moved
				}
				if worked != fmt.Sprint(want) {
					t.Errorf("%s: %s", what, worked)
				}
			}
			if n := strings.Count(string(out), "\n"); n < 17 {
				t.Errorf("it tried only %d things:\n%s", n, out)
			}
		})
	}
}

// TestNumbers compares the rights with those of golang.org/x/sys, which the
// package does without.
func TestNumbers(t *testing.T) {
	for i, want := range []Access{
		unix.LANDLOCK_ACCESS_FS_EXECUTE, unix.LANDLOCK_ACCESS_FS_WRITE_FILE, unix.LANDLOCK_ACCESS_FS_READ_FILE, unix.LANDLOCK_ACCESS_FS_READ_DIR,
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR, unix.LANDLOCK_ACCESS_FS_REMOVE_FILE, unix.LANDLOCK_ACCESS_FS_MAKE_CHAR, unix.LANDLOCK_ACCESS_FS_MAKE_DIR,
		unix.LANDLOCK_ACCESS_FS_MAKE_REG, unix.LANDLOCK_ACCESS_FS_MAKE_SOCK, unix.LANDLOCK_ACCESS_FS_MAKE_FIFO, unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK,
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM, unix.LANDLOCK_ACCESS_FS_REFER, unix.LANDLOCK_ACCESS_FS_TRUNCATE, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV,
	} {
		ours := []Access{
			execute, writeFile, readFile, ReadDir, removeDir, removeFile, makeChar, makeDir,
			makeReg, makeSock, makeFifo, makeBlock, makeSym, refer, truncate, ioctlDev,
		}
		if ours[i] != want {
			t.Errorf("right %d is %#x, not %#x", i, ours[i], want)
		}
	}
}
