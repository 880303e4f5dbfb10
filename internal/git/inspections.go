package git

import (
	"context"
	"sync"
	"time"
)

// Inspections has those share an inspection who ask for one of the same directory at
// the same time, as they do when many tasks are created at once. Each learns how the
// repository was after they asked: who comes while one is under way waits for the
// next, of which there is one for all of them. What cannot change of a repository is
// asked once.
type Inspections struct {
	inspect func(context.Context, string) (*Source, error)

	mu   sync.Mutex
	next map[string]*inspection // that has not begun, by directory; nil: one is under way, and nobody waits
}

// inspection is one that several wait for. What it finds is not to be changed.
type inspection struct {
	done   chan struct{}
	source *Source
	err    error
}

// inspectionTime bounds one, since it does not end with any who wait for it.
const inspectionTime = 2 * time.Minute

// NewInspections returns some that none has asked for yet.
func NewInspections() *Inspections {
	known := &tops{}
	look := func(ctx context.Context, dir string) (*Source, error) { return inspect(ctx, dir, known) }
	return &Inspections{inspect: look, next: map[string]*inspection{}}
}

// Inspect does what the function of that name does, or has part in one that begins
// from now on.
func (i *Inspections) Inspect(ctx context.Context, dir string) (*Source, error) {
	mine := i.join(ctx, dir)
	select {
	case <-mine.done:
		return mine.source, mine.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (i *Inspections) join(ctx context.Context, dir string) *inspection {
	i.mu.Lock()
	defer i.mu.Unlock()
	mine, underWay := i.next[dir]
	if mine == nil {
		mine = &inspection{done: make(chan struct{})}
		i.next[dir] = mine
	}
	if !underWay {
		go i.work(context.WithoutCancel(ctx), dir)
	}
	return mine
}

// work inspects for as long as somebody waits.
func (i *Inspections) work(ctx context.Context, dir string) {
	for one := i.take(dir); one != nil; one = i.take(dir) {
		bounded, cancel := context.WithTimeout(ctx, inspectionTime)
		one.source, one.err = i.inspect(bounded, dir)
		cancel()
		close(one.done)
	}
}

// take begins the next one, or ends the work.
func (i *Inspections) take(dir string) *inspection {
	i.mu.Lock()
	defer i.mu.Unlock()
	one := i.next[dir]
	if one == nil {
		delete(i.next, dir)
	} else {
		i.next[dir] = nil
	}
	return one
}
