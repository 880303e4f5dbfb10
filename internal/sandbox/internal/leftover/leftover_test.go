//go:build linux

package leftover

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const (
	nameEnv = "MGX_LEFTOVER_TEST_NAME"
	prefix  = "mgx-test-"
)

// TestGone asks of this process and of one that has ended, here and where neither can
// be seen.
func TestGone(t *testing.T) {
	if name := os.Getenv(nameEnv); name != "" {
		fmt.Println("gone:", Gone(prefix, name))
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	ours := Name(prefix) + "1"
	theirs := strings.Replace(ours, fmt.Sprint("-", os.Getpid(), "-"), fmt.Sprint("-", ended.Process.Pid, "-"), 1)
	before := strings.Replace(ours, "-"+started("self")+"-", "-1-", 1) // of who had our number
	for name, want := range map[string]bool{ours: false, theirs: true, before: true, theirs + "-1": false, "other": false} {
		if got := Gone(prefix, name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	for _, name := range []string{ours, theirs} {
		elsewhere := exec.Command("unshare", "--map-root-user", "--fork", "--pid", "--mount-proc", exe, "-test.run=^TestGone$")
		elsewhere.Env = append(os.Environ(), nameEnv+"="+name)
		said, err := elsewhere.CombinedOutput()
		if err != nil {
			t.Skipf("no namespaces can be made here: %v\n%s", err, said)
		}
		if !strings.HasPrefix(string(said), "gone: false\n") {
			t.Errorf("from another pid namespace: %s: %s", name, said)
		}
	}
}
