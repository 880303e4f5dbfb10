package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/event"
	"mgx/internal/store"
)

// mgxPeer is what `mgx serve` runs, its API, hub and store, as a process that
// also appends what it is sent: MGX itself has no API for that, its writers are
// the workers in the server.
type mgxPeer struct {
	name   string
	server *exec.Cmd
	url    string
	web    *http.Client
	stop   func()

	mu       sync.Mutex
	channels map[string]mgx.RunID
}

const mgxToken = "bench-bench-bench-bench-bench-bench"

// serveMGX is the server's process.
func serveMGX(ctx context.Context, place string) error {
	db, err := store.Open(ctx, place, store.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	contracts, err := event.NewRegistry()
	if err != nil {
		return err
	}
	hub := event.NewHub(event.HubOptions{
		Source: db, Epoch: "bench", Key: []byte(mgxToken), Authorize: event.OneWorkspace(mgx.DefaultWorkspace), Contracts: contracts,
	})
	go hub.Run(ctx)
	web := api.New(api.Options{Hub: hub, Contracts: contracts, Token: mgxToken, Actor: "user_bench"})
	mux := http.NewServeMux()
	mux.Handle("/", web)
	mux.HandleFunc("POST /append", func(w http.ResponseWriter, r *http.Request) {
		if err := appendLines(r, db); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	return http.Serve(l, mux)
}

// appendLines stores each line as an event of the run that the request names, in
// one transaction.
func appendLines(r *http.Request, db *store.Store) error {
	sc := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.RunID(r.URL.Query().Get("run"))}
	var events []mgx.Event
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		e := sc.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: lines.Text()})
		e.Version = "1.0.0"
		events = append(events, e)
	}
	if len(events) == 0 {
		e := sc.Event(mgx.RunCreated, mgx.RunCreatedData{})
		e.Version = "1.1.0"
		events = []mgx.Event{e}
	}
	_, err := db.Commit(r.Context(), mgx.Change{Events: events})
	return err
}

func openMGX(_ context.Context, dir string, postgres bool) (Peer, error) {
	p := &mgxPeer{name: "SQLite, synchronous=FULL", channels: map[string]mgx.RunID{}, stop: func() {}}
	p.web = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	place := filepath.Join(dir, "mgx.db")
	if postgres {
		var err error
		if place, p.stop, err = startPostgres(dir); err != nil {
			return nil, err
		}
		p.name = "PostgreSQL, fsync=on, synchronous_commit=on; CPU and memory without PostgreSQL's"
	}
	var err error
	if p.server, p.url, err = child("-serve-mgx", place); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *mgxPeer) Version() string { return "MGX on " + p.name }
func (p *mgxPeer) PID() int        { return p.server.Process.Pid }

func (p *mgxPeer) Close() {
	p.server.Process.Kill()
	p.server.Wait()
	p.stop()
}

// Channel is a run.
func (p *mgxPeer) Channel(ctx context.Context, name string) error {
	p.mu.Lock()
	_, there := p.channels[name]
	if !there {
		p.channels[name] = mgx.NewRunID()
	}
	p.mu.Unlock()
	if there {
		return nil
	}
	return p.Fill(ctx, name, nil)
}

func (p *mgxPeer) run(channel string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.channels[channel])
}

func (p *mgxPeer) Append(ctx context.Context, channel, payload string) error {
	return p.Fill(ctx, channel, []string{payload})
}

func (p *mgxPeer) Fill(ctx context.Context, channel string, payloads []string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/append?run="+p.run(channel), strings.NewReader(strings.Join(payloads, "\n")))
	if err != nil {
		return err
	}
	resp, err := p.web.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return err
}

func (p *mgxPeer) Subscribe(ctx context.Context, channel, after string, ready func(), deliver func([]byte, string) bool) error {
	q := url.Values{"channel": {"run:" + p.run(channel)}, "type": {"run.noted"}}
	switch after {
	case "":
		q.Set("after", "0")
	case End:
	default:
		q.Set("last_event_id", after)
	}
	transport := &http.Transport{}
	conn, _, err := websocket.Dial(ctx, p.url+"/api/v1/events/ws?"+q.Encode(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"events.v1+json"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + mgxToken}},
	})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(4 << 20)
	for {
		_, frame, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		switch {
		case bytes.Contains(frame[:min(len(frame), 24)], []byte(`"subscribed"`)):
			ready()
		case bytes.Contains(frame[:min(len(frame), 18)], []byte(`"event"`)):
			if !deliver(value(frame, `"text":"`), string(value(frame, `"resume":"`))) {
				return nil
			}
		case bytes.Contains(frame[:min(len(frame), 18)], []byte(`"reset"`)), bytes.Contains(frame[:min(len(frame), 18)], []byte(`"error"`)):
			return fmt.Errorf("the server says %s", frame)
		}
	}
}

// value is what follows a mark, up to the next quote.
func value(text []byte, mark string) []byte {
	_, rest, _ := bytes.Cut(text, []byte(mark))
	found, _, _ := bytes.Cut(rest, []byte(`"`))
	return found
}
