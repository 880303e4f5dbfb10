// Package shell holds what every driver takes over from shells: how a program
// is found, and which exit codes say that there was none.
//
// Package boxinit uses it, so it does without package strings, which is
// initialised late.
package shell

import (
	"os"
	"path"
	"slices"
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
	if slices.Contains([]byte(name), '/') {
		if !path.IsAbs(name) {
			name = path.Join(dir, name)
		}
		return name, check(name)
	}
	code = NotFound
	for rest := pathOf(env); rest != ""; {
		var dir string
		dir, rest = cut(rest)
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

// cut takes the first entry off a PATH.
func cut(list string) (first, rest string) {
	if i := slices.Index([]byte(list), ':'); i >= 0 {
		return list[:i], list[i+1:]
	}
	return list, ""
}

func pathOf(env []string) string {
	const name = "PATH="
	for _, kv := range env {
		if len(kv) >= len(name) && kv[:len(name)] == name {
			return kv[len(name):]
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
