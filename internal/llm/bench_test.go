package llm_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/openai"
)

// upstream answers every call at once with a stream of so many chunks.
func upstream(b *testing.B, chunks int) *httptest.Server {
	var answer bytes.Buffer
	event := func(delta, finish, rest string) {
		fmt.Fprintf(&answer, `data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":%s,"finish_reason":%s}]%s}`+"\n\n", delta, finish, rest)
	}
	event(`{"role":"assistant","content":""}`, "null", "")
	for range chunks {
		event(`{"content":"four words of text "}`, "null", "")
	}
	event(`{}`, `"stop"`, `,"usage":{"prompt_tokens":12,"completion_tokens":4}`)
	answer.WriteString("data: [DONE]\n\n")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write(answer.Bytes())
	}))
	b.Cleanup(s.Close)
	return s
}

const benchBody = `{"model":"m","max_tokens":100,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}]}`

func benchClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 2000, 2000
	return &http.Client{Transport: t}
}

// BenchmarkRouter compares a call through the Router with the same call by a
// plain HTTP client, and with one that goes by net/http/httputil.ReverseProxy.
// What the Router adds is its time less that of direct. It decodes the answer,
// holds time-outs, budgets, breakers and limits; the proxy only copies.
func BenchmarkRouter(b *testing.B) {
	for _, chunks := range []int{1, 100} {
		for _, at := range []int{1, 64, 1000} {
			for _, way := range []string{"direct", "router", "policy", "proxy"} {
				b.Run(fmt.Sprintf("chunks=%d/at=%d/%s", chunks, at, way), func(b *testing.B) { benchWay(b, chunks, at, way) })
			}
		}
	}
}

func benchWay(b *testing.B, chunks, at int, way string) {
	server := upstream(b, chunks)
	client := benchClient()
	b.Cleanup(client.CloseIdleConnections)
	address := server.URL
	if way == "proxy" {
		to, _ := url.Parse(server.URL)
		proxy := httputil.NewSingleHostReverseProxy(to)
		proxy.Transport, proxy.FlushInterval = client.Transport, -1
		proxy.ErrorLog = log.New(io.Discard, "", 0) // of connections that the end of the benchmark cuts
		front := httptest.NewServer(proxy)
		b.Cleanup(front.Close)
		address = front.URL
	}
	call := func() (first time.Duration) {
		started := time.Now()
		resp, err := client.Post(address+"/v1/chat/completions", "application/json", bytes.NewReader([]byte(benchBody)))
		if err != nil {
			b.Error(err)
			return 0
		}
		defer resp.Body.Close()
		var buf [4096]byte
		for {
			if _, err := resp.Body.Read(buf[:]); err != nil {
				return first
			}
			first = orNow(first, started)
		}
	}
	if way == "router" || way == "policy" {
		call = routed(b, client, server.URL, way)
	}
	measure(b, at, call)
}

func orNow(first time.Duration, started time.Time) time.Duration {
	if first == 0 {
		return time.Since(started)
	}
	return first
}

type purse struct{}

func (purse) Reserve(llm.Spend) error        { return nil }
func (purse) SettleNow(mgx.Settlement) error { return nil }
func (purse) Capped() bool                   { return true }

func routed(b *testing.B, client *http.Client, address, way string) func() time.Duration {
	provider := openai.New(openai.Options{Name: "openai", BaseURL: address + "/v1", APIKey: "sk-bench", Client: client})
	o := llm.Options{Providers: []llm.Provider{provider}, Prices: llm.BuiltinPrices().WithFree("openai")}
	model := "openai/m"
	if way == "policy" {
		model = "auto"
		o.Policies = map[string]llm.Policy{"auto": {Rule: llm.Rule{Candidates: []llm.Candidate{{Model: "openai/m"}, {Model: "openai/n"}, {Model: "openai/o"}}}}}
	}
	r := llm.NewRouter(o)
	req := &llm.Request{
		Model: model, System: "be brief", MaxTokens: 100, AgentRole: "bench", Workspace: mgx.DefaultWorkspace,
		Messages: []llm.Message{{Role: llm.User, Parts: []llm.Part{{Text: "hi"}}}},
	}
	return func() time.Duration {
		res, err := r.Call(b.Context(), req, purse{}, nil)
		if err != nil {
			b.Error(err)
			return 0
		}
		return res.FirstToken
	}
}

// measure makes calls, so many at a time, and reports how long they took.
func measure(b *testing.B, at int, call func() time.Duration) {
	for range min(at, 100) {
		call() // connections are there
	}
	var mu sync.Mutex
	var took, firsts []time.Duration
	b.SetParallelism((at + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.ResetTimer()
	started := time.Now()
	one := func(next func() bool) {
		var mine, first []time.Duration
		for next() {
			t := time.Now()
			f := call()
			mine, first = append(mine, time.Since(t)), append(first, f)
		}
		mu.Lock()
		took, firsts = append(took, mine...), append(firsts, first...)
		mu.Unlock()
	}
	if at == 1 {
		one(b.Loop)
	} else {
		b.RunParallel(func(pb *testing.PB) { one(pb.Next) })
	}
	all := time.Since(started)
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	slices.Sort(firsts)
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	b.ReportMetric(micros(took[len(took)/2]), "p50-µs")
	b.ReportMetric(micros(took[len(took)*99/100]), "p99-µs")
	b.ReportMetric(micros(firsts[len(firsts)/2]), "first-µs")
	b.ReportMetric(float64(len(took))/all.Seconds(), "calls/s")
}
