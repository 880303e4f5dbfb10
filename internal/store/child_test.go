package store_test

import (
	"os"
	"os/exec"
	"testing"
)

const childVar = "MGX_STORE_TEST_CHILD" // names the directory that a child works in

// child returns the command that runs only this test again, in another process
// in which inChild is true.
func child(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), childVar+"="+dir)
	return cmd
}

// inChild returns the directory to work in, and whether this is the child.
func inChild() (dir string, yes bool) {
	dir = os.Getenv(childVar)
	return dir, dir != ""
}
