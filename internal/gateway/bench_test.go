package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx/internal/gateway"
)

// quick is an upstream that answers at once: whole, or in 20 chunks.
func quick(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !bytes.Contains(body, []byte(`"stream":true`)) {
		io.WriteString(w, `{"id":"x","object":"chat.completion","model":"m1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3}}`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	for i := range 20 {
		fmt.Fprintf(w, "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"model\":\"m1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word %d \"},\"finish_reason\":null}]}\n\n", i)
		rc.Flush()
	}
	io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":20}}\n\ndata: [DONE]\n\n")
}

// BenchmarkAdded measures what the gateway adds to a call of an upstream that
// answers at once, beside a plain reverse proxy and the upstream alone, in turns
// within one run. Books are kept in memory; what a database adds is its commits and
// the check of the call's event against its contract.
func BenchmarkAdded(b *testing.B) {
	for _, stream := range []bool{false, true} {
		for _, clients := range []int{1, 64, 1000} {
			b.Run(fmt.Sprintf("stream=%v/clients=%d", stream, clients), func(b *testing.B) { added(b, stream, clients) })
		}
	}
}

func added(b *testing.B, stream bool, clients int) {
	up := httptest.NewServer(http.HandlerFunc(quick))
	defer up.Close()
	at, _ := url.Parse(up.URL)
	proxy := httputil.NewSingleHostReverseProxy(at)
	transport := &http.Transport{MaxIdleConnsPerHost: 2000}
	proxy.Transport = transport
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// net/http may close a body that it still sends on once the answer began;
		// then it closes the connection too, in the middle of the answer.
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	defer plain.Close()
	r := newRig(b, settings{up: http.HandlerFunc(quick), options: func(o *gateway.Options) { o.AtOnce, o.PerMinute = 5000, 60_000_000 }})
	r.books.contracts = nil
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000}}
	defer client.CloseIdleConnections()
	body := simple("", "chat/m1", stream)
	var whole, first [3][]time.Duration
	for b.Loop() {
		for i, url := range []string{up.URL, plain.URL, r.url} {
			w, f := load(b, client, url+"/v1/chat/completions", r.secret, body, clients)
			whole[i], first[i] = append(whole[i], w...), append(first[i], f...)
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, name := range []string{"upstream", "proxy", "gateway"} {
		slices.Sort(whole[i])
		slices.Sort(first[i])
		b.ReportMetric(micros(whole[i], 50), name+"-p50-us")
		b.ReportMetric(micros(whole[i], 99), name+"-p99-us")
		if stream {
			b.ReportMetric(micros(first[i], 50), name+"-first-p50-us")
		}
	}
	b.ReportMetric(micros(whole[2], 50)-micros(whole[0], 50), "added-p50-us")
	b.ReportMetric(micros(whole[2], 99)-micros(whole[0], 99), "added-p99-us")
	b.ReportMetric(micros(whole[2], 50)/micros(whole[1], 50), "times-proxy")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse)/(1<<20), "heap-MB")
}

func micros(sorted []time.Duration, percent int) float64 {
	return float64(sorted[min(len(sorted)*percent/100, len(sorted)-1)]) / 1000
}

// load makes a batch of calls, by so many clients at once, and returns how long
// each took, to its end and to its first bytes.
func load(b *testing.B, client *http.Client, url, key, body string, clients int) (whole, first []time.Duration) {
	total := max(300, 2*clients)
	var next atomic.Int64
	var mu sync.Mutex
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for next.Add(1) <= int64(total) {
				began := time.Now()
				req, _ := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
				req.Header.Set("Authorization", "Bearer "+key)
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				var one [1]byte
				io.ReadFull(resp.Body, one[:])
				f := time.Since(began)
				rest, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				w := time.Since(began)
				if err != nil || resp.StatusCode != 200 {
					b.Errorf("%d %v %s", resp.StatusCode, err, rest)
				}
				mu.Lock()
				whole, first = append(whole, w), append(first, f)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return whole, first
}
