package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"mgx"
	"mgx/internal/limit"
	"mgx/internal/llm"
)

// Models are what calls can go to.
type Models interface {
	// Resolve finds what a name in a request stands for, for a workspace: a policy,
	// "provider/model", or a model that only one provider has among those that may
	// be used. An unknown name is CodeNotFound. Whether what was named in full may
	// be used is for the caller to see.
	Resolve(ctx context.Context, ws mgx.WorkspaceID, name string, may func(full string) bool) (Model, error)
	// List lists all that Resolve would find, as far as providers say.
	List(ctx context.Context, ws mgx.WorkspaceID) ([]Model, error)
	// Count is [llm.Router.Count] for a workspace.
	Count(ctx context.Context, ws mgx.WorkspaceID, req *llm.Request) (tokens int64, counted bool, err error)
	// Call is [llm.Router.Call] for a workspace.
	Call(ctx context.Context, ws mgx.WorkspaceID, req *llm.Request, acct llm.Account, watch func(llm.Chunk)) (*llm.Result, error)
}

// Model is a model or a policy that calls can name.
type Model struct {
	Name      string // the full name: "provider/model", or the policy's
	Policy    bool
	Window    int      // tokens; 0: unknown
	MaxOutput int      // tokens of an answer when the caller does not say; 0: defaultOutput
	Passes    []string // dialects in which requests pass through, of a model
}

// defaultOutput bounds answers of models of which nothing is known, in tokens.
const defaultOutput = 8192

// Books keep account of calls.
type Books interface {
	// Open begins the account of one call.
	Open(ctx context.Context, key mgx.APIKey, call string) Account
}

// Account pays for one call.
type Account interface {
	llm.Account
	// Close settles the attempt that succeeded, if any did, and records the events
	// of the call, all or nothing.
	Close(settled mgx.Settlement, events []mgx.Event) error
}

// Options are what a server works with. Zero sizes and times take the defaults.
type Options struct {
	Keys   Keys   // required
	Models Models // required
	Books  Books  // required
	Log    *slog.Logger
	Now    func() time.Time     // time.Now
	Tracer trace.TracerProvider // takes the spans of calls; the process's

	Body      int64         // most bytes of a request's body; 32 MB
	Bodies    int64         // most bytes of all bodies of calls under way, of which a workspace may have half; 512 MB
	BodyWait  time.Duration // for a body to come; 1 min
	AtOnce    int           // most calls of a key at once; 256
	PerMinute int           // most calls of a key in a minute; 6000
	Beat      time.Duration // silence in a stream before a sign of life; 15 s
	WriteWait time.Duration // for a reader to take what was written; 30 s
	Drain     time.Duration // for calls to end once Close was called; 10 s
}

// Server answers requests in the dialects. It is an http.Handler for the paths
// that [Server.Routes] lists.
type Server struct {
	o      Options
	mux    *http.ServeMux
	limits limits
	bodies *limit.Bytes // of calls under way, by workspace

	calls   sync.WaitGroup
	ctx     context.Context // of all calls
	stop    context.CancelCauseFunc
	mu      sync.Mutex
	closing bool
}

// New returns a server. It panics when a required option is missing.
func New(o Options) *Server {
	if o.Keys == nil || o.Models == nil || o.Books == nil {
		panic("gateway: a server needs keys, models and books")
	}
	def(&o.Body, 32<<20)
	def(&o.Bodies, 512<<20)
	def(&o.BodyWait, time.Minute)
	def(&o.AtOnce, 256)
	def(&o.PerMinute, 6000)
	def(&o.Beat, 15*time.Second)
	def(&o.WriteWait, 30*time.Second)
	def(&o.Drain, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tracer == nil {
		o.Tracer = otel.GetTracerProvider()
	}
	s := &Server{o: o}
	s.limits = limits{atOnce: o.AtOnce, perMinute: o.PerMinute, now: o.Now, byKey: map[mgx.KeyID]*usage{}}
	s.bodies = limit.NewBytes(o.Bodies, o.Bodies/2)
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	s.mux = s.routes()
	return s
}

func def[T int | int64 | time.Duration](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// routes are everything that the server does.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.serve(s.call(chat{})))
	mux.HandleFunc("POST /v1/responses", s.serve(s.call(responses{})))
	mux.HandleFunc("POST /v1/messages", s.serve(s.call(messages{})))
	mux.HandleFunc("POST /v1/messages/count_tokens", s.serve(s.countTokens))
	mux.HandleFunc("GET /v1/models", s.serve(s.getModels))
	mux.HandleFunc("GET /v1/models/{name...}", s.serve(s.getModel))
	mux.HandleFunc("/", s.serve(s.nothing))
	return mux
}

// Close takes no more calls, lets those under way end for a while, then ends
// them, and returns when all are settled.
func (s *Server) Close() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	timer := time.AfterFunc(s.o.Drain, func() { s.stop(draining()) })
	defer timer.Stop()
	s.calls.Wait()
	s.stop(draining())
}

const codeDraining = "draining"

func draining() error {
	return &failure{kind: overloaded, code: codeDraining, message: "the server is going down; try again in a moment", wait: time.Second}
}

// enter counts a call, unless the server is going down.
func (s *Server) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return draining()
	}
	s.calls.Add(1)
	return nil
}
