package cassette_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/guard"
	"mgx/internal/llm"
	"mgx/internal/llm/anthropic"
	"mgx/internal/llm/cassette"
	"mgx/internal/llm/llmtest"
	"mgx/internal/llm/openai"
)

const key = "sk-test-0123456789"

var started = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func options() cassette.Options {
	r := guard.NewRedactor()
	return cassette.Options{Redact: r.Bytes, Secret: r.Add}
}

func record(t *testing.T, name string) *cassette.Recorder {
	t.Helper()
	r, err := cassette.Record(name, cassette.Header{Program: "test", Started: started}, options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func play(t *testing.T, name string) *cassette.Player {
	t.Helper()
	tape, err := cassette.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return cassette.Play(name, tape, options())
}

// outcome is all of a call that a run keeps.
type outcome struct {
	Result llm.Result
	Error  string
	Chunks []llm.Chunk
}

func call(ctx context.Context, transport http.RoundTripper, clock *cassette.Clock, dialect, url string, t llm.Timeouts) outcome {
	client := &http.Client{Transport: transport}
	var provider llm.Provider = openai.New(openai.Options{Name: "p", BaseURL: url + "/v1", APIKey: key, Client: client})
	if dialect == "anthropic" {
		provider = anthropic.New(anthropic.Options{Name: "p", BaseURL: url, APIKey: key, Client: client})
	}
	router := llm.NewRouter(llm.Options{
		Providers: []llm.Provider{provider}, Timeouts: t, Retries: 1, Now: clock.Now, Sleep: clock.Sleep,
		Jitter: func(time.Duration) time.Duration { return time.Millisecond },
	})
	req := &llm.Request{
		Model: "p/m", MaxTokens: 1000, AgentRole: "r", System: "s", Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "hé"}}}},
		Tools: []llm.ToolSpec{{Name: "look", Schema: json.RawMessage(`{"type":"object"}`)}},
	}
	var o outcome
	res, err := router.Call(ctx, req, nil, func(c llm.Chunk) {
		if c.More = false; c != (llm.Chunk{}) { // what was read together is the network's affair
			o.Chunks = append(o.Chunks, c)
		}
	})
	o.Result = *res
	if err != nil {
		o.Error = err.Error()
	}
	return o
}

// TestEveryFaultPlaysAsItWas: what went wrong while recording goes wrong the same
// way when it is played, in no time, without a server.
func TestEveryFaultPlaysAsItWas(t *testing.T) {
	t.Parallel()
	script := `{"roles": {"r": [{"text": "Grüße, dies ist eine Antwort.", "calls": [{"name": "look", "args": {"n": 1}}, {"name": "look", "args": {"n": 2}}]}]}}`
	faults := map[string]llmtest.Fault{
		"none": {}, "gzip": {Kind: llmtest.Gzip}, "document": {Kind: llmtest.Document}, "split": {Kind: llmtest.SplitArgs},
		"400":         {Kind: llmtest.Status, Status: 400, Body: `{"error":{"message":"bad"}}`},
		"429":         {Kind: llmtest.Status, Status: 429, Header: http.Header{"Retry-After": {"1"}}, Body: `{"error":{"message":"slow"}}`},
		"529":         {Kind: llmtest.Status, Status: 529, Body: `{"error":{"type":"overloaded_error","message":"busy"}}`},
		"at once":     {Kind: llmtest.ResetAtOnce},
		"mid header":  {Kind: llmtest.ResetMidHeader},
		"mid event":   {Kind: llmtest.ResetMidEvent, After: 2},
		"half line":   {Kind: llmtest.HalfLine, After: 2},
		"stall first": {Kind: llmtest.StallFirst},
		"stall":       {Kind: llmtest.Stall, After: 2},
		"no end":      {Kind: llmtest.NoFinish},
		"bad json":    {Kind: llmtest.BadJSON, After: 1},
		"web page":    {Kind: llmtest.WebPage},
	}
	for _, dialect := range []string{"openai", "anthropic"} {
		for name, fault := range faults {
			t.Run(dialect+"/"+name, func(t *testing.T) {
				t.Parallel()
				parsed, err := llmtest.ParseScript([]byte(script))
				if err != nil {
					t.Fatal(err)
				}
				server := httptest.NewServer(&llmtest.Server{
					Provider: llmtest.NewScripted(parsed), Key: key, Identify: func(r *llm.Request) { r.AgentRole = "r" },
					Faults: func(n int, _ *http.Request) *llmtest.Fault {
						if n == 1 {
							return &fault
						}
						return nil
					},
				})
				file := filepath.Join(t.TempDir(), "tape")
				rec := record(t, file)
				limits := llm.Timeouts{FirstByte: time.Second, Idle: time.Second, Total: 5 * time.Second}
				recorded := call(t.Context(), rec, rec.Clock, dialect, server.URL, limits)
				server.Close()
				if err := rec.Close(); err != nil {
					t.Fatal(err)
				}
				synctest.Test(t, func(t *testing.T) {
					begin := time.Now()
					player := play(t, file)
					played := call(t.Context(), player, player.Clock, dialect, server.URL, llm.Timeouts{})
					if a, b := dump(recorded), dump(played); a != b {
						t.Errorf("recorded:\n%s\nplayed:\n%s", a, b)
					}
					if unused, all := player.Unused(); len(unused) > 0 || all == 0 {
						t.Errorf("unused of %d: %v", all, unused)
					}
					if took := time.Since(begin); took > 0 {
						t.Errorf("playing waited %s", took)
					}
				})
			})
		}
	}
}

func dump(o outcome) string {
	data, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		panic(err)
	}
	return string(data)
}

func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	const header, query, password, known = "sk-live-AAAA1111BBBB", "AIzaQUERYQUERYQUERY", "hunter2hunter2", "environment-secret-77"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "id-"+header)
		w.Header().Set("Set-Cookie", "session=0123456789")
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "you sent %s with %s", body, header[:9])
		w.(http.Flusher).Flush()
		fmt.Fprintf(w, "%s and %s and %s", header[9:], r.URL.Query().Get("key"), password)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "tape")
	redactor := guard.NewRedactor(known)
	rec, err := cassette.Record(file, cassette.Header{Started: started, Environment: map[string]string{"X_BASE_URL": "https://u:" + known + "@h/v1"}},
		cassette.Options{Redact: redactor.Bytes, Secret: redactor.Add})
	if err != nil {
		t.Fatal(err)
	}
	address := strings.Replace(server.URL, "http://", "http://me:"+password+"@", 1) + "/v1?key=" + query
	for _, body := range []string{`{"prompt":"the secret is ` + known + `"}`, "plain " + known + " " + query} {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", address, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+header)
		req.Header.Set("X-Goog-Api-Key", "another-key-9999")
		resp, err := rec.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(all), known) {
			t.Fatalf("the caller does not get the answer as it came: %q, %v", all, err)
		}
		resp.Body.Close()
	}
	if err := rec.Begin(cassette.Run{Task: "use " + known}); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{header, header[9:], query, password, known, "another-key-9999", "0123456789"} {
		if strings.Contains(string(data), secret) {
			t.Errorf("%q is in the recording:\n%s", secret, data)
		}
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %s", info.Mode())
	}
	// The same request is recognised without any of the secrets.
	req, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/v1?key=none", strings.NewReader(`{ "prompt": "the secret is [redacted]" }`))
	if _, err := play(t, file).RoundTrip(req); err != nil {
		t.Error(err)
	}
}

// echo answers with the number of the request.
func echo(t *testing.T) *httptest.Server {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		fmt.Fprintf(w, "answer %d", n)
	}))
	t.Cleanup(server.Close)
	return server
}

func post(ctx context.Context, transport http.RoundTripper, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return string(data), err
}

func TestRequestsAreMatched(t *testing.T) {
	t.Parallel()
	server := echo(t)
	file := filepath.Join(t.TempDir(), "tape")
	rec := record(t, file)
	for _, body := range []string{`{"a":1,"b":2}`, `{"c":"<&>"}`, `{"a":1,"b":2}`, `{"out":"ok\t0.012s at 2026-01-02T03:04:05Z"}`, `{"left":["over",{"deep":"a long text in which one word is old"}],"n":1}`} {
		if _, err := post(t.Context(), rec, server.URL+"/v1/x", body); err != nil {
			t.Fatal(err)
		}
	}
	server.Close()
	player := play(t, file)
	for _, c := range [][2]string{
		{`{"c":"<\u0026>"}`, "answer 2"},                          // in another order
		{`{"b":2, "a":1}`, "answer 1"},                            // fields in another order
		{"{\"a\":1,\n\"b\":2}", "answer 3"},                       // again: the next of its kind
		{`{"out":"ok\t1.5s at 2027-11-12 13:14:15"}`, "answer 4"}, // another time of day
	} {
		if got, err := post(t.Context(), player, server.URL+"/v1/x", c[0]); err != nil || got != c[1] {
			t.Errorf("%s: %q, %v; want %q", c[0], got, err, c[1])
		}
	}
	_, err := post(t.Context(), player, server.URL+"/v1/x", `{"c":"<&>"}`)
	if !mgx.IsCode(err, cassette.CodeMismatch) || !strings.Contains(err.Error(), "1 times") {
		t.Errorf("one time too many: %v", err)
	}
	_, err = post(t.Context(), player, server.URL+"/v1/x", `{"left":["over",{"deep":"a long text in which one word is new"}],"m":true}`)
	if !mgx.IsCode(err, cassette.CodeMismatch) || mgx.AsError(err).Kind.ExitCode() != 4 {
		t.Fatalf("a request that differs: %v", err)
	}
	for _, want := range []string{"exchange 5", `left[1].deep: …"`, `is old" → …"`, `is new"`, "m: absent → true", "n: 1 → absent", "record the run again"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if unused, all := player.Unused(); all != 5 || len(unused) != 1 || unused[0] != "5: POST /v1/x" {
		t.Errorf("unused of %d: %q", all, unused)
	}
	if _, err := post(t.Context(), player, server.URL+"/v1/y", `{"c":3}`); !mgx.IsCode(err, cassette.CodeMismatch) || !strings.Contains(err.Error(), "/v1/y") {
		t.Errorf("another path: %v", err)
	}
	big := `{"left":"` + strings.Repeat("x", 1<<20) + `","more":[` + strings.Repeat("{},", 5000) + `{}]}`
	if _, err := post(t.Context(), player, server.URL+"/v1/x", big); len(err.Error()) > 2000 {
		t.Errorf("the difference has %d bytes", len(err.Error()))
	}
}

// TestKilledRecordingGoesOn: a torn last line is nothing, and the call whose
// answer was lost with its process is answered as the process after it was.
func TestKilledRecordingGoesOn(t *testing.T) {
	t.Parallel()
	server := echo(t)
	file := filepath.Join(t.TempDir(), "tape")
	rec := record(t, file)
	for _, body := range []string{`{"n":1}`, `{"n":2}`} {
		if _, err := post(t.Context(), rec, server.URL, body); err != nil {
			t.Fatal(err)
		}
	}
	rec.Close()
	if _, err := cassette.Record(file, cassette.Header{}, options()); !mgx.IsCode(err, "recording_exists") {
		t.Fatalf("an old recording is written over: %v", err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	for cut := range len(whole) {
		if cut%7 != 0 && cut != len(whole)-1 {
			continue
		}
		if err := os.WriteFile(file, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		tape, err := cassette.Load(file)
		switch {
		case cut < len(lines[0]):
			if err == nil {
				t.Fatalf("a header cut at %d is taken", cut)
			}
		case err != nil:
			t.Fatalf("cut at %d: %v", cut, err)
		case len(tape.Exchanges) != strings.Count(string(whole[:cut]), "\n")-1:
			t.Fatalf("cut at %d: %d exchanges", cut, len(tape.Exchanges))
		}
	}
	if err := os.WriteFile(file, append(whole, `{"exchange":{"req`...), 0o600); err != nil {
		t.Fatal(err)
	}
	again, tape, err := cassette.Append(file, options())
	if err != nil || !tape.Torn {
		t.Fatalf("%v, torn: %v", err, tape)
	}
	for _, body := range []string{`{"n":2}`, `{"n":3}`} {
		if _, err := post(t.Context(), again, server.URL, body); err != nil {
			t.Fatal(err)
		}
	}
	again.Close()
	player := play(t, file)
	for body, want := range map[string]string{`{"n":1}`: "answer 1", `{"n":2}`: "answer 3", `{"n":3}`: "answer 4"} {
		if got, err := post(t.Context(), player, server.URL, body); err != nil || got != want {
			t.Errorf("%s: %q, %v", body, got, err)
		}
	}
	if unused, _ := player.Unused(); len(unused) > 0 {
		t.Errorf("unused: %q", unused)
	}
}

// TestWhatTheUserBrokeOffIsForgotten: the call will be made again.
func TestWhatTheUserBrokeOffIsForgotten(t *testing.T) {
	t.Parallel()
	sent := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/head" {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
		}
		sent <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "tape")
	rec := record(t, file)
	for _, path := range []string{"/head", "/none"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-sent; cancel() }()
		if _, err := post(ctx, rec, server.URL+path, `{}`); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
	}
	rec.Close()
	if tape, err := cassette.Load(file); err != nil || len(tape.Exchanges) != 0 {
		t.Errorf("%+v, %v", tape, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for content, want := range map[string]string{
		"":                                      "not one whole line",
		"hello\n":                               "not a recording",
		`{"exchange":{}}` + "\n":                "not a recording",
		`{"cassette":{"version":9}}` + "\n":     "version 9",
		`{"cassette":{"version":1}}` + "\n{}\n": "line 2",
		`{"cassette":{"version":1}}` + "\n" + `{"exchange":{"request":{}}}` + "\n": "no outcome",
		`{"cassette":{"version":1}}` + "\nx\n":                                     "line 2",
	} {
		file := filepath.Join(dir, "f")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := cassette.Load(file); !mgx.IsCode(err, "bad_recording") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := cassette.Load(filepath.Join(dir, "none")); !mgx.IsCode(err, "no_recording") {
		t.Error(err)
	}
	if _, err := cassette.Load(dir); !mgx.IsCode(err, "bad_recording") {
		t.Error(err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(`{"cassette":{"version":1}}` + "\n" + `{"exchange":{"request":{"method":"POST","url":"http://h/","body":{"a":1}},"answer":{"status":200,"chunks":[{"after_us":1,"text":"x"}]}}}` + "\n")
	f.Add(`{"cassette":{"version":1}}` + "\n" + `{"session":{}}` + "\n" + `{"exchange":{"request":{}}}` + "\n")
	f.Fuzz(func(t *testing.T, content string) {
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		tape, err := cassette.Load(file)
		if err != nil {
			return
		}
		player := cassette.Play(file, tape, options())
		for range 3 {
			post(t.Context(), player, "http://h/", `{"a":1}`)
		}
	})
}
