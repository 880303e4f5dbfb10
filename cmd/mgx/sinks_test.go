package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
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
var (
	sinkSecret = "s3cr3t/\"&<" + "canary>+%4f"
	sinkKey    = "okey-" + "7f3a91bb02"
)

// spellings are how it could be written anywhere.
func spellings(secret string) map[string]string {
	quoted, _ := json.Marshal(secret)
	inner := string(quoted[1 : len(quoted)-1])
	twice, _ := json.Marshal(inner)
	digits, lines := hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("u:"+secret))
	plain := strings.ReplaceAll(strings.ReplaceAll(secret, `\`, `\\`), `"`, `\"`)
	return map[string]string{
		"plain": secret, "JSON": inner, "JSON twice": string(twice[1 : len(twice)-1]), "JSON for people": plain,
		"query": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"base64": base64.RawStdEncoding.EncodeToString([]byte(secret)), "hex": digits,
		"base64 in lines": lines[:20] + "\n" + lines[20:], "hex in lines": digits[:30] + "\n" + digits[30:], "bytes": strings.Join(pairs(digits), " "), "all percent": "%" + strings.Join(pairs(digits), "%"),
		"HTML": html.EscapeString(secret), "HTML of a template": template.HTMLEscapeString(secret),
	}
}

func pairs(digits string) (all []string) {
	for i := 0; i < len(digits); i += 2 {
		all = append(all, digits[i:i+2])
	}
	return all
}

// TestASecretReachesNoSink has a run whose program prints a secret of the
// environment, in every spelling and in a flood, whose model repeats it, and whose
// check and task hold it, as what people say to it does; then it looks for the secret in
// all that mgx has kept, shown and sent: every answer of the API, every page of the
// console, every command, what went to models, servers of tools, webhooks, traces, which
// also say what the environment has them say, and reports of errors.
// The key of a provider, which a file names, is looked for as well.
func TestASecretReachesNoSink(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	var sent, traced, reported said
	ear := func(to *said) string {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(to, r.Body)
			io.WriteString(w, "Thanks for "+sinkSecret)
		}))
		t.Cleanup(web.Close)
		return web.URL
	}
	keyFile := g.file("their.key", sinkKey+"\n")
	if err := os.Chmod(keyFile, 0o600); err != nil {
		t.Fatal(err)
	}
	models := g.file("models.json", `{"providers": {"other": {"dialect": "openai", "base_url": "http://127.0.0.1:1/v1", "key_file": "`+keyFile+`"}}}`)
	g.env = append(g.env, "SERVICE_TOKEN="+sinkSecret, "MGX_MODELS_FILE="+models, "OTEL_EXPORTER_OTLP_ENDPOINT="+ear(&traced),
		"OTEL_RESOURCE_ATTRIBUTES=deploy.note="+url.PathEscape(sinkSecret), "MGX_SENTRY_DSN="+strings.Replace(ear(&reported), "://", "://public-key@", 1)+"/1")
	forge := newForge(t)
	g.must("mcp", "pin", forge.config(g.lab), "--yes")
	g.write("service.conf", "token = "+sinkSecret+"\nkey = "+sinkKey+"\n"+strings.Repeat("x", 1990)+sinkSecret+"\n")
	g.write("check.sh", "cat service.conf; test \"$(sh greet.sh)\" = hello\n")
	var forms strings.Builder
	for _, s := range spellings(sinkSecret) {
		forms.WriteString("a " + s + " b\n")
	}
	g.write("forms.txt", forms.String())
	g.write("AGENTS.md", "Use the token "+sinkSecret+".\n")
	g.obeys("implementer",
		shell("cat service.conf forms.txt; ls -R"),
		shell("printf 'tok\\033[0men = '; head -1 service.conf | sed 's/canary/can\\o33[1mary/'"),
		shell("for i in $(seq 3000); do cat forms.txt; done"),
		toolCall("read", map[string]any{"path": "service.conf"}),
		toolCall("grep", map[string]any{"pattern": "token", "path": "."}),
		toolCall("edit", map[string]any{"path": "service.conf", "old_string": "no such line", "new_string": "x"}),
		toolCall("note", map[string]any{"text": "the token is " + sinkSecret}),
		toolCall("write", map[string]any{"path": "made.txt", "content": "made\n"}),
		toolCall("mcp__forge__comment", map[string]any{"q": "take " + sinkSecret}),
		honest[0],
		ends("Say hello "+sinkSecret, "Uses "+sinkSecret, "The token is "+sinkSecret),
	)
	hook := g.must("webhooks", "add", ear(&sent), "--webhook-allow", "127.0.0.0/8", "--json")
	tape := filepath.Join(t.TempDir(), "tape")
	g.prepare()
	stdout, stderr, code := g.run("run", "Make greet.sh say hello, with "+sinkSecret, "--model", "openai/lab", "--record", tape,
		"--log-level", "debug", "--log-format", "json", "--check", "sh check.sh "+url.QueryEscape(sinkSecret), "--mcp", forge.config(g.lab))
	if code != 6 {
		t.Fatalf("the call of a tool outside was not asked about: exit %d\n%s", code, stderr)
	}
	run := string(g.only(g.store()).ID)
	sinks := map[string]string{"stdout": stdout, "stderr": stderr, "the recording": file(t, tape)}
	out := func(args ...string) string {
		stdout, stderr, _ := g.run(args...)
		return stdout + stderr
	}
	sinks["what steer says"] = out("steer", run, "Use "+sinkSecret)

	// While it waits for a person.
	server := g.serve("127.0.0.1:0", "--workers", "0", "--log-level", "debug")
	pages := server.signedIn()
	maps.Copy(sinks, server.everything("waiting", pages))
	server.end()
	sinks["the first log"] = server.errs.String()
	sinks["what approve says"] = out("approve", run, "--reject", "not with "+sinkSecret)
	stdout, stderr, code = g.run("resume", run, "--log-level", "debug")
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	sinks["resumed"] = stdout + stderr

	// And when it is over.
	server = g.serve("127.0.0.1:0", "--webhook-allow", "127.0.0.0/8", "--log-level", "debug")
	for id, s := hookID(t, hook), g.store(); !deliveredAll(t, s, id); time.Sleep(20 * time.Millisecond) {
		// until it comes: the test's own time is the limit
	}
	maps.Copy(sinks, server.everything("done", pages))
	server.end()
	backup := filepath.Join(t.TempDir(), "backup")
	g.must("backup", backup)
	for name, args := range showing(run, t.TempDir()) {
		sinks["mgx "+name] = out(args...)
		sinks["mgx "+name+" --json"] = out(append(args, "--json")...)
	}
	maps.Copy(sinks, map[string]string{
		"the prompts": g.asked.String(), "a tool outside": forge.got(), "the webhooks": sent.String(), "the traces": traced.String(), "the reports": reported.String(), "the last log": server.errs.String(),
		"an error": out("show", sinkSecret), "the commit": g.git("log", "-1", "--format=%B", g.branch()),
	})
	maps.Copy(sinks, files(t, backup, g.data()))
	for name, text := range sinks {
		lookFor(t, name, text)
	}
	for _, name := range []string{"the prompts", "the webhooks", "the traces", "done: page /runs/" + run, "done: GET /api/v1/runs", "waiting: page /approvals", "waiting: GET /api/v1/approvals"} {
		if len(sinks[name]) < 100 {
			t.Errorf("%s: the test does not see what it is about: %q", name, sinks[name])
		}
	}
	if !strings.Contains(sinks["mgx events --json"], "[redacted]") || !strings.Contains(sinks["the prompts"], "key = [redacted]") {
		t.Error("the test does not see what it is about")
	}
}

// lookFor looks for the secrets of the test, and for parts of them.
func lookFor(t *testing.T, name, text string) {
	t.Helper()
	around := func(i int) string { return text[max(0, i-60):min(len(text), i+60)] }
	for _, secret := range []string{sinkSecret, sinkKey} {
		for spelling, s := range spellings(secret) {
			if i := strings.Index(text, s); i >= 0 {
				t.Errorf("%s has the secret (%s): %q", name, spelling, around(i))
			}
		}
		if name == "the recording" {
			continue // it keeps an answer in the pieces in which it came; this model says what no prompt told it
		}
		if i := strings.Index(text, secret[:7]); i >= 0 {
			t.Errorf("%s has a part of the secret: %q", name, around(i))
		}
	}
}

func hookID(t *testing.T, added string) string {
	t.Helper()
	var d struct{ Webhook struct{ ID string } }
	if err := json.Unmarshal([]byte(added), &d); err != nil {
		t.Fatal(err)
	}
	return d.Webhook.ID
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
