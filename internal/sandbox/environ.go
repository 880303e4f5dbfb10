package sandbox

import "strings"

// DefaultPath is where a box looks for programs unless its spec says otherwise.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Environ is the whole environment of a command: a fixed base with this home
// and directory for temporary files, then the lists, later settings winning.
// Nothing of our own environment is in it.
func Environ(home, tmp string, lists ...[]string) []string {
	env := []string{
		"PATH=" + DefaultPath,
		"HOME=" + home,
		"TMPDIR=" + tmp,
		"USER=mgx",
		"LOGNAME=mgx",
		"SHELL=/bin/sh",
		"LANG=C.UTF-8",
		"TERM=dumb",
		"PAGER=cat",
		"GIT_PAGER=cat",
		"GIT_TERMINAL_PROMPT=0",
		"CI=1",
		"NO_COLOR=1",
		"LSAN_OPTIONS=detect_leaks=0", // which takes ptrace, and without that fails every program
	}
	at := make(map[string]int, len(env))
	for i, kv := range env {
		at[name(kv)] = i
	}
	for _, list := range lists {
		for _, kv := range list {
			if i, seen := at[name(kv)]; seen {
				env[i] = kv
				continue
			}
			at[name(kv)] = len(env)
			env = append(env, kv)
		}
	}
	return env
}

func name(kv string) string {
	n, _, _ := strings.Cut(kv, "=")
	return n
}
