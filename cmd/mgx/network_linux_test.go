package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// TestNetworkOfARun: the shell tool and the checks reach the hosts that a person
// allowed, and no others; what they asked for is recorded; a fork keeps the list.
func TestNetworkOfARun(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash, which can connect by itself, is not installed")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "from outside\n") }))
	t.Cleanup(s.Close)
	port := s.Listener.Addr().(*net.TCPAddr).Port
	host := fmt.Sprintf("localhost:%d", port)
	ask := func(to string) string {
		return fmt.Sprintf(`bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128; printf "GET http://%[1]s/ HTTP/1.0\r\n\r\n" >&3; cat <&3'`, to)
	}
	command, err := json.Marshal(ask(host) + "; " + ask("evil.test:80"))
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, strings.Replace(labScript, `"echo made >> made.txt; sh check.sh"`, string(command), 1))
	l.write("check.sh", ask(host)+" | grep -q outside\ntest \"$(sh greet.sh)\" = hello\n")
	l.git("commit", "-qam", "Check by the network")

	l.must("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--allow-host", host+"+private", "--allow-host", "*.other.test:443")
	run := l.latest()
	if want := []string{host + "+private", "*.other.test:443"}; !slices.Equal(run.Settings.AllowHosts, want) {
		t.Errorf("recorded: %q", run.Settings.AllowHosts)
	}
	var calls, checks int
	for line := range strings.Lines(l.must("events", "--run", string(run.ID), "--type", string(mgx.RunNetworkUsed), "--json")) {
		var e mgx.Event
		var d mgx.NetworkUsedData
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if err := e.Decode(&d); err != nil {
			t.Fatal(err)
		}
		want := []mgx.NetworkUse{{Host: "localhost", Port: port, Decision: "allowed", By: "list", Times: 1}}
		if d.Check != "" {
			checks++
		} else if len(d.Hosts) > 1 {
			calls++
			want = append(want, mgx.NetworkUse{Host: "evil.test", Port: 80, Decision: "refused", Reason: "not_listed", Times: 1})
		}
		for i := range d.Hosts {
			if d.Hosts[i].Decision == "allowed" && (d.Hosts[i].Sent == 0 || d.Hosts[i].Received == 0) {
				t.Errorf("no bytes: %+v", d)
			}
			d.Hosts[i].Sent, d.Hosts[i].Received = 0, 0
		}
		if !slices.Equal(d.Hosts, want) || (d.Check == "") == (d.CallID == "") {
			t.Errorf("%+v", d)
		}
	}
	if calls != 1 || checks < 2 {
		t.Errorf("%d calls and %d checks told of the network", calls, checks)
	}
	for _, e := range l.eventsOf(l.store(), run, string(mgx.ToolReturned)) { // the checks reached the host before any call
		if d := decoded[mgx.ToolResultData](t, e); !slices.Contains(d.Label.Sources, "web:localhost") {
			t.Errorf("%s has the label %+v", d.Name, *d.Label)
		}
	}
	if out := l.must("events", "--run", string(run.ID), "--json"); !strings.Contains(out, "a person can allow it with --allow-host evil.test:80.") {
		t.Error("the agent was not told how the host can be allowed")
	}
	l.must("fork", string(run.ID), "--at", "5")
	if fork := l.latest(); fork.ID == run.ID || !slices.Equal(fork.Settings.AllowHosts, run.Settings.AllowHosts) {
		t.Errorf("the fork has %q", fork.Settings.AllowHosts)
	}
	if _, errs, code := l.run("run", "say hello", "--model", "openai/lab", "--sandbox", "off", "--allow-host", host+"+private"); code != 3 || !strings.Contains(errs, "level off has none") {
		t.Errorf("without a sandbox: %d, %s", code, errs)
	}
}

// latest is the run that was started last.
func (l *lab) latest() mgx.Run {
	l.t.Helper()
	runs, err := l.store().Runs(l.t.Context(), store.RunQuery{Workspace: mgx.DefaultWorkspace, Limit: 1})
	if err != nil || len(runs) == 0 {
		l.t.Fatalf("%d runs, %v", len(runs), err)
	}
	return runs[0]
}
