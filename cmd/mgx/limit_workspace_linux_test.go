package main

import (
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm/llmtest"
	"mgx/internal/sandbox"
)

// TestLimitsOfAWorkspace has who runs the installation lower limits of two workspaces,
// and a limit that is below its quota already. In each a run is at work at the same
// time, on one server, in the same commands. One comes to a limit: its agent is told
// that it is the quota, and so is the operator. The other notices nothing of that, and
// has its own.
func TestLimitsOfAWorkspace(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.implements(llmtest.Turn{Calls: []llmtest.Call{
		holding("head -c 9000000 /dev/zero >made"), shell("rm made"), shell("cd /tmp; ulimit -n"), shell("echo the run goes on"),
	}})
	ws, other := string(mgx.DefaultWorkspace), strings.TrimSpace(l.must("workspaces", "create", "other"))
	l.lowers(ws)
	l.must("workspaces", "quota", other, "sandbox_open_files=32")
	theirs := l.file("models.json", `{"workspaces": {"`+other+`": {"providers": {"theirs": {"dialect": "openai", "base_url": "`+l.base()+`", "key_env": "OPENAI_API_KEY", "local": true}}}}}`)
	l.env = append(l.env, "MGX_SANDBOX_LIMITS=open-files=64", "MGX_MODELS_FILE="+theirs)
	server := l.serve("127.0.0.1:0", "--workers", "2")
	begin := func(ws, model string) (release func(), ended <-chan mgx.Run) {
		return l.held(mgx.WorkspaceID(ws), "run", "say hello", "--check", "sh check.sh", "--approve", "auto", "--upload", "--server", server.url, "--workspace", ws, "--model", model, "--branch", "of-"+ws) // both come back to one repository
	}
	let, one := begin(ws, "openai/lab")
	letOther, two := begin(other, "theirs/lab")
	letOther()
	let()
	run, neighbour := <-one, <-two

	reached := l.eventsOf(l.store(), run, string(mgx.RunLimitReached))
	var d mgx.LimitReachedData
	if len(reached) != 1 || reached[0].Decode(&d) != nil || d.Limit != string(sandbox.LimitFileSize) || d.Setting != "file-size=4MB" || d.Quota != mgx.QuotaFileSize {
		t.Errorf("the operator is told %+v", reached)
	}
	said := strings.Join(l.outputs(run), "\n")
	for _, words := range []string{"The limit on the size of a file (file-size=4MB, as the quota sandbox_file_size of the workspace has it) was reached: ", "64\n", "the run goes on"} {
		if !strings.Contains(said, words) {
			t.Errorf("the agent is not told %q: %s", words, said)
		}
	}
	if all := l.eventsOf(l.store(), neighbour, string(mgx.RunLimitReached)); len(all) > 0 {
		t.Errorf("the quota of another workspace bounds this one: %+v", all)
	}
	if said := strings.Join(l.outputs(neighbour), "\n"); strings.Contains(said, "The limit on") || !strings.Contains(said, "32\n") {
		t.Errorf("the neighbour's agent is told: %s", said)
	}
}

// lowers sets quotas of a workspace, and is refused what are none.
func (l *lab) lowers(ws string) {
	l.t.Helper()
	out := l.must("workspaces", "quota", ws, "sandbox_file_size=4MB", "sandbox_open_files=4096", "sandbox_cpu_time=10m")
	for _, line := range []string{"sandbox_file_size      each run of 4MB", "sandbox_cpu_time       each run of 10m0s", "sandbox_memory         each run no limit"} {
		if !strings.Contains(out, line) {
			l.t.Errorf("it is not shown that %s:\n%s", line, out)
		}
	}
	for _, bad := range []string{"sandbox_memory=none4", "sandbox_gold=1", "sandbox_memory=1", "sandbox_cpus=0"} {
		if _, errs, code := l.run("workspaces", "quota", ws, bad); code != 2 || !strings.Contains(errs, strings.Split(bad, "=")[0]) {
			l.t.Errorf("%s: exit %d, %s", bad, code, errs)
		}
	}
}
