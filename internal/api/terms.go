package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"mgx"
	"mgx/internal/access"
)

// Terms keeps what is needed to do something once, and only to what somebody has
// seen; *store.Store documents and is one. The act itself holds to them, in its
// transaction.
type Terms interface {
	Revision(ctx context.Context, ws mgx.WorkspaceID, kind, id string) (int64, error)
	KeptAnswer(ctx context.Context, o mgx.Once) (a mgx.KeptAnswer, found bool, err error)
	KeepAnswer(ctx context.Context, o mgx.Once, a mgx.KeptAnswer) error
}

const (
	keyHeader  = "Idempotency-Key"
	longestKey = 255 // bytes of one

	// replayed is the header of an answer that was given before.
	replayed = "Idempotency-Replayed"

	codeKeyReused = "idempotency_key_reused"
	codeDone      = "already_done"
)

// respond calls the function of an operation on the terms of the request.
func (s *Server) respond(o *operation, x *exchange) error {
	if x.r.Method == http.MethodGet {
		return s.show(o, x)
	}
	terms, err := s.terms(o, x)
	if err != nil {
		return err
	}
	if terms.Once != nil {
		leave, err := s.turns.take(x.r.Context(), *terms.Once)
		if err != nil {
			return err
		}
		defer leave()
		if again, err := s.again(o, x, *terms.Once); again || err != nil {
			return err
		}
	}
	x.on(mgx.OnTerms(x.r.Context(), terms))
	if o.call(x); x.err == nil && terms.Once != nil {
		return s.keep(o, x, *terms.Once)
	}
	if x.err != nil && terms.Once != nil {
		// It may have failed because the same was done meanwhile.
		first := x.err
		x.err = nil
		if again, err := s.again(o, x, *terms.Once); again || err != nil {
			return err
		}
		return first
	}
	return x.err
}

// turns has requests of this process with the same key answered one after the
// other, so that the second finds the answer of the first.
type turns struct {
	mu   sync.Mutex
	busy map[mgx.Once]chan struct{}
}

func (t *turns) take(ctx context.Context, key mgx.Once) (leave func(), err error) {
	key.Digest = ""
	for {
		t.mu.Lock()
		before, busy := t.busy[key]
		if !busy {
			if t.busy == nil {
				t.busy = map[mgx.Once]chan struct{}{}
			}
			t.busy[key] = make(chan struct{})
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				close(t.busy[key])
				delete(t.busy, key)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// terms are those that a request names.
func (s *Server) terms(o *operation, x *exchange) (*mgx.Terms, error) {
	_, id := o.thing(x)
	t := &mgx.Terms{Kind: o.about.Kind, ID: id}
	if key := x.r.Header.Get(keyHeader); key != "" && o.keyed() {
		if len(key) > longestKey {
			return nil, badQuery("an %s has at most %d bytes", keyHeader, longestKey)
		}
		if s.o.Terms == nil {
			return nil, badQuery("this server cannot do something once; leave %s out", keyHeader)
		}
		who := actorOf(x.r)
		t.Once = &mgx.Once{Workspace: who.Workspace, Actor: who.ID(), Route: o.pattern, Key: digest(key), Digest: digest(x.r.URL.RequestURI(), string(x.body))}
	}
	match := x.r.Header.Values("If-Match")
	if len(match) == 0 {
		return t, nil
	}
	if s.o.Terms == nil || o.about.Kind == "" || o.about.Made {
		return nil, badQuery("this is not done to something that has an ETag; leave If-Match out")
	}
	t.Match = revisions(match)
	return t, nil
}

// thing is what a request is about: the workspace that it is in, and its id. That of
// what is there once in each workspace is the workspace's; of what is yet to be made
// nobody knows it.
func (o *operation) thing(x *exchange) (ws mgx.WorkspaceID, id string) {
	ws = actorOf(x.r).Workspace
	for _, name := range []string{"id", "name", "workspace"} {
		if id = x.r.PathValue(name); id != "" {
			break
		}
	}
	switch {
	case o.about.Tenant:
		ws = mgx.WorkspaceID(id)
	case id == "" && o.about.Kind != "" && !o.about.Made:
		id = string(ws)
	}
	return ws, id
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// An ETag is the revision of a thing and a digest of how it is shown: a change by
// somebody moves the first, and everything else (what of a budget is spent) only
// the second. If-None-Match compares all of it, If-Match the revision.

func etag(revision int64, body []byte) string {
	sum := sha256.Sum256(body)
	return fmt.Sprintf(`"%d-%s"`, revision, base64.RawURLEncoding.EncodeToString(sum[:12]))
}

// revisions are those that an If-Match header allows; nil: any. What is no ETag of
// ours allows none.
func revisions(lines []string) []int64 {
	allowed := []int64{}
	for _, tag := range list(lines) {
		if tag == "*" {
			return nil
		}
		text, ok := strings.CutPrefix(tag, `"`)
		number, _, whole := strings.Cut(text, "-")
		if n, err := strconv.ParseInt(number, 10, 64); ok && whole && err == nil && n >= 0 {
			allowed = append(allowed, n)
		}
	}
	return allowed
}

// show answers with a thing and its ETag, or says that it is still what the reader
// has.
func (s *Server) show(o *operation, x *exchange) error {
	held, ok := x.w.(*late)
	if s.o.Terms == nil || o.about.Kind == "" || !ok {
		o.call(x)
		return x.err
	}
	// Read before the thing: of a change in between the reader then hears too early,
	// not too late.
	ws, id := o.thing(x)
	revision, err := s.o.Terms.Revision(mgx.InWorkspace(x.r.Context(), ws), ws, o.about.Kind, id)
	if err != nil {
		return err
	}
	if o.call(x); x.err != nil {
		return x.err
	}
	tag := etag(revision, held.body.Bytes())
	held.header.Set("ETag", tag)
	held.header.Set("Cache-Control", "private, no-cache")
	for _, known := range list(x.r.Header.Values("If-None-Match")) {
		if known == "*" || strings.TrimPrefix(known, "W/") == tag {
			held.unchanged()
			break
		}
	}
	return nil
}

// unchanged makes an answer one that says that nothing is new.
func (l *late) unchanged() {
	l.status = http.StatusNotModified
	l.body.Reset()
	l.header.Del("Content-Type")
}

// kept is how an answer is kept.
type kept struct {
	Location string          `json:"location,omitempty"`
	Body     json.RawMessage `json:"body"`
}

// once are fields of answers that are shown once, and so never kept.
var once = []string{"secret", "token"}

// keep keeps what was answered for the case that it is asked for again, without
// what is a secret. The act is done and the key spent, whether this succeeds or
// not.
func (s *Server) keep(o *operation, x *exchange, key mgx.Once) error {
	held, ok := x.w.(*late)
	if !ok {
		return nil
	}
	k := kept{Location: held.header.Get("Location"), Body: json.RawMessage(s.o.Redact(actorOf(x.r).Workspace, held.body.String()))}
	if o.about.Secret {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(k.Body, &fields); err != nil {
			return err
		}
		for _, name := range once {
			delete(fields, name)
		}
		k.Body, _ = json.Marshal(fields) // came from JSON
	}
	text, _ := json.Marshal(k)
	if err := s.o.Terms.KeepAnswer(x.r.Context(), key, mgx.KeptAnswer{Digest: key.Digest, Status: held.status, Body: text}); err != nil {
		s.o.Log.Warn("an answer could not be kept; who asks again hears that it was done", "error", err)
	}
	return nil
}

// again answers a request that was done before as it was answered then.
func (s *Server) again(o *operation, x *exchange, key mgx.Once) (bool, error) {
	a, found, err := s.o.Terms.KeptAnswer(x.r.Context(), key)
	if err != nil || !found {
		return false, err
	}
	if a.Digest != key.Digest {
		return true, mgx.Errorf(mgx.KindUsage, codeKeyReused, "this %s was sent with another request; use a key once, and the same request with it", keyHeader)
	}
	x.w.Header().Set(replayed, "true")
	if a.Status == 0 {
		return true, s.rebuild(o, x, a.Made)
	}
	var k kept
	if err := json.Unmarshal(a.Body, &k); err != nil {
		return true, err
	}
	return true, x.give(a.Status, k)
}

func (x *exchange) give(status int, k kept) error {
	if k.Location != "" {
		x.w.Header().Set("Location", k.Location)
	}
	if len(k.Body) == 0 {
		x.w.WriteHeader(status)
		return nil
	}
	x.w.Header().Set("Content-Type", typeJSON)
	x.w.WriteHeader(status)
	_, err := x.w.Write(append(k.Body, '\n'))
	return err
}

// rebuild answers a request that was done, of whose answer nothing was kept: the
// server was killed between the two. What it made is shown as it is now, to who may
// see it; where it made nothing, the answer was a secret alone, which is shown once.
func (s *Server) rebuild(o *operation, x *exchange, made string) error {
	if o.about.Once && o.about.Secret {
		return x.give(http.StatusOK, kept{Body: json.RawMessage("{}")})
	}
	if o.about.Made && o.about.Kind == "" { // its key is that of what it makes, too, which it finds
		o.call(x)
		return x.err
	}
	done := mgx.Errorf(mgx.KindUsage, codeDone, "this was done before, with %s; what was answered then is lost", clip(made))
	item, wildcard := s.itemOf(o)
	if !o.about.Made || item == nil {
		return done
	}
	r := x.r.Clone(mgx.ForInstallation(x.r.Context()))
	r.Method, r.Body, r.URL = http.MethodGet, http.NoBody, &url.URL{Path: x.r.URL.Path + "/" + made}
	r.SetPathValue(wildcard, made)
	actor, err := s.identify(r, secretOf(r)) // in the workspace that was made, if one was
	if err != nil {
		return done
	}
	r = r.WithContext(access.With(r.Context(), actor))
	if s.permit(r, item.route, actor) != nil {
		return done
	}
	shown := newLate()
	defer shown.drop()
	y, err := newExchange(item, shown, r)
	if err != nil {
		return err
	}
	if item.call(y); y.err != nil {
		return done
	}
	body := json.RawMessage(s.o.Redact(actor.Workspace, shown.body.String()))
	if o.about.Inside != "" {
		body, _ = json.Marshal(map[string]json.RawMessage{o.about.Inside: body}) // came from JSON
	}
	return x.give(http.StatusCreated, kept{Location: r.URL.Path, Body: body})
}

// itemOf is the operation that shows one of what an operation makes, and the
// wildcard in its path.
func (s *Server) itemOf(o *operation) (item *operation, wildcard string) {
	for _, wildcard = range []string{"id", "workspace"} {
		if item = s.surface.byPath["GET "+o.Path+"/{"+wildcard+"}"]; item != nil {
			break
		}
	}
	return item, wildcard
}
