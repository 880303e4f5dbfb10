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
// A column says whether the goals are met (table.go): how long people shall wait. Missing
// them is no failure of the program, a request that fails is.
//
// Where k6 is on the PATH it makes the same load after that (k6.js, k6.go), so that
// nobody has to believe our own client.
//
// Beside it runs a reference: the least that a server of runs can be, which reads the
// same rows from SQLite, decodes them and answers with them. What a request costs MGX
// in CPU, as a multiple of what a read costs that one, is measured in small slices by
// turns and does not hang on the machine as milliseconds do: it is what -check holds
// against baseline.json.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	mgx := flag.String("mgx", "", "the `binary` to measure")
	length := flag.Duration("length", 10*time.Second, "of a phase; the soak is six times as long")
	check := flag.String("check", "", "only hold the cost of requests against this `file`")
	write := flag.String("write", "", "only write the cost of requests to this `file`")
	rows := flag.String("reference", "", "internal: be the reference, with the runs in this `file`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *rows != "" {
		exit(serveReference(ctx, *rows))
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

// users says how many there are.
func (p phase) users() string {
	if p.from == p.to {
		return strconv.Itoa(p.to)
	}
	return fmt.Sprintf("%d-%d", p.from, p.to)
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
	alone := check != "" || write != ""
	keys, runs := 500, 1000
	if alone {
		keys, runs = 1, 100
	}
	s, err := startServer(ctx, binary, keys, runs)
	if err != nil {
		return err
	}
	defer s.stop()
	fmt.Printf("conditions: %d cores shared by client and server, %s, SQLite, every commit durable\n\n", runtime.NumCPU(), runtime.Version())
	if !alone {
		if err := s.phases(ctx, phases(length)); err != nil {
			return err
		}
		if err := s.k6(ctx, length); err != nil {
			return err
		}
	}
	c, err := s.compare(ctx)
	if err != nil || !alone {
		return err
	}
	return c.settle(check, write)
}

// growth is how much of its memory the server may gain from the beginning of the
// soak to its end, in a part of it and besides.
const (
	growthPart = 0.25
	growthMore = 32 << 20 // bytes
)

// phases prints what each phase comes to. Nothing may fail, and in the soak memory
// must stay flat.
func (s *server) phases(ctx context.Context, all []phase) error {
	t := newTable()
	failed := 0
	for _, p := range all {
		before := s.memory()
		r, err := s.load(ctx, p)
		if err != nil {
			return err
		}
		t.add(p, r)
		failed += r.failed
		if most := int64(float64(before)*(1+growthPart)) + growthMore; p.name == "soak" && r.memory > most {
			return fmt.Errorf("in the soak the server grew from %d MB to %d MB, which is not flat", before>>20, r.memory>>20)
		}
	}
	fmt.Printf("\ngoals: %s, no errors\n\n", goalsText())
	if failed > 0 {
		return fmt.Errorf("%d requests failed; the first: %s", failed, s.wrong)
	}
	return nil
}

// client makes all requests. Each user has connections of its own, as people do.
var client = &http.Client{
	Timeout:   30 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 1000, DisableCompression: true},
}
