//go:build amd64 || arm64 || riscv64

package confine

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/sandbox/internal/boxinit"
)

// Contain makes a plan one for the first process of a container: who builds that
// makes the namespaces and mounts.
func (p *Plan) Contain() { p.Contained = true }

// Owner has the files of the root call a user by the name of the box's.
func (p *Plan) Owner(uid, gid int) {
	files := append([]file(nil), p.Files...)
	for i, f := range files {
		switch f.Path {
		case "/etc/passwd":
			files[i].Text = fmt.Sprintf("mgx:x:%d:%d:mgx:%s:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n", uid, gid, homeDir)
		case "/etc/group":
			files[i].Text = fmt.Sprintf("mgx:x:%d:\nnogroup:x:65534:\n", gid)
		}
	}
	p.Files = files
}

// CheckPoints refuses mount points in directories of the host that are not there,
// which a builder of containers would make on the host, and links, which would
// choose another place. One that becomes a link after this was asked leads to
// another place in the same container, and nowhere else.
func (p *Plan) CheckPoints() error {
	for i, m := range p.Mounts {
		if m.Make != boxinit.MakeNothing {
			continue
		}
		for _, over := range p.Mounts[:i] {
			if over.Kind != boxinit.Bind || !Within(m.Target, over.Target) {
				continue
			}
			below := strings.TrimPrefix(strings.TrimPrefix(m.Target, over.Target), "/")
			if err := noLink(over.Source, below); err != nil && !p.coveredBetween(i, over) {
				return mgx.Errorf(mgx.KindUsage, "bad_mount", "nothing can be mounted at %s in this sandbox: %w", m.Target, err)
			}
		}
	}
	return nil
}

// coveredBetween reports whether another mount lies between over and the point of
// mount i, so that what over has there is not seen.
func (p *Plan) coveredBetween(i int, over mount) bool {
	for _, m := range p.Mounts[:i] {
		if len(m.Target) > len(over.Target) && Within(m.Target, over.Target) && Within(p.Mounts[i].Target, m.Target) {
			return true
		}
	}
	return false
}

// noLink fails when there is nothing at a path below dir, or a link on the way.
func noLink(dir, below string) error {
	d, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(d)
	fd, err := unix.Openat2(d, filepath.Clean(below), &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH})
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
