package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mgx"
	"mgx/internal/event"
)

// retryAfter is how long a browser waits before it connects again.
const retryAfter = 2 * time.Second

// getStream is the log as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html). The id of
// each is the token to resume after it, which a browser sends back by itself.
// Events have no name, so that onmessage gets them; checkpoint, lagging, reset
// and live have theirs. A stream of one run that has ended and of which the
// client has everything is answered with 204, which tells a browser to stop.
func (s *Server) getStream(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r, "last_event_id", "live", "format")
	if err != nil {
		return err
	}
	w.Header().Set("Vary", "Accept")
	cloud, err := streamForm(q, r)
	if err != nil {
		return err
	}
	req := event.SubscribeRequest{Cloud: cloud, Actor: actorOf(r).ID(), Channels: q.channels, Types: q.types, After: q.after, Versions: q.versions, Reader: actorOf(r).ID()}
	if req.Live, err = q.flag("live"); err != nil {
		return err
	}
	if req.Resume = r.Header.Get("Last-Event-ID"); req.Resume == "" {
		req.Resume = q.Get("last_event_id")
	}
	if req.Resume != "" {
		req.After = nil // the address was made before anything was read
	}
	leave, err := s.streams.enter()
	if err != nil {
		return err
	}
	defer leave()
	giveBack, err := s.share(w, r, actorOf(r))
	if err != nil {
		return err
	}
	defer giveBack()
	ctx, stop := s.streamContext(r.Context())
	defer stop()
	defer s.warden.watch(ctx, actorOf(r), secretOf(r), func(bool) { stop() })()

	sub, err := s.o.Hub.Subscribe(ctx, req)
	if reset, ok := errors.AsType[*event.Reset](err); ok {
		return newSSE(w).reset(reset)
	}
	if err != nil {
		return err
	}
	defer sub.Close()
	if over, err := s.over(ctx, req); err != nil || over {
		if over {
			w.WriteHeader(http.StatusNoContent)
		}
		return err
	}
	return newSSE(w).follow(ctx, sub, s.o.Comment)
}

// over reports whether a client asks to go on with one run whose last event it
// has.
func (s *Server) over(ctx context.Context, r event.SubscribeRequest) (bool, error) {
	if r.Resume == "" || len(r.Channels) != 1 || r.Channels[0].Kind != "run" || r.Channels[0].ID == "*" {
		return false, nil
	}
	rest, err := s.o.Hub.Page(ctx, event.PageRequest{Actor: r.Actor, Channels: r.Channels, Types: r.Types, Resume: r.Resume, Limit: 1})
	if err != nil || len(rest.Events) > 0 || rest.More {
		return false, err
	}
	ended := []string{string(mgx.TaskCompleted), string(mgx.TaskFailed), string(mgx.TaskCancelled)}
	end, err := s.o.Hub.Page(ctx, event.PageRequest{Actor: r.Actor, Channels: r.Channels, Types: ended, Limit: 1})
	return len(end.Events) > 0, err
}

// sse writes a stream. Each write has a time limit; a reader that takes nothing
// for so long is cut off, and resumes.
type sse struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
	buf bytes.Buffer
}

func newSSE(w http.ResponseWriter) *sse {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	s := &sse{w: w, ctl: http.NewResponseController(w)}
	fmt.Fprintf(&s.buf, "retry: %d\n\n", retryAfter.Milliseconds())
	return s
}

func (s *sse) follow(ctx context.Context, sub *event.Subscription, comment time.Duration) error {
	// An id from the beginning: who is cut off before the first event resumes here.
	s.named("subscribed", sub.Token(sub.Position()), map[string]any{"position": sub.Position()})
	if err := s.flush(); err != nil {
		return err
	}
	for {
		batch, err := next(ctx, sub, comment)
		reset, removed := errors.AsType[*event.Reset](err)
		switch {
		case removed:
			return s.reset(reset)
		case err == nil:
			for _, d := range batch {
				s.delivery(sub, d)
			}
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			s.buf.WriteString(":\n\n")
		case ctx.Err() != nil || mgx.IsCode(err, event.CodeRestarting):
			return nil // the client connects again
		default:
			return err
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
}

// next is sub.Next for at most a while.
func next(ctx context.Context, sub *event.Subscription, most time.Duration) ([]event.Delivery, error) {
	ctx, stop := context.WithTimeout(ctx, most)
	defer stop()
	return sub.Next(ctx)
}

func (s *sse) delivery(sub *event.Subscription, d event.Delivery) {
	switch d.Kind {
	case event.DeliverEvent:
		fmt.Fprintf(&s.buf, "id: %s\ndata: ", sub.RecordToken(d.Record))
		s.buf.Write(d.JSON)
		s.buf.WriteString("\n\n")
	case event.DeliverCheckpoint:
		s.named("checkpoint", sub.Token(d.Position), map[string]any{"position": d.Position})
	case event.DeliverLagging:
		s.named("lagging", "", map[string]any{"position": d.Position, "head": d.Head})
	case event.DeliverLive:
		s.named("live", "", liveFrame{Type: "live", Missed: d.Missed, Live: d.Live})
	}
}

func (s *sse) named(name, id string, v any) {
	if id != "" {
		fmt.Fprintf(&s.buf, "id: %s\n", id)
	}
	text, _ := json.Marshal(v) // plain structs
	fmt.Fprintf(&s.buf, "event: %s\ndata: %s\n\n", name, text)
}

// reset tells that the position cannot be resumed from. It takes the id away,
// so that a browser, which connects again by itself, begins with what is new.
func (s *sse) reset(r *event.Reset) error {
	s.buf.WriteString("id\n")
	s.named("reset", "", r)
	return s.flush()
}

func (s *sse) flush() error {
	s.ctl.SetWriteDeadline(time.Now().Add(answerWait)) // a recorder in a test has none
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return err
	}
	s.buf.Reset()
	if s.buf.Cap() > 1<<20 {
		s.buf = bytes.Buffer{}
	}
	return s.ctl.Flush()
}
