// Bench-peers measures live delivery and durable append: MGX on either database
// beside Redis Streams and NATS JetStream, each in a process of its own on this
// machine, told to make every append durable before it is acknowledged.
//
// It is a load client with an adapter for each server ([Peer]); another server
// is added by writing one more. It is a module of its own so that what the
// adapters import is no dependency of MGX.
//
// # What is measured, and how
//
// Load is open-loop: every event has a time at which it is due, it is sent
// then whether or not earlier ones have come back, and latency counts from when
// it was due. A server that falls behind shows it, where a client that waits for
// it would hide it ("coordinated omission"). CPU and memory are the server's, by
// /proc, with all its children.
//
// MGX has no API for appending: its writers are the workers inside the server.
// Here its server is given a path for that, so that the others' producers and its
// own both come over a connection.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"
)

// Size is how much of everything there is.
type Size struct {
	Writers     int           // at once, in the append scenario
	Append      time.Duration // how long they append
	Scan        int           // events read in the catch-up scenario
	Subscribers int
	Rate        int           // events a second on the one channel, and 20 times as many over the many channels
	Live        time.Duration // how long
	Behind      int           // events that each client of the reconnect storm has missed
	Payload     int           // bytes
}

var (
	full  = Size{Writers: 64, Append: 5 * time.Second, Scan: 100_000, Subscribers: 1000, Rate: 50, Live: 10 * time.Second, Behind: 500, Payload: 200}
	small = Size{Writers: 8, Append: 500 * time.Millisecond, Scan: 2000, Subscribers: 20, Rate: 50, Live: time.Second, Behind: 50, Payload: 200}
)

func main() {
	peers := flag.String("peers", strings.Join(names(), ","), "which to measure, of "+strings.Join(names(), ", "))
	isSmall := flag.Bool("small", false, "small sizes, to see that everything works")
	nats := flag.String("serve-nats", "", "internal: be a NATS server in this `directory`")
	ours := flag.String("serve-mgx", "", "internal: be an MGX server on this `database`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *nats != "" {
		exit(serveNATS(ctx, *nats))
	}
	if *ours != "" {
		exit(serveMGX(ctx, *ours))
	}
	size := full
	if *isSmall {
		size = small
	}
	exit(run(ctx, strings.Split(*peers, ","), size))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, peers []string, size Size) error {
	fmt.Printf("conditions: %d cores shared by client and server, %s, payload %d bytes, every append durable before it is acknowledged\n", runtime.NumCPU(), runtime.Version(), size.Payload)
	fmt.Printf("sizes: %+v\n", size)
	t := &table{}
	for _, name := range peers {
		if err := measure(ctx, name, size, t); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			t.fail(name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	t.print(os.Stdout)
	return nil
}

// measure runs every scenario on a fresh server of one kind.
func measure(ctx context.Context, name string, size Size, t *table) error {
	for _, sc := range scenarios {
		open, ok := makers[name]
		if !ok {
			return fmt.Errorf("there is no peer %q", name)
		}
		dir, err := os.MkdirTemp("", "bench-")
		if err != nil {
			return err
		}
		p, err := open(ctx, dir)
		if err == nil {
			var got []figure
			fmt.Fprintf(os.Stderr, "%s: %s\n", name, sc.name)
			short, stop := context.WithTimeout(ctx, 3*time.Minute)
			got, err = sc.run(short, p, size)
			stop()
			t.add(name, p.Version(), got)
			p.Close()
		}
		os.RemoveAll(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
	}
	return nil
}
