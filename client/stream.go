package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"mgx"
)

// StreamOptions say what to stream, and from where: from Resume, else from
// After, else only what is new.
type StreamOptions struct {
	Channels []string // all, run:ID, task:*, …; none: all
	Types    []string // globs such as tool.*
	Resume   string   // a token that Token got, or EventPage.Resume
	After    *int64   // a position; 0 is the beginning of the log

	// Live, if set, is called with what is shown while it happens and never
	// stored: see mgx's live frames. It is best effort.
	Live func(Live)
	// Token, if set, is called after the loop is through with an event, and now
	// and then without one, with what resumes after it.
	Token func(string)
	// Wait makes a stream that has never been connected try until the server is
	// there. Without it the first failure ends the stream.
	Wait bool
	// Lost, if set, is told why a connection ended that will be made again.
	Lost func(error)
}

// Live is a piece of what a model says or a program prints while it does.
type Live struct {
	Workspace mgx.WorkspaceID `json:"workspace_id"`
	Task      mgx.TaskID      `json:"task_id"`
	Run       mgx.RunID       `json:"run_id"`
	Agent     string          `json:"agent"`
	Text      string          `json:"text"`
	Again     bool            `json:"again"` // the model starts over: what it said in this turn is void
	Tool      string          `json:"tool"`
	Missed    int64           `json:"missed"` // pieces left out before this one
}

// ResetError ends a stream whose position cannot be resumed from. Begin anew
// with After: Earliest-1 for everything that is left, Head for what is new.
type ResetError struct {
	Reason         string // invalid_token, other_filter, other_epoch, too_old, ahead_of_log
	Earliest, Head int64
}

func (e *ResetError) Error() string {
	return fmt.Sprintf("the stream cannot resume where it was (%s); events %d to %d can be read", e.Reason, e.Earliest, e.Head)
}

const (
	subprotocol  = "events.v1+json"
	closeRefused = websocket.StatusCode(4003)
	closeUnknown = websocket.StatusCode(4001)
	closeOther   = websocket.StatusCode(4009)

	maxFrame    = 2 << 20          // bytes: the largest event with its frame fits
	connectWait = 15 * time.Second // to be connected
	silence     = 95 * time.Second // without anything, pings included, the server counts as gone
	firstRetry  = 250 * time.Millisecond
	lastRetry   = 30 * time.Second
)

// Stream yields events until the loop is left, ctx ends or an error is final. It
// yields one error at most, as the last thing.
func (c *Client) Stream(ctx context.Context, o StreamOptions) iter.Seq2[mgx.Event, error] {
	return func(yield func(mgx.Event, error) bool) {
		s := &streaming{client: c, o: o, resume: o.Resume, after: o.After, yield: yield}
		if len(s.o.Channels) == 0 {
			s.o.Channels = []string{"all"}
		}
		err := s.run(ctx)
		if err != nil && !errors.Is(err, errLeft) {
			yield(mgx.Event{}, err)
		}
	}
}

// errSilent is the cause of a connection that was given up.
var errSilent = errors.New("it has not answered for too long")

// errLeft says that the loop was left.
var errLeft = errors.New("the loop was left")

// finalError is one that connecting again does not help.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// streaming is one stream over all its connections.
type streaming struct {
	client *Client
	o      StreamOptions
	yield  func(mgx.Event, error) bool

	resume    string // after the event received last
	after     *int64
	position  int64 // of the event yielded last
	connected bool  // at any time
	failures  int   // since something was received
}

func (s *streaming) run(ctx context.Context) error {
	for {
		err := s.connect(ctx)
		switch final, ok := errors.AsType[finalError](err); {
		case errors.Is(err, errLeft):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case ok:
			return final.error
		case !s.connected && !s.o.Wait:
			return err
		}
		if s.o.Lost != nil {
			s.o.Lost(err)
		}
		if err := pause(ctx, s.backoff()); err != nil {
			return err
		}
	}
}

// backoff is "full jitter": anything up to a bound that doubles, so that clients
// that lost the same server do not come back together.
func (s *streaming) backoff() time.Duration {
	most := firstRetry << min(s.failures, 10)
	s.failures++
	return rand.N(min(most, lastRetry) + 1)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connect makes one connection and yields what it brings until it ends.
func (s *streaming) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(connectWait, func() { cancel(errSilent) })
	defer watchdog.Stop()
	header, err := s.client.header(ctx)
	if err != nil {
		return err
	}
	conn, resp, err := websocket.Dial(ctx, s.client.url("/api/v1/events/ws", nil), &websocket.DialOptions{
		HTTPClient: s.client.http, HTTPHeader: header, Subprotocols: []string{subprotocol},
		OnPingReceived: func(context.Context, []byte) bool { watchdog.Reset(silence); return true },
	})
	if err != nil {
		return s.refusal(ctx, resp, err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)
	if err := s.subscribe(ctx, conn); err != nil {
		return s.client.unreachable(ctx, err)
	}
	for {
		watchdog.Reset(silence)
		_, text, err := conn.Read(ctx)
		watchdog.Stop() // the loop may take its time
		if err != nil {
			return s.closed(ctx, err)
		}
		if err := s.frame(text); err != nil {
			if errors.Is(err, errLeft) {
				conn.Close(websocket.StatusNormalClosure, "")
			}
			return err
		}
	}
}

// refusal explains a handshake that failed.
func (s *streaming) refusal(ctx context.Context, resp *http.Response, err error) error {
	if resp == nil {
		return s.client.unreachable(ctx, err)
	}
	body := make([]byte, 1024)
	n, _ := resp.Body.Read(body)
	why := s.client.problem(resp.StatusCode, body[:n])
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return why
	}
	return finalError{why}
}

type subscribeFrame struct {
	Type     string   `json:"type"`
	ID       string   `json:"id"`
	Channels []string `json:"channels"`
	Filter   struct {
		Types []string `json:"types,omitempty"`
	} `json:"filter"`
	Resume string `json:"resume,omitempty"`
	After  *int64 `json:"after,omitempty"`
	Live   bool   `json:"live,omitempty"`
}

func (s *streaming) subscribe(ctx context.Context, conn *websocket.Conn) error {
	f := subscribeFrame{Type: "subscribe", ID: "1", Channels: s.o.Channels, Resume: s.resume, Live: s.o.Live != nil}
	f.Filter.Types = s.o.Types
	if s.resume == "" {
		f.After = s.after
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, text)
}

// serverFrame is any frame of the server.
type serverFrame struct {
	Type     string          `json:"type"`
	Resume   string          `json:"resume"`
	Event    json.RawMessage `json:"event"`
	Reason   string          `json:"reason"`
	Earliest int64           `json:"earliest"`
	Head     int64           `json:"head"`
	Problem  *problem        `json:"problem"`
}

func (s *streaming) frame(text []byte) error {
	var f serverFrame
	if err := json.Unmarshal(text, &f); err != nil {
		return finalError{mgx.Errorf(mgx.KindConfig, CodeBadServer, "the server sent a frame that is not JSON: %w", err)}
	}
	switch f.Type {
	case "event":
		return s.event(f)
	case "subscribed":
		s.connected, s.resume = true, f.Resume
	case "checkpoint":
		s.resume, s.failures = f.Resume, 0
		s.tell()
	case "live":
		var l Live
		if s.o.Live != nil && json.Unmarshal(text, &l) == nil {
			s.o.Live(l)
		}
	case "reset":
		return finalError{&ResetError{Reason: f.Reason, Earliest: f.Earliest, Head: f.Head}}
	case "error":
		switch {
		case f.Problem == nil:
		case f.Problem.Status < 500:
			return finalError{f.Problem.err()}
		default: // the server keeps the connection, without the subscription
			return f.Problem.err()
		}
	}
	return nil // frames of later versions are left out
}

func (s *streaming) event(f serverFrame) error {
	var e mgx.Event
	if err := json.Unmarshal(f.Event, &e); err != nil {
		return finalError{mgx.Errorf(mgx.KindConfig, CodeBadServer, "the server sent an event that does not decode: %w", err)}
	}
	s.resume, s.failures = f.Resume, 0
	if e.Position <= s.position {
		return nil
	}
	s.position = e.Position
	if !s.yield(e, nil) {
		return errLeft
	}
	s.tell()
	return nil
}

func (s *streaming) tell() {
	if s.o.Token != nil {
		s.o.Token(s.resume)
	}
}

// closed explains the end of a connection.
func (s *streaming) closed(ctx context.Context, err error) error {
	switch websocket.CloseStatus(err) {
	case closeUnknown:
		return finalError{mgx.Errorf(mgx.KindRefused, "unauthenticated", "the server at %s does not accept the token, or no longer; mgx serve says where its own is, or see: mgx login", s.client.base.Host)}
	case closeRefused:
		return finalError{mgx.Errorf(mgx.KindRefused, "channel_refused", "the server does not let you read %v", s.o.Channels)}
	case closeOther:
		return finalError{mgx.Errorf(mgx.KindStopped, "superseded", "another connection has taken over")}
	}
	return s.client.unreachable(ctx, err)
}
