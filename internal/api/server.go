package api

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/limit"
	"mgx/internal/webhook"
)

// Bounds of the server itself; those of streams are in Options.
const (
	maxHeader   = 32 << 10  // bytes of a request's headers
	maxBody     = 1 << 20   // bytes of a request's body
	maxFile     = 256 << 20 // bytes of one that is a file
	headerWait  = 10 * time.Second
	idleWait    = 2 * time.Minute
	answerWait  = 30 * time.Second // to write an answer that is no stream
	drainWait   = 10 * time.Second // for answers and streams to end
	drainSpread = 500 * time.Millisecond
)

// Options are what a server works with. Zero sizes and times take the defaults.
type Options struct {
	Hub       *event.Hub                            // required
	Contracts *event.Registry                       // required
	Access    *app.Access                           // who may do what; nil: the owner of Token, everything
	Token     string                                // of the owner of the data directory; not used with Access
	Actor     string                                // the owner's id
	Checks    []Check                               // of /health/ready
	Status    func(context.Context) (Status, error) // for /health/status; nil: little is known
	Version   string                                // of this program
	Hosts     []string                              // host names besides those of the loopback interface; "*." begins one of any name below
	Proxies   []netip.Prefix                        // whose word on where a request comes from counts; others than these are not served
	Origins   []string                              // whose pages may use the server, as [Origin] reads them; nil: those of the server's own
	Log       *slog.Logger
	Webhooks  *webhook.Endpoints // nil: there are none
	Budgets   *app.Budgets       // nil: there are none
	Work      *app.Work          // nil: none is done
	Models    *app.Models        // nil: none is told of
	Templates *app.Templates     // of tasks; nil: there are none
	Gateway   Gateway            // of everything below /v1/; nil: nothing
	Consumers Consumers          // nil: none is told of
	Secrets   *app.Secrets       // nil: there are none
	Audit     *app.Audit         // nil: there is none
	Retention *app.Retention     // nil: events are kept for ever
	Rights    *app.Rights        // nil: nothing is handed out or erased
	Trial     app.Trial          // what policies are tried with
	Metrics   http.Handler       // nil: none are collected
	Spool     string             // directory in which exports are made; empty: the system's for temporary files
	Terms     Terms              // nil: nothing is done once, nor only to what somebody has seen
	Limits    Limits
	Limiter   *limit.Limiter // nil: everybody may ask as often as they like

	Console func(*Server) http.Handler // makes what answers every path that is not the API's; nil: nothing does
	Secure  bool                       // browsers reach the server over TLS
	// Redact takes the secrets of a workspace, that of who asks, out of what is answered,
	// last: problems, and answers that are text and complete. Who is in none, or nobody,
	// has an empty one. Streams and files have what was redacted before. Nil: nothing is
	// taken out.
	Redact func(of mgx.WorkspaceID, text string) string
	// Seen is told of every request when it is over, a stream too; it must not block.
	Seen func(context.Context, Request)

	Connections   int           // most WebSocket and SSE connections at once; 4096
	Subscriptions int           // most in one WebSocket connection; 32
	PingEvery     time.Duration // WebSocket; 30 s
	PongWait      time.Duration // after which a WebSocket peer counts as gone; 45 s
	Comment       time.Duration // how often SSE says that it is alive; 15 s
	BodyWait      time.Duration // for a request's body, unless it is a file; 30 s
	WorkWait      time.Duration // for what a request asks that is answered at once; 20 s
	GraceWait     time.Duration // after it, until the request is answered all the same; 5 s
	CloseWait     time.Duration // for a stalled peer to take its close frame; 5 s
}

// Gateway answers everything below /v1/, with keys of its own, in the dialects of others.
type Gateway interface {
	http.Handler
	// Refuse answers a request that did not get so far, in the dialect that it speaks.
	Refuse(w http.ResponseWriter, r *http.Request, err error)
}

// Server answers requests. It is an http.Handler; Serve runs it on a listener.
type Server struct {
	o        Options
	handler  http.Handler
	draining context.Context
	drain    context.CancelFunc
	streams  streams
	shares   limit.Shares // of streams
	bodies   bodies
	slow     limit.Shares // of what may take long
	exports  *limit.Gate
	warden   warden
	edge     edge
	health   health
	surface  *surface // what the document of the API tells
	turns    turns
}

// New returns a server. It panics when a required option is missing.
func New(o Options) *Server {
	if o.Hub == nil || o.Contracts == nil || o.Access == nil && o.Token == "" {
		panic("api: a server needs a hub, contracts and a token")
	}
	if o.Access == nil {
		o.Access = app.NewAccess(app.AccessOptions{Local: o.Token, Owner: mgx.UserID(o.Actor), Log: o.Log})
	}
	def(&o.Connections, 4096)
	def(&o.Subscriptions, 32)
	def(&o.PingEvery, 30*time.Second)
	def(&o.PongWait, 45*time.Second)
	def(&o.Comment, 15*time.Second)
	def(&o.BodyWait, bodyWait)
	def(&o.WorkWait, workWait)
	def(&o.GraceWait, graceWait)
	def(&o.CloseWait, 5*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Redact == nil {
		o.Redact = func(_ mgx.WorkspaceID, s string) string { return s }
	}
	s := &Server{o: o, health: health{checks: o.Checks}}
	s.warden.access = o.Access
	s.bodies = newBodies()
	s.exports = limit.NewGate(exportsAtOnce, exportsQueue, exportsWait)
	s.edge = newEdge(o)
	s.streams.most = o.Connections
	s.draining, s.drain = context.WithCancel(context.Background())
	s.handler = s.observed(s.guard(s.spared(s.browsers(s.mux()))))
	return s
}

func def[T int | time.Duration](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve answers requests on a listener until ctx ends, then drains.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	web := &http.Server{
		Handler: s, ReadHeaderTimeout: headerWait, IdleTimeout: idleWait, MaxHeaderBytes: maxHeader, ConnContext: onConn,
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(lasting{l}) }()
	select {
	case err := <-failed:
		s.drain()
		return err
	case <-ctx.Done():
	}
	s.drain()
	late, stop := context.WithTimeout(context.WithoutCancel(ctx), drainWait)
	defer stop()
	err := web.Shutdown(late)
	s.streams.wait(late)
	if errors.Is(err, context.DeadlineExceeded) {
		err = web.Close()
	}
	return err
}

// streamContext ends with the request, or a random moment after the server has
// begun to drain.
func (s *Server) streamContext(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	stop := context.AfterFunc(s.draining, func() { time.AfterFunc(rand.N(drainSpread), cancel) })
	return ctx, func() { stop(); cancel() }
}

// streams counts the connections that stay.
type streams struct {
	most int
	open atomic.Int64
	all  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	named  map[string]*socket // by actor and the name a client gave itself
}

// enter makes room for one more.
func (s *streams) enter() (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, restarting()
	}
	if s.open.Add(1) > int64(s.most) {
		s.open.Add(-1)
		return nil, full(s.most)
	}
	s.all.Add(1)
	return func() { s.open.Add(-1); s.all.Done() }, nil
}

// wait returns when all have left or ctx ends. None enters any more.
func (s *streams) wait(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { defer close(done); s.all.Wait() }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
