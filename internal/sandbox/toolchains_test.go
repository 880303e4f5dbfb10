package sandbox_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mgx/internal/sandbox"
)

// user is a home directory with toolchains and secrets in it.
type user struct {
	t    *testing.T
	home string
	data string // of MGX
	env  map[string]string
}

func newUser(t *testing.T) *user {
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	u := &user{t: t, home: home, env: map[string]string{}}
	for _, name := range secrets {
		u.file(name, "SECRET")
	}
	return u
}

var secrets = []string{
	".ssh/id_ed25519", ".gitconfig", ".git-credentials", ".netrc", ".npmrc", ".pypirc", ".aws/credentials",
	".config/gh/hosts.yml", ".docker/config.json", ".kube/config", ".gnupg/key", ".cargo/credentials.toml",
	".cargo/credentials", ".m2/settings.xml", ".m2/settings-security.xml", ".gradle/gradle.properties",
	".local/share/keyrings/login", ".bash_history", "notes.txt", "work/other/.env",
}

func (u *user) file(name, text string) string {
	u.t.Helper()
	name = filepath.Join(u.home, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		u.t.Fatal(err)
	}
	return name
}

// onPath makes a program and puts its directory on PATH.
func (u *user) onPath(name string) string {
	file := u.file(name, "#!/bin/sh\n")
	u.env["PATH"] = strings.Trim(u.env["PATH"]+":"+filepath.Dir(file), ":")
	return file
}

// box is what a box with these toolchains shows.
type shown struct {
	*user
	mounts []sandbox.Mount
	env    []string
	found  map[string]sandbox.Tool
}

func (u *user) find() shown {
	mounts, env, found := sandbox.Toolchains(func(k string) string { return u.env[k] }, u.home, u.data)
	s := shown{u, mounts, env, map[string]sandbox.Tool{}}
	for _, tool := range found {
		s.found[tool.Name] = tool
	}
	return s
}

// mount returns the mount at a guest path; ~ is the user's home.
func (s shown) mount(guest string) sandbox.Mount {
	guest = strings.Replace(guest, "~", s.home, 1)
	for _, m := range s.mounts {
		if m.Guest == guest {
			return m
		}
	}
	return sandbox.Mount{}
}

func (s shown) setting(name string) string {
	for _, kv := range slices.Backward(s.env) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// leaks lists the secrets that can be read through the mounts.
func (s shown) leaks() (names []string) {
	s.t.Helper()
	for _, m := range s.mounts {
		if m.Host == "" || m.Host == os.DevNull {
			continue
		}
		err := filepath.WalkDir(m.Host, func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(name)
			guest := m.Guest + strings.TrimPrefix(name, m.Host)
			if strings.Contains(string(b), "SECRET") && s.mount(guest).Host != os.DevNull && !s.emptied(guest) {
				names = append(names, guest)
			}
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return names
}

// emptied reports whether a directory above is shown with nothing in it.
func (s shown) emptied(guest string) bool {
	return slices.ContainsFunc(s.mounts, func(m sandbox.Mount) bool {
		return m.Mode == sandbox.Empty && strings.HasPrefix(guest, m.Guest+"/")
	})
}

// plainConfig is what git writes into a bare repository.
const plainConfig = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"

// everything is a home with each kind of toolchain.
func everything(t *testing.T) *user {
	u := newUser(t)
	u.onPath("sdk/go1.26/bin/go")
	u.file("sdk/go1.26/VERSION", "go1.26.8\ntime 2026\n")
	u.onPath("go/bin/gopls")
	u.file("go/pkg/mod/cache/download/x", "")
	u.file("go/pkg/mod/cache/vcs/0a1b/config", "SECRET")
	u.file(".cache/go-build/00/x", "")
	u.onPath(".nvm/versions/node/v22.1.0/bin/node")
	u.file(".nvm/versions/node/v22.1.0/include/node/node_version.h",
		"#define NODE_MAJOR_VERSION 22\n#define NODE_MINOR_VERSION 1\n#define NODE_PATCH_VERSION 0\n#define NODE_MAJOR_VERSION 9\n")
	u.file(".nvm/versions/node/v22.1.0/etc/npmrc", "SECRET")
	u.file(".npm/_cacache/x", "")
	u.onPath(".pyenv/shims/python3")
	u.file(".pyenv/version", "3.12.1\n")
	u.file(".cache/pip/x", "")
	u.onPath(".rbenv/shims/ruby")
	u.file(".rbenv/plugins/own/.git/config", plainConfig+"[remote \"origin\"]\n\turl = https://me:SECRET@git.test/own\n")
	u.file(".rbenv/plugins/ruby-build/.git/config", plainConfig+"[remote \"origin\"]\n\turl = https://git.test/ruby-build\n")
	u.onPath(".asdf/shims/elixir")
	u.onPath(".local/bin/asdf")
	u.file(".tool-versions", "elixir 1.18\n")
	u.file(".goenv/bin/goenv", "")
	u.file(".local/share/gem/ruby/3.4.0/x", "")
	u.file(".local/share/gem/credentials", "SECRET")
	u.onPath(".cargo/bin/cargo")
	u.file(".rustup/toolchains/stable/bin/cargo", "")
	u.file(".rustup/settings.toml", "version = \"12\"\ndefault_toolchain = \"stable-x86\"\n")
	u.file(".cargo/registry/x", "")
	u.file(".cargo/registry/index/mirror-1/.git/config", "[http]\n\textraHeader = SECRET\n")
	u.file(".cargo/git/db/dep-1/config", plainConfig)
	u.file(".cargo/git/db/dep-1/FETCH_HEAD", "0a1b\t\tbranch 'main' of https://me:SECRET@git.test/dep\n")
	u.file(".cargo/git/db/other-2/config", plainConfig+"[remote \"origin\"]\n\turl = https://me:SECRET@git.test/other\n")
	u.file(".cargo/git/db/other-2/FETCH_HEAD", "0a1b\t\tbranch 'main' of https://git.test/other\n")
	u.file(".cargo/git/checkouts/dep-1/0a1b/.git/modules/sub/config", plainConfig+"[url \"https://SECRET/\"]\n\tinsteadOf = https://git.test/\n")
	u.file(".cargo/git/checkouts/dep-1/0a1b/config", "of the repository")
	u.file(".cargo/git/checkouts/dep-1/0a1b/.git/config", plainConfig+"[remote \"origin\"]\n\turl = file:///home/me@corp/.cargo/git/db/dep-1\n")
	u.file(".cache/uv/git-v0/db/2c3d/.git/config", "[core]\n\tbare = false ; SECRET@\n")
	u.file(".cache/uv/git-v0/checkouts/2c3d/0a1b/.git/config", "[core]\n\tsshCommand = SECRET\n")
	u.onPath(".sdkman/candidates/java/21/bin/java")
	u.file(".sdkman/candidates/java/21/release", "IMPLEMENTOR=\"X\"\nJAVA_VERSION=\"21.0.2\"\n")
	u.file(".m2/repository/x", "")
	u.file(".gradle/caches/x", "")
	u.file(".cache/ms-playwright/chromium-1/chrome", "")
	u.file(".cache/puppeteer/x", "")
	u.file(".cache/Cypress/x", "")
	u.file(".local/bin/rg", "#!/bin/sh\n")
	u.onPath(".local/bin/private-script")
	return u
}

func TestToolchains(t *testing.T) {
	s := everything(t).find()
	for name, version := range map[string]string{"go": "1.26.8", "node": "22.1.0", "python": "3.12.1", "rust": "stable-x86", "java": "21.0.2", "ruby": ""} {
		if s.found[name].Version != version || !strings.HasPrefix(s.found[name].Path, s.home) {
			t.Errorf("%s: %+v, not %s", name, s.found[name], version)
		}
	}
	for guest, mode := range map[string]sandbox.Mode{
		"~/sdk/go1.26":                                          sandbox.ReadOnly,
		"~/go/bin":                                              sandbox.ReadOnly,
		"~/go/pkg/mod":                                          sandbox.Overlay,
		"~/go/pkg/mod/cache/vcs":                                sandbox.Empty,
		"/home/mgx/.cache/go-build":                             sandbox.Cache,
		"~/.nvm/versions/node/v22.1.0":                          sandbox.ReadOnly,
		"/home/mgx/.npm/_cacache":                               sandbox.Overlay,
		"~/.pyenv":                                              sandbox.ReadOnly,
		"/home/mgx/.cache/pip":                                  sandbox.Overlay,
		"~/.rbenv":                                              sandbox.ReadOnly,
		"~/.rbenv/plugins/own/.git/config":                      sandbox.ReadOnly, // hidden
		"~/.rbenv/plugins/ruby-build/.git/config":               "",
		"~/.asdf":                                               sandbox.ReadOnly,
		"~/.local/bin/asdf":                                     sandbox.ReadOnly,
		"/home/mgx/.tool-versions":                              sandbox.ReadOnly,
		"~/.goenv":                                              "", // which is not on PATH
		"/home/mgx/.local/share/gem/ruby":                       sandbox.Overlay,
		"~/.cargo/bin":                                          sandbox.ReadOnly,
		"/home/mgx/.rustup/toolchains":                          sandbox.ReadOnly,
		"/home/mgx/.cargo/registry":                             sandbox.Overlay,
		"/home/mgx/.cargo/git/db/dep-1/config":                  "",
		"/home/mgx/.cargo/git/db/other-2/config":                sandbox.ReadOnly,
		"/home/mgx/.cargo/git/db/other-2/FETCH_HEAD":            "",
		"/home/mgx/.cargo/git/checkouts/dep-1/0a1b/config":      "",
		"/home/mgx/.cargo/git/checkouts/dep-1/0a1b/.git/config": "",
		"~/.sdkman/candidates/java/21":                          sandbox.ReadOnly,
		"/home/mgx/.m2/repository":                              sandbox.Overlay,
		"/home/mgx/.gradle/caches":                              sandbox.Overlay,
		"/home/mgx/.cache/ms-playwright":                        sandbox.Overlay,
		"/home/mgx/.cache/puppeteer":                            sandbox.Overlay,
		"/home/mgx/.cache/Cypress":                              sandbox.Overlay,
		"~/.local/bin/rg":                                       sandbox.ReadOnly,
		"~/.local/bin/private-script":                           "",
		"~/.cargo":                                              "",
		"~":                                                     "",
		"~/.nvm/versions/node/v22.1.0/etc/npmrc":                sandbox.ReadOnly,
	} {
		if m := s.mount(guest); m.Mode != mode {
			t.Errorf("%s: %+v, not %q", guest, m, mode)
		}
	}
	if leaks := s.leaks(); leaks != nil {
		t.Errorf("leaks: %q", leaks)
	}
	path := s.setting("PATH")
	if !strings.HasPrefix(path, s.home+"/sdk/go1.26/bin:"+s.home+"/go/bin:") || !strings.HasSuffix(path, "/bin") {
		t.Errorf("PATH %s", path)
	}
	for name, want := range map[string]string{"RBENV_ROOT": "/.rbenv", "PYENV_ROOT": "/.pyenv", "ASDF_DATA_DIR": "/.asdf"} {
		if got := s.setting(name); got != s.home+want {
			t.Errorf("%s %s", name, got)
		}
	}
	if got := s.setting("GOPROXY"); got != "file://"+s.home+"/go/pkg/mod/cache/download" {
		t.Errorf("GOPROXY %s", got)
	}
	for _, kv := range s.env {
		if strings.Contains(kv, "SECRET") {
			t.Error(kv)
		}
	}
}

// TestToolchainsNeverShowPrivate points every variable at what must not be shown.
func TestToolchainsNeverShowPrivate(t *testing.T) {
	variables := []string{
		"GOROOT", "GOPATH", "GOMODCACHE", "GOCACHE", "XDG_CACHE_HOME", "NPM_CONFIG_PREFIX", "npm_config_cache", "PYENV_ROOT",
		"VIRTUAL_ENV", "PIP_CACHE_DIR", "UV_CACHE_DIR", "CARGO_HOME", "RUSTUP_HOME", "JAVA_HOME", "GRADLE_USER_HOME",
		"ASDF_DATA_DIR", "RBENV_ROOT", "PLAYWRIGHT_BROWSERS_PATH", "PUPPETEER_CACHE_DIR", "CYPRESS_CACHE_FOLDER",
	}
	places := []string{"", "..", "../..", ".ssh", ".config", ".config/gh", ".aws", ".local", ".local/share", "link-to-home", "link-to-ssh"}
	for _, place := range places {
		u := everything(t)
		if err := os.Remove(filepath.Join(u.home, "notes.txt")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(u.home, filepath.Join(u.home, "link-to-home")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(u.home, ".ssh"), filepath.Join(u.home, "link-to-ssh")); err != nil {
			t.Fatal(err)
		}
		for _, v := range variables {
			u.env[v] = filepath.Join(u.home, place)
		}
		if leaks := u.find().leaks(); leaks != nil {
			t.Errorf("%q leaks %q", place, leaks)
		}
	}
}

// TestToolchainsOfOthers finds programs in the home directory of somebody whom this
// machine does not name, as a service does whose PATH leads there.
func TestToolchainsOfOthers(t *testing.T) {
	for _, prefix := range []string{"", ".local", "tools", ".config/tools"} {
		u, other := newUser(t), newUser(t)
		u.env["PATH"] = ""
		for _, program := range []string{"go", "node", "python3", "java", "mvn", "cargo"} {
			other.file(filepath.Join(prefix, "bin", program), "#!/bin/sh\n")
		}
		u.env["PATH"] = filepath.Join(other.home, prefix, "bin")
		s := u.find()
		if leaks := s.leaks(); leaks != nil {
			t.Errorf("%q leaks %q", prefix, leaks)
		}
		if m := s.mount(filepath.Join(other.home, prefix)); (m.Mode == sandbox.ReadOnly) != (prefix == "tools") {
			t.Errorf("%q: %+v", prefix, m)
		}
	}
}

// TestToolchainsNearHomes looks for programs in a directory that holds homes.
func TestToolchainsNearHomes(t *testing.T) {
	u, all := newUser(t), t.TempDir()
	other := &user{t: t, home: filepath.Join(all, "dev")}
	other.file(".ssh/id_ed25519", "SECRET")
	(&user{t: t, home: all}).file("bin/node", "#!/bin/sh\n")
	u.env["PATH"] = filepath.Join(all, "bin")
	if leaks := u.find().leaks(); leaks != nil {
		t.Errorf("leaks %q", leaks)
	}
}

// TestToolchainsOfOthersCargo has Cargo lie where the tokens of its owner do: as a name
// of Rustup, and by itself.
func TestToolchainsOfOthersCargo(t *testing.T) {
	for _, program := range []string{".cargo/bin/rustup", "cargo/bin/rustup", ".cargo/bin/cargo", "rust/bin/cargo"} {
		u, other := newUser(t), newUser(t)
		dir := filepath.Dir(other.file(program, "#!/bin/sh\n"))
		beside := []string{"config.toml", "config", "credentials", "credentials.toml"}
		if program != "rust/bin/cargo" { // in which there is nothing of an owner's
			beside = append(beside, "registry/index/config")
		}
		for _, name := range beside {
			other.file(filepath.Join(filepath.Dir(program), "..", name), "SECRET")
		}
		if err := os.Symlink("rustup", filepath.Join(dir, "cargo")); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
		u.env["PATH"] = dir
		s := u.find()
		if s.found["rust"].Path != filepath.Join(dir, "cargo") {
			t.Errorf("%s: not shown: %v", program, s.mounts)
		}
		if leaks := s.leaks(); leaks != nil {
			t.Errorf("%s leaks %q", program, leaks)
		}
	}
}

// TestToolchainsShowNobodysHome asks for those that this machine names, whether or
// not they look like one.
func TestToolchainsShowNobodysHome(t *testing.T) {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Skip(err)
	}
	tried := 0
	for line := range strings.Lines(string(passwd)) {
		home := strings.Split(line, ":")[5]
		if info, err := os.Stat(home); err != nil || !info.IsDir() || strings.Count(home, "/") < 2 || strings.HasPrefix(home, "/usr/") {
			continue
		}
		tried++
		for _, dir := range []string{home, filepath.Dir(home)} {
			u := newUser(t)
			u.env["VIRTUAL_ENV"] = dir
			if s := u.find(); s.mount(dir).Mode != "" {
				t.Errorf("%s is shown", dir)
			}
		}
	}
	if tried == 0 {
		t.Skip("this machine names no user with a home directory")
	}
}

// TestToolchainsNeverShowTheData keeps MGX's own directory apart from a toolchain
// that lies above, beside or in it.
func TestToolchainsNeverShowTheData(t *testing.T) {
	for _, data := range []string{".", "tools", "tools/data", "tools/bin"} {
		u := newUser(t)
		u.onPath("tools/bin/node")
		u.data = filepath.Join(u.home, data)
		if s := u.find(); s.mount("~/tools").Mode != "" || len(s.found) != 0 {
			t.Errorf("data in %s: %v", data, s.mounts)
		}
	}
	u := newUser(t)
	u.onPath("tools/bin/node")
	u.data = filepath.Join(u.home, "data")
	if s := u.find(); s.mount("~/tools").Mode != sandbox.ReadOnly {
		t.Errorf("data beside: %v", s.mounts)
	}
	u.data = "/usr/share" // as if it were
	if m := u.find().mount("/usr/share"); m.Mode != sandbox.Empty {
		t.Errorf("data in a directory of the system: %+v", m)
	}
}

func TestToolchainsMaskCredentials(t *testing.T) {
	u := newUser(t)
	u.onPath("tools/python/bin/python3")
	u.onPath("venv/bin/python3")
	u.file("venv/pip.conf", "SECRET")
	u.file("venv/pyvenv.cfg", "home = "+u.home+"/tools/python/bin\nversion = 3.12\n")
	u.env["VIRTUAL_ENV"] = filepath.Join(u.home, "venv")
	s := u.find()
	for _, guest := range []string{"~/venv", "~/tools/python"} {
		if s.mount(guest).Mode != sandbox.ReadOnly {
			t.Errorf("%s is not shown: %v", guest, s.mounts)
		}
	}
	if m := s.mount("~/venv/pip.conf"); m.Host != os.DevNull {
		t.Errorf("pip.conf: %+v", m)
	}
	if leaks := s.leaks(); leaks != nil {
		t.Errorf("leaks: %q", leaks)
	}
}

// TestToolchainsThroughLinks keeps links working: both where they are and where
// they lead is shown, and a link that cannot be is left out of PATH.
func TestToolchainsThroughLinks(t *testing.T) {
	u := newUser(t)
	real := u.file("opt/go/bin/go", "#!/bin/sh\n")
	u.file("opt/go/VERSION", "go1.20\n")
	u.onPath("bin/private-script")
	if err := os.Symlink(real, filepath.Join(u.home, "bin/go")); err != nil {
		t.Fatal(err)
	}
	s := u.find()
	if s.mount("~/opt/go").Mode != sandbox.ReadOnly || s.mount("~/bin").Host != "" {
		t.Errorf("mounts: %v", s.mounts)
	}
	if path := s.setting("PATH"); !strings.HasPrefix(path, filepath.Dir(real)+":/") {
		t.Errorf("PATH %s", path)
	}
	if s.found["go"].Version != "1.20" {
		t.Errorf("found %v", s.found)
	}
}

func TestToolchainsOfNobody(t *testing.T) {
	for _, home := range []string{"", "relative", "/", "/nonexistent"} {
		mounts, env, found := sandbox.Toolchains(func(string) string { return "" }, home, "")
		if len(mounts) != 0 || len(found) != 0 {
			t.Errorf("%q: %v %v", home, mounts, found)
		}
		if len(env) != 1 || !strings.HasPrefix(env[0], "PATH=/") {
			t.Errorf("%q: %q", home, env)
		}
	}
}
