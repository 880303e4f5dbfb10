package sandbox

import (
	"slices"
	"strconv"
	"time"

	"mgx"
)

// Limits bound one command. Zero fields take the driver's defaults.
type Limits struct {
	Memory    int64         // bytes of all processes together; only boxes of level full can bound it
	Addresses int64         // bytes of address space per process; by default none
	Processes int           // processes and threads at once
	CPUs      float64       // processors' worth of time of all together, as Memory; by default all there are
	FileSize  int64         // bytes of any one file written
	OpenFiles int           // per process
	CPU       time.Duration // per process
	Tmp       int64         // bytes in /tmp and the home directory
	Disk      int64         // bytes in the workspace, the box's state and what else is kept, together
	Files     int64         // files there, directories included
	Lowered   []mgx.Quota   // those that quotas of the workspace set, below the operator's
}

// LoweredTo has quotas of a workspace lower limits; they raise none. Those that are
// not set here are bounded by nothing.
func (l Limits) LoweredTo(quotas map[mgx.Quota]int64) Limits {
	lower := func(q mgx.Quota, now, unit int64, set func(int64)) {
		n, ok := quotas[q]
		if n *= unit; ok && n > 0 && (now <= 0 || n < now) {
			set(n)
			l.Lowered = append(l.Lowered, q)
		}
	}
	lower(mgx.QuotaMemory, l.Memory, 1, func(n int64) { l.Memory = n })
	lower(mgx.QuotaProcesses, int64(l.Processes), 1, func(n int64) { l.Processes = int(n) })
	lower(mgx.QuotaCPUs, int64(l.CPUs*1000), 1, func(n int64) { l.CPUs = float64(n) / 1000 })
	lower(mgx.QuotaCPUTime, int64(l.CPU), int64(time.Second), func(n int64) { l.CPU = time.Duration(n) })
	lower(mgx.QuotaFileSize, l.FileSize, 1, func(n int64) { l.FileSize = n })
	lower(mgx.QuotaOpenFiles, int64(l.OpenFiles), 1, func(n int64) { l.OpenFiles = int(n) })
	lower(mgx.QuotaTmp, l.Tmp, 1, func(n int64) { l.Tmp = n })
	lower(mgx.QuotaDisk, l.Disk, 1, func(n int64) { l.Disk = n })
	lower(mgx.QuotaFiles, l.Files, 1, func(n int64) { l.Files = n })
	return l
}

// Limit names a limit that a command reached. What it did then, its exit code
// says.
type Limit string

const (
	LimitMemory    Limit = "memory"     // the kernel killed some of its processes
	LimitProcesses Limit = "processes"  // the kernel refused to start more
	LimitCPU       Limit = "cpu"        // a process had its time, and was killed
	LimitFileSize  Limit = "file_size"  // a process wrote a file too large, and was killed
	LimitOpenFiles Limit = "open_files" // a process was refused to open more
	LimitDisk      Limit = "disk"       // there was too much in the workspace, and all was killed
	LimitFiles     Limit = "files"      // there were too many files in it, and all was killed
	LimitTmp       Limit = "tmp"        // a place for temporary files was full: /tmp, home or /dev/shm
	LimitTime      Limit = "time"       // its time-out came; see Result.Reached
	LimitOutput    Limit = "output"     // it wrote more than is kept, which is for those to say who keep it
)

var quotaOf = map[Limit]mgx.Quota{
	LimitMemory: mgx.QuotaMemory, LimitProcesses: mgx.QuotaProcesses, LimitCPU: mgx.QuotaCPUTime, LimitFileSize: mgx.QuotaFileSize,
	LimitOpenFiles: mgx.QuotaOpenFiles, LimitDisk: mgx.QuotaDisk, LimitFiles: mgx.QuotaFiles, LimitTmp: mgx.QuotaTmp,
}

// Reached is a limit that a command reached.
type Reached struct {
	Limit   Limit     // empty: none
	Setting string    // see [Limits.Setting]
	Quota   mgx.Quota // of the workspace, that set it; empty: none
	Told    bool      // see [Result.Told]
}

// Whose says who set the limit: an operator, or who runs the installation for one
// workspace.
func (r Reached) Whose() string {
	if r.Quota != "" {
		return "as the quota " + string(r.Quota) + " of the workspace has it"
	}
	return "as the operator's setting sandbox-limits has it"
}

// Reached is the limit that a command reached, the time-out among them.
func (r Result) Reached() Reached {
	if r.Limit == "" && r.TimedOut {
		return Reached{Limit: LimitTime}
	}
	reached := Reached{Limit: r.Limit, Setting: r.Allowed.Setting(r.Limit), Told: r.Told}
	if q := quotaOf[r.Limit]; reached.Setting != "" && slices.Contains(r.Allowed.Lowered, q) {
		reached.Quota = q
	}
	return reached
}

// Setting is what the limits allow of one of them, as the setting sandbox-limits
// takes it, such as "open-files=8192"; empty for what that does not set, and for
// what is not bounded.
func (l Limits) Setting(limit Limit) string {
	switch limit {
	case LimitMemory:
		return setting("memory", l.Memory, size)
	case LimitProcesses:
		return setting("processes", int64(l.Processes), number)
	case LimitCPU:
		return setting("cpu-time", int64(l.CPU), duration)
	case LimitFileSize:
		return setting("file-size", l.FileSize, size)
	case LimitOpenFiles:
		return setting("open-files", int64(l.OpenFiles), number)
	case LimitDisk:
		return setting("disk", l.Disk, size)
	case LimitFiles:
		return setting("files", l.Files, number)
	case LimitTmp:
		return setting("tmp", l.Tmp, size)
	}
	return ""
}

func setting(name string, n int64, text func(int64) string) string {
	if n <= 0 {
		return ""
	}
	return name + "=" + text(n)
}

func number(n int64) string   { return strconv.FormatInt(n, 10) }
func duration(n int64) string { return time.Duration(n).String() }

// size is exact: in the largest unit of which there are so many.
func size(n int64) string {
	units := []string{"", "KB", "MB", "GB", "TB"}
	i := 0
	for ; i < len(units)-1 && n%1024 == 0; i++ {
		n /= 1024
	}
	return number(n) + units[i]
}
