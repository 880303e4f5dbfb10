//go:build linux

package native_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCargoBuildsWithItsClones fetches a crate from a git repository, as a private one
// is, and builds with it in a box: from the clone, of which is hidden what can hold the
// password of the repository, and nothing that cargo itself has written there.
func TestCargoBuildsWithItsClones(t *testing.T) {
	found, err := exec.Command("rustup", "which", "cargo").Output()
	if err != nil {
		t.Skip("this machine has no toolchain of rustup: ", err)
	}
	program, home := strings.TrimSpace(string(found)), t.TempDir()
	bin := filepath.Dir(program)
	getenv := func(name string) string {
		switch name {
		case "PATH":
			return bin + ":" + os.Getenv("PATH")
		case "CARGO_HOME", "RUSTUP_HOME":
			return ""
		}
		return os.Getenv(name)
	}
	write := func(name, text string) { t.Helper(); put(t, name, text) }
	source := filepath.Join(home, "source")
	on := func(dir string, args ...string) {
		t.Helper()
		fetching(t, source, dir, args, "PATH="+getenv("PATH"), "HOME="+home, "CARGO_HOME="+filepath.Join(home, ".cargo"), "CARGO_NET_GIT_FETCH_WITH_CLI=true")
	}
	write(filepath.Join(source, "Cargo.toml"), "[package]\nname = \"answer\"\nversion = \"1.0.0\"\n")
	write(filepath.Join(source, "src/lib.rs"), "pub const ANSWER: i32 = 42;\n")
	on(source, "git", "init", "-q")
	on(source, "git", "add", "-A")
	on(source, "git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "Answer")

	work := t.TempDir()
	crate := map[string]string{
		"Cargo.toml":  "[package]\nname = \"m\"\nversion = \"1.0.0\"\n\n[dependencies]\nanswer = { git = \"https://git.test/answer\" }\n",
		"src/main.rs": "const _: () = assert!(answer::ANSWER == 42);\nfn main() {}\n",
	}
	for name, text := range crate {
		write(filepath.Join(work, name), text)
	}
	on(work, program, "fetch")
	clones, err := filepath.Glob(filepath.Join(home, ".cargo/git/db/*/config"))
	if err != nil || len(clones) != 1 {
		t.Fatalf("there are the clones %q: %v", clones, err)
	}
	write(filepath.Join(filepath.Dir(clones[0]), "FETCH_HEAD"), "0a1b\t\tbranch 'main' of https://me:PASSWORD@git.test/answer\n")
	write(strings.Replace(clones[0], "/answer-", "/other-", 1), "[http]\n\textraHeader = Authorization: PASSWORD\n")

	run, _, boxed := boxWithToolchains(t, getenv, home)
	for _, name := range []string{"Cargo.toml", "Cargo.lock", "src/main.rs"} {
		text, err := os.ReadFile(filepath.Join(work, name))
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Join(boxed, name), string(text))
	}
	if out, code := run("cargo check && cat ~/.cargo/git/db/answer-*/config"); code != 0 || !strings.Contains(out, "bare = ") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := run("ls ~/.cargo/git/db/*/config && grep -rh PASSWORD ~/.cargo"); strings.Count(out, "/config\n") != 2 || strings.Contains(out, "PASSWORD\n") || code == 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
