package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store/pgtest"
)

// gatewayScript is a model that is in the price list.
const gatewayScript = `{"models": ["gpt-4o-mini"], "roles": {"any": [{"text": "Hello from behind the gateway."}]}, "match": {"any": ""}}`

// newGatewayLab is a lab whose server costs money.
func newGatewayLab(t *testing.T, script ...string) *lab {
	l := newLab(t, append(script, gatewayScript)[0])
	path := filepath.Join(l.home, "models.json")
	file := `{"providers": {"openai": {"dialect": "openai", "base_url": "` + l.base() + `", "key_env": "OPENAI_API_KEY"}},
		"policies": {"cheap": {"candidates": [{"model": "openai/gpt-4o-mini"}]}}}`
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	l.env = append(l.env, "MGX_MODELS_FILE="+path)
	return l
}

// newKey makes a key at the command line.
func (l *lab) newKey(args ...string) (id mgx.KeyID, secret string) {
	l.t.Helper()
	var made struct {
		Key    mgx.APIKey
		Secret string
	}
	out := l.must(append([]string{"keys", "create", "test", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		l.t.Fatal(err)
	}
	return made.Key.ID, made.Secret
}

// ask makes a call through the gateway.
func (s *served) ask(key, body string) (*http.Response, string) {
	s.l.t.Helper()
	resp := s.open(key, body)
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body) // cut short where a test cuts it
	return resp, string(answer)
}

func (s *served) open(key, body string) *http.Response {
	s.l.t.Helper()
	r, err := http.NewRequestWithContext(s.l.t.Context(), http.MethodPost, s.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		s.l.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.l.t.Fatal(err)
	}
	return resp
}

const gatewayCall = `{"model":"cheap","max_tokens":1000,"messages":[{"role":"user","content":"hello"}]}`

// What a key's calls cost is in the ledger, in the log and under its budget.
func TestGatewayKeepsBooks(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			l := newGatewayLab(t)
			if database == "PostgreSQL" {
				l.env = append(l.env, "MGX_DATABASE="+pgtest.New(t).NewDatabase(t))
			}
			l.keepsBooks(t)
		})
	}
}

func (l *lab) keepsBooks(t *testing.T) {
	s := l.serve("127.0.0.1:0", "--workers", "0")
	id, key := l.newKey("--budget", "0.0015")
	resp, body := s.ask(key, gatewayCall)
	if resp.StatusCode != 200 || !strings.Contains(body, "Hello from behind") || resp.Header.Get("X-Mgx-Model") != "openai/gpt-4o-mini" {
		t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	if cost := resp.Header.Get("X-Mgx-Cost"); cost == "" || cost == "0.000000000" {
		t.Errorf("cost %q", cost)
	}
	out := l.must("events", "--type", "llm.call.completed", "--json")
	var e mgx.Event
	var d mgx.LLMCallData
	if err := json.Unmarshal([]byte(out), &e); err != nil || e.Decode(&d) != nil {
		t.Fatalf("%v %s", err, out)
	}
	if !strings.HasPrefix(string(e.Stream), string(id)) || d.AgentRole != "gateway" || d.CostUSD <= 0 || e.Correlation != resp.Header.Get("X-Mgx-Request-Id") {
		t.Errorf("event %s", out)
	}
	// A call that may cost more than is left is refused, in a way that SDKs do
	// not try again.
	resp, body = s.ask(key, strings.Replace(gatewayCall, "1000", "3000", 1))
	if resp.StatusCode != http.StatusPaymentRequired || !strings.Contains(body, "insufficient_quota") || !strings.Contains(body, "mgx budget set --key "+string(id)) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	for tries := 0; ; tries++ { // what was refused is told after the answer
		if out = l.must("events", "--type", "billing.*", "--json"); strings.Contains(out, `"scope":"key"`) || tries == 300 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !strings.Contains(out, `"scope":"key"`) || strings.Contains(out, `"scope":"run"`) {
		t.Errorf("events of money: %s", out)
	}
	if out := l.must("keys"); !strings.Contains(out, "valid") || !strings.Contains(out, "budget: $0.0015") || strings.Contains(out, "never used") || strings.Contains(out, key) {
		t.Errorf("keys: %s", out)
	}
	// Another key has an account of its own; a revoked one has none.
	_, other := l.newKey()
	if resp, body := s.ask(other, gatewayCall); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	gone, secret := l.newKey()
	l.must("keys", "revoke", string(gone))
	if resp, body := s.ask(secret, gatewayCall); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if problems := l.must("verify"); strings.Contains(problems, "inconsistent") {
		t.Error(problems)
	}
}

// A server records every call that it makes, for whoever it is, without secrets. Its
// recording is to be read: nothing plays it.
func TestServerRecords(t *testing.T) {
	t.Parallel()
	l := newGatewayLab(t)
	tape := filepath.Join(l.home, "server.tape")
	s := l.serve("127.0.0.1:0", "--workers", "0", "--record", tape)
	_, key := l.newKey()
	for _, said := range []string{"hello", "again", "hello"} {
		if resp, body := s.ask(key, strings.Replace(gatewayCall, "hello", said, 1)); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	s.end()
	data, err := os.ReadFile(tape)
	if err != nil {
		t.Fatal(err)
	}
	for text, times := range map[string]int{"/chat/completions": 3, `"content":"again"`: 1, `"server":true`: 1, key: 0, "Bearer": 0} {
		if got := strings.Count(string(data), text); got != times {
			t.Errorf("%q is there %d times, want %d: %s", text, got, times, data)
		}
	}
	if _, stderr, code := l.run("run", "hello", "--replay", tape); code != 2 || !strings.Contains(stderr, "the calls of a server") {
		t.Errorf("%d %s", code, stderr)
	}
}

// A server that is killed in the middle of a stream leaves what it had set aside,
// which goes on counting, so that the budget holds.
func TestGatewayKilledMidStream(t *testing.T) {
	t.Parallel()
	l := newGatewayLab(t)
	s := l.serve("127.0.0.1:0", "--workers", "0")
	id, key := l.newKey("--budget", "0.0015")
	hold := make(chan struct{})
	defer close(hold)
	pause := func(_, piece int) {
		if piece == 3 {
			<-hold
		}
	}
	l.streaming.Store(&pause)
	stream := strings.Replace(gatewayCall, "{", `{"stream":true,`, 1)
	resp := s.open(key, stream)
	defer resp.Body.Close()
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	s.kill()
	if rest, err := io.ReadAll(resp.Body); err == nil || strings.Contains(string(rest), "[DONE]") {
		t.Errorf("the stream ended well: %s", rest)
	}
	settled, open, err := l.store().Spent(t.Context(), mgx.RunID(id))
	if err != nil || settled != 0 || open <= 0 {
		t.Errorf("settled %v, open %v, %v", settled, open, err)
	}
	again := l.serve("127.0.0.1:0", "--workers", "0")
	l.streaming.Store(nil)
	if resp, body := again.ask(key, strings.Replace(gatewayCall, "1000", "2000", 1)); resp.StatusCode != http.StatusPaymentRequired {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
