package api

import (
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mgx"
)

// handler answers a request or returns the error that becomes a problem.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one thing the API does, and what it takes to be allowed to: an action
// on a kind of resource, in the workspace of whoever asks.
type route struct {
	pattern string
	handle  handler // nil: what the operation's function makes of it
	needs   need
	flags   flags

	about about
	call  func(*surface, huma.Operation) // registers it; nil: the document does not tell of it
}

// need is what an actor must be permitted.
type need struct{ action, kind string }

func to(action, kind string) need { return need{action, kind} }

// anybody and somebody are needs that no policy decides: the first are met by
// everybody, the second by whoever proves who they are, since it is about them.
var (
	anybody  = need{action: "anybody"}
	somebody = need{action: "somebody"}
)

type flags int

const (
	stream       flags = 1 << iota // stays; sets its own time limits
	socks                          // authenticates in its handler, since browsers see no status
	installation                   // is about the installation, so it is of the default workspace
	finer                          // its handler asks, too: what is allowed hangs on what it finds
)

// routes is the whole API.
func (s *Server) routes() []route {
	return slices.Concat(s.budgetRoutes(), []route{
		undescribed("GET /health/{$}", s.getAlive, anybody, 0),
		undescribed("GET /health/live", s.getLive, anybody, 0),
		undescribed("GET /health/ready", s.getReady, anybody, 0),
		undescribed("GET /health/status", s.getStatus, to("read", "settings"), installation),
		undescribed("GET /metrics", s.getMetrics, to("read", "settings"), installation),

		undescribed("POST /api/v1/auth/sign-in", s.peopled(postSignIn), anybody, 0),
		undescribed("POST /api/v1/auth/refresh", s.peopled(postRefresh), anybody, 0),
		undescribed("POST /api/v1/auth/accept", s.peopled(postAccept), anybody, 0),
		undescribed("POST /api/v1/auth/sign-out", s.peopled(postSignOut), somebody, 0),
		undescribed("GET /api/v1/me", s.getMe, somebody, 0),
		undescribed("PUT /api/v1/me/password", s.peopled(putPassword), somebody, 0),
		undescribed("GET /api/v1/sessions", s.peopled(getSessions), somebody, 0),
		undescribed("DELETE /api/v1/sessions/{id}", s.peopled(deleteSession), somebody, 0),

		undescribed("GET /api/v1/workspaces", s.peopled(getWorkspaces), somebody, 0),
		undescribed("POST /api/v1/workspaces", s.peopled(postWorkspace), to("manage", "settings"), installation),
		undescribed("GET /api/v1/workspaces/{workspace}", s.peopled(getWorkspace), to("read", "settings"), 0),
		undescribed("PATCH /api/v1/workspaces/{workspace}", s.peopled(patchWorkspace), to("update", "settings"), 0),

		undescribed("GET /api/v1/members", s.peopled(getMembers), to("read", "users"), 0),
		undescribed("GET /api/v1/members/{id}", s.peopled(getMember), to("read", "users"), 0),
		undescribed("PATCH /api/v1/members/{id}", s.peopled(patchMember), to("manage", "users"), 0),
		undescribed("DELETE /api/v1/members/{id}", s.peopled(deleteMember), to("manage", "users"), 0),
		undescribed("GET /api/v1/invitations", s.peopled(getInvitations), to("manage", "users"), 0),
		undescribed("POST /api/v1/invitations", s.peopled(postInvitation), to("manage", "users"), 0),
		undescribed("DELETE /api/v1/invitations/{id}", s.peopled(deleteInvitation), to("manage", "users"), 0),
		undescribed("GET /api/v1/roles", s.peopled(getRoles), to("read", "users"), 0),
		undescribed("PUT /api/v1/roles/{id}", s.peopled(putRole), to("manage", "users"), 0),
		undescribed("DELETE /api/v1/roles/{id}", s.peopled(deleteRole), to("manage", "users"), 0),

		undescribed("GET /api/v1/keys", s.peopled(getKeys), to("read", "keys"), finer),
		undescribed("POST /api/v1/keys", s.peopled(postKey), to("create", "keys"), finer),
		undescribed("GET /api/v1/keys/{id}", s.peopled(getKey), to("read", "keys"), finer),
		undescribed("DELETE /api/v1/keys/{id}", s.peopled(deleteKey), to("delete", "keys"), finer),
		undescribed("POST /api/v1/keys/{id}/rotate", s.peopled(rotateKey), to("update", "keys"), finer),

		undescribed("GET /api/v1/events", s.getEvents, to("read", "events"), 0),
		undescribed("GET /api/v1/events/stream", s.getStream, to("connect", "events"), stream),
		undescribed("GET /api/v1/events/ws", s.getSocket, to("connect", "events"), stream|socks),

		undescribed("GET /api/v1/events/schemas", s.getSchemas, to("read", "events"), 0),
		undescribed("GET /api/v1/events/schemas/{type}", s.getSchema, to("read", "events"), 0),
		undescribed("GET /api/v1/events/schemas/{type}/{version}", s.getSchemaVersion, to("read", "events"), 0),

		undescribed("GET /api/v1/consumers", s.consuming(getConsumers), to("read", "settings"), installation),
		undescribed("GET /api/v1/consumers/{name}", s.consuming(getConsumer), to("read", "settings"), installation),
		undescribed("POST /api/v1/consumers/{name}/retry", s.consuming(retryDeadLetters), to("manage", "settings"), installation),
		undescribed("GET /api/v1/consumers/{name}/dead", s.consuming(getDeadLetters), to("read", "settings"), installation),
		undescribed("POST /api/v1/consumers/{name}/dead/{event}/retry", s.consuming(retryDeadLetters), to("manage", "settings"), installation),
		undescribed("DELETE /api/v1/consumers/{name}/dead/{event}", s.consuming(discardDeadLetter), to("manage", "settings"), installation),

		undescribed("GET /api/v1/webhooks", s.getWebhooks, to("read", "webhooks"), 0),
		undescribed("POST /api/v1/webhooks", s.postWebhook, to("create", "webhooks"), 0),
		undescribed("GET /api/v1/webhooks/{id}", s.hooked(getWebhook), to("read", "webhooks"), 0),
		undescribed("PATCH /api/v1/webhooks/{id}", s.hooked(patchWebhook), to("update", "webhooks"), 0),
		undescribed("DELETE /api/v1/webhooks/{id}", s.hooked(deleteWebhook), to("delete", "webhooks"), 0),
		undescribed("POST /api/v1/webhooks/{id}/enable", s.hooked(enableWebhook), to("update", "webhooks"), 0),
		undescribed("POST /api/v1/webhooks/{id}/disable", s.hooked(disableWebhook), to("update", "webhooks"), 0),
		undescribed("POST /api/v1/webhooks/{id}/rotate", s.hooked(rotateWebhook), to("manage", "webhooks"), 0),
		undescribed("POST /api/v1/webhooks/{id}/test", s.hooked(testWebhook), to("execute", "webhooks"), 0),
		undescribed("POST /api/v1/webhooks/{id}/retry", s.hooked(retryDead), to("execute", "webhooks"), 0),
		undescribed("GET /api/v1/webhooks/{id}/deliveries", s.hooked(getDeliveries), to("read", "webhooks"), 0),
		undescribed("GET /api/v1/webhooks/{id}/deliveries/{event}", s.hooked(getAttempts), to("read", "webhooks"), 0),
		undescribed("POST /api/v1/webhooks/{id}/deliveries/{event}/retry", s.hooked(retryDelivery), to("execute", "webhooks"), 0),
	})
}

// undescribed is a route that the document does not tell of.
func undescribed(pattern string, h handler, needs need, f flags) route {
	return route{pattern: pattern, handle: h, needs: needs, flags: f}
}

func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	s.surface = newSurface()
	for _, r := range s.routes() {
		if !r.needs.stated() {
			panic("api: nobody has said who may " + r.pattern)
		}
		if r.call != nil {
			r.handle = s.surface.add(r).handler(r.handle)
		}
		mux.Handle(r.pattern, s.serve(r))
	}
	if s.o.Gateway != nil {
		mux.Handle("/v1/", s.o.Gateway)
	}
	mux.Handle("/", s.serve(route{handle: nothing(mux), needs: anybody}))
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
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
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
	if to.flags&socks == 0 {
		handle = s.allowed(to, handle)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &answer{ResponseWriter: w}
		defer s.rescue(out, r)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if to.flags&stream == 0 {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWait)) // a recorder in a test has none
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
