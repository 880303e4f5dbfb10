package api

import (
	"bufio"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

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
	call  func(*surface, huma.Operation) // registers it
	most  map[string]int                 // characters of each name in its path
	heads map[string]int                 // and of each header that it reads
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
	bulky                          // its body or its answer is a file, which its handler reads or writes piece by piece
)

// routes is the whole API.
func (s *Server) routes() []route {
	return slices.Concat(
		s.healthRoutes(),
		s.documentRoutes(),
		s.peopleRoutes(),
		s.workspaceRoutes(),
		s.quotaRoutes(),
		s.memberRoutes(),
		s.keyRoutes(),
		s.eventRoutes(),
		s.consumerRoutes(),
		s.budgetRoutes(),
		s.workRoutes(),
		s.templateRoutes(),
		s.steerRoutes(),
		s.reviewRoutes(),
		s.projectRoutes(),
		s.webhookRoutes(),
		s.secretRoutes(),
		s.auditRoutes(),
		s.policyRoutes(),
		s.modelRoutes(),
		s.settingRoutes(),
		s.rightsRoutes(),
		s.workRightsRoutes(),
	)
}

func (s *Server) mux() http.Handler {
	mux := http.NewServeMux()
	s.surface = newSurface()
	for _, r := range s.routes() {
		if !r.needs.stated() {
			panic("api: nobody has said who may " + r.pattern)
		}
		o := s.surface.add(r)
		r.handle, r.most, r.heads = s.typed(o), o.most("path"), o.most("header")
		mux.Handle(r.pattern, s.serve(r))
	}
	if s.o.Gateway != nil {
		mux.Handle("/v1", s.placed(s.o.Gateway)) // or the mux would redirect
		mux.Handle("/v1/", s.placed(s.o.Gateway))
	}
	mux.Handle("/", s.serve(route{handle: nothing(mux), needs: anybody}))
	return s.besideConsole(mux)
}

// nothing answers what no route does.
func nothing(mux *http.ServeMux) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if allowed := methods(mux, r); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			return mgx.Errorf(mgx.KindUsage, codeMethod, "this path does not answer %s; it answers %s", r.Method, strings.Join(allowed, ", "))
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
	if to.flags&(stream|bulky) == 0 {
		handle = s.within(to, handle)
	}
	handle = s.limited(to, s.received(to, s.spooled(to, s.shared(to, handle))))
	if to.flags&socks == 0 {
		handle = s.allowed(to, handle)
	}
	handle = s.admitted(to, sized(to, handle))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := answerOf(w)
		if q := RequestFrom(r.Context()); q != nil {
			_, q.Route = split(to.pattern)
		}
		defer s.rescue(out, r)
		if to.flags&bulky != 0 {
			r.Body = http.MaxBytesReader(w, r.Body, maxFile)
		}
		s.bodyDue(w, r)
		if to.flags&(stream|bulky) == 0 {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWait)) // a recorder in a test has none
		}
		if err := handle(out, r); err != nil {
			s.fail(out, r, err)
		}
	})
}

// sized refuses names in the path, and headers, that are longer than any there is,
// before anybody looks them up or writes them down.
func sized(to route, next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		for name, most := range to.most {
			if utf8.RuneCountInString(r.PathValue(name)) > most {
				return badQuery("path.%s: it has at most %d characters", name, most)
			}
		}
		for name, most := range to.heads {
			if utf8.RuneCountInString(strings.Join(r.Header.Values(name), ",")) > most {
				return badQuery("header.%s: it has at most %d characters", name, most)
			}
		}
		if utf8.RuneCountInString(workspaceOf(r)) > longestName {
			return badQuery("query.workspace: it has at most %d characters", longestName)
		}
		return next(w, r)
	}
}

// rescue turns a panic into a problem and a log line. An answer that has begun breaks
// off, or it would read as if it were whole.
func (s *Server) rescue(w *answer, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.o.Log.Error("a request panicked", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	s.fail(w, r, mgx.Errorf(mgx.KindInternal, "internal", "an internal error; the server's log tells more"))
}

// answer knows whether an answer has begun, and how much there is of it.
type answer struct {
	http.ResponseWriter
	begun  bool
	status int
	bytes  int64
}

// answerOf is what a request is answered with, which observed made.
func answerOf(w http.ResponseWriter) *answer {
	if a, ok := w.(*answer); ok {
		return a
	}
	return &answer{ResponseWriter: w}
}

func (a *answer) WriteHeader(status int) {
	a.begin(status)
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) begin(status int) {
	if !a.begun {
		a.begun, a.status = true, status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.begin(http.StatusOK)
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Hijack hands out the connection, for a WebSocket.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.begin(http.StatusSwitchingProtocols)
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// secure sets what tells browsers to do nothing clever with an answer.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
