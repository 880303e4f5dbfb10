//go:build amd64 || arm64 || riscv64

package native

import (
	"fmt"
	"os"
	"strings"

	"mgx"
)

func unavailable(stage string, err error) error {
	return &mgx.Error{
		Kind: mgx.KindConfig, Code: "sandbox_unavailable", Err: err,
		Message: fmt.Sprintf("this machine does not let MGX confine commands (%s: %v). %s", stage, err, remedy()),
	}
}

// switches are the settings that forbid user namespaces, and what they must be.
var switches = []struct{ file, bad, setting string }{
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"},
	{"/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"},
	{"/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"},
}

// remedy says how to get a sandbox on this machine.
func remedy() string {
	const off = "To run commands without any walls, type --sandbox=off."
	for _, s := range switches {
		if v, err := os.ReadFile(s.file); err == nil && strings.TrimSpace(string(v)) == s.bad {
			return "Allow user namespaces with: sysctl -w " + s.setting + ". " + off
		}
	}
	return "It needs Linux 5.12 or newer with unprivileged user namespaces; a container must also permit them (seccomp, AppArmor, an unmasked /proc). " + off
}
