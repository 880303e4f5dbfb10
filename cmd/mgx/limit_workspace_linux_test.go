package main

import (
	"strings"
	"testing"

	"mgx"
	"mgx/internal/llm/llmtest"
	"mgx/internal/sandbox"
)

// TestLimitsOfAWorkspace has who runs the installation lower limits of one workspace,
// and a limit that is below the quota already. A run there comes to one: its agent is
// told that it is the quota, and so is the operator. In another workspace the same
// commands reach nothing.
func TestLimitsOfAWorkspace(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.env = append(l.env, "MGX_SANDBOX_LIMITS=open-files=64")
	l.implements(llmtest.Turn{Calls: []llmtest.Call{
		shell("head -c 9000000 /dev/zero >made"), shell("rm made"), shell("cd /tmp; ulimit -n"), shell("echo the run goes on"),
	}})
	task := []string{"run", "say hello", "--model", "openai/lab", "--check", "sh check.sh"}
	ws := string(mgx.DefaultWorkspace)
	out := l.must("workspaces", "quota", ws, "sandbox_file_size=4MB", "sandbox_open_files=4096", "sandbox_cpu_time=10m")
	for _, line := range []string{"sandbox_file_size      each run of 4194304", "sandbox_cpu_time       each run of 10m0s", "sandbox_memory         each run of none"} {
		if !strings.Contains(out, line) {
			t.Errorf("it is not shown that %s:\n%s", line, out)
		}
	}
	for _, bad := range []string{"sandbox_memory=none4", "sandbox_gold=1", "sandbox_memory=1", "sandbox_cpus=0"} {
		if _, errs, code := l.run("workspaces", "quota", ws, bad); code != 2 || !strings.Contains(errs, strings.Split(bad, "=")[0]) {
			t.Errorf("%s: exit %d, %s", bad, code, errs)
		}
	}
	if _, errs, code := l.run(task...); code != 0 {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	run := l.latest()
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

	other := strings.TrimSpace(l.must("workspaces", "create", "small"))
	l.must("workspaces", "quota", other, "sandbox_file_size=4MB")
	l.must("workspaces", "quota", ws, "sandbox_file_size=none")
	if _, errs, code := l.run(task...); code != 0 {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	if all := l.eventsOf(l.store(), l.latest(), string(mgx.RunLimitReached)); len(all) > 0 || l.latest().ID == run.ID {
		t.Errorf("the quota of another workspace bounds this one: %+v", all)
	}
}
