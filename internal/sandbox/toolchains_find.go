package sandbox

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func findGo(f *finder) {
	at, file, ok := f.program("go")
	if !ok {
		return
	}
	root := f.dir("GOROOT", parent(file))
	if !f.show(root) || !f.reach(at, file) {
		return
	}
	f.tool("go", strings.TrimPrefix(firstLine(filepath.Join(root, "VERSION")), "go"), at)
	f.pass("GOROOT", "CGO_ENABLED", "GOEXPERIMENT", "GOAMD64", "GOARM64")
	gopath := f.dir("GOPATH", f.below("go"))
	f.show(filepath.Join(gopath, "bin"))
	f.goModules(f.dir("GOMODCACHE", filepath.Join(gopath, "pkg", "mod")))
	f.goCache(f.dir("GOCACHE", f.cacheDir("go-build")))
	f.set("GOFLAGS="+strings.TrimSpace("-buildvcs=false "+f.getenv("GOFLAGS")), "GOSUMDB=off")
}

// parent is the directory above the one that holds file: what a bin is part of.
func parent(file string) string { return filepath.Dir(filepath.Dir(file)) }

// goModules keeps the module cache at its own path, because the build cache
// remembers where sources were.
func (f *finder) goModules(dir string) {
	if !f.warm(dir, dir) {
		f.set("GOPROXY=off", "GOTOOLCHAIN=local")
		return
	}
	// Clones of whole repositories, also private ones, whose configuration can hold
	// the password that they were fetched with. Builds need only what came of them.
	f.empty(dir, "cache/vcs")
	// What was downloaded once can be had again: the cache is a proxy itself.
	f.set("GOMODCACHE="+dir, "GOPROXY=file://"+filepath.ToSlash(filepath.Join(dir, "cache", "download")))
	if others, _ := filepath.Glob(filepath.Join(dir, "golang.org", "toolchain@*")); len(others) == 0 {
		f.set("GOTOOLCHAIN=local") // else go.mod may ask for one of those
	}
}

func (f *finder) goCache(dir string) {
	guest := guestHome + "/.cache/go-build"
	if !f.layer(dir, guest, Cache) {
		f.mounts = append(f.mounts, Mount{Guest: guest, Mode: Cache})
	}
}

func findNode(f *finder) {
	at, file, ok := f.program("node")
	if !ok || !f.show(parent(file)) || !f.reach(at, file) {
		return
	}
	f.tool("node", nodeVersion(parent(file)), at)
	if global := f.getenv("NPM_CONFIG_PREFIX"); filepath.IsAbs(global) {
		f.show(filepath.Join(global, "bin"))
		f.show(filepath.Join(global, "lib", "node_modules"))
	}
	f.warm(filepath.Join(f.dir("npm_config_cache", f.below(".npm")), "_cacache"), guestHome+"/.npm/_cacache")
	f.warm(f.below(".local/share/pnpm/store"), guestHome+"/.local/share/pnpm/store")
	f.warm(f.cacheDir("yarn"), guestHome+"/.cache/yarn")
	f.warm(f.below(".yarn/berry/cache"), guestHome+"/.yarn/berry/cache")
	f.set("npm_config_offline=true", "npm_config_audit=false", "npm_config_fund=false", "npm_config_update_notifier=false",
		"YARN_ENABLE_NETWORK=0", "COREPACK_ENABLE_NETWORK=0")
}

func nodeVersion(prefix string) string {
	header, err := os.Open(filepath.Join(prefix, "include", "node", "node_version.h"))
	if err != nil {
		return ""
	}
	defer header.Close()
	var parts []string
	for lines := bufio.NewScanner(header); lines.Scan() && len(parts) < 3; {
		f := strings.Fields(lines.Text())
		if len(f) == 3 && f[0] == "#define" && (f[1] == "NODE_MAJOR_VERSION" || f[1] == "NODE_MINOR_VERSION" || f[1] == "NODE_PATCH_VERSION") {
			parts = append(parts, f[2])
		}
	}
	return strings.Join(parts, ".")
}

func findPython(f *finder) {
	f.pythonVenv()
	at, file, ok := f.program("python3")
	if !ok {
		return
	}
	version := strings.TrimPrefix(filepath.Base(file), "python")
	if pyenv := f.dir("PYENV_ROOT", f.below(".pyenv")); within(at, filepath.Join(pyenv, "shims")) {
		version = firstLine(filepath.Join(pyenv, "version"))
	}
	if !f.show(parent(file)) || !f.reach(at, file) {
		return
	}
	f.tool("python", version, at)
	f.warm(f.dir("PIP_CACHE_DIR", f.cacheDir("pip")), guestHome+"/.cache/pip")
	f.warm(f.dir("UV_CACHE_DIR", f.cacheDir("uv")), guestHome+"/.cache/uv")
	f.show(f.below(".local/share/uv/python"))
	f.set("PYTHONDONTWRITEBYTECODE=1", "PIP_NO_INPUT=1", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_RETRIES=0", "UV_OFFLINE=1")
}

// pythonVenv shows the virtual environment that is active, and the Python that
// it was made from.
func (f *finder) pythonVenv() {
	venv := f.getenv("VIRTUAL_ENV")
	if !filepath.IsAbs(venv) || !f.show(venv) {
		return
	}
	f.set("VIRTUAL_ENV=" + filepath.Clean(venv))
	config, err := os.ReadFile(filepath.Join(venv, "pyvenv.cfg"))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(config)) {
		if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) == "home" {
			f.show(filepath.Dir(strings.TrimSpace(value)))
		}
	}
}

func findRust(f *finder) {
	at, file, ok := f.program("cargo")
	if !ok {
		return
	}
	cargo, rustup := f.dir("CARGO_HOME", f.below(".cargo")), f.dir("RUSTUP_HOME", f.below(".rustup"))
	if bin := filepath.Join(cargo, "bin"); within(at, bin) { // programs there ask rustup which toolchain they are
		f.show(bin)
		// Rustup also writes beside them, so they are shown in the box's home.
		f.place(filepath.Join(rustup, "toolchains"), guestHome+"/.rustup/toolchains")
		f.place(filepath.Join(rustup, "settings.toml"), guestHome+"/.rustup/settings.toml")
	}
	root := parent(file)
	if filepath.Base(root) == ".cargo" || filepath.Base(file) == "rustup" {
		root = filepath.Dir(file) // beside which lie tokens
	}
	if !f.visible(file) && !f.show(root) || !f.reach(at, file) {
		return
	}
	f.tool("rust", rustVersion(rustup), at)
	f.warm(filepath.Join(cargo, "registry"), guestHome+"/.cargo/registry")
	f.warm(filepath.Join(cargo, "git"), guestHome+"/.cargo/git")
	f.set("CARGO_NET_OFFLINE=true")
}

// rustVersion is the name of the default toolchain, as settings.toml has it.
func rustVersion(rustup string) string {
	settings, err := os.ReadFile(filepath.Join(rustup, "settings.toml"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(settings)) {
		if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) == "default_toolchain" {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

func findJava(f *finder) {
	at, file, ok := f.program("java")
	if !ok {
		return
	}
	root := f.dir("JAVA_HOME", parent(file))
	if !f.show(root) || !f.show(parent(file)) || !f.reach(at, file) {
		return
	}
	f.tool("java", javaVersion(root), at)
	f.set("JAVA_HOME=" + root)
	for _, name := range []string{"mvn", "gradle", "kotlinc"} {
		if at, file, ok := f.program(name); ok && f.show(parent(file)) {
			f.reach(at, file)
		}
	}
	f.warm(f.below(".m2/repository"), guestHome+"/.m2/repository")
	f.warm(f.below(".m2/wrapper"), guestHome+"/.m2/wrapper")
	gradle := f.dir("GRADLE_USER_HOME", f.below(".gradle"))
	f.warm(filepath.Join(gradle, "caches"), guestHome+"/.gradle/caches")
	f.warm(filepath.Join(gradle, "wrapper"), guestHome+"/.gradle/wrapper")
	f.set("MAVEN_ARGS=--offline --batch-mode", "GRADLE_OPTS=-Dorg.gradle.daemon=false")
}

func findRuby(f *finder) {
	at, file, ok := f.program("ruby")
	if !ok || !f.show(parent(file)) || !f.reach(at, file) {
		return
	}
	f.tool("ruby", "", at)
	f.show("/var/lib/gems") // where Debian's Ruby installs them for everybody
	f.warm(f.below(".local/share/gem/ruby"), guestHome+"/.local/share/gem/ruby")
}

// managers are programs that choose between versions of a toolchain each time one is
// called, by a shim. They look for those where a variable says, or else below the home,
// which in a box is another.
var managers = []struct{ variable, dir string }{
	{"ASDF_DATA_DIR", ".asdf"},
	{"GOENV_ROOT", ".goenv"},
	{"JENV_ROOT", ".jenv"},
	{"NODENV_ROOT", ".nodenv"},
	{"PYENV_ROOT", ".pyenv"},
	{"RBENV_ROOT", ".rbenv"},
}

func findManagers(f *finder) {
	for _, m := range managers {
		root := f.dir(m.variable, f.below(m.dir))
		used := slices.ContainsFunc(f.path, func(dir string) bool { return within(dir, root) })
		if !used || !f.show(root) {
			continue
		}
		f.set(m.variable + "=" + root)
		if m.dir == ".asdf" {
			f.single("asdf")
			f.place(f.below(".tool-versions"), guestHome+"/.tool-versions") // where a repository does not say
		}
	}
}

// findBrowsers shows those that libraries for tests have fetched. Some write beside
// them when they start one.
func findBrowsers(f *finder) {
	f.warm(f.dir("PLAYWRIGHT_BROWSERS_PATH", f.cacheDir("ms-playwright")), guestHome+"/.cache/ms-playwright")
	f.warm(f.dir("PUPPETEER_CACHE_DIR", f.cacheDir("puppeteer")), guestHome+"/.cache/puppeteer")
	f.warm(f.dir("CYPRESS_CACHE_FOLDER", f.cacheDir("Cypress")), guestHome+"/.cache/Cypress")
}

// javaVersion is JAVA_VERSION of the file release, which every JDK has.
func javaVersion(root string) string {
	release, err := os.ReadFile(filepath.Join(root, "release"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(release)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "JAVA_VERSION="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}

// findSingles shows programs that are one file each, wherever on PATH they are.
func findSingles(f *finder) {
	for _, name := range []string{"rg", "uv", "uvx", "deno", "bun", "just", "golangci-lint", "staticcheck", "ruff"} {
		f.single(name)
	}
}

// single shows a program without what lies beside it.
func (f *finder) single(name string) {
	at, file, ok := f.program(name)
	if !ok || f.visible(at) || !f.mayShow(file) || f.inBox(at) {
		return
	}
	f.mounts = append(f.mounts, Mount{Host: file, Guest: at, Mode: ReadOnly})
	f.singles = append(f.singles, filepath.Dir(at))
}
