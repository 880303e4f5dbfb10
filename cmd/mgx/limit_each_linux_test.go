package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
	"mgx/internal/sandbox"
)

// limited is a command that reaches a limit, and what has to be told of it.
type limited struct {
	limit   sandbox.Limit
	setting string
	says    string // to the agent
	told    bool   // by the command itself
	args    map[string]any
}

// smallLimits can each be reached in a moment, and leave room for git and the checks.
const smallLimits = "memory=128MB,processes=48,cpu-time=1s,file-size=4MB,open-files=64,tmp=8MB,disk=64MB,files=4000"

func everyLimit() []limited {
	does := func(command string) map[string]any { return map[string]any{"command": command, "timeout": 600} }
	return []limited{
		{sandbox.LimitMemory, "memory=128MB", "memory", false, does("head -c 300000000 /dev/zero | tail -c 299999999 >/dev/null")},
		{sandbox.LimitProcesses, "processes=48", "processes", false, does("sh -c 'i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done'")},
		{sandbox.LimitCPU, "cpu-time=1s", "processor time", false, does("while :; do :; done")},
		{sandbox.LimitFileSize, "file-size=4MB", "the size of a file", false, does("head -c 9000000 /dev/zero >made")},
		{sandbox.LimitFileSize, "file-size=4MB", "the size of a file", true, does("head -c 9000000 /dev/zero | tee made >/dev/null; true")},
		{sandbox.LimitOpenFiles, "open-files=64", "open files", true, does("cd /tmp; tee $(seq 100) </dev/null")},
		{sandbox.LimitTmp, "tmp=8MB", "temporary files", false, does("for i in 1 2 3; do head -c 3000000 /dev/zero >/tmp/$i; done; true")},
		{sandbox.LimitDisk, "disk=64MB", "disk space", false, does("i=0; while :; do i=$((i+1)); head -c 1000000 /dev/zero >made$i; done")},
		{"", "", "", false, does("rm made*")},
		{sandbox.LimitFiles, "files=4000", "the number of files", false, does("seq -f made%g 5000 | xargs -n 500 touch; sleep 60")},
		{"", "", "", false, does("find . -name 'made*' -delete")},
		{sandbox.LimitOutput, "", "output", false, does("yes $(seq 200) | head -c 53000000")},
		{sandbox.LimitTime, "", "", false, map[string]any{"command": "sleep 1000", "timeout": 1}},
		{"", "", "", false, does("sh check.sh || echo fine")},
	}
}

// TestEachLimitOfARun has one agent reach every limit that there is, by the shell
// tool, while the agent of another run waits in a command under the same limits. The
// first is told each time which limit it was, what that is and who sets it, and so is
// the operator; the other notices nothing.
func TestEachLimitOfARun(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.env = append(l.env, "MGX_SANDBOX_LIMITS="+smallLimits)
	script, err := llmtest.ParseScript([]byte(labScript))
	if err != nil {
		t.Fatal(err)
	}
	script.Roles["reviewer"] = script.Roles["reviewer"][1:]
	rest := []llmtest.Turn{{Calls: honest}, {Calls: []llmtest.Call{ends("Say hello", "Because.", "It says hello.")}}}
	for _, c := range everyLimit() {
		script.Roles["reaching"] = append(script.Roles["reaching"], llmtest.Turn{Calls: []llmtest.Call{toolCall("shell", c.args)}})
	}
	script.Roles["reaching"] = append(script.Roles["reaching"], rest...)
	script.Roles["implementer"] = append([]llmtest.Turn{{Calls: []llmtest.Call{holding("true")}}}, rest...)
	l.server.Use(reaching{llmtest.NewScripted(script)})

	release, ended := l.held(mgx.DefaultWorkspace, labRun...)
	_, stderr, code := l.run("run", "say hello at every limit", "--model", "openai/lab", "--check", "sh check.sh")
	run := l.latest()
	release()
	neighbour := <-ended
	if code != 0 {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	l.heldToEach(run)
	if neighbour.Status != mgx.RunDone {
		t.Errorf("the neighbour is %s", neighbour.Status)
	}
	for _, e := range l.eventsOf(l.store(), neighbour, string(mgx.RunLimitReached)) {
		t.Errorf("the neighbour came to a limit: %s", e.Data)
	}
	for _, o := range l.outputs(neighbour) {
		if !strings.HasPrefix(o, "success: ") {
			t.Errorf("the neighbour's command: %s", o)
		}
	}
}

// reaching is a model whose implementer has a role of its own in the run that comes to
// every limit.
type reaching struct{ llm.Provider }

func (r reaching) Stream(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	own := *req
	if req.AgentRole == "implementer" && strings.Contains(req.Messages[0].Parts[0].Text, "at every limit") {
		own.AgentRole = "reaching"
	}
	return r.Provider.Stream(ctx, &own)
}

// holding is a command that waits until it is released, and then goes on.
func holding(then string) llmtest.Call {
	return toolCall("shell", map[string]any{"command": "until test -p hold; do sleep 0.05; done; cat hold; rm hold; " + then, "timeout": 600})
}

// held starts a run and returns when its command that is holding is under way, which
// lasts until it is released.
func (l *lab) held(ws mgx.WorkspaceID, args ...string) (release func(), ended <-chan mgx.Run) {
	l.t.Helper()
	begun, over := make(chan *os.File, 1), make(chan mgx.Run, 1)
	go func() {
		defer close(over)
		var id mgx.RunID
		_, _, code, stderr := l.follow(func(_ int, e mgx.Event) bool {
			if e.Type == mgx.ToolCalled && strings.Contains(string(e.Data), "hold") {
				id = e.Run
				hold := filepath.Join(l.home, ".local/share/mgx/runs", string(e.Run), "work/hold")
				if err := syscall.Mkfifo(hold, 0o600); err != nil {
					l.t.Error(err)
				}
				w, err := os.OpenFile(hold, os.O_WRONLY, 0) // once the command reads
				if err != nil {
					l.t.Error(err)
				}
				begun <- w
			}
			return false
		}, args...)
		if code != 0 {
			l.t.Errorf("mgx %q: exit %d\n%s", args, code, stderr)
		}
		run, err := l.store().FindRun(l.t.Context(), ws, string(id))
		if err != nil {
			l.t.Error(err)
		}
		over <- run
	}()
	select {
	case w := <-begun:
		return func() { w.Close() }, over
	case <-over:
		l.t.Fatalf("mgx %q did not come to its command", args)
		return nil, nil
	}
}

// heldToEach holds what was told against everyLimit.
func (l *lab) heldToEach(run mgx.Run) {
	l.t.Helper()
	s := l.store()
	told := map[string]mgx.LimitReachedData{}
	for _, e := range l.eventsOf(s, run, string(mgx.RunLimitReached)) {
		var d mgx.LimitReachedData
		if err := e.Decode(&d); err != nil {
			l.t.Fatal(err)
		}
		if _, twice := told[d.CallID]; twice || d.CallID == "" || d.Sandbox != string(run.ID) {
			l.t.Errorf("%+v", d)
		}
		told[d.CallID] = d
	}
	calls := everyLimit()
	full := false
	for _, e := range l.eventsOf(s, run, string(mgx.ToolCalled), string(mgx.ToolReturned)) {
		var called mgx.ToolCallData
		if err := e.Decode(&called); err != nil {
			l.t.Fatal(err)
		}
		if e.Type == mgx.ToolCalled {
			full = sandbox.Level(called.SandboxLevel).AtLeast(sandbox.LevelFull)
			continue
		}
		var d mgx.ToolResultData
		if err := e.Decode(&d); err != nil {
			l.t.Fatal(err)
		}
		if d.Name != "shell" || len(calls) == 0 {
			continue
		}
		want := calls[0]
		calls = calls[1:]
		switch {
		case want.limit == sandbox.LimitMemory && !full: // nobody bounds it
			want = limited{}
		case want.limit == sandbox.LimitProcesses:
			want.told = !full
		}
		got := told[d.CallID]
		delete(told, d.CallID)
		if got.Limit != string(want.limit) || got.Setting != want.setting || got.Told != want.told {
			l.t.Errorf("%v: the operator is told %+v", want.args, got)
		}
		switch sentence := "The limit on " + want.says; {
		case want.limit == sandbox.LimitTime:
			sentence = "[timed out after 1s: "
			fallthrough
		case want.limit != "":
			if want.setting != "" {
				sentence += " (" + want.setting + ", as the operator's setting sandbox-limits has it) was reached: "
			}
			if strings.Count(d.Output, sentence) != 1 {
				l.t.Errorf("%v: the agent is told %q", want.args, d.Output[max(0, len(d.Output)-500):])
			}
		case d.Status != "success" || strings.Contains(d.Output, "The limit on"):
			l.t.Errorf("%v: %s, %q", want.args, d.Status, d.Output)
		}
	}
	if len(calls) > 0 || len(told) > 0 {
		l.t.Errorf("%d commands did not run; events of no command: %+v", len(calls), told)
	}
}

// TestWhatARunKeepsIsBounded has an agent write another large file over the same one
// again and again. Each is kept, for the run may be taken up from there, and all of
// them count: when there is no more room, the agent is told, its files are as before,
// and the work goes on.
func TestWhatARunKeepsIsBounded(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.env = append(l.env, "MGX_SANDBOX_LIMITS=disk=64MB")
	script, err := llmtest.ParseScript([]byte(labScript))
	if err != nil {
		t.Fatal(err)
	}
	calls := []string{"head -c 90000000 /dev/urandom >big; echo 0 >>count"} // too much alone
	for i := range 6 {
		calls = append(calls, fmt.Sprintf("head -c 12000000 /dev/urandom >big; echo %d >>count", i+1))
	}
	var turns []llmtest.Turn
	for _, c := range calls {
		turns = append(turns, llmtest.Turn{Calls: []llmtest.Call{shell("%s", c)}})
	}
	script.Roles["implementer"] = append(turns,
		llmtest.Turn{Calls: append([]llmtest.Call{shell("echo counted $(cat count).; rm big count")}, honest...)},
		llmtest.Turn{Calls: []llmtest.Call{ends("Say hello", "Because.", "It says hello.")}})
	l.server.Use(llmtest.NewScripted(script))
	if _, stderr, code := l.run(labRun...); code != 0 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	run := l.latest()
	out := l.outputs(run)
	_, after, ok := strings.Cut(strings.Join(out, "\n"), "counted ")
	if !ok || len(out) < len(calls) {
		t.Fatalf("%q", out)
	}
	list, _, _ := strings.Cut(after, ".")
	counted := strings.Fields(list)
	told, undone := 0, 0
	for i, o := range out[:len(calls)] {
		limit := strings.Count(o, "The limit on disk space (disk=64MB")
		back := strings.Contains(o, "all files are as they were before it")
		told += limit
		switch c := slices.Contains(counted, fmt.Sprint(i)); {
		case limit > 1, c && back, !c && limit == 0: // what is stopped where there is still room may have counted, or not
			t.Errorf("call %d counted: %v, told %q", i, c, o)
		case back:
			undone++
		}
	}
	if events := len(l.eventsOf(l.store(), run, string(mgx.RunLimitReached))); undone == 0 || told < 2 || told != events {
		t.Errorf("the agent was told %d times, the operator %d times; %d calls were undone", told, events, undone)
	}
	kept := int64(0)
	err = filepath.WalkDir(filepath.Join(l.home, ".local/share/mgx/runs", string(run.ID), "git"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, e := d.Info()
			kept, err = kept+info.Size(), e
		}
		return err
	})
	if err != nil || kept > 100<<20 {
		t.Errorf("%d bytes are kept, %v", kept, err)
	}
}
