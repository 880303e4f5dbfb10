package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
)

// spot is the data directory or a server: where a command line works.
type spot struct {
	l    *lab
	args []string
}

func (p spot) run(line string) (said string) {
	p.l.t.Helper()
	out, errs, code := p.l.run(append(strings.Fields(line), p.args...)...)
	return strings.Join([]string{"exit " + string(rune('0'+code%10)), "stdout:\n" + out, "stderr:\n" + errs}, "\n")
}

// changing are the parts of what commands say that differ from one call to the
// next: identifiers, secrets, and how long ago something was.
var changing = regexp.MustCompile(`(evt|whk|key|inv|ws)_[0-9A-Z]{26}|whsec_\S+|mgx[ik]?_\S+|"(id|key|secret|created_at|updated_at|expires_at)":"[^"]*"|` + age.String() + `|[0-9.]+ ?(µs|ms|s)\b|"(first_token|duration)_n?m?s":[0-9]+|"tokens_per_second":[0-9.e+]+|[0-9]+ tokens/s|last day: [0-9]+ calls|"calls":[0-9]+| +$`)

// where is what a place of work adds to hints.
var where = regexp.MustCompile(` --server http://\S+`)

func same(said string) string {
	said = strings.ReplaceAll(where.ReplaceAllString(said, ""), ":null", ":[]") // a list of nothing
	return changing.ReplaceAllString(said, "…")
}

// Each command says the same on the data directory and at a server that has it.
// What a server changes meanwhile, such as how far consumers are, is the same once
// it has come to rest.
func TestSameHereAndThere(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must("run", "say hello", "--model", "openai/lab", "--price", "3,15", "--budget", "10")
	l.must("budget", "set", "--limit", "100", "--soft", "50")
	l.must("webhooks", "add", "https://example.com/hook", "--type", "task.*", "--description", "the chat")
	l.must("webhooks", "disable", "whk")
	l.must("keys", "create", "ci", "--allow", "openai/*", "--budget", "3")
	l.must("project", "add", ".", "--name", "shop")
	l.must("project", "set", "policy", "ask")
	l.write("builder.cedar", "permit (principal, action, resource is Runs);\n")
	l.write("bad.cedar", "permit everything\n")
	server := l.serve("127.0.0.1:0", "--workers", "0")
	l.must("roles", "create", "builder", "--rules", "builder.cedar", "--description", "builds")
	for _, args := range [][]string{{"secrets", "set", "openai"}, {"secrets", "set", "openai", "--server", server.url}} {
		if out, errs, code := l.as(l.home, "sk-0123456789\n", args...); code != 0 || strings.Contains(out+errs, "sk-") {
			t.Fatalf("mgx %q: exit %d\n%s%s", args, code, out, errs)
		}
	}
	run := string(l.only(l.store()).ID)
	project := string(mgx.ProjectOf(l.repo))
	here, there := spot{l, nil}, spot{l, []string{"--server", server.url}}
	lines := `
whoami
members
members --json
members invitations
roles
roles list --json
roles create builder
roles create builder --rules nothing.cedar
roles create builder --rules builder.cedar --description builds
roles create admin --rules builder.cedar
roles create Builder --rules builder.cedar
roles show builder
roles show builder --json
roles show nobody
roles change builder
roles change builder --description built --json
roles change nobody --description x
roles change viewer --description x
roles change builder --rules bad.cedar
members role nobody builder
roles
workspaces
keys
keys list --json
keys revoke nothing
budget
budget --json
budget list --all
budget list --all --json
budget show ws_default
budget show ws_default --json
budget show nothing
budget set --limit 5 --period year
budget set --limit 5 --user a --task b
budget set --limit 7 --period day --threshold 30
budget set --limit 8 --soft 4 --period day
budget set --limit 9 --period day --json
budget set --limit 3 --run RUN --period absolute
budget rm day
usage
usage --json
usage --by role --format csv
usage --by call --format csv --run RUN
usage --by call --json --until 2020-01-01
usage --by user --key ci
usage --format xml
webhooks
webhooks --json
webhooks add http://example.com
webhooks rotate whk --revoke
webhooks enable nothing
webhooks deliveries whk
webhooks deliveries whk --json --failed
webhooks deliveries whk nothing
webhooks retry whk --dead
webhooks retry whk nothing
consumers
consumers --json
consumers dead metrics
consumers dead metrics --json
consumers dead nobody
consumers retry metrics
consumers retry metrics evt_1
consumers discard metrics evt_1
events --type task.* --json
events --run RUN
events --channel task:* --channel agent:* --json
events --channel planet:mars
runs
show RUN
show RUN --json
show RUN --routing
show RUN --security --json
show nothing
diff RUN
diff RUN --stat
approve RUN
cancel RUN
fork RUN
resume RUN
project list
project list --json
project --project PROJECT --json
project set policy nothing --project PROJECT
project set policy auto --project PROJECT
project unset mcp --project PROJECT
project rename shop store
project rename store shop
project remove nothing
secrets
secrets --json
secrets remove nothing
secrets rotate
audit
audit --action project.* --json
audit --action [
audit --denied
audit export --format csv
audit key
audit checkpoint
audit proof 1
audit verify
audit verify --json
`
	sameLines(t, here, there, lines, "RUN", run, "PROJECT", project)
	l.must("roles", "delete", "builder") // which is not twice
	l.must("roles", "create", "builder", "--rules", "builder.cedar", "--server", server.url)
	l.must("roles", "delete", "builder", "--server", server.url)
	server.end()
}

// sameLines runs command lines at two places, and fails where they do not come to the
// same.
func sameLines(t *testing.T, here, there spot, lines string, names ...string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		line = strings.NewReplacer(names...).Replace(line)
		var a, b string
		for end := time.Now().Add(time.Minute); ; {
			if a, b = same(here.run(line)), same(there.run(line)); a == b || time.Now().After(end) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if a != b {
			t.Errorf("mgx %s\non the data directory: %s\nat the server: %s", line, a, b)
		}
	}
}

// What looks at a run again, at policies and at models says the same at a server,
// too.
func TestSameLooksHereAndThere(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must("run", "say hello", "--model", "openai/lab", "--price", "3,15")
	l.write("calls.jsonl", `{"tool": "shell", "arguments": {"command": "git push"}, "expect": "deny"}

{"tool": "mcp__forge__comment", "effect": "write", "outside": true, "label": {"untrusted": true, "confidentiality": "private"}, "expect": "ask"}
{"tool": "read", "arguments": {"path": 7}}
`)
	l.write("bad.jsonl", "{\"tool\": \"shell\"}\n\n{\"tool\": \"frobnicate\"}\n")
	l.write("own.policy", "extend auto\ndeny path secrets/** because \"not yours\"\nallow path docs/**\n")
	server := l.serve("127.0.0.1:0", "--workers", "0")
	sameLines(t, spot{l, nil}, spot{l, []string{"--server", server.url}}, `
policy
policy --json
policy show ask
policy show ask --json
policy show own.policy --json
policy show nothing
policy test calls.jsonl
policy test calls.jsonl --json --policy own.policy
policy test bad.jsonl
policy test calls.jsonl --policy calls.jsonl
policy test --run RUN
policy test --run RUN --policy own.policy --json
policy test --run nothing
replay RUN
replay RUN --json
replay nothing
models
models --json
models test openai/lab
models test auto --json
models test nobody/lab
`, "RUN", string(l.only(l.store()).ID))
	usage := l.must("usage", "--by", "call", "--json", "--server", server.url)
	if n := strings.Count(usage, `"role":"test"`); n < 2 { // also those that are tried again until both say the same
		t.Errorf("%d of the calls at the server are in the ledger:\n%s", n, usage)
	}
	server.end()
}

// The environment names a server as the flag does, for the commands that work
// there; others are about this machine, and say so to who names one.
func TestWhereACommandWorks(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	for _, line := range []string{"serve", "backup x", "doctor", "demo", "sandbox run -- true", "config", "version", "verify", "models prices", "secrets rekey"} {
		out, errs, code := l.run(append(strings.Fields("--server http://127.0.0.1:1"), strings.Fields(line)...)...)
		if code != 2 || out != "" || !strings.Contains(errs, "is about this machine") {
			t.Errorf("mgx %s: exit %d\n%s%s", line, code, out, errs)
		}
	}
	if _, errs, code := l.run("webhooks", "add", "https://example.com", "--webhook-allow", "10.0.0.0/8", "--server", "http://127.0.0.1:1"); code != 2 || !strings.Contains(errs, "--webhook-allow is about this machine") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	l.env = append(l.env, "MGX_SERVER=http://127.0.0.1:1")
	for line, want := range map[string]int{"budget": 3, "version": 0, "config": 0} {
		if out, errs, code := l.run(line); code != want {
			t.Errorf("mgx %s: exit %d\n%s%s", line, code, out, errs)
		}
	}
	l.env = append(l.env, "MGX_SERVER=", "MGX_WORKSPACE=ws_nowhere")
	if _, errs, code := l.run("budget"); code != 2 || !strings.Contains(errs, "there is no workspace ws_nowhere") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

// A server that is not what it should be does not get to the terminal: whatever
// text is in its answers, with control sequences in all of them.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.must("run", "say hello", "--model", "openai/lab")
	l.must("webhooks", "add", "https://example.com/hook", "--description", "the chat")
	l.must("webhooks", "disable", "whk")
	l.must("keys", "create", "ci")
	l.must("project", "add", ".")
	server := l.serve("127.0.0.1:0", "--workers", "0")
	target, err := url.Parse(server.url)
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`"([^"\\]*)"(,|\}|\]|$)`) // values, and no names of fields
	var only atomic.Pointer[regexp.Regexp]
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = target.Host
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(r *http.Response) error { return poison(r, word, only.Load()) },
	}
	web := httptest.NewServer(proxy)
	defer web.Close()
	token, err := os.ReadFile(filepath.Join(l.data(), "token"))
	if err != nil {
		t.Fatal(err)
	}
	there := []string{"--server", web.URL, "--token", strings.TrimSpace(string(token))}
	run := string(l.only(l.store()).ID)
	for _, line := range hostileLines {
		for _, part := range []*regexp.Regexp{nil, regexp.MustCompile(`"(name|description|url|last_error|email|detail|text|title)":$`)} {
			only.Store(part)
			out, errs, _ := l.run(append(strings.Fields(strings.ReplaceAll(line, "RUN", run)), there...)...)
			if strings.ContainsAny(out+errs, "\x1b\u009b\x07\u202e") {
				t.Errorf("mgx %s says %q %q", line, out, errs)
			}
		}
	}
	server.end()
}

var hostileLines = []string{
	"whoami", "members", "roles", "roles show admin", "workspaces", "keys", "budget list --all", "budget show run_", "usage --by call", "usage --by call --format csv",
	"webhooks", "webhooks test whk", "consumers", "consumers dead nobody", "events", "events --json", "budget set --limit 3",
	"runs", "runs --json", "approvals", "executions", "executions show exec", "tasks", "tasks show task", "show RUN", "show RUN --json", "show RUN --security", "diff RUN", "diff RUN --stat", "project list", "secrets", "audit", "audit export --format csv", "audit verify", "policy", "policy show ask", "policy test --run RUN", "policy test --run RUN --json", "replay RUN", "models", "models --json", "models test openai/lab",
}

// poison puts control sequences into the text of an answer: into all of it, or
// only where what is before it matches.
func poison(r *http.Response, word, only *regexp.Regexp) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var out []byte
	at := 0
	for _, m := range word.FindAllSubmatchIndex(body, -1) {
		if out = append(out, body[at:m[3]]...); only == nil || only.Match(body[max(0, m[2]-40):m[0]]) {
			out = append(out, `\u001b]0;owned\u0007\u009b2J\u202e`...)
		}
		at = m[3]
	}
	out = append(out, body[at:]...)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(out)), int64(len(out))
	r.Header.Set("Content-Length", strconv.Itoa(len(out)))
	return nil
}
