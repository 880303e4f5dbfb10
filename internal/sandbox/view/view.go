// Package view stands in for mounts in boxes that cannot mount: it knows where on
// the host guest paths are, and keeps links in the workspace and the home
// directory that make some of them true.
package view

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"mgx"
	"mgx/internal/sandbox"
)

// View is that of one box.
type View struct {
	Home, Tmp string // on the host

	mu     sync.Mutex
	places map[string]string // guest path: host path
	links  []made
}

// made is a link in place of what was there before.
type made struct {
	at  string
	dir bool // an empty directory was
}

// New is the view of a workspace, with a home and a directory for temporary files
// on the host.
func New(work, home, tmp string) *View {
	return &View{Home: home, Tmp: tmp, places: map[string]string{
		sandbox.Workspace: work, homeDir: home, "/tmp": tmp,
	}}
}

// Path translates by the longest place that contains the guest path.
func (v *View) Path(guest string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lookup(path.Clean(guest))
}

func (v *View) lookup(guest string) string {
	for dir := guest; ; dir = path.Dir(dir) {
		if host, ok := v.places[dir]; ok {
			return filepath.Join(host, strings.TrimPrefix(guest, dir))
		}
		if dir == "/" || dir == "." {
			return guest
		}
	}
}

const homeDir = "/home/mgx"

func within(guest, dir string) bool { return guest == dir || strings.HasPrefix(guest, dir+"/") }

// Add makes mounts true as far as links can.
func (v *View) Add(mounts []sandbox.Mount) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range mounts {
		if err := v.addOne(m); err != nil {
			return err
		}
	}
	return nil
}

func (v *View) addOne(m sandbox.Mount) error {
	guest := path.Clean(m.Guest)
	switch {
	case m.Mode == sandbox.Cache && m.Host == "":
		return nil // the program makes it, in its home
	case m.Mode == sandbox.Empty:
		return nil // no link hides anything
	}
	if _, err := os.Stat(m.Host); err != nil {
		return mgx.Errorf(mgx.KindUsage, "bad_mount", "%s cannot be mounted: %w", m.Host, err)
	}
	if v.places[guest] == m.Host {
		return nil
	}
	at := v.lookup(guest)
	v.places[guest] = m.Host
	if at == m.Host || !within(guest, sandbox.Workspace) && !within(guest, homeDir) {
		return nil // not in a directory of ours: only Path can tell
	}
	if err := v.link(at, m.Host); err != nil {
		return mgx.Errorf(mgx.KindUsage, "bad_mount", "%s cannot be linked without a sandbox: %w", m.Guest, err)
	}
	return nil
}

// link makes at lead to host.
func (v *View) link(at, host string) error {
	write, same := linker(at, host)
	if same() {
		return nil
	}
	ours := slices.ContainsFunc(v.links, func(l made) bool { return l.at == at })
	info, err := os.Lstat(at)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
	case err != nil:
		return err
	case info.IsDir() || ours:
		if err := os.Remove(at); err != nil { // refuses a directory with something in it
			return err
		}
	default:
		return &os.PathError{Op: "link", Path: at, Err: os.ErrExist}
	}
	if !ours {
		v.links = append(v.links, made{at: at, dir: info != nil})
	}
	return write()
}

// linker says how at leads to host, and whether an earlier process left it so.
func linker(at, host string) (write func() error, same func() bool) {
	if info, err := os.Stat(host); err == nil && info.IsDir() && filepath.Base(at) == ".git" {
		text := "gitdir: " + host + "\n"
		write = func() error { return os.WriteFile(at, []byte(text), 0o644) }
		return write, func() bool {
			is, err := os.ReadFile(at)
			return err == nil && string(is) == text
		}
	}
	write = func() error { return os.Symlink(host, at) }
	return write, func() bool {
		to, err := os.Readlink(at)
		return err == nil && to == host
	}
}

// Close takes the links away and puts the empty directories back.
func (v *View) Close() (err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range slices.Backward(v.links) {
		err = errors.Join(err, os.Remove(l.at))
		if l.dir {
			err = errors.Join(err, os.Mkdir(l.at, 0o755))
		}
	}
	v.links = nil
	return err
}
