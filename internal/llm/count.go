package llm

import (
	"context"
	"errors"
	"net/http"
)

// Counter is what a Provider implements that counts the tokens of the prompt of a
// passed request, without answering it. One that turns out to have no way to returns
// [errors.ErrUnsupported].
type Counter interface {
	Count(ctx context.Context, req *Request) (tokens int64, err error)
}

// Count says how many tokens the prompt of a request has for the model that a
// call would go to first: counted by its provider when that passes the request and
// has a way to, else guessed. It makes one attempt, and that costs nothing.
func (r *Router) Count(ctx context.Context, req *Request) (tokens int64, counted bool, err error) {
	targets, _, err := r.route(req, false, r.Now())
	if err != nil {
		return 0, false, err
	}
	t := targets[0]
	if err := checkFor(t, req); err != nil {
		return 0, false, err
	}
	if counter, ok := t.provider.(Counter); ok && req.Pass != nil && passes(t, req) {
		own := *req
		own.Model = t.model
		tokens, err = counter.Count(ctx, &own)
		if err == nil || !guessInstead(ctx, req, err) {
			return tokens, err == nil, errorOf(err)
		}
	}
	return estimatePrompt(req), false, nil
}

func passes(t *target, req *Request) bool {
	p, ok := t.provider.(PassThrough)
	return ok && p.Passes(req.Pass.Dialect, t.model)
}

// guessInstead reports whether a guess serves when a provider does not count: not
// when it found fault with the request, and not when the request says what we
// cannot read.
func guessInstead(ctx context.Context, req *Request, err error) bool {
	if errors.Is(err, errors.ErrUnsupported) {
		return req.Pass.Only == ""
	}
	e, ok := errors.AsType[*CallError](err)
	return ok && ctx.Err() == nil && req.Pass.Only == "" && !(e.Fault == FaultRequest && e.Status == http.StatusBadRequest) && !e.NoModel
}

func errorOf(err error) error {
	if e, ok := errors.AsType[*CallError](err); ok {
		return e.AsMGX(nil)
	}
	return err
}
