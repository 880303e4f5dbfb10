package sandboxtest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A refusal says nothing of a wall where there would be the same without.
func TestProvenBy(t *testing.T) {
	for _, c := range []struct {
		call    string
		refusal error
		want    Outcome
	}{
		{"a call of the future", unix.EPERM, Lacking},
		{"TIOCLINUX", unix.ENOTTY, Lacking}, // which only a console knows
		{"TIOCLINUX", unix.EPERM, Stopped},
		{"unshare files", unix.EPERM, Stopped},
	} {
		equal(t, c.call+": "+c.refusal.Error(), provenBy("call "+c.call, []string{"call", c.call}, c.refusal.Error()), c.want)
	}
}
