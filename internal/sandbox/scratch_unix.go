//go:build unix

package sandbox

import (
	"os"
	"syscall"
)

// ours reports whether a directory belongs to who we are.
func ours(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
