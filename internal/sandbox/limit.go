package sandbox

import (
	"strconv"
	"time"
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

// Reached is a limit that a command reached.
type Reached struct {
	Limit   Limit  // empty: none
	Setting string // see [Limits.Setting]
	Told    bool   // see [Result.Told]
}

// Reached is the limit that a command reached, the time-out among them.
func (r Result) Reached() Reached {
	if r.Limit == "" && r.TimedOut {
		return Reached{Limit: LimitTime}
	}
	return Reached{r.Limit, r.Allowed.Setting(r.Limit), r.Told}
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
