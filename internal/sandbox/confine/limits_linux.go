//go:build amd64 || arm64 || riscv64

package confine

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/disk"
)

// Defaults are the limits of one command. Addresses have none: the race detector, the JVM
// and V8 reserve far more than they use. Memory is most of what the machine has;
// where that cannot be bounded, the kernel takes commands before it takes MGX.
var Defaults = sandbox.Limits{
	Memory:    memoryOfMachine() / 4 * 3 >> 20 << 20, // so that it can be told in MB
	Processes: 1024,
	FileSize:  8 << 30,
	OpenFiles: 8192,
	CPU:       time.Hour,
	Tmp:       2 << 30,
	Disk:      32 << 30,
	Files:     4_000_000,
}

// OrDefault fills in the limits that are not set.
func OrDefault(l sandbox.Limits) sandbox.Limits {
	fill := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	fillInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	fill(&l.Memory, Defaults.Memory)
	fill(&l.Addresses, Defaults.Addresses)
	fillInt(&l.Processes, Defaults.Processes)
	fill(&l.FileSize, Defaults.FileSize)
	fillInt(&l.OpenFiles, Defaults.OpenFiles)
	fill((*int64)(&l.CPU), int64(Defaults.CPU))
	fill(&l.Tmp, Defaults.Tmp)
	fill(&l.Disk, Defaults.Disk)
	fill(&l.Files, Defaults.Files)
	return l
}

// Quota watches what a box may keep.
func Quota(spec sandbox.Spec, l sandbox.Limits) *disk.Quota {
	dirs := append([]string{spec.Work}, spec.Kept...)
	if spec.State != "" {
		dirs = append(dirs, spec.State)
	}
	return disk.New(disk.Use{Bytes: l.Disk, Files: l.Files}, dirs...)
}

// CheckWork refuses a workspace that is none.
func CheckWork(spec sandbox.Spec) error {
	info, err := os.Stat(spec.Work)
	if err != nil || !info.IsDir() || !filepath.IsAbs(spec.Work) {
		return mgx.Errorf(mgx.KindUsage, "bad_workspace", "the workspace %q of a sandbox must be an existing directory with an absolute path", spec.Work)
	}
	return nil
}

// memoryOfMachine is in bytes, or 0 when it is not known.
func memoryOfMachine() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
