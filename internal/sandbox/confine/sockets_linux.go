//go:build amd64 || arm64 || riscv64

package confine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mgx/internal/sandbox/internal/boxinit"
)

// CoverSockets hides the socket files of programs outside that the box would show: to
// connect to one needs no right to write where it lies, and no network. It finds those
// that are there by the name that they were given, in the network namespace of this
// process.
func (p *Plan) CoverSockets() {
	dirs := map[string]string{} // what those really are that sockets lie in, or mounts show
	real := func(dir string) string {
		if _, seen := dirs[dir]; !seen {
			dirs[dir], _ = filepath.EvalSymlinks(dir)
		}
		return dirs[dir]
	}
	shown := p.Mounts
	for _, name := range boundSockets() {
		at := filepath.Join(real(filepath.Dir(name)), filepath.Base(name))
		for i, m := range shown {
			if m.Kind != boxinit.Bind {
				continue // an overlay's files are no sockets of anybody's
			}
			source := real(m.Source)
			if !filepath.IsAbs(name) { // from where it was is not told
				at = filepath.Join(source, name)
			}
			if at == source || !Within(at, source) {
				continue
			}
			target := m.Target + strings.TrimPrefix(at, source)
			info, err := os.Lstat(at)
			if err == nil && info.Mode()&os.ModeSocket != 0 && !covered(shown[i+1:], target) {
				p.Mounts = append(p.Mounts, mount{Kind: boxinit.Bind, Source: os.DevNull, Target: target, Make: boxinit.OverSocket, ReadOnly: true})
			}
		}
	}
}

func covered(by []mount, target string) bool {
	return slices.ContainsFunc(by, func(m mount) bool { return Within(target, m.Target) })
}

// boundSockets are the names of those that have one in a file system, once each.
func boundSockets() (names []string) {
	const path = 7 // columns are before it
	list, _ := os.ReadFile("/proc/self/net/unix")
	seen := map[string]bool{}
	for line := range strings.Lines(string(list)) {
		name := strings.TrimSuffix(line, "\n")
		for range path {
			_, name, _ = strings.Cut(strings.TrimLeft(name, " "), " ")
		}
		if name == "" || name == "Path" || strings.HasPrefix(name, "@") || seen[name] {
			continue
		}
		seen[name] = true
		names = append(names, name)
	}
	return names
}
