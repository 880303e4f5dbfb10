// Package typescript_test holds the TypeScript client against the real server:
// real store, real hub, real sockets, and connections that are cut.
package typescript_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/event"
	"mgx/internal/store"
)

const token = "a-token-of-at-least-26-characters"

// compile builds the client and its tests once.
var compile = sync.OnceValues(func() (script string, err error) {
	compiler := filepath.Join("node_modules", ".bin", "tsc")
	if _, err := os.Stat(compiler); err != nil {
		return "", err
	}
	out, err := exec.Command(compiler, "-p", "tsconfig.test.json").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return filepath.Join("build", "test", "follow.js"), nil
})

func serve(t *testing.T) (*store.Store, *httptest.Server) {
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "mgx.db"), store.Options{Check: contracts.Check})
	if err != nil {
		t.Fatal(err)
	}
	hub := event.NewHub(event.HubOptions{
		Source: s, Epoch: "one", Key: []byte("0123456789abcdef"), Authorize: event.OneWorkspace(mgx.DefaultWorkspace), Contracts: contracts,
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { hub.Run(ctx) })
	web := httptest.NewServer(api.New(api.Options{Hub: hub, Contracts: contracts, Token: token, Actor: "user_local"}))
	t.Cleanup(func() {
		web.CloseClientConnections()
		stop()
		running.Wait()
		web.Close()
		s.Close()
	})
	return s, web
}

// While events are appended and connections cut, a client that also starts over
// with the token it kept sees each event once, in order.
func TestFollowsARealServer(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	script, err := compile()
	if os.IsNotExist(err) {
		t.Skip("sdk/typescript/node_modules is not there; make sdk installs it")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{"sse", "websocket"} {
		t.Run(transport, func(t *testing.T) { follow(t, script, transport) })
	}
}

func follow(t *testing.T, script, transport string) {
	const n, half = 600, 250
	s, web := serve(t)
	scope := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}
	events := []mgx.Event{scope.Event(mgx.RunCreated, mgx.RunCreatedData{
		Task:     mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "t"},
		Settings: mgx.RunSettings{Approve: "auto"},
	})}
	for len(events) < n {
		events = append(events, scope.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: strings.Repeat("ä", len(events)%200)}))
	}
	commit := func(some []mgx.Event) {
		if _, err := s.Commit(context.Background(), mgx.Change{Events: some}); err != nil {
			t.Error(err)
		}
	}
	commit(events[:half])

	node := exec.CommandContext(t.Context(), "node", "--experimental-websocket", script)
	node.Env = append(os.Environ(), "MGX_URL="+web.URL, "MGX_TOKEN="+token, "MGX_TRANSPORT="+transport, fmt.Sprintf("MGX_UNTIL=%d", n))
	node.Stderr = os.Stderr
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Process.Kill() })
	next := half
	var seen []int64
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var line struct{ Position int64 }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		seen = append(seen, line.Position)
		if next < n && len(seen)%10 == 0 {
			commit(events[next : next+10])
			next += 10
		}
		if len(seen)%150 == 0 {
			web.CloseClientConnections()
		}
	}
	if err := node.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := int64(len(seen)); want != n || !slices.IsSorted(seen) || seen[0] != 1 || seen[n-1] != n || len(slices.Compact(slices.Clone(seen))) != n {
		t.Errorf("%d events, not each of %d once and in order: %v", len(seen), n, seen)
	}
}
