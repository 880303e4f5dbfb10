package tool

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWithoutBash has sh run a line that every shell reads alike, and no other.
func TestWithoutBash(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	sh, err := exec.LookPath("dash")
	if err != nil {
		if sh, err = exec.LookPath("sh"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(sh, filepath.Join(bin, "sh")); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		`echo $'\'; echo more; #'`:                                         "Nothing was run",
		"[[ a < b ]] && echo more":                                         "Nothing was run",
		"echo one &> more; echo more":                                      "Nothing was run",
		"export A=one; for i in a; do echo $A$i; done":                     "onea\n",
		"f() { echo \"$1\"; }; f one 2>&1 | { read a; echo \"${a:-x}\"; }": "one\n",
	} {
		args := ShellCommand(line, ".", 0, false).Args
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, args[0]), args[1:]...)
		cmd.Dir, cmd.Env = t.TempDir(), []string{"PATH=" + bin}
		out, _ := cmd.CombinedOutput()
		if got := string(out); !strings.HasPrefix(got, want) || cmd.ProcessState.ExitCode() == 0 != strings.HasPrefix(want, "one") {
			t.Errorf("%s: %s", line, got)
		}
	}
}
