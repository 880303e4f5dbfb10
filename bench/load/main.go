// Load drives a server of MGX as many people at once would, and prints how long
// they wait: a base line of 50, a ramp to 500, a spike from 50 to 500 and back, and
// a soak in which memory must stay flat. Nine requests of ten read, one creates
// a task.
//
// # What is measured, and how
//
// Each user is a process of its own accord: requests are due at random moments, two
// a second on average (so 500 users make 1,000 requests a second), and latency
// counts from when a request was due, whether or not the one before has come
// back. The server runs in a process of its own, with a database that makes every
// commit durable, no workers, and its limits out of the way; CPU and memory are its
// own, by /proc. Client and server share the machine.
//
// Beside it a bare server of net/http gives the same number of bytes to every
// request, under the same base line. What a request costs MGX in CPU, as a multiple
// of what it costs that one, does not hang on the machine as milliseconds do: it is
// what -check holds against baseline.json.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"time"
)

func main() {
	mgx := flag.String("mgx", "", "the `binary` to measure")
	length := flag.Duration("length", 10*time.Second, "of a phase; the soak is six times as long")
	check := flag.String("check", "", "hold the cost of a request against this `file`, after the base line alone")
	write := flag.String("write", "", "write the cost of a request to this `file`, after the base line alone")
	bare := flag.String("bare", "", "internal: be the bare server, with answers of so many `bytes`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *bare != "" {
		exit(serveBare(ctx, *bare))
	}
	if *mgx == "" {
		exit(fmt.Errorf("say what to measure: -mgx bin/mgx"))
	}
	exit(run(ctx, *mgx, *length, *check, *write))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// perUser is how many requests a user makes in a second, on average.
const perUser = 2

// phase is a part of the load: users come or go evenly over its length.
type phase struct {
	name     string
	from, to int // users
	length   time.Duration
}

func phases(length time.Duration) []phase {
	return []phase{
		{"base line", 50, 50, length},
		{"ramp", 50, 500, 2 * length},
		{"top", 500, 500, length},
		{"before spike", 50, 50, length / 2},
		{"spike", 500, 500, length / 2},
		{"after spike", 50, 50, length / 2},
		{"soak", 200, 200, 6 * length},
	}
}

func run(ctx context.Context, binary string, length time.Duration, check, write string) error {
	s, err := startServer(ctx, binary)
	if err != nil {
		return err
	}
	defer s.stop()
	fmt.Printf("conditions: %d cores shared by client and server, %s, SQLite, every commit durable\n\n", runtime.NumCPU(), runtime.Version())
	all := phases(length)
	if check != "" || write != "" {
		all = all[:1]
	}
	t := newTable()
	var base result
	failed := 0
	for i, p := range all {
		r, err := s.load(ctx, p)
		if err != nil {
			return err
		}
		t.add(p, r)
		if i == 0 {
			base = r
		}
		failed += r.failed
	}
	peer, err := s.besides(ctx, all[0], base)
	if err != nil {
		return err
	}
	t.add(phase{name: "bare server", from: all[0].from, to: all[0].to, length: all[0].length}, peer)
	c := cost{Request: float64(base.perRequest()) / float64(max(1, peer.perRequest()))}
	fmt.Printf("\na request costs %.1f times the CPU of the bare server's (%s and %s)\n", c.Request, micros(base.perRequest()), micros(peer.perRequest()))
	if failed > 0 {
		return fmt.Errorf("%d requests failed; the first: %s", failed, s.firstFailure())
	}
	return c.settle(check, write)
}

// client makes all requests. Each user has connections of its own, as people do.
var client = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 1000, DisableCompression: true},
}
