package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tool is a toolchain that boxes can be shown.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // empty when no file says it
	Path    string `json:"path"`              // of its main program
}

// Toolchains finds what the checks of a project need, Go, Node, Python, Rust, Java
// and Ruby, by looking at the caller's environment and the customary places; it runs
// nothing. It returns the mounts and environment that a box needs for them
// beside the system directories, which every box shows.
//
// Toolchains are shown read-only at their own paths, also below a home
// directory, of which nothing else is seen. Caches are overlays where the
// toolchain looks by default, so that checks start warm and the host's caches
// never learn of it. Files that hold credentials, and directories that contain
// them, are never shown, whoever's they are; nor is anything of data, a directory of
// MGX's own, which is empty where a system directory holds it. Downloads are switched
// off, since a box has no network.
func Toolchains(getenv func(string) string, home, data string) (mounts []Mount, env []string, found []Tool) {
	f := &finder{getenv: getenv, homes: homes(home), path: searchPath(getenv("PATH"))}
	f.others = slices.Concat([]string{os.TempDir(), "/tmp", "/var/tmp"}, homesOfUsers())
	f.keepOut(data)
	f.clones = clonesOf(f)
	for _, find := range toolchainFinders {
		find(f)
	}
	f.setPath()
	return f.mounts, f.env, f.found
}

// toolchainFinders in the order in which they look.
var toolchainFinders = []func(*finder){findManagers, findGo, findNode, findPython, findRust, findJava, findRuby, findBrowsers, findSingles}

// guestHome is the home directory of commands. Caches hang there, where programs
// look when nothing else is said.
const guestHome = "/home/mgx"

// finder collects what it finds.
type finder struct {
	getenv func(string) string
	homes  []string // the home directory, and what it really is
	others []string // directories of more than one program, such as other homes
	data   []string // of which nothing is shown
	path   []string // absolute directories
	clones []string // git directories whose files can hold a password

	mounts  []Mount
	env     []string
	found   []Tool
	singles []string // directories of which the box has single files
}

func searchPath(list string) (dirs []string) {
	for _, dir := range filepath.SplitList(list) {
		if filepath.IsAbs(dir) && !slices.Contains(dirs, filepath.Clean(dir)) {
			dirs = append(dirs, filepath.Clean(dir))
		}
	}
	return dirs
}

func homes(home string) []string {
	if !filepath.IsAbs(home) {
		home = "/nonexistent"
	}
	home = filepath.Clean(home)
	if real, err := filepath.EvalSymlinks(home); err == nil && real != home {
		return []string{home, real}
	}
	return []string{home}
}

// homesOfUsers are those of everybody whom this machine names, but for the homes of
// services in directories that every box shows.
func homesOfUsers() (list []string) {
	text, _ := os.ReadFile("/etc/passwd")
	for line := range strings.Lines(string(text)) {
		f := strings.Split(line, ":")
		if len(f) < 6 || !filepath.IsAbs(f[5]) {
			continue
		}
		for _, home := range homes(f[5]) {
			if home != "/" && !isSystem(home) {
				list = append(list, home)
			}
		}
	}
	return list
}

// keepOut has nothing of a directory shown.
func (f *finder) keepOut(data string) {
	if !filepath.IsAbs(data) {
		return
	}
	f.data = homes(data)
	if real := f.data[len(f.data)-1]; isSystem(real) {
		f.empty(filepath.Dir(real), filepath.Base(real))
	}
}

// dir returns the directory that a variable names, or else this one.
func (f *finder) dir(variable, otherwise string) string {
	if v := f.getenv(variable); filepath.IsAbs(v) {
		return filepath.Clean(v)
	}
	return otherwise
}

// below is a path in the home directory.
func (f *finder) below(name string) string { return filepath.Join(f.homes[0], name) }

// cacheDir is the user's directory for caches of this name.
func (f *finder) cacheDir(name string) string {
	return filepath.Join(f.dir("XDG_CACHE_HOME", f.below(".cache")), name)
}

// program finds name on PATH: as found, and the file it leads to.
func (f *finder) program(name string) (at, file string, ok bool) {
	for _, dir := range f.path {
		at := filepath.Join(dir, name)
		file, err := filepath.EvalSymlinks(at)
		if err != nil {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return at, file, true
		}
	}
	return "", "", false
}

func (f *finder) tool(name, version, path string) {
	f.found = append(f.found, Tool{Name: name, Version: version, Path: path})
}

func (f *finder) set(kv ...string) { f.env = append(f.env, kv...) }

// pass hands on a variable that the caller has set.
func (f *finder) pass(names ...string) {
	for _, name := range names {
		if v := f.getenv(name); v != "" {
			f.set(name + "=" + v)
		}
	}
}

// show mounts part of the host read-only at its own path, and reports whether
// commands can see it there. Where links lead to it, so do they in the box.
func (f *finder) show(host string) bool {
	host = filepath.Clean(host)
	if f.visible(host) {
		return true
	}
	real, err := filepath.EvalSymlinks(host)
	if err != nil || !f.mayShow(host) || holdsHome(real) {
		return false
	}
	for _, path := range []string{real, host} {
		if !f.inBox(path) {
			f.mounts = append(f.mounts, Mount{Host: path, Guest: path, Mode: ReadOnly})
			f.mask(path, path)
		}
	}
	return true
}

// place mounts part of the host read-only at another path.
func (f *finder) place(host, guest string) {
	if f.mayShow(host) {
		f.mounts = append(f.mounts, Mount{Host: host, Guest: guest, Mode: ReadOnly})
		f.mask(host, guest)
	}
}

// warm lays an overlay of the host's cache over guest.
func (f *finder) warm(host, guest string) bool { return f.layer(host, guest, Overlay) }

func (f *finder) layer(host, guest string, mode Mode) bool {
	info, err := os.Stat(host)
	if err != nil || !info.IsDir() || !f.mayShow(host) {
		return false
	}
	f.mounts = append(f.mounts, Mount{Host: host, Guest: guest, Mode: mode})
	f.mask(host, guest)
	return true
}

// visible reports whether a box has this path, and what it leads to.
func (f *finder) visible(host string) bool {
	real, err := filepath.EvalSymlinks(host)
	return err == nil && f.inBox(host) && f.inBox(real)
}

func (f *finder) inBox(path string) bool {
	return isSystem(path) || slices.ContainsFunc(f.mounts, func(m Mount) bool { return m.Host == m.Guest && within(path, m.Guest) })
}

// reach makes a program callable: where PATH leads to a link that the box does
// not have, the directory of the program itself comes first on PATH.
func (f *finder) reach(at, file string) bool {
	if !f.visible(file) {
		return false
	}
	if !f.visible(at) {
		f.path = slices.Insert(f.path, 0, filepath.Dir(file))
	}
	return true
}

// systemDirs are what drivers show of the system.
var systemDirs = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store"}

func isSystem(path string) bool {
	return slices.ContainsFunc(systemDirs, func(d string) bool { return within(path, d) })
}

// ownDirs are the box's own: nothing of the host is shown there.
var ownDirs = []string{"/proc", "/dev", "/sys", "/etc", "/run", Workspace}

// private are the places below a home directory that hold what opens doors.
// What contains one of the directories is not shown at all, whoever's it is; files
// are masked.
var (
	privateDirs = []string{
		".ssh", ".gnupg", ".aws", ".azure", ".docker", ".kube", ".config", ".password-store", ".mozilla",
		".local/share/keyrings", ".vault-token",
	}
	privateFiles = []string{
		".netrc", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc", ".gitconfig", ".git-credentials", ".pgpass", ".my.cnf",
		".cargo/credentials", ".cargo/credentials.toml", ".m2/settings.xml", ".m2/settings-security.xml",
		".gradle/gradle.properties", ".bash_history", ".gem/credentials",
	}
	// signs are what a home directory has, and no toolchain.
	signs = []string{
		".ssh", ".gnupg", ".aws", ".azure", ".docker", ".kube", ".config", ".password-store", ".mozilla", ".vault-token",
		".git-credentials", ".gitconfig", ".bash_history", ".bashrc", ".profile", ".zshrc",
	}
	// privateNames are credentials wherever they lie at the top of a tree.
	privateNames = []string{
		"credentials", "credentials.toml", "settings.xml", "settings-security.xml", "gradle.properties",
		".npmrc", "etc/npmrc", "pip.conf", "auth.json", "config", "config.toml", "config.json", ".netrc", ".pypirc",
	}
)

// mayShow reports whether nothing private is at host, nor where it leads.
func (f *finder) mayShow(host string) bool {
	real, err := filepath.EvalSymlinks(host)
	return err == nil && f.harmless(filepath.Clean(host)) && f.harmless(real)
}

func (f *finder) harmless(path string) bool {
	for _, home := range slices.Concat(f.homes, f.others) {
		if within(home, path) {
			return false
		}
	}
	for _, d := range privateDirs {
		if strings.Contains(path+"/", "/"+d+"/") {
			return false
		}
		for above := filepath.Dir(d); above != "."; above = filepath.Dir(above) {
			if strings.HasSuffix(path, "/"+above) {
				return false
			}
		}
	}
	return path != "/" && !isHome(path) && !slices.ContainsFunc(ownDirs, func(d string) bool { return within(path, d) }) &&
		!slices.ContainsFunc(f.data, func(d string) bool { return within(d, path) || within(path, d) })
}

func isHome(dir string) bool {
	return slices.ContainsFunc(signs, func(sign string) bool {
		_, err := os.Lstat(filepath.Join(dir, sign))
		return err == nil
	})
}

// holdsHome reports whether a home directory is next below, as of users whom only
// another machine names.
func holdsHome(dir string) bool {
	entries, _ := os.ReadDir(dir)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.IsDir() && isHome(filepath.Join(dir, e.Name())) })
}

// mask hides credentials that lie in a tree that is shown at guest.
func (f *finder) mask(host, guest string) {
	hide := func(below string) {
		info, err := os.Stat(filepath.Join(host, below))
		if err == nil && info.Mode().IsRegular() {
			f.mounts = append(f.mounts, Mount{Host: os.DevNull, Guest: filepath.Join(guest, below), Mode: ReadOnly})
		}
	}
	for _, name := range privateNames {
		hide(name)
	}
	for _, home := range slices.Concat(f.homes, f.others) {
		for _, name := range privateFiles {
			below, err := filepath.Rel(host, filepath.Join(home, name))
			if err == nil && filepath.IsLocal(below) && !slices.Contains(privateNames, below) {
				hide(below)
			}
		}
	}
	f.maskClones(host, guest)
}

// empty hides a directory in a tree that is shown at its own path.
func (f *finder) empty(tree, below string) {
	real, err := filepath.EvalSymlinks(tree)
	if err != nil {
		return
	}
	at := filepath.Join(real, below) // one that a link leads to is not in the tree
	if to, err := filepath.EvalSymlinks(at); err == nil && to == at {
		f.mounts = append(f.mounts, Mount{Guest: filepath.Join(tree, below), Mode: Empty})
	}
}

// setPath keeps the caller's order, as far as commands can see it.
func (f *finder) setPath() {
	var dirs []string
	add := func(dir string) {
		if (f.visible(dir) || slices.Contains(f.singles, dir)) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range f.path {
		add(dir)
	}
	for _, dir := range filepath.SplitList(DefaultPath) {
		add(dir)
	}
	f.set("PATH=" + strings.Join(dirs, string(filepath.ListSeparator)))
}

// within reports whether name is dir or lies below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// firstLine returns the first line of a small file, without spaces around it.
func firstLine(name string) string {
	b, err := os.ReadFile(name)
	if err != nil || len(b) > 1<<20 {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}
