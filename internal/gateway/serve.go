package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"mgx"
	"mgx/internal/llm"
)

const idHeader = "X-Mgx-Request-Id"

// serve does what a path is for, and says in the dialect spoken what came in between.
func (s *Server) serve(do func(w http.ResponseWriter, r *http.Request, id string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := mgx.NewID[string]("req")
		w.Header().Set(idHeader, id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if err := s.enter(); err != nil {
			s.refuse(w, r, id, err)
			return
		}
		defer s.calls.Done()
		if err := do(w, r, id); err != nil {
			s.refuse(w, r, id, err)
		}
	}
}

// Refuse answers a request that others refuse before it gets here, in the dialect that
// it speaks.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	id := cmp.Or(w.Header().Get(idHeader), mgx.NewID[string]("req"))
	w.Header().Set(idHeader, id)
	s.refuse(w, r, id, err)
}

// refuse answers with why there is no answer.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, id string, err error) {
	f, d := failed(err), spoken(r)
	if r.Context().Err() != nil && f.kind != lateBody { // net/http ends it with the deadline of a body
		return // nobody is there
	}
	switch {
	case f.kind == internal || f.kind == unavailable:
		s.o.Log.Error("a call failed", "request_id", id, "error", err)
	case mgx.AsError(err).Unset():
		s.o.Log.Warn("a call could not be made", "request_id", id, "error", err)
	}
	h := w.Header()
	if f.wait > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((f.wait+time.Second-1)/time.Second), 10))
	}
	if f.final {
		h.Set("X-Should-Retry", "false") // SDKs of both vendors heed it
	}
	write(http.NewResponseController(w), w, s.o.WriteWait, f.status(d), d.refuse(f, id))
}

// write sends a document.
func write(rc *http.ResponseController, w http.ResponseWriter, wait time.Duration, status int, v any) {
	body, whole := v.([]byte)
	if !whole {
		body = llm.MarshalWire(v)
	}
	rc.SetWriteDeadline(time.Now().Add(wait))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

// call makes calls in a dialect. An error means that no answer has begun.
func (s *Server) call(d dialect) func(w http.ResponseWriter, r *http.Request, id string) error {
	return func(w http.ResponseWriter, r *http.Request, id string) error {
		c, model, leave, err := s.admit(w, r, d, id)
		if err != nil {
			return err
		}
		defer leave()
		return s.answer(w, r, c, model)
	}
}

// admit reads a request, finds its key and its model, and counts it among those
// of the key that are under way, until leave is called.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, d dialect, id string) (c *call, m Model, leave func(), err error) {
	key, err := s.caller(r)
	if err != nil {
		return nil, m, nil, err
	}
	entered, err := s.limits.enter(key.ID, w.Header())
	if err != nil {
		return nil, m, nil, err
	}
	held := s.bodies.Hold(string(key.Workspace))
	gone := func() { held.Drop(); entered() }
	defer func() {
		if err != nil {
			gone()
		}
	}()
	body, err := s.body(w, r, held)
	if err != nil {
		return nil, m, nil, err
	}
	if c, err = decode(d, body); err != nil {
		return nil, m, nil, err
	}
	c.id, c.key = strings.TrimPrefix(id, "req_"), key
	if m, err = s.resolve(r.Context(), c); err != nil {
		return nil, m, nil, err
	}
	c.aim(m, r.Header)
	return c, m, gone, nil
}

// resolve finds the model of a call and whether its key may use it.
func (s *Server) resolve(ctx context.Context, c *call) (Model, error) {
	may := func(full string) bool { return mayUse(c.key, full) }
	model, err := s.o.Models.Resolve(ctx, c.key.Workspace, c.req.Model, may)
	switch {
	case mgx.IsCode(err, mgx.CodeNotFound):
		return model, &failure{kind: notFound, code: "model_not_found", message: err.Error(), final: true}
	case err != nil:
		return model, err
	case !may(model.Name):
		return model, &failure{
			kind: forbidden, code: "model_not_allowed", final: true,
			message: fmt.Sprintf("this MGX key may not use %s; GET /v1/models lists what it may", model.Name),
		}
	case c.only != "" && c.foreign:
		return model, bad("unsupported_parameter", c.only+" cannot be combined with thinking of another provider in the conversation")
	case c.only != "" && !model.Policy && !slices.Contains(model.Passes, c.dialect.name()):
		return model, bad("unsupported_parameter", fmt.Sprintf("%s is not supported with %s: its provider speaks another dialect", c.only, model.Name))
	}
	return model, nil
}

// aim completes the request for a model.
func (c *call) aim(m Model, h http.Header) {
	req := &c.req
	req.Model, req.AgentRole, req.Workspace, req.Final = m.Name, Role, c.key.Workspace, c.stream
	if req.MaxTokens == 0 {
		req.MaxTokens = m.MaxOutput
		if req.MaxTokens <= 0 {
			req.MaxTokens = defaultOutput
		}
	}
	if m.Window > 0 {
		c.extra = min(c.extra, int64(m.Window))
	}
	req.Conversation = c.conversation()
	provider, _, _ := strings.Cut(m.Name, "/")
	for _, msg := range req.Messages {
		for _, p := range msg.Parts {
			if p.Opaque != nil && p.Opaque.Dialect == opaqueResponses {
				p.Opaque.Dialect += "/" + provider
			}
		}
	}
	if c.foreign {
		return // a provider would not know the blocks of others
	}
	req.Pass = &llm.Pass{
		Dialect: c.dialect.name(), Body: c.body, Fields: c.apart, Stream: c.stream, Header: along(h), Only: c.only,
		Turns: c.turns, TurnsIn: c.turnsIn, Again: c.again, Media: c.shown, Extra: c.extra,
	}
}

// Role is that of calls of the gateway, where agents have theirs.
const Role = "gateway"

// conversation names what a call goes on with: its key and how it began.
func (c *call) conversation() string {
	h := fnv.New64a()
	io.WriteString(h, c.req.System)
	if len(c.req.Messages) > 0 {
		for _, p := range c.req.Messages[0].Parts {
			h.Write([]byte{0})
			io.WriteString(h, p.Text)
		}
	}
	return fmt.Sprintf("%s/%016x", c.key.ID, h.Sum64())
}

// along are the headers that go along with a passed request: those that name
// features. All others stay here.
func along(h http.Header) http.Header {
	out := http.Header{}
	for _, v := range h.Values("Anthropic-Beta") {
		if len(v) <= 1000 && len(out["Anthropic-Beta"]) < 20 && betas(v) {
			out["Anthropic-Beta"] = append(out["Anthropic-Beta"], v)
		}
	}
	return out
}

func betas(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:, ", r))
	})
}

// answer makes the call and gives its answer, whole or as it comes.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, c *call, m Model) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
	defer s.watch(ctx, r, cancel)()
	ctx, t := s.begin(ctx, r)
	acct := s.o.Books.Open(context.WithoutCancel(ctx), c.key, c.id)
	out := s.output(w, c, m, func() { cancel(errGone) })
	defer out.close()
	started := s.o.Now()
	res, err := s.o.Models.Call(ctx, c.key.Workspace, &c.req, acct, out.watch)
	out.flush() // nobody waits for the books to see what there is
	if booked := s.book(c, acct, t, res, err, started); err == nil {
		err = booked
	}
	s.log(c, m, t, res, err, s.o.Now().Sub(started))
	t.leave(c, err)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return out.fail(err)
	}
	out.end(res)
	return nil
}

// errGone says that the caller reads no more.
var errGone = errors.New("the caller went away")
