//go:build amd64 || arm64 || riscv64

package confine

import (
	"os"
	"path/filepath"
	"time"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/cgroup"
	"mgx/internal/sandbox/internal/disk"
)

// Defaults are the limits of one command. Addresses have none: the race detector, the JVM
// and V8 reserve far more than they use. Memory has a part of that of the machine.
var Defaults = sandbox.Limits{
	Processes: 1024,
	FileSize:  8 << 30,
	OpenFiles: 8192,
	CPU:       time.Hour,
	Tmp:       2 << 30,
	Disk:      32 << 30,
	Files:     4_000_000,
}

// LimitsOf are those of a box. Of the memory that there is for all commands, each of
// those who work at once has its part, so that nobody can take it from the others;
// where it cannot be bounded, the kernel takes commands before it takes MGX.
func LimitsOf(spec sandbox.Spec) sandbox.Limits {
	l := spec.Limits
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
	most := cgroup.Memory()
	fill(&l.Memory, most/int64(max(1, spec.AtOnce))>>20<<20)
	if most > 0 {
		l.Memory = min(l.Memory, most)
	}
	fill(&l.Addresses, Defaults.Addresses)
	fillInt(&l.Processes, Defaults.Processes)
	fill(&l.FileSize, Defaults.FileSize)
	fillInt(&l.OpenFiles, Defaults.OpenFiles)
	fill((*int64)(&l.CPU), int64(Defaults.CPU))
	fill(&l.Tmp, Defaults.Tmp)
	fill(&l.Disk, Defaults.Disk)
	fill(&l.Files, Defaults.Files)
	return l.LoweredTo(spec.Quotas)
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
