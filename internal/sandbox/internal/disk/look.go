//go:build linux

package disk

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// maxDepth bounds how many directories are open at once. What lies deeper counts as
// too much.
const maxDepth = 256

// blockBytes is the unit of st_blocks.
const blockBytes = 512

// space is how much of a file system is used. One that does not count its files, or
// that cannot be asked, may hold any number.
func space(dir string) Use {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		if err == unix.ENOENT {
			return Use{}
		}
		return Use{math.MaxInt64 / 4, math.MaxInt64 / 4}
	}
	u := Use{Bytes: int64(fs.Blocks-fs.Bfree) * fs.Bsize, Files: int64(fs.Files - fs.Ffree)}
	if fs.Files == 0 {
		u.Files = math.MaxInt64 / 4
	}
	return u
}

// look counts what is in one tree.
type look struct {
	use    *Use
	limit  Use
	device uint64
	linked map[uint64]bool // files with several names, which count once
}

// add counts what is in dir, and stops when it is too much. It follows no link and
// goes into no other file system; agents may change the tree meanwhile.
func add(use *Use, dir string, limit Use) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return
	}
	l := look{use: use, limit: limit, device: info.Dev, linked: map[uint64]bool{}}
	l.directory(f, 0)
}

func (l *look) directory(dir *os.File, depth int) {
	for {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			l.entry(dir, name, depth)
		}
		if err != nil || l.use.beyond(l.limit) != Nothing {
			return
		}
	}
}

func (l *look) entry(dir *os.File, name string, depth int) {
	var info unix.Stat_t
	fd := int(dir.Fd())
	if err := unix.Fstatat(fd, name, &info, unix.AT_SYMLINK_NOFOLLOW); err != nil || info.Dev != l.device {
		return
	}
	if info.Mode&unix.S_IFMT != unix.S_IFDIR && info.Nlink > 1 {
		if l.linked[info.Ino] {
			return
		}
		l.linked[info.Ino] = true
	}
	l.use.Bytes += info.Blocks * blockBytes
	l.use.Files++
	if info.Mode&unix.S_IFMT != unix.S_IFDIR {
		return
	}
	if depth == maxDepth {
		l.use.Files = math.MaxInt64 / 4
		return
	}
	sub, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(sub), name)
	defer f.Close()
	l.directory(f, depth+1)
}
