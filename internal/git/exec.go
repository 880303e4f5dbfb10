package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"mgx"
)

const (
	maxList = 64 << 20 // bytes of a list of names
	maxText = 1 << 20  // bytes of other output
	maxSaid = 16 << 10 // bytes of standard error

	quick = 2 * time.Minute  // commands whose work does not grow with the repository
	long  = 30 * time.Minute // those that may read or write all of it
)

// base is the environment of every git command of ours: no configuration of the
// machine or the user, no prompt, no other language, no network.
func base(settings ...string) []string {
	env := []string{
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=false", "GIT_EDITOR=false", "GIT_PAGER=cat",
		"GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_LITERAL_PATHSPECS=1", "GIT_NO_LAZY_FETCH=1",
		"LC_ALL=C", "TZ=UTC",
	}
	settings = append([]string{
		"core.attributesFile", "/dev/null", // a repository could name a file without an end
		"core.excludesFile", "/dev/null",
		"core.fsmonitor", "false",
		"core.hooksPath", "/dev/null",
		"core.pager", "cat",
		"core.sshCommand", "false",
		"core.safecrlf", "false",
		"credential.helper", "",
		"gc.auto", "0",
		"log.showSignature", "false",
		"maintenance.auto", "false",
		"protocol.allow", "never",
		"submodule.recurse", "false",
	}, settings...)
	return append(env, configured(settings)...)
}

// configured sets configuration by environment, where no name or value can be
// mistaken for anything else.
func configured(settings []string) []string {
	env := []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings)/2)}
	for i := 0; i < len(settings); i += 2 {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i/2, settings[i]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i/2, settings[i+1]))
	}
	return env
}

// failed is a git command that ran and said no.
type failed struct {
	args []string
	code int
	said string // standard error, bounded
}

func (f *failed) Error() string {
	return fmt.Sprintf("git %s: exit code %d: %s", strings.Join(f.args, " "), f.code, sentence(f.said))
}

// exitCode is the exit code behind err, or -1.
func exitCode(err error) int {
	if f, ok := errors.AsType[*failed](err); ok {
		return f.code
	}
	return -1
}

// saidBy is what the failed command behind err wrote to standard error.
func saidBy(err error) string {
	if f, ok := errors.AsType[*failed](err); ok {
		return f.said
	}
	return ""
}

// explain turns a failed command into an error for people: "git could not
// <doing>: <why>".
func explain(err error, doing string) error {
	f, ok := errors.AsType[*failed](err)
	if !ok {
		return err
	}
	for _, sign := range []string{"No space left on device", "Disk quota exceeded", "unable to write file"} { // the last is all that checkout says
		if strings.Contains(f.said, sign) {
			return diskFull(syscall.ENOSPC)
		}
	}
	e := mgx.Errorf(mgx.KindInternal, "git_failed", "git could not %s: %s", doing, sentence(f.said))
	e.Err = f
	return e
}

func diskFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return mgx.Errorf(mgx.KindConfig, "disk_full", "the disk that holds MGX's data is full; free some space, then mgx resume: %w", err)
	}
	return nil
}

// sentence makes one short, harmless line of what git said.
func sentence(said string) string {
	line := ""
	for l := range strings.Lines(said) {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "fatal: ") || strings.HasPrefix(l, "error: ") && !strings.HasPrefix(line, "error: ") || line == "" {
			line = l
		}
	}
	line = strings.TrimPrefix(strings.TrimPrefix(line, "fatal: "), "error: ")
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, line)
	if line == "" {
		return "it gave no reason"
	}
	if runes := []rune(line); len(runes) > 300 {
		return string(runes[:300]) + "…"
	}
	return line
}

// capped keeps the first max bytes written to it and counts the rest. A buffer that is
// embedded would be read into past its Write.
type capped struct {
	kept bytes.Buffer
	max  int
	over int64
}

func (c *capped) Write(p []byte) (int, error) {
	keep := min(len(p), c.max-c.kept.Len())
	c.kept.Write(p[:keep])
	c.over += int64(len(p) - keep)
	return len(p), nil
}

func (c *capped) Bytes() []byte  { return c.kept.Bytes() }
func (c *capped) String() string { return c.kept.String() }

// tooMuch is the error of output that had to be whole and was not.
func (c *capped) tooMuch(doing string) error {
	if c.over == 0 {
		return nil
	}
	return mgx.Errorf(mgx.KindConfig, "too_many_files", "git had more than %d MB to say when it was to %s; add generated files to .gitignore", c.max>>20, doing)
}

// hostCommand is one git command on the host. It runs on the user's repository,
// or on one that only MGX writes; never on one that an agent can write.
type hostCommand struct {
	dir   string
	env   []string // whole, see base
	stdin io.Reader
	limit int    // bytes of output; more is an error
	cut   bool   // or is cut
	doing string // completes "git could not …"
	args  []string
}

// lastGit is where git was found last. While it is there and PATH is the same, the
// directories before it are not searched again for each command.
var lastGit atomic.Pointer[foundGit]

type foundGit struct{ path, program string }

func lookUp() (program string, err error) {
	path := os.Getenv("PATH")
	if last := lastGit.Load(); last != nil && last.path == path && exists(last.program) {
		return last.program, nil
	}
	if program, err = exec.LookPath("git"); err != nil {
		return "", mgx.Errorf(mgx.KindConfig, "git_missing", "git was not found on PATH; install git 2.32 or later: %w", err)
	}
	lastGit.Store(&foundGit{path, program})
	return program, nil
}

// run runs it and returns its standard output.
func (h hostCommand) run(ctx context.Context) ([]byte, error) {
	program, err := lookUp()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, h.args...)
	out, said := &capped{max: h.limit}, &capped{max: maxSaid}
	if h.limit == 0 {
		out.max = maxText
	}
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = h.dir, h.stdin, out, said
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, h.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.Bytes(), &failed{args: h.args, code: e.ExitCode(), said: said.String()}
	}
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, "git_missing", "git could not be started: %w", err)
	}
	if h.cut {
		return out.Bytes(), nil
	}
	return out.Bytes(), out.tooMuch(h.doing)
}

// isID reports whether s is a full object id in either format.
func isID(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// needIDs refuses anything that is not a full object id, so that none can be an
// option or a name that resolves to something else.
func needIDs(ids ...string) error {
	for _, id := range ids {
		if !isID(id) {
			return mgx.Errorf(mgx.KindInternal, "bad_object_id", "%.80q is not a full git object id", id)
		}
	}
	return nil
}
