package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"mgx"
)

// askedHost is public by its name; the site's own proxy, played by the test, leads
// there.
const askedHost = "registry.test:80"

// fetch asks the gate for a host, as a program that knows proxies would.
func fetch(host string) string {
	return fmt.Sprintf(`bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128 && printf "GET http://%[1]s/ HTTP/1.0\r\n\r\n" >&3 && cat <&3'`, host)
}

// asking is a call of the shell tool that asks for hosts.
func asking(command string, hosts ...string) string {
	args, err := json.Marshal(map[string]any{"command": command, "hosts": hosts})
	if err != nil {
		panic(err)
	}
	return `{"calls": [{"name": "shell", "args": ` + string(args) + `}]}`
}

// siteProxy has mgx go out by a proxy of its site, and tells what was asked of that.
func siteProxy(t *testing.T, l *lab) (asked func() []string) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash, which can connect by itself, is not installed")
	}
	var mu sync.Mutex
	var all []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, r.Host)
		io.WriteString(w, "from outside\n")
	}))
	t.Cleanup(s.Close)
	l.env = append(l.env, "HTTP_PROXY="+s.URL, "NO_PROXY=127.0.0.1,localhost")
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// outputs are the results of a run's calls of the shell tool, as "status: text".
func (l *lab) outputs(run mgx.Run) (out []string) {
	l.t.Helper()
	for _, e := range l.eventsOf(l.store(), run, string(mgx.ToolReturned)) {
		var d mgx.ToolResultData
		if err := e.Decode(&d); err != nil {
			l.t.Fatal(err)
		}
		if d.Name == "shell" {
			out = append(out, d.Status+": "+d.Output)
		}
	}
	return out
}

// TestHostsOfOneCommand has an agent ask for a host: killed while it waits, approved
// for the rest, with another command, without, and for what nobody may allow.
func TestHostsOfOneCommand(t *testing.T) {
	t.Parallel()
	turns := []string{
		asking(fetch(askedHost)+"; "+fetch("evil.test:80"), askedHost),
		asking(fetch(askedHost)+"; "+fetch("evil.test:80"), askedHost),
		asking(fetch(askedHost), askedHost),
		asking(fetch(askedHost)+"; "+fetch("evil.test:80"), askedHost, "evil.test:80"),
		asking("cat </dev/tcp/127.0.0.1/3128"),
		asking("echo ran", "10.0.0.1:80"), asking("echo ran", "*.registry.test:80"), asking("echo ran", "169.254.169.254:80"),
		asking("echo ran", askedHost+"+private"), asking("echo ran", "metadata.google.internal:80"),
	}
	l := newLab(t, `{"models": ["lab"], "roles": {
  "triage": [{"calls": [{"name": "finish", "args": {"kind": "change", "type": "code_generation", "size": "S", "title": "Say hello"}}]}],
  "implementer": [`+strings.Join(turns, ",\n")+`,
   {"calls": [{"name": "finish", "args": {"status": "impossible", "subject": "", "body": "", "summary": "That is all."}}]}]}}`)
	asked := siteProxy(t, l)
	waits := func(_ int, e mgx.Event) bool { return e.Type == mgx.ApprovalRequested }
	if _, killed := l.killAt(waits, "run", "say hello", "--model", "openai/lab", "--check", "sh check.sh"); !killed {
		t.Fatal("nothing was asked")
	}
	if got := asked(); got != nil {
		t.Fatalf("reached before anybody was asked: %q", got)
	}
	s := l.store()
	id := string(l.only(s).ID)
	resume := func(args ...string) {
		t.Helper()
		if args != nil {
			l.must(append([]string{"approve", id}, args...)...)
		}
		if _, stderr, code := l.run("resume", id); code != 6 {
			t.Fatalf("resume: exit %d\n%s", code, stderr)
		}
	}
	resume()
	first := l.waits(s, "call shell: bash")
	if !slices.Equal(first.Call.Hosts, []string{askedHost}) || !strings.Contains(first.Call.Arguments, "evil.test") || !strings.Contains(first.Call.Rest, askedHost) {
		t.Errorf("a person is shown %+v", first.Call)
	}
	if shown := l.must("show", id); !strings.Contains(shown, "reaches     "+askedHost) {
		t.Errorf("the host is not shown:\n%s", shown)
	}
	resume("--rest") // and the same again is not asked about
	if got := asked(); !slices.Equal(got, []string{"registry.test", "registry.test"}) {
		t.Errorf("two approved commands asked the proxy for %q", got)
	}
	l.waits(s, "call shell: bash")
	resume("--reject", "not that one")
	second := l.waits(s, "call shell: bash")
	if len(second.Call.Hosts) != 2 {
		t.Errorf("with another host a person is asked about %q", second.Call.Hosts)
	}
	resume([]string{}...) // approves just that
	if run, got := l.only(s), asked(); run.Status != mgx.RunRefused || !slices.Equal(got[2:], []string{"registry.test", "evil.test"}) {
		t.Errorf("the run is %s, and the proxy was asked for %q", run.Status, got)
	}
	want := []string{
		"from outside", "from outside", "denied: Refused by a person: not that one", "from outside", "error: ",
		"denied: Refused by the policy of this run: 10.0.0.1:80 cannot be asked for", "denied: Refused by the policy of this run: *.registry.test:80 cannot be asked for",
		"denied: Refused by the policy of this run: 169.254.169.254:80", "only public hosts can be", "a private network",
	}
	outputs := l.outputs(l.only(s))
	if len(outputs) != len(want) {
		t.Fatalf("%d results: %q", len(outputs), outputs)
	}
	for i, o := range outputs {
		if !strings.Contains(o, want[i]) || strings.Contains(o, "success: ran") {
			t.Errorf("result %d: %s\nwant %s", i, o, want[i])
		}
	}
	events := l.eventsOf(s, l.only(s), string(mgx.RunNetworkUsed))
	if len(events) != 3 {
		t.Fatalf("%d commands used the network, want 3", len(events))
	}
	for i, e := range events {
		var d mgx.NetworkUsedData
		if err := e.Decode(&d); err != nil {
			t.Fatal(err)
		}
		for i := range d.Hosts {
			d.Hosts[i].Sent, d.Hosts[i].Received = 0, 0
		}
		want := []mgx.NetworkUse{
			{Host: "registry.test", Port: 80, Decision: "allowed", By: first.ID, Times: 1},
			{Host: "evil.test", Port: 80, Decision: "refused", Reason: "not_listed", Times: 1},
		}
		if i == 2 {
			want = []mgx.NetworkUse{
				{Host: "registry.test", Port: 80, Decision: "allowed", By: second.ID, Times: 1},
				{Host: "evil.test", Port: 80, Decision: "allowed", By: second.ID, Times: 1},
			}
		}
		if !slices.Equal(d.Hosts, want) {
			t.Errorf("the event says %+v", d.Hosts)
		}
	}
	l.must("replay", id)
}

// TestHostsWhereNobodyAllowsThem: nothing runs where nobody can be asked, and where
// there are no walls to lead through.
func TestHostsWhereNobodyAllowsThem(t *testing.T) {
	t.Parallel()
	l := newLab(t, `{"models": ["lab"], "roles": {
  "triage": [{"calls": [{"name": "finish", "args": {"kind": "change", "type": "code_generation", "size": "S", "title": "Say hello"}}]}],
  "implementer": [`+asking("echo r''an; "+fetch(askedHost), askedHost)+`,
   {"calls": [{"name": "finish", "args": {"status": "impossible", "subject": "", "body": "", "summary": "That is all."}}]}]}}`)
	asked := siteProxy(t, l)
	for _, c := range []struct {
		args []string
		code int
		why  string
	}{
		{[]string{"--approve", "never"}, 6, "nobody can be asked in this run"},
		{[]string{"--approve", "auto"}, 6, "nobody can be asked in this run"},
		{[]string{"--policy", "never"}, 6, "this policy asks nobody"},
		{[]string{"--sandbox", "off"}, 1, "this run has level off"},
		{[]string{"--allow-host", "other.test:80", "--approve", "never"}, 6, "nobody can be asked in this run"},
	} {
		_, stderr, code := l.run(append([]string{"run", "say hello", "--model", "openai/lab", "--check", "sh check.sh"}, c.args...)...)
		outputs := l.outputs(l.latest())
		if code != c.code || len(outputs) != 1 || !strings.HasPrefix(outputs[0], "denied: Refused") || !strings.Contains(outputs[0], c.why) || strings.Contains(outputs[0], "\nran") {
			t.Errorf("%q: exit %d, %q\n%s", c.args, code, outputs, stderr)
		}
	}
	if got := asked(); got != nil {
		t.Errorf("the proxy was asked for %q", got)
	}
	if _, stderr, code := l.run("run", "say hello", "--model", "openai/lab", "--check", "sh check.sh", "--allow-host", askedHost); code != 1 || len(asked()) != 1 {
		t.Errorf("a host of the run's own list: exit %d, the proxy was asked for %q\n%s", code, asked(), stderr)
	}
	if o := l.outputs(l.latest()); len(o) != 1 || !strings.Contains(o[0], "from outside") {
		t.Errorf("it says %q", o)
	}
}

// TestTheHostThatAFileCameFromIsKnown has a rule keep back what a host sent. The model
// fetches in the very turn with which it ends, so that it never reads that; or asks for so
// many hosts before that not all are told apart.
func TestTheHostThatAFileCameFromIsKnown(t *testing.T) {
	t.Parallel()
	const reads = `{"text": "And a file.", "calls": [{"name": "shell", "args": {"command": "echo made >> made.txt; sh check.sh"}}]}`
	const ends = `{"calls": [{"name": "update_plan", "args": {"steps": [{"text": "change greet.sh", "status": "done"}]}},`
	many := strings.Replace(strings.Replace(fetch("h$i.test:80"), `'`, `"`, 1), `printf "`, `printf \"`, 1)
	many = strings.Replace(strings.Replace(many, `\r\n\r\n"`, `\\r\\n\\r\\n\"`, 1), `<&3'`, `<&3"`, 1)
	for name, script := range map[string]string{
		"in the last turn": strings.Replace(labScript, ends, strings.TrimSuffix(asking(fetch(askedHost)+" > made.txt"), "]}")+",", 1),
		"among many":       strings.Replace(labScript, reads, asking("for i in $(seq 70); do "+many+" >/dev/null; done; "+fetch(askedHost)+" > made.txt"), 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, script)
			asked := siteProxy(t, l)
			rules := l.file("policy", "extend auto\ndeny effect deliver provenance web:registry.test because \"not from there\"\n")
			_, stderr, code := l.run(append(labRun, "--policy", rules, "--allow-host", askedHost)...)
			if got := asked(); !slices.Contains(got, "registry.test") {
				t.Fatalf("the proxy was asked for %q: %q", got, l.outputs(l.latest()))
			}
			if code != 6 || !strings.Contains(stderr, "not from there") {
				t.Errorf("exit %d\n%s", code, stderr)
			}
		})
	}
}
