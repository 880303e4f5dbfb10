package team

import (
	"strings"
	"time"

	"mgx"
	"mgx/internal/guard"
	"mgx/internal/sandbox"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// runCheck runs one check in the sandbox. Its verdict is the exit code; a program
// that is not there is no verdict on the change.
func (r *run) runCheck(s *workflow.StepContext, c Check, mounts []sandbox.Mount) (checked, error) {
	out := &tail{max: 16 << 10}
	hide := r.hides.Stream(func(s string) { _, _ = out.Write([]byte(s)) })
	start := time.Now()
	res, err := r.site.Box.Run(s, sandbox.Command{
		Args: []string{"sh", "-c", c.Command}, Stdout: streamed{hide}, Stderr: streamed{hide}, Timeout: checkTimeout,
		Env: []string{"CI=1"}, Online: true, Mounts: mounts,
	})
	r.emitNetwork(s, mgx.NetworkUsedData{Check: c.Name}, res.Visits, byList)
	hide.Close()
	if err != nil {
		return checked{}, err
	}
	limit := mgx.LimitReachedData{Check: c.Name}
	if !res.TimedOut {
		limit.ExitCode = &res.ExitCode
	}
	emitLimit(s, limit, res.Reached())
	result := checked{CheckResult: mgx.CheckResult{
		Name: c.Name, Command: c.Command, Status: "passed", ExitCode: res.ExitCode,
		DurationMS: time.Since(start).Milliseconds(), Output: r.hides.String(tool.Clean(out.String())),
	}, Label: new(withHosts(fromProgram.Join(r.inFiles()).Join(r.besides()), res.Visits))}
	if hint := tool.LimitHint(res.Reached()); hint != "" {
		result.Output += "\n[" + hint + "]"
	}
	r.suspect(s, result.Output, "The output of the check "+c.Name, c.Name)
	switch {
	case res.TimedOut:
		result.Status = "timeout"
	case res.ExitCode == 127:
		result.Status = "unavailable"
	case res.ExitCode != 0:
		result.Status = "failed"
	}
	return result, nil
}

// streamed writes to a stream.
type streamed struct{ *guard.Stream }

func (s streamed) Write(p []byte) (int, error) {
	s.Stream.Write(string(p))
	return len(p), nil
}

// tail keeps the end of what is written to it, where tools put their verdict.
type tail struct {
	max int
	buf []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - 2*t.max; over > 0 {
		t.buf, t.cut = append(t.buf[:0], t.buf[len(t.buf)-t.max:]...), true
	}
	return len(p), nil
}

func (t *tail) String() string {
	b := t.buf
	cut := t.cut
	if len(b) > t.max {
		b, cut = b[len(b)-t.max:], true
	}
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	if cut {
		return "[… earlier output left out]\n" + s
	}
	return s
}
