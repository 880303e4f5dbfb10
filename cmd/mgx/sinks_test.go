package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The secret of these tests needs escaping nearly everywhere. It is made of two,
// so that this file does not hold it.
var sinkSecret = "s3cr3t/\"&<" + "canary>+%4f"

// spellings are how it could be written anywhere.
func spellings(secret string) map[string]string {
	quoted, _ := json.Marshal(secret)
	inner := string(quoted[1 : len(quoted)-1])
	twice, _ := json.Marshal(inner)
	plain := strings.ReplaceAll(strings.ReplaceAll(secret, `\`, `\\`), `"`, `\"`)
	return map[string]string{
		"plain": secret, "JSON": inner, "JSON twice": string(twice[1 : len(twice)-1]), "JSON for people": plain,
		"query": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"base64": base64.RawStdEncoding.EncodeToString([]byte(secret)), "hex": hex.EncodeToString([]byte(secret)),
	}
}

// TestASecretReachesNoSink has a run whose program prints a secret of the
// environment, in every spelling and in a flood, whose model repeats it, and whose
// check and task hold it; then it looks for the secret in all that mgx has kept,
// shown and sent.
func TestASecretReachesNoSink(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.env = append(g.env, "SERVICE_TOKEN="+sinkSecret)
	g.write("service.conf", "token = "+sinkSecret+"\n"+strings.Repeat("x", 1990)+sinkSecret+"\n")
	g.write("check.sh", "cat service.conf; test \"$(sh greet.sh)\" = hello\n")
	var forms strings.Builder
	for _, s := range spellings(sinkSecret) {
		forms.WriteString("a " + s + " b\n")
	}
	g.write("forms.txt", forms.String())
	g.write("AGENTS.md", "Use the token "+sinkSecret+".\n")
	g.obeys("implementer",
		shell("cat service.conf forms.txt"),
		shell("printf 'tok\\033[0men = '; head -1 service.conf | sed 's/canary/can\\o33[1mary/'"),
		shell("for i in $(seq 3000); do cat forms.txt; done"),
		toolCall("read", map[string]any{"path": "service.conf"}),
		toolCall("grep", map[string]any{"pattern": "token", "path": "."}),
		toolCall("edit", map[string]any{"path": "service.conf", "old_string": "no such line", "new_string": "x"}),
		toolCall("note", map[string]any{"text": "the token is " + sinkSecret}),
		toolCall("write", map[string]any{"path": "made.txt", "content": "made\n"}),
		honest[0],
		ends("Say hello "+sinkSecret, "Uses "+sinkSecret, "The token is "+sinkSecret),
	)
	var sent said
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(&sent, r.Body) }))
	defer web.Close()
	hook := g.must("webhooks", "add", web.URL, "--webhook-allow", "127.0.0.0/8", "--json")
	tape := filepath.Join(t.TempDir(), "tape")
	stdout, stderr, code := g.try("--record", tape, "--log-level", "debug", "--log-format", "json", "--check", "sh check.sh "+url.QueryEscape(sinkSecret))
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	run := string(g.only(g.store()).ID)
	server := g.serve("127.0.0.1:0", "--webhook-allow", "127.0.0.0/8", "--log-level", "debug")
	for id, s := hookID(t, hook), g.store(); !deliveredAll(t, s, id); time.Sleep(20 * time.Millisecond) {
		// until it comes: the test's own time is the limit
	}
	resp, err := http.Get(server.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	server.end()
	backup := filepath.Join(t.TempDir(), "backup")
	g.must("backup", backup)
	out := func(args ...string) string {
		stdout, stderr, _ := g.run(args...)
		return stdout + stderr
	}

	sinks := map[string]string{
		"stdout": stdout, "stderr": stderr, "the prompts": g.asked.String(), "the webhooks": sent.String(), "the log of the server": server.errs.String(),
		"the metrics": string(metrics), "mgx show": out("show", run), "mgx show --json": out("show", run, "--json"), "mgx events": out("events"),
		"mgx events --json": out("events", "--json"), "mgx diff": out("diff", run), "mgx runs": out("runs"), "an error": out("show", sinkSecret),
		"the commit": g.git("log", "-1", "--format=%B", g.branch()), "the recording": file(t, tape),
	}
	maps.Copy(sinks, files(t, backup, g.data()))
	for name, text := range sinks {
		for spelling, s := range spellings(sinkSecret) {
			if i := strings.Index(text, s); i >= 0 {
				t.Errorf("%s has the secret (%s): %q", name, spelling, text[max(0, i-60):min(len(text), i+60)])
			}
		}
		if name == "the recording" {
			continue // it keeps an answer in the pieces in which it came; this model says what no prompt told it
		}
		if i := strings.Index(text, sinkSecret[:7]); i >= 0 {
			t.Errorf("%s has a part of the secret: %q", name, text[max(0, i-60):min(len(text), i+60)])
		}
	}
	if len(sinks["the prompts"]) == 0 || len(sinks["the webhooks"]) == 0 || !strings.Contains(sinks["mgx events --json"], "[redacted]") {
		t.Error("the test does not see what it is about")
	}
}

func hookID(t *testing.T, added string) string {
	t.Helper()
	var d struct{ ID string }
	if err := json.Unmarshal([]byte(added), &d); err != nil {
		t.Fatal(err)
	}
	return d.ID
}

func file(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files are all that mgx keeps, but for the run's copy of the repository, which is
// the person's own text.
func files(t *testing.T, roots ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			if parts := strings.Split(rel, string(filepath.Separator)); len(parts) == 3 && parts[0] == "runs" && parts[2] == "work" {
				return fs.SkipDir
			}
			if d.Type().IsRegular() {
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				all[fmt.Sprint(filepath.Base(root), ":", rel)] = string(bytes.TrimSpace(b))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
