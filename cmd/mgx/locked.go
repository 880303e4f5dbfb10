package main

import (
	"context"
	"errors"
	"iter"
	"sync"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/secret/transit"
)

// keyholder hands out the values of secrets once the data is open: models are found
// before that.
type keyholder struct {
	mu  sync.Mutex
	use func(ctx context.Context, ws mgx.WorkspaceID, name, purpose string) (string, error)
}

func (k *keyholder) set(use func(ctx context.Context, ws mgx.WorkspaceID, name, purpose string) (string, error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.use = use
}

func (k *keyholder) key(ctx context.Context, ws mgx.WorkspaceID, name, purpose string) (string, error) {
	k.mu.Lock()
	use := k.use
	k.mu.Unlock() // what unwraps keys may take its time
	if use == nil {
		return "", mgx.Errorf(mgx.KindConfig, "no_key", "%s needs the secret %s, and the data that holds it is not open", purpose, name)
	}
	return use(ctx, ws, name, purpose)
}

// locked is a provider whose key is a secret. The secret is read for the first
// call, so that who calls nothing opens nothing.
type locked struct {
	llm.Provider // the same without a key, which nothing is asked of
	dial         func(context.Context) (llm.Provider, error)

	mu   sync.Mutex
	open llm.Provider
}

func (l *locked) provider(ctx context.Context) (llm.Provider, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil {
		return l.open, nil
	}
	p, err := l.dial(ctx)
	if err == nil {
		l.open = p
	}
	return p, l.passing(err)
}

// passing is why the provider cannot be called: as if it did not answer, where that may
// pass as that does, so that the call is tried again, or made to another.
func (l *locked) passing(err error) error {
	if !transit.MayPass(err) {
		return err
	}
	return &llm.CallError{Provider: l.Name(), Fault: llm.FaultConnection, Message: mgx.AsError(err).Message, Err: err}
}

// Stream unlocks the provider and makes the call.
func (l *locked) Stream(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	p, err := l.provider(ctx)
	if err != nil {
		return func(yield func(llm.Chunk, error) bool) { yield(llm.Chunk{}, err) }
	}
	return p.Stream(ctx, req)
}

// Models unlocks the provider and asks what it serves.
func (l *locked) Models(ctx context.Context) ([]llm.ModelInfo, error) {
	p, err := l.provider(ctx)
	if err != nil {
		return nil, err
	}
	return p.Models(ctx)
}

// Passes reports whether the provider passes requests of a dialect on, which it does
// with any key.
func (l *locked) Passes(dialect, model string) bool {
	p, ok := l.Provider.(llm.PassThrough)
	return ok && p.Passes(dialect, model)
}

// Count unlocks the provider and has it count, if it can.
func (l *locked) Count(ctx context.Context, req *llm.Request) (int64, error) {
	if _, ok := l.Provider.(llm.Counter); !ok {
		return 0, errors.ErrUnsupported
	}
	p, err := l.provider(ctx)
	if err != nil {
		return 0, err
	}
	return p.(llm.Counter).Count(ctx, req)
}

// unlocked finds the models for a command that calls them without a node. The data
// is opened only where the key of one is a secret.
func (c *cli) unlocked(ctx context.Context) (m *models, done func(), err error) {
	m = newModels(c.getenv, nil)
	for _, f := range m.found {
		if _, ok := f.Provider.(*locked); ok {
			n, err := c.open(ctx, m)
			if err != nil {
				return nil, nil, err
			}
			return m, func() { n.close() }, nil
		}
	}
	return m, func() {}, nil
}
