//go:build linux && (amd64 || arm64 || riscv64)

package confine

import (
	"testing"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/internal/cgroup"
)

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
