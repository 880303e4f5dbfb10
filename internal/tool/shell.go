package tool

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"mgx/internal/guard/policy"
	"mgx/internal/sandbox"
)

type shellArgs struct {
	Command string `json:"command"`
	Timeout int    `json:"timeout"` // seconds
	Workdir string `json:"workdir"`
	// Hosts are for whoever decides on the call, and sets [Workspace.Gate]. To a
	// command whose hosts were not decided on they give nothing.
	Hosts []string `json:"hosts"`
}

const (
	defaultTimeout = 120 * time.Second
	maxTimeout     = 600 * time.Second
	maxCommand     = 120_000 // bytes; the system takes one argument of up to 128 KB
)

// shell runs a command in the workspace's box.
func shell(ctx context.Context, ws *Workspace, a shellArgs) (Result, error) {
	cmd, err := shellCommand(ws, a)
	if err != nil {
		return Result{}, err
	}
	out := newCapture(ws)
	cmd.Stdout, cmd.Stderr = out, out
	ended, err := ws.Box.Run(ctx, cmd)
	kept := out.close()
	if err != nil {
		return Result{Visits: ended.Visits}, err
	}
	return tellShell(a.Command, cmd.Timeout, ended, kept), nil
}

func shellCommand(ws *Workspace, a shellArgs) (sandbox.Command, error) {
	var none sandbox.Command
	switch {
	case strings.TrimSpace(a.Command) == "":
		return none, failf("The command is empty.")
	case strings.ContainsRune(a.Command, 0):
		return none, failf("The command contains a NUL character, which no shell takes.")
	case len(a.Command) > maxCommand:
		return none, failf("The command has %s; write long input to a file with the write tool and use that.", size(int64(len(a.Command))))
	}
	dir, err := ws.at(a.Workdir)
	if err != nil {
		return none, err
	}
	if dir.kept != "" {
		return none, failf("workdir must be in the workspace.")
	}
	if err := directory(dir); err != nil {
		return none, err
	}
	cmd := ShellCommand(a.Command, path.Join(sandbox.Workspace, dir.name), timeout(a.Timeout), ws.ReadOnly)
	cmd.Gate = ws.Gate
	cmd.Mounts = slices.Concat(ws.GateMounts, ws.Veil)
	return cmd, nil
}

// ShellCommand is how the shell tool runs a line of shell.
func ShellCommand(line, dir string, timeout time.Duration, readOnly bool) sandbox.Command {
	run := bestShell
	if !policy.AnyShell(line) {
		run = onlyBash // as bash would read it, it was decided on
	}
	return sandbox.Command{
		Args:     []string{"sh", "-c", run, "sh", line},
		Dir:      dir,
		Env:      unattended,
		Timeout:  timeout,
		ReadOnly: readOnly,
		Online:   true,
	}
}

// bestShell runs its first argument in bash where there is one.
const bestShell = `exec "$(command -v bash || echo sh)" -c "$1"`

// onlyBash runs its first argument in bash.
const onlyBash = `command -v bash >/dev/null && exec bash -c "$1"
echo "Nothing was run: here is no bash, and other shells may read this command in another way. Write it for sh." >&2
exit 127`

// unattended tells programs that nobody is there to answer or to page through
// what they print.
var unattended = []string{
	"CI=1", "TERM=dumb", "NO_COLOR=1", "PAGER=cat", "GIT_PAGER=cat", "MANPAGER=cat", "GIT_TERMINAL_PROMPT=0",
	"GIT_EDITOR=true", "EDITOR=true", "VISUAL=true", "DEBIAN_FRONTEND=noninteractive", "PYTHONUNBUFFERED=1",
}

func timeout(seconds int) time.Duration {
	switch {
	case seconds <= 0:
		return defaultTimeout
	case seconds > int(maxTimeout/time.Second):
		return maxTimeout
	}
	return time.Duration(seconds) * time.Second
}

// tellShell is what the model hears: the output, how it ended, and what may help.
func tellShell(command string, limit time.Duration, ended sandbox.Result, out captured) Result {
	told := Result{Limit: ended.Reached(), Visits: ended.Visits}
	if told.Limit.Limit == "" && out.full {
		told.Limit.Limit = sandbox.LimitOutput
	}
	var b strings.Builder
	b.WriteString(out.text)
	switch {
	case out.text == "":
		b.WriteString("(no output)\n")
	case !strings.HasSuffix(out.text, "\n"):
		b.WriteString("\n")
	}
	var hints []string
	if hint := LimitHint(told.Limit); hint != "" {
		hints = append(hints, hint)
	}
	if told.Status = Success; ended.TimedOut {
		told.Status = TimedOut
		fmt.Fprintf(&b, "[timed out after %s: the command and all it had started were stopped]\n%s", limit, timeoutHint(command, out.text))
	} else {
		fmt.Fprintf(&b, "[exit code %d, %s]", ended.ExitCode, seconds(ended.Duration))
		hints = append(hints, exitHints(ended, out.text)...)
		if told.ExitCode = &ended.ExitCode; ended.ExitCode != 0 {
			told.Status = Failure
		}
	}
	for _, hint := range append(hints, refusedHints(ended.Visits)...) {
		b.WriteString("\n" + hint)
	}
	told.Text = b.String()
	return told
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
