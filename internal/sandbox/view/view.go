// Package view stands in for mounts in boxes that cannot mount: it knows where on
// the host guest paths are, and keeps links in the workspace and the home
// directory that make some of them true.
//
// Commands write in both directories. Whatever they put on the way to a link, nothing
// outside of the directory is made or removed.
package view

import (
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"mgx"
	"mgx/internal/sandbox"
)

// View is that of one box.
type View struct {
	Home, Tmp string // on the host
	work      string

	mu     sync.Mutex
	places map[string]string // guest path: host path
	links  []made
}

// place is where a link is: a name in the workspace or the home directory.
type place struct{ dir, name string }

// made is a link in place of what was there before.
type made struct {
	place
	host  string // where it leads
	empty bool   // an empty directory was there
}

// New is the view of a workspace, with a home and a directory for temporary files
// on the host.
func New(work, home, tmp string) *View {
	return &View{Home: home, Tmp: tmp, work: work, places: map[string]string{
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
	host := v.lookup(guest)
	v.places[guest] = m.Host
	at, ours := v.ours(host)
	if host == m.Host || !ours {
		return nil // it is so, or only Path can tell
	}
	if err := v.link(at, m.Host); err != nil {
		return mgx.Errorf(mgx.KindUsage, "bad_mount", "%s cannot be linked without a sandbox: %w", m.Guest, err)
	}
	return nil
}

// ours reports whether a path on the host lies in a directory of ours.
func (v *View) ours(host string) (place, bool) {
	for _, dir := range []string{v.work, v.Home} {
		if name, err := filepath.Rel(dir, host); err == nil && name != "." && filepath.IsLocal(name) {
			return place{dir, name}, true
		}
	}
	return place{}, false
}

// link makes at lead to host.
func (v *View) link(at place, host string) error {
	root, err := os.OpenRoot(at.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if leads(root, at.name, host) {
		return nil
	}
	before := slices.IndexFunc(v.links, func(l made) bool { return l.place == at })
	info, err := root.Lstat(at.name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := root.MkdirAll(filepath.Dir(at.name), 0o755); err != nil {
			return err
		}
	case err != nil:
		return err
	case info.IsDir() || before >= 0:
		if err := root.Remove(at.name); err != nil { // refuses a directory with something in it
			return err
		}
	default:
		return &os.PathError{Op: "link", Path: at.name, Err: os.ErrExist}
	}
	if before >= 0 {
		v.links[before].host = host
	} else {
		v.links = append(v.links, made{place: at, host: host, empty: info != nil})
	}
	return lead(root, at.name, host)
}

// isGit reports whether git follows a file there, and no link that a checkout would
// take for one of the repository's.
func isGit(name, host string) bool {
	info, err := os.Stat(host)
	return err == nil && info.IsDir() && filepath.Base(name) == ".git"
}

func gitFile(host string) string { return "gitdir: " + host + "\n" }

// lead makes a name where there is none lead to host.
func lead(root *os.Root, name, host string) error {
	if !isGit(name, host) {
		return root.Symlink(host, name)
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(gitFile(host))
	return errors.Join(err, f.Close())
}

// leads reports whether a name leads to host, as an earlier process may have left it.
func leads(root *os.Root, name, host string) bool {
	if !isGit(name, host) {
		to, err := root.Readlink(name)
		return err == nil && to == host
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would have its reader wait
	if err != nil {
		return false
	}
	defer f.Close()
	want := gitFile(host)
	is, err := io.ReadAll(io.LimitReader(f, int64(len(want))+1))
	return err == nil && string(is) == want
}

// Close takes the links away and puts the empty directories back. What commands put in
// the place of a link stays.
func (v *View) Close() (err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range slices.Backward(v.links) {
		err = errors.Join(err, l.undo())
	}
	v.links = nil
	return err
}

func (l made) undo() error {
	root, err := os.OpenRoot(l.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	if !leads(root, l.name, l.host) {
		return nil
	}
	err = root.Remove(l.name)
	if l.empty {
		err = errors.Join(err, root.Mkdir(l.name, 0o755))
	}
	return err
}
