package team

import (
	"encoding/json"
	"os"
	"strings"
)

// packageChecks runs the scripts that a package.json has for checking, with the
// package manager that its lock file belongs to.
func packageChecks(root *os.Root) []Check {
	var manifest struct{ Scripts map[string]string }
	if json.Unmarshal([]byte(readSmall(root, "package.json")), &manifest) != nil {
		return nil
	}
	manager := "npm"
	for file, name := range map[string]string{"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lock": "bun", "bun.lockb": "bun"} {
		if exists(root, file) {
			manager = name
		}
	}
	var checks []Check
	for _, script := range []string{"lint", "typecheck", "test"} {
		// npm init writes a test script that only fails.
		if body, ok := manifest.Scripts[script]; ok && !strings.Contains(body, "no test specified") {
			command := manager + " run " + script
			checks = append(checks, Check{Name: command, Command: command})
		}
	}
	return checks
}
