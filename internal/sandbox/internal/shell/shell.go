// Package shell holds what every driver takes over from shells: how a program
// is found, and which exit codes say that there was none.
package shell

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Exit codes of commands that did not run.
const (
	NotExecutable = 126
	NotFound      = 127
	Killed        = 128 // plus the signal
)

// Find returns the file of a program by the PATH in env, for a command that
// will run in dir. The code is zero, or the exit code of a command that cannot
// run. Relative entries of PATH, and so the working directory, are never
// searched.
func Find(dir, name string, env []string) (file string, code int) {
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join(dir, name)
		}
		return name, check(name)
	}
	code = NotFound
	for _, dir := range filepath.SplitList(pathOf(env)) {
		if !path.IsAbs(dir) || name == "" {
			continue
		}
		switch file := path.Join(dir, name); check(file) {
		case 0:
			return file, 0
		case NotExecutable:
			code = NotExecutable
		}
	}
	return "", code
}

func check(file string) (code int) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return NotFound
	case !info.Mode().IsRegular(), info.Mode()&0o111 == 0:
		return NotExecutable
	}
	return 0
}

func pathOf(env []string) string {
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			return v
		}
	}
	return ""
}

// Complaint is what a command that cannot run says on its standard error.
func Complaint(name string, code int) string {
	if code == NotFound {
		return "mgx: " + name + ": command not found\n"
	}
	return "mgx: " + name + ": cannot be executed\n"
}
