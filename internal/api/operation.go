package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mgx/internal/access"
)

// about describes an operation to those who read the document of the API.
type about struct {
	ID    string // as programs name it: listBudgets. It never changes.
	Group string // heading in the reference: Budgets
	Short string // in one line, without a full stop
	Long  string // what else there is to know, in Markdown

	// Codes are those of the problems that this operation alone has, and the status
	// each comes with. Those that follow from the route are added: of who asks, of
	// what is malformed, of what is not there.
	Codes codes

	Made   bool     // it makes something: it answers 201, and an Idempotency-Key makes it once
	Once   bool     // it is done once with an Idempotency-Key, and makes nothing; with Secret, its answer is that alone
	Secret bool     // its answer holds a secret, as secret or token: that is never kept, nor is the answer compressed
	Inside string   // field of the answer that holds what was made; empty: the answer is that
	Kind   string   // of the thing at its path, as acts name it (budget of budget.update): it has an ETag
	Tenant bool     // the id in its path is that of a workspace, which need not be the one of who asks
	Type   string   // media type of the answer, if it is not JSON
	Types  []string // other media types that it can be had as
	Parts  bool     // its answer can be had in parts, and has an ETag
	Status int      // of the answer, if it is not 200, 201 or 204
	Also   also     // other answers that are no problems

	Deprecated *deprecation
}

// codes are of problems, with their status.
type codes map[string]int

// and adds more.
func (c codes) and(more codes) codes {
	all := maps.Clone(c)
	maps.Copy(all, more)
	return all
}

// also are answers by their status: something of the type of the body, nil for
// none.
type also map[int]any

// op is a route whose handler takes and returns values. What huma reads off the
// fields of I is read from the request and held against their bounds before f is
// called; O is the answer: its Body as JSON, its other fields as headers.
func op[I, O any](pattern string, needs need, f func(context.Context, *I) (*O, error), a about, more ...flags) route {
	r := plain[I, O](pattern, nil, needs, a, more...)
	r.call = func(api *surface, o huma.Operation) {
		huma.Register(api, o, func(ctx context.Context, in *I) (*O, error) {
			out, err := f(ctx, in)
			if err != nil {
				exchangeOf(ctx).err = err
				return nil, nil
			}
			return out, nil
		})
	}
	return r
}

// plain is a route whose handler writes its answer itself: a stream, or something
// that is not JSON. I and O only describe what it takes and gives.
func plain[I, O any](pattern string, h handler, needs need, a about, more ...flags) route {
	r := route{pattern: pattern, handle: h, needs: needs, about: a}
	for _, f := range more {
		r.flags |= f
	}
	r.call = func(api *surface, o huma.Operation) {
		huma.Register(api, o, func(context.Context, *I) (*O, error) { return nil, nil })
	}
	return r
}

// operation is what there is of a route in the document, and to call.
type operation struct {
	*huma.Operation
	route
	call   func(huma.Context)
	once   map[string]bool // query parameters that may be there once
	params map[string]bool // all query parameters
	fields map[string]bool // all fields of the body
	bodied bool
}

// keyed reports whether an operation takes an Idempotency-Key.
func (o *operation) keyed() bool { return o.about.Made || o.about.Once }

// longestName is how many characters a name in a path has at most, unless the
// operation says less.
const longestName = 200

// most are the bounds of the names in an operation's path, or of its headers.
func (o *operation) most(in string) map[string]int {
	all := map[string]int{}
	for _, p := range slices.Concat(o.Parameters, o.headers()) {
		if p.In != in {
			continue
		}
		all[p.Name] = longestName
		if p.Schema != nil && p.Schema.MaxLength != nil {
			all[p.Name] = *p.Schema.MaxLength
		}
	}
	return all
}

// typed answers with what the typed function of an operation returns, where the
// route has no handler of its own.
func (s *Server) typed(o *operation) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if o.about.Deprecated != nil {
			o.about.Deprecated.header(w.Header(), r)
		}
		if err := speaks(r); err != nil {
			return err
		}
		x, err := newExchange(o, w, r)
		if err != nil {
			return err
		}
		if held, ok := w.(*late); ok {
			held.secret = o.about.Secret
		}
		if o.handle != nil {
			return o.handle(w, r)
		}
		return s.respond(o, x)
	}
}

// actor is who makes the request that is answered, in a typed handler.
func actor(ctx context.Context) access.Actor {
	a, _ := access.From(ctx)
	return a
}

// requestOf is the request that a typed handler answers, for what is not in its
// input.
func requestOf(ctx context.Context) *http.Request { return exchangeOf(ctx).r }

// split is the method and the path of a pattern.
func split(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, path
}

// none is an input without parameters, or an answer without a body.
type none struct{}

// At is the path of one thing. Types that inputs embed have to be exported, or
// huma does not see what is in them.
type At[ID ~string] struct {
	ID ID `path:"id" doc:"Its id" maxLength:"200"`
}

// with makes a typed handler of one that works with something which has to be
// opened for whoever asks.
func with[T, I, O any](open func(context.Context) (T, error), f func(context.Context, T, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		it, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return f(ctx, it, in)
	}
}
