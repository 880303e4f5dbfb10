package tool

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"mgx/internal/sandbox"

	"mgx/internal/lazy"
)

// timeoutHint says what a time-out probably means. A command that was stopped
// has neither passed nor failed.
func timeoutHint(command, output string) string {
	const neither = "This says nothing about whether a test passes or fails. "
	switch {
	case servers().MatchString(command):
		return neither + "The command looks like a server or watcher, which never ends by itself. Start it in the background and use it in the same command, such as: timeout 30 CMD >/tmp/log 2>&1 & sleep 2; curl …; kill $!"
	case interactive().MatchString(command) || prompt().MatchString(lastLine(output)):
		return neither + "The command looks as if it waited for an answer. Nobody can type here: use flags that make it non-interactive (-y, --yes, --no-edit, -m), or give it input with a pipe."
	}
	return neither + "Narrow the command (one package, one test), or give it more time with timeout (up to 600 seconds)."
}

var (
	servers     = lazy.Regexp(`(?i)\b(npm|pnpm|yarn|bun)\s+(run\s+)?(start|dev|serve|watch)\b|http\.server\b|\brunserver\b|\b(flask|rails|hugo|jekyll|ng|mkdocs)\s+(run|s|serve|server)\b|\b(uvicorn|gunicorn|nodemon|webpack-dev-server|live-server|http-server|redis-server|vite|caddy|nginx)\b|--watch\b|\btail\s+(-\w+\s+)*-[fF]|\bdocker[ -]compose\s+up\b|\bserve\b`)
	interactive = lazy.Regexp(`(^|[;&|]\s*)(vim?|nano|emacs|less|more|top|htop|ssh|psql|mysql|sqlite3|python3?|node|irb|bc|ftp|passwd|su|cat|read)\s*($|[;&|])|\bgit\s+(rebase\s+(-\w+\s+)*-i|add\s+-[ip])\b|\bnpm\s+init\s*$|\bread\s+-p\b`)
	prompt      = lazy.Regexp(`(?i)(\[y/n\]|\(y/n\)|\(yes/no[^)]*\)|password[^:]*:|passphrase[^:]*:|press (any key|enter)[^\n]*|\?|>>>|continue\s*[:?])\s*$`)
)

func lastLine(s string) string {
	s = strings.TrimRight(s, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// exitHints explains ends that are easily taken for something else, unless it is
// known that a limit brought them about.
func exitHints(ended sandbox.Result, output string) (hints []string) {
	code := ended.ExitCode
	switch {
	case ended.Limit != "":
	case code == 137 || code != 0 && killed().MatchString(output):
		hints = append(hints, "The process was killed, most likely for using too much memory, which is limited here; it is not the result of a test. Do less at once (fewer parallel jobs, one package).")
	case code == 126:
		hints = append(hints, "Exit code 126: it was found but cannot be executed (permissions, or not a program).")
	case code == 127:
		hints = append(hints, "Exit code 127: a command was not found. Nothing can be installed from the network; use what is there.")
	case code > 128 && code < 128+65:
		hints = append(hints, fmt.Sprintf("The process was ended by signal %d%s.", code-128, signals[code-128]))
	}
	if code != 0 && offline().MatchString(output) {
		hints = append(hints, "There is no network in the sandbox, so nothing can be fetched, except through the proxy of HTTPS_PROXY where that is set. What the task cannot do without can be asked for with hosts.")
	}
	return hints
}

// maxRefused bounds how many hosts are named.
const maxRefused = 5

// refusedHints say what the gate of the sandbox did not let through; programs
// often hide its words.
func refusedHints(visits []sandbox.Visit) (hints []string) {
	for _, v := range visits {
		if v.Allowed || v.Port == 0 {
			continue
		}
		if len(hints) == maxRefused {
			return append(hints, "More hosts were refused.")
		}
		to := net.JoinHostPort(v.Host, strconv.Itoa(v.Port))
		why := "Do not try another way: if the task needs it, ask for it with hosts, or say so when you finish, and a person can allow it with --allow-host " + to + "."
		if v.Reason != "not_listed" {
			why = "The host is allowed, but not in this way."
		}
		hints = append(hints, fmt.Sprintf("The network refused %s (%s). %s", to, v.Reason, why))
	}
	return hints
}

// limitHints say what a limit is on, and what it did to a command that reached it.
var limitHints = map[sandbox.Limit]struct{ on, did string }{
	sandbox.LimitMemory:    {"memory", "the system killed one or more of the command's processes. It is not the result of a test. Do less at once (fewer parallel jobs, one package)."},
	sandbox.LimitProcesses: {"processes", "the system refused to start more. It is not the result of a test. Do less at once (fewer parallel jobs)."},
	sandbox.LimitCPU:       {"processor time", "a process was stopped. It is not the result of a test. Look for a loop without end, or do less at once."},
	sandbox.LimitFileSize:  {"the size of a file", "the process that wrote it was stopped. Write less, or into several files."},
	sandbox.LimitOpenFiles: {"open files", "the system refused a process to open more. It is not the result of a test. Close what is not needed, or do less at once."},
	sandbox.LimitDisk:      {"disk space", "the workspace holds too much, and the command was stopped if it still ran. Delete what is not needed (du -xsh * shows what is large) before anything else."},
	sandbox.LimitTmp:       {"temporary files", "a place for them (/tmp, the home directory, or /dev/shm, which has 64 MB) was full: the system refused to write more there. It is not the result of a test. Write less there, or into the workspace; the next command finds them empty."},
	sandbox.LimitOutput:    {"output", fmt.Sprintf("the first %s of it are kept, and what came after that is lost. No setting changes it. Write less, or into a file.", size(maxKept))},
	sandbox.LimitFiles:     {"the number of files", "the workspace holds too many, and the command was stopped if it still ran. Delete what is not needed before anything else."},
}

// LimitHint says in a sentence which limit a command reached, what that allows, who
// sets it and what to do; of no limit, and of the time-out, nothing.
func LimitHint(reached sandbox.Reached) string {
	hint, ok := limitHints[reached.Limit]
	if !ok {
		return ""
	}
	setting := ""
	switch {
	case reached.Setting != "":
		setting = " (" + reached.Setting + ", " + reached.Whose() + ")"
	case reached.Limit == sandbox.LimitMemory: // the command's own was not
		setting = " of all runs on this machine together"
	}
	text := "The limit on " + hint.on + setting + " was reached: " + hint.did
	if reached.Told {
		text += " Only the command's own output says so."
	}
	return text
}

var (
	killed  = lazy.Regexp(`(?m)signal: killed|^Killed$|Out of memory|out of memory|Cannot allocate memory`)
	offline = lazy.Regexp(`Could not resolve host|Temporary failure in name resolution|[Nn]etwork is unreachable|EAI_AGAIN|ENETUNREACH|no such host|server misbehaving`)
)

var signals = map[int]string{
	4: " (illegal instruction)", 6: " (abort)", 8: " (arithmetic error)", 11: " (segmentation fault)",
	13: " (broken pipe)", 15: " (terminated)", 24: " (CPU time limit)", 25: " (file size limit)", 31: " (forbidden system call)",
}
