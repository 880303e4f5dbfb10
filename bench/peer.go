package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Peer is a server under test. Payloads are text without quotes or backslashes.
type Peer interface {
	// Version says what it is.
	Version() string
	// Channel makes a channel, to which Append can append.
	Channel(ctx context.Context, name string) error
	// Append returns when the event is durable. It is called by many goroutines.
	Append(ctx context.Context, channel, payload string) error
	// Fill appends many events, as fast as it likes.
	Fill(ctx context.Context, channel string, payloads []string) error
	// Subscribe makes a connection and delivers what is in a channel after a
	// place, in order, until ctx ends or deliver returns false. ready is called
	// when it is subscribed. Places are those that deliver gets; "" is the
	// beginning, and End what is new.
	Subscribe(ctx context.Context, channel, after string, ready func(), deliver func(payload []byte, place string) bool) error
	// PID is the server's process; what it needs besides are its children.
	PID() int
	Close()
}

// End is the place after everything there is.
const End = "end"

var makers = map[string]func(ctx context.Context, dir string) (Peer, error){
	"mgx-sqlite":   func(ctx context.Context, dir string) (Peer, error) { return openMGX(ctx, dir, false) },
	"mgx-postgres": func(ctx context.Context, dir string) (Peer, error) { return openMGX(ctx, dir, true) },
	"redis":        openRedis,
	"nats":         openNATS,
}

// order is that of the columns; the first is what the others are compared with.
var order = []string{"mgx-sqlite", "mgx-postgres", "redis", "nats"}

func names() []string {
	known := slices.Sorted(maps.Keys(makers))
	slices.SortFunc(known, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	return known
}

// child starts this program as a server, which says on a line where it is.
func child(args ...string) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, "", fmt.Errorf("%q: the server did not start", args)
	}
	return cmd, strings.TrimSpace(line), nil
}
