//go:build linux && (amd64 || arm64 || riscv64)

package confine

import "testing"

// TestOwnPIDMax matters to the whole machine: where a box has no pid_max of its own,
// one that root opens must not write what it sees as that file.
func TestOwnPIDMax(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]bool{
		"6.12.117+deb13-cloud-amd64": false, "6.13.0": false, "6.14.0-rc1": true, "6.14": true, "6.18.44-fc-v857": true,
		"7.0.0": true, "10.1-generic": true, "5.15.0-1051-azure": false, "5.20.1": false, "2.6.60": false, "4.4.0": false,
		"": false, "6": false, "linux": false, "6.x": false,
	} {
		if got := ownPIDMaxSince(release); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}
