//go:build linux && (amd64 || arm64 || riscv64)

package confine

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/boxinit"
	"mgx/internal/sandbox/internal/cgroup"
)

// TestNobodyIsScheduledFirst is that no command may take the processor from others,
// whatever MGX itself may.
func TestNobodyIsScheduledFirst(t *testing.T) {
	t.Parallel()
	var p Plan
	p.complete(0, false)
	for _, none := range []int64{unix.RLIMIT_RTPRIO, unix.RLIMIT_NICE} {
		if !slices.Contains(p.Plan.Limits, boxinit.Limit{Resource: none}) {
			t.Errorf("limit %d is not 0: %v", none, p.Plan.Limits)
		}
	}
}

// TestMemoryOfEach is that boxes that work at the same time have no more memory by
// default than there is for all commands, and none has more than that.
func TestMemoryOfEach(t *testing.T) {
	t.Parallel()
	all := cgroup.Memory()
	of := func(atOnce int, memory int64) int64 {
		return LimitsOf(sandbox.Spec{AtOnce: atOnce, Limits: sandbox.Limits{Memory: memory}}).Memory
	}
	for _, n := range []int{0, 1} {
		if got := of(n, 0); got != all {
			t.Errorf("of %d boxes, one has %d of %d", n, got, all)
		}
	}
	for _, n := range []int{2, 5, 65} {
		if got := of(n, 0) * int64(n); got > all || got <= all-int64(n)<<20 {
			t.Errorf("%d boxes have %d of %d", n, got, all)
		}
	}
	if got := of(5, 64<<20); got != 64<<20 {
		t.Errorf("one that is given 64 MB has %d", got)
	}
	if got := of(5, 2*all); got != all {
		t.Errorf("one that is given more than there is has %d", got)
	}
}
