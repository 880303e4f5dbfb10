package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/event"
)

// closeCode says why somebody may not listen, where a request would be answered
// with a status.
func closeCode(err error) event.CloseCode {
	switch code := status(mgx.AsError(err)); {
	case mgx.IsCode(err, codeManyStreams):
		return event.CloseTooManyStreams
	case code == http.StatusUnauthorized:
		return event.CloseUnauthenticated
	case code < 500:
		return event.CloseRefused
	}
	return event.CloseTryLater
}

const maxBadFrames = 16 // then a client is told to go

// getSocket is the log over a WebSocket; frame.go says what is spoken. With
// channel parameters it begins with a subscription named "0", for clients that
// only listen.
func (s *Server) getSocket(w http.ResponseWriter, r *http.Request) error {
	if !slices.Contains(protocols(r), subprotocol) {
		return mgx.Errorf(mgx.KindUsage, codeSubprotocol, "connect by WebSocket with the sub-protocol %s", subprotocol)
	}
	first, name, cloud, err := firstFrame(r)
	if err != nil {
		return err
	}
	leave, err := s.streams.enter()
	if err != nil {
		return err
	}
	defer leave()
	actor, refused := s.identifySocket(r)
	if q := RequestFrom(r.Context()); q != nil {
		q.Actor = actor
	}
	if refused == nil {
		var giveBack func()
		if giveBack, refused = s.share(w, r, actor); refused == nil {
			defer giveBack()
		} else if r.Header.Get("Origin") == "" { // no browser, which sees no status
			return refused
		}
	}
	out := &corker{ResponseWriter: w}
	// The origin was checked by guard.
	conn, err := websocket.Accept(out, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}, InsecureSkipVerify: true})
	if err != nil {
		return nil // it has answered
	}
	if refused != nil {
		return conn.Close(websocket.StatusCode(closeCode(refused)), mgx.AsError(refused).Code)
	}
	conn.SetReadLimit(maxFrame)
	c := &socket{server: s, conn: conn, net: out.conn, subs: map[string]*event.Subscription{}, cloud: cloud, actor: actor}
	if name != "" {
		c.name = actor.ID() + " " + name
	}
	defer s.warden.watch(r.Context(), actor, socketSecret(r), func(again bool) {
		if again {
			c.end(event.CloseTryLater, access.CodeForbidden)
			return
		}
		c.end(event.CloseUnauthenticated, codeUnauthenticated)
	})()
	c.serve(first)
	return nil
}

// firstFrame is the subscription that a request's query asks for, if any, the
// name that the client gives itself, and whether it wants CloudEvents.
func firstFrame(r *http.Request) (first *clientFrame, name string, cloud bool, err error) {
	q, err := parseQuery(r, "last_event_id", "live", "client", "format")
	if err == nil && q.Has("format") {
		cloud, err = cloudFormat(q.Get("format"))
	}
	if err != nil || !q.Has("channel") {
		return nil, q.Get("client"), cloud, err
	}
	f := &clientFrame{Type: "subscribe", ID: "0", Channels: list(q.Values["channel"]), Filter: &frameFilter{q.types}, Resume: q.Get("last_event_id"), Versions: q.versions}
	if f.Resume == "" {
		f.After = q.after
	}
	f.Live, err = q.flag("live")
	return f, q.Get("client"), cloud, err
}

// socket is one connection. Its own goroutine reads; each subscription has one
// that writes.
type socket struct {
	server *Server
	conn   *websocket.Conn
	net    *corked
	name   string
	cloud  bool // events are CloudEvents
	actor  access.Actor
	bad    int
	ctx    context.Context
	stop   context.CancelFunc
	pumps  sync.WaitGroup

	write sync.Mutex // held for a batch of frames

	mu     sync.Mutex
	subs   map[string]*event.Subscription
	ending bool
	pinger *time.Timer
}

func (c *socket) serve(first *clientFrame) {
	c.ctx, c.stop = context.WithCancel(access.With(context.Background(), c.actor))
	restart := context.AfterFunc(c.server.draining, c.restart)
	c.pingLater()
	c.server.streams.name(c)
	defer func() {
		restart()
		c.stop()
		c.stopPing()
		c.server.streams.unname(c)
		c.conn.CloseNow()
		c.pumps.Wait()
	}()
	if first != nil {
		c.handle(*first, nil)
	}
	for {
		typ, text, err := c.conn.Read(context.Background())
		if err != nil {
			return
		}
		if typ != websocket.MessageText {
			c.end(event.CloseNotText, "text frames only")
			return
		}
		c.handle(parseFrame(text))
	}
}

// handle does what a frame asks, or says why not.
func (c *socket) handle(f clientFrame, err error) {
	if err == nil {
		err = c.do(f)
	}
	if err == nil {
		return
	}
	if reset, ok := errors.AsType[*event.Reset](err); ok {
		c.reset(f.ID, reset)
		return
	}
	if mgx.IsCode(err, event.CodeRestarting) {
		c.end(event.CloseRestarting, event.CodeRestarting)
		return
	}
	p := c.server.problemOf(c.actor.Workspace, err)
	c.send(serverFrame{Type: "error", ID: f.ID, Problem: &p})
	if p.Status == http.StatusForbidden {
		c.end(event.CloseRefused, p.Code)
		return
	}
	if c.bad++; c.bad == maxBadFrames {
		c.end(event.CloseBadFrames, "too many bad frames")
	}
}

func (c *socket) do(f clientFrame) error {
	switch f.Type {
	case "subscribe":
		return c.subscribe(f)
	case "unsubscribe":
		sub, err := c.find(f.ID)
		if err == nil {
			c.forget(f.ID, sub)
			sub.Cancel()
		}
		return err
	case "ack":
		sub, err := c.find(f.ID)
		if err == nil && (f.Position < 0 || f.Position > sub.Position()) {
			err = mgx.Errorf(mgx.KindUsage, codeFrame, "position %d was not sent yet", f.Position)
		}
		if err == nil {
			sub.Ack(f.Position)
		}
		return err
	case "ping":
		return c.send(serverFrame{Type: "pong", ID: f.ID})
	}
	return mgx.Errorf(mgx.KindUsage, codeFrame, "a frame's type is subscribe, unsubscribe, ack or ping, not %q", clip(f.Type))
}

func (c *socket) find(id string) (*event.Subscription, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sub := c.subs[id]
	if sub == nil {
		return nil, mgx.Errorf(mgx.KindUsage, codeFrame, "there is no subscription %q", id)
	}
	return sub, nil
}

func (c *socket) forget(id string, sub *event.Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subs[id] == sub {
		delete(c.subs, id)
	}
}

func (c *socket) subscribe(f clientFrame) error {
	req, err := f.request()
	if err != nil {
		return err
	}
	if err := c.room(f.ID); err != nil {
		return err
	}
	leave, err := c.besides()
	if err != nil {
		return err
	}
	req.Actor, req.Reader, req.Stalled, req.Cloud = c.actor.ID(), c.actor.ID(), c.stalled, c.cloud
	sub, err := c.server.o.Hub.Subscribe(c.ctx, req)
	if err != nil {
		leave()
		return err
	}
	c.mu.Lock()
	c.subs[f.ID] = sub
	c.mu.Unlock()
	position := sub.Position()
	c.send(serverFrame{Type: "subscribed", ID: f.ID, Epoch: c.server.o.Hub.Epoch(), Position: &position, Resume: sub.Token(position)})
	c.pumps.Go(func() {
		defer leave()
		defer sub.Close()
		err := c.pump(f.ID, sub)
		c.forget(f.ID, sub)
		c.ended(f.ID, err)
	})
	return nil
}

// besides counts a subscription as a stream of its own, when the connection has one
// already.
func (c *socket) besides() (leave func(), err error) {
	c.mu.Lock()
	n := len(c.subs)
	c.mu.Unlock()
	if n == 0 {
		return func() {}, nil
	}
	return c.server.follow(c.ctx, c.actor)
}

// room refuses a subscription too many. Only the reading goroutine adds any.
func (c *socket) room(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.subs[id]; taken {
		return mgx.Errorf(mgx.KindUsage, codeFrame, "there is a subscription %q already; unsubscribe it first or choose another id", id)
	}
	if most := c.server.o.Subscriptions; len(c.subs) >= most {
		return mgx.Errorf(mgx.KindUsage, "too_many_subscriptions", "a connection has at most %d subscriptions", most)
	}
	return nil
}

// pump writes what a subscription yields until it ends or nothing can be
// written.
func (c *socket) pump(id string, sub *event.Subscription) error {
	quoted, err := json.Marshal(id)
	if err != nil {
		return err
	}
	for {
		batch, err := sub.Next(c.ctx)
		if err != nil {
			return err
		}
		if err := c.deliver(quoted, id, sub, batch); err != nil {
			return err
		}
	}
}

var frameBuffers = sync.Pool{New: func() any { return new([]byte) }}

const keptFrame = 64 << 10

func (c *socket) deliver(quoted []byte, id string, sub *event.Subscription, batch []event.Delivery) error {
	buf := frameBuffers.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= keptFrame {
			frameBuffers.Put(buf)
		}
	}()
	return c.batch(func() error {
		if err := sub.Err(); err != nil { // unsubscribed meanwhile; another may have its id
			return err
		}
		for _, d := range batch {
			switch d.Kind {
			case event.DeliverEvent:
				*buf = appendEvent((*buf)[:0], quoted, sub.RecordToken(d.Record), d.JSON)
			case event.DeliverCheckpoint:
				*buf = serverFrame{Type: "checkpoint", ID: id, Position: &d.Position, Resume: sub.Token(d.Position)}.text()
			case event.DeliverLagging:
				*buf = serverFrame{Type: "lagging", ID: id, Position: &d.Position, Head: &d.Head}.text()
			case event.DeliverLive:
				*buf, _ = json.Marshal(liveFrame{Type: "live", ID: id, Missed: d.Missed, Live: d.Live}) // plain structs
			}
			if err := c.conn.Write(context.Background(), websocket.MessageText, *buf); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *socket) send(f serverFrame) error {
	return c.batch(func() error { return c.conn.Write(context.Background(), websocket.MessageText, f.text()) })
}

// batch has what f writes go out at once. A peer that takes nothing blocks it
// until the connection is closed.
func (c *socket) batch(f func() error) error {
	c.write.Lock()
	defer c.write.Unlock()
	c.net.cork()
	err := f()
	return errors.Join(err, c.net.uncork())
}

// reset tells that the client has to choose where to begin anew.
func (c *socket) reset(id string, r *event.Reset) {
	c.send(serverFrame{Type: "reset", ID: id, Reason: r.Reason, Earliest: &r.Earliest, Head: &r.Head})
}

// ended says why a subscription is over, where the client did not ask for it.
func (c *socket) ended(id string, err error) {
	reset, removed := errors.AsType[*event.Reset](err)
	switch {
	case c.ctx.Err() != nil || mgx.IsCode(err, mgx.CodeCancelled):
	case removed:
		c.reset(id, reset)
	case mgx.IsCode(err, event.CodeTooSlow):
		c.end(event.CloseTooSlow, event.CodeTooSlow)
	case mgx.IsCode(err, event.CodeRestarting):
		c.restart()
	default:
		p := c.server.problemOf(c.actor.Workspace, err)
		c.send(serverFrame{Type: "error", ID: id, Problem: &p})
		c.end(event.CloseFailed, p.Code)
	}
}

// end closes the connection with a code, once.
func (c *socket) end(code event.CloseCode, why string) {
	c.mu.Lock()
	ending := c.ending
	c.ending = true
	c.mu.Unlock()
	if ending {
		return
	}
	if err := c.conn.Close(websocket.StatusCode(code), why); err != nil {
		c.server.o.Log.Debug("a connection was closed without answer", slog.Int("code", int(code)))
	}
}

// stalled is called when the peer takes nothing. If it takes what is being
// written after all it gets the close frame, else nothing more.
func (c *socket) stalled() {
	time.AfterFunc(c.server.o.CloseWait, func() { c.conn.CloseNow() })
}

// restart closes the connection a random moment later.
func (c *socket) restart() {
	select {
	case <-time.After(rand.N(drainSpread)):
		c.end(event.CloseRestarting, event.CodeRestarting)
	case <-c.ctx.Done():
	}
}

// ping looks whether the peer is still there, again and again.
func (c *socket) ping() {
	ctx, stop := context.WithTimeout(c.ctx, c.server.o.PongWait)
	defer stop()
	if err := c.conn.Ping(ctx); err != nil {
		c.conn.CloseNow()
		return
	}
	c.pingLater()
}

func (c *socket) pingLater() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() == nil {
		c.pinger = time.AfterFunc(c.server.o.PingEvery, c.ping)
	}
}

func (c *socket) stopPing() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pinger.Stop()
}

// name lets the newest connection of a named client have the name, and closes
// the one before.
func (s *streams) name(c *socket) {
	if c.name == "" {
		return
	}
	s.mu.Lock()
	before := s.named[c.name]
	if s.named == nil {
		s.named = map[string]*socket{}
	}
	s.named[c.name] = c
	s.mu.Unlock()
	if before != nil {
		go before.end(event.CloseSuperseded, "superseded")
	}
}

func (s *streams) unname(c *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named[c.name] == c {
		delete(s.named, c.name)
	}
}
