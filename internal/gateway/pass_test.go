package gateway_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mgx/internal/access"
	"mgx/internal/gateway"
	"mgx/internal/llm"
)

// To a provider of its own dialect a request goes as it came, with what nobody
// here knows; to any other it is refused when that would be lost.
func TestPassesThrough(t *testing.T) {
	t.Parallel()
	const image = `{"model":"chat/m1","messages":[{"role":"user","content":[{"type":"text","text":"what?"},{"type":"image_url","image_url":{"url":"https://example.com/x.png"}}]}],"logprobs":true,"brand_new":{"a" : [1 ]}}`
	const answer = "{\"id\":\"x\", \"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a \\u003c cat\",\"annotations\":[]},\"logprobs\":{\"content\":[]},\"finish_reason\":\"stop\"}],\n\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2},\"system_fingerprint\":\"f\"}"
	var sent []byte
	up := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		sent, _ = io.ReadAll(req.Body)
		io.WriteString(w, answer)
	})
	r := newRig(t, settings{up: up})
	got := r.post("/v1/chat/completions", image)
	if got.status != 200 || string(got.body) != answer {
		t.Errorf("%d %s", got.status, got.body)
	}
	if want := strings.Replace(image, `{"model":"chat/m1"`, `{"max_tokens":8192,"model":"m1"`, 1); string(sent) != want {
		t.Errorf("sent %s\nwant %s", sent, want)
	}
	if settled := r.books.idle(1); settled[0].Usage.Prompt != 9 {
		t.Errorf("settled %+v", settled)
	}
	for _, other := range []string{"claude/m1", "gem/m1", "resp/m1"} {
		sent = nil
		got := r.post("/v1/chat/completions", strings.Replace(image, "chat/m1", other, 1))
		if got.status != 400 || sent != nil || !strings.Contains(string(got.body), "an image is not supported with "+other) {
			t.Errorf("%s: %d %s", other, got.status, got.body)
		}
	}
	// A policy goes on to the model that can take it.
	r.router.Policies = map[string]llm.Policy{"any": {Rule: llm.Rule{Strategy: llm.Ordered, Candidates: []llm.Candidate{{Model: "claude/m1"}, {Model: "chat/m1"}}}}}
	if got := r.post("/v1/chat/completions", strings.Replace(image, "chat/m1", "any", 1)); got.status != 200 || got.header.Get("X-Mgx-Model") != "chat/m1" {
		t.Errorf("%d %s", got.status, got.body)
	}
	// What it passed over, and why, is in the record of the call.
	if d := r.books.completed(t).Routing; d == nil || d.Policy != "any" || d.Chosen != "chat/m1" || len(d.Passed) != 1 || d.Passed[0].Model != "claude/m1" || d.Passed[0].Why == "" {
		t.Errorf("recorded %+v", d)
	}
}

// A passed stream comes back byte for byte, but for the usage that the caller did
// not ask for.
func TestPassedStream(t *testing.T) {
	t.Parallel()
	head := ": hello\n\ndata: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n" +
		"data: {\"id\":\"1\", \"odd\":1,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\r\n\r\n" +
		"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
	usage, end := "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n", "data: [DONE]\n\n"
	up := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, head+usage+end) })
	r := newRig(t, settings{up: up})
	body := simple("", "chat/m1", true)
	if got := r.post("/v1/chat/completions", body); string(got.body) != head+end || got.trail.Get("X-Mgx-Cost") != "0.000013000" {
		t.Errorf("%q %v", got.body, got.trail)
	}
	if got := r.post("/v1/chat/completions", strings.Replace(body, "{", `{"stream_options":{"include_usage":true},`, 1)); string(got.body) != head+usage+end {
		t.Errorf("%q", got.body)
	}
}

// What came of an attempt that failed before its first content is not shown; the
// answer is that of the next.
func TestFallsBackBeforeContent(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	up := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		if n.Add(1) == 1 {
			io.WriteString(w, "data: {\"id\":\"first\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n")
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "data: {\"id\":\"second\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n")
	})
	r := newRig(t, settings{up: up})
	got := r.post("/v1/chat/completions", simple("", "chat/m1", true))
	if strings.Contains(string(got.body), "first") || !strings.Contains(string(got.body), "second") || got.err != nil {
		t.Errorf("%v %s", got.err, got.body)
	}
	r.books.idle(2)
}

// While a provider thinks, a stream says that it lives.
func TestSignsOfLife(t *testing.T) {
	t.Parallel()
	for path, beat := range map[string]string{"/v1/chat/completions": ": alive", "/v1/responses": ": alive", "/v1/messages": "event: ping"} {
		go1 := make(chan struct{})
		up := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			io.Copy(io.Discard, req.Body)
			io.WriteString(w, opening["/v1/chat/completions"])
			http.NewResponseController(w).Flush()
			<-go1
			io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n")
		})
		r := newRig(t, settings{up: up, options: func(o *gateway.Options) { o.Beat = 5 * time.Millisecond }})
		resp, err := http.DefaultClient.Do(r.request(path, simple(path, "chat/m1", true)))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(resp.Body)
		seen := 0
		for seen < 3 && lines.Scan() {
			if strings.HasPrefix(lines.Text(), beat) {
				seen++
			}
		}
		close(go1)
		rest, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if seen != 3 || err != nil {
			t.Errorf("%s: %d signs of life, then %v %s", path, seen, err, rest)
		}
	}
}

// blocked is a connection whose reader takes nothing: a write lasts until its
// deadline.
type blocked struct {
	http.ResponseWriter
	deadline time.Time
}

func (b *blocked) SetWriteDeadline(at time.Time) error { b.deadline = at; return nil }

func (b *blocked) SetReadDeadline(time.Time) error { return nil }

func (b *blocked) FlushError() error {
	time.Sleep(time.Until(b.deadline))
	return io.ErrShortWrite
}

func (b *blocked) Header() http.Header         { return http.Header{} }
func (b *blocked) WriteHeader(int)             {}
func (b *blocked) Write(p []byte) (int, error) { return len(p), nil }

// A reader who takes nothing ends the call when the time for a write is over.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBooks(t, 0)
		ks := &keys{all: nil}
		ks.all = map[keyID]gatewayKey{}
		_, secret := ks.make(gatewayKey{})
		s := gateway.New(gateway.Options{Keys: access.NewKeyring(ks, nil), Books: b, Models: endless{}, Beat: time.Hour}) // a sign of life would wait for the write
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", bytes.NewReader([]byte(simple("", "x/y", true))))
		req.Header.Set("Authorization", "Bearer "+secret)
		began := time.Now()
		func() {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("ended by %v", p)
				}
			}()
			s.ServeHTTP(&blocked{}, req)
		}()
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("it took %s", took)
		}
		s.Close()
	})
}
