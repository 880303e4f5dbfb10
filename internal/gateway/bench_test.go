package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// chunks are those of a streamed answer.
const chunks = 20

// quick is an upstream that answers at once: whole, or in chunks.
func quick(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !bytes.Contains(body, []byte(`"stream":true`)) {
		io.WriteString(w, `{"id":"x","object":"chat.completion","model":"m1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3}}`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	for i := range chunks {
		fmt.Fprintf(w, "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"model\":\"m1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word %d \"},\"finish_reason\":null}]}\n\n", i)
		rc.Flush()
	}
	io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":20}}\n\ndata: [DONE]\n\n")
}

// BenchmarkAdded measures what the gateway adds to a call of an upstream that
// answers at once, beside a plain reverse proxy and the upstream alone, in turns
// within one run. Each of the three is a process of its own, as they are in life:
// in one they would collect each other's garbage. Books are kept in memory; what a
// database adds is its commits and the check of the call's event against its
// contract.
func BenchmarkAdded(b *testing.B) {
	if part := os.Getenv(partVariable); part != "" {
		serve(b, part)
		return
	}
	up := begin(b, "upstream", "")
	servers := []server{up, begin(b, "proxy", up.URL), begin(b, "gateway", up.URL)}
	for _, stream := range []bool{false, true} {
		for _, clients := range []int{1, 64, 1000} {
			b.Run(fmt.Sprintf("stream=%v/clients=%d", stream, clients), func(b *testing.B) { added(b, servers, stream, clients) })
		}
	}
}

func added(b *testing.B, servers []server, stream bool, clients int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000}}
	defer client.CloseIdleConnections()
	body := simple("", "chat/m1", stream)
	var whole, first [3][]time.Duration
	var spent, took [3]time.Duration
	for b.Loop() {
		for i, s := range servers {
			before, began := s.spent(), time.Now()
			w, f := load(b, client, s.URL+"/v1/chat/completions", s.Secret, body, clients)
			took[i] += time.Since(began)
			spent[i] += s.spent() - before
			whole[i], first[i] = append(whole[i], w...), append(first[i], f...)
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, s := range servers {
		slices.Sort(whole[i])
		slices.Sort(first[i])
		b.ReportMetric(micros(whole[i], 50), s.part+"-p50-us")
		b.ReportMetric(micros(whole[i], 99), s.part+"-p99-us")
		b.ReportMetric(float64(len(whole[i]))/took[i].Seconds(), s.part+"-calls/s")
		b.ReportMetric(float64(spent[i].Microseconds())/float64(len(whole[i])), s.part+"-cpu-us/call")
		b.ReportMetric(s.resident(), s.part+"-MB")
		if stream {
			b.ReportMetric(micros(first[i], 50), s.part+"-first-p50-us")
		}
	}
	b.ReportMetric(micros(whole[2], 50)-micros(whole[0], 50), "added-p50-us")
	b.ReportMetric(micros(whole[2], 99)-micros(whole[0], 99), "added-p99-us")
	b.ReportMetric(micros(whole[2], 50)/micros(whole[1], 50), "times-proxy")
	b.ReportMetric(micros(whole[2], 99)/micros(whole[1], 99), "times-proxy-p99")
	if stream {
		b.ReportMetric(micros(first[2], 50)-micros(first[0], 50), "added-first-p50-us")
		rest := func(i int) float64 { return micros(whole[i], 50) - micros(first[i], 50) }
		b.ReportMetric((rest(2)-rest(0))/chunks, "added-chunk-us")
	}
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
