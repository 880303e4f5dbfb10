package api_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/event"
)

// drink reads frames without decoding them and calls each for every event.
func (l *line) drink(each func(text []byte) bool) {
	for {
		_, text, err := l.Read(l.t.Context())
		if err != nil || bytes.Contains(text[:20], []byte(`"event"`)) && !each(text) {
			return
		}
	}
}

func crowd(b *testing.B, s *site, n int, channel func(i int) string) []*line {
	b.Helper()
	lines := make([]*line, n)
	for i := range lines {
		lines[i] = s.dial("?channel=" + channel(i))
		lines[i].want("subscribed")
	}
	return lines
}

// BenchmarkSockets appends events that 1,000 WebSockets on one channel get. Both
// ends share the machine. Latency is from before the append until a client has
// the frame, in bursts of ten events, and open-loop: a late burst counts from
// when it was due.
func BenchmarkSockets(b *testing.B) {
	const sockets, burst = 1000, 10
	s := newSite(b, api.Options{}, event.HubOptions{})
	lines := crowd(b, s, sockets, func(int) string { return "all" })
	total := burst * b.N
	b.ResetTimer()
	first := s.hub.Head()
	due := make([]time.Time, total)
	late := make([][]time.Duration, sockets)
	var all sync.WaitGroup
	for i, l := range lines {
		all.Go(func() {
			got := 0
			late[i] = make([]time.Duration, 0, total)
			l.drink(func(text []byte) bool {
				late[i] = append(late[i], time.Since(due[position(text)-first-1]))
				got++
				return got < total
			})
		})
	}
	start := time.Now()
	const every = 120 * time.Millisecond // a burst is 10,000 deliveries
	for n := 0; n < total; n += burst {
		at := start.Add(time.Duration(n/burst) * every)
		time.Sleep(time.Until(at))
		events := make([]mgx.Event, burst)
		for i := range events {
			due[n+i] = at
			events[i] = s.scope.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "hello"})
		}
		s.commit(events...)
	}
	all.Wait()
	took := time.Since(start)
	b.StopTimer()
	sorted := slices.Sorted(slices.Values(slices.Concat(late...)))
	at := func(q float64) float64 { return float64(sorted[int(q*float64(len(sorted)-1))].Microseconds()) / 1000 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(len(sorted))/took.Seconds(), "deliveries/s")
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(0.999), "p99.9-ms")
}

// position finds the position in an envelope.
func position(text []byte) int64 {
	_, rest, _ := bytes.Cut(text, []byte(`"position":`))
	number, _, _ := bytes.Cut(rest, []byte(","))
	n, _ := strconv.ParseInt(string(number), 10, 64)
	return n
}

// BenchmarkSocketThroughput appends as fast as it can and counts how many
// deliveries to 1,000 WebSockets come out.
func BenchmarkSocketThroughput(b *testing.B) {
	for _, channels := range []int{1, 1000} {
		b.Run(fmt.Sprintf("channels=%d", channels), func(b *testing.B) {
			const sockets = 1000
			s := newSite(b, api.Options{}, event.HubOptions{})
			runs := make([]mgx.Scope, channels)
			for i := range runs {
				runs[i] = mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}
				s.commit(runs[i].Event(mgx.RunCreated, mgx.RunCreatedData{}))
			}
			s.wait(int64(channels + 1))
			lines := crowd(b, s, sockets, func(i int) string { return "run:" + string(runs[i%channels].Run) })
			per := 200 // events on each channel
			if channels > 1 {
				per = 20
			}
			for b.Loop() {
				var all sync.WaitGroup
				for _, l := range lines {
					all.Go(func() {
						got := 0
						l.drink(func([]byte) bool { got++; return got < per })
					})
				}
				for range per {
					events := make([]mgx.Event, channels)
					for i := range events {
						events[i] = runs[i].Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "hello"})
					}
					s.commit(events...)
				}
				all.Wait()
			}
			b.ReportMetric(float64(b.N*sockets*per)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// BenchmarkIdleSockets reports what an idle WebSocket with a subscription costs
// in resident memory, client and server in one process: half of it is the
// server's, about.
func BenchmarkIdleSockets(b *testing.B) {
	const sockets = 1000
	s := newSite(b, api.Options{}, event.HubOptions{})
	crowd(b, s, 10, func(int) string { return "all" })
	debug.FreeOSMemory()
	before := resident(b)
	lines := crowd(b, s, sockets, func(int) string { return "run:*" })
	debug.FreeOSMemory()
	after := resident(b)
	for b.Loop() {
		lines[0].say(`{"type":"ping"}`)
		lines[0].want("pong")
	}
	b.ReportMetric(float64(after-before)/sockets, "KB/pair")
	for _, l := range lines {
		l.Close(websocket.StatusNormalClosure, "")
	}
}

// resident is the memory of this process, in KB.
func resident(b *testing.B) int64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("this system does not tell how much memory a process has")
	}
	for l := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(l, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
