package api

import (
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"mgx"
)

// handler answers a request or returns the error that becomes a problem.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one thing the API does.
type route struct {
	pattern string
	handle  handler
	flags   flags
}

type flags int

const (
	open   flags = 1 << iota // needs no token
	stream                   // stays; sets its own time limits
	socks                    // authenticates in its handler, since browsers see no status
)

// routes is the whole API.
func (s *Server) routes() []route {
	return []route{
		{"GET /health/live", s.getLive, open},
		{"GET /health/ready", s.getReady, open},
		{"GET /metrics", s.getMetrics, 0},

		{"GET /api/v1/events", s.getEvents, 0},
		{"GET /api/v1/events/stream", s.getStream, stream},
		{"GET /api/v1/events/ws", s.getSocket, stream | socks},

		{"GET /api/v1/events/schemas", s.getSchemas, 0},
		{"GET /api/v1/events/schemas/{type}", s.getSchema, 0},
		{"GET /api/v1/events/schemas/{type}/{version}", s.getSchemaVersion, 0},

		{"GET /api/v1/consumers", s.consuming(getConsumers), 0},
		{"GET /api/v1/consumers/{name}", s.consuming(getConsumer), 0},
		{"POST /api/v1/consumers/{name}/retry", s.consuming(retryDeadLetters), 0},
		{"GET /api/v1/consumers/{name}/dead", s.consuming(getDeadLetters), 0},
		{"POST /api/v1/consumers/{name}/dead/{event}/retry", s.consuming(retryDeadLetters), 0},
		{"DELETE /api/v1/consumers/{name}/dead/{event}", s.consuming(discardDeadLetter), 0},

		{"GET /api/v1/budgets", s.getBudgets, 0},
		{"POST /api/v1/budgets", s.postBudget, 0},
		{"GET /api/v1/budgets/{id}", s.budgeted(getBudget), 0},
		{"PATCH /api/v1/budgets/{id}", s.budgeted(patchBudget), 0},
		{"DELETE /api/v1/budgets/{id}", s.budgeted(deleteBudget), 0},
		{"GET /api/v1/usage", s.getUsage, 0},

		{"GET /api/v1/webhooks", s.getWebhooks, 0},
		{"POST /api/v1/webhooks", s.postWebhook, 0},
		{"GET /api/v1/webhooks/{id}", s.hooked(getWebhook), 0},
		{"PATCH /api/v1/webhooks/{id}", s.hooked(patchWebhook), 0},
		{"DELETE /api/v1/webhooks/{id}", s.hooked(deleteWebhook), 0},
		{"POST /api/v1/webhooks/{id}/enable", s.hooked(enableWebhook), 0},
		{"POST /api/v1/webhooks/{id}/disable", s.hooked(disableWebhook), 0},
		{"POST /api/v1/webhooks/{id}/rotate", s.hooked(rotateWebhook), 0},
		{"POST /api/v1/webhooks/{id}/test", s.hooked(testWebhook), 0},
		{"POST /api/v1/webhooks/{id}/retry", s.hooked(retryDead), 0},
		{"GET /api/v1/webhooks/{id}/deliveries", s.hooked(getDeliveries), 0},
		{"GET /api/v1/webhooks/{id}/deliveries/{event}", s.hooked(getAttempts), 0},
		{"POST /api/v1/webhooks/{id}/deliveries/{event}/retry", s.hooked(retryDelivery), 0},
	}
}

func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.pattern, s.serve(r))
	}
	if s.o.Gateway != nil {
		mux.Handle("/v1/", s.o.Gateway)
	}
	mux.Handle("/", s.serve(route{handle: nothing(mux), flags: open}))
	return mux
}

// nothing answers what no route does.
func nothing(mux *http.ServeMux) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if allowed := methods(mux, r); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			return mgx.Errorf(mgx.KindUsage, codeMethod, "%s does not answer %s", r.URL.Path, r.Method)
		}
		return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is nothing at this path")
	}
}

// methods lists what may be done with the path of a request.
func methods(mux *http.ServeMux, r *http.Request) (allowed []string) {
	for _, method := range []string{"GET", "HEAD", "POST", "PATCH", "DELETE"} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// serve makes a handler of net/http from a route.
func (s *Server) serve(to route) http.Handler {
	handle := to.handle
	if to.flags&stream == 0 {
		handle = s.within(handle)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &answer{ResponseWriter: w}
		defer s.rescue(out, r)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if to.flags&stream == 0 {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWait)) // a recorder in a test has none
		}
		if to.flags&(open|socks) == 0 {
			if err := s.authenticate(r); err != nil {
				s.fail(out, r, err)
				return
			}
		}
		if err := handle(out, r); err != nil {
			s.fail(out, r, err)
		}
	})
}

// rescue turns a panic into a problem and a log line.
func (s *Server) rescue(w *answer, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.o.Log.Error("a request panicked", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	s.fail(w, r, mgx.Errorf(mgx.KindInternal, "internal", "an internal error; the server's log tells more"))
}

// answer knows whether an answer has begun.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// secure sets what tells browsers to do nothing clever with an answer.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
