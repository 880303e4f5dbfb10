package limit

import (
	"context"
	"sync/atomic"
	"time"

	"mgx"
)

// CodeOverloaded refuses what there is no room for. Kind config: it is ours, not
// that of who asks.
const CodeOverloaded = "overloaded"

// FailureCost is what a secret costs that is none.
const FailureCost = 5

// Gate lets in only so many at once. Some more wait a short while, in their order;
// who comes beyond those is refused at once, so that the work that was begun goes on
// at the pace of the machine.
type Gate struct {
	slots   chan struct{}
	queue   int64
	wait    time.Duration
	waiting atomic.Int64
}

// NewGate returns a gate for so many at once, with a queue.
func NewGate(most, queue int, wait time.Duration) *Gate {
	return &Gate{slots: make(chan struct{}, most), queue: int64(queue), wait: wait}
}

// Enter takes a place, which leave gives back.
func (g *Gate) Enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.slots <- struct{}{}:
		return g.leave, nil
	default:
	}
	if g.waiting.Add(1) > g.queue {
		g.waiting.Add(-1)
		return nil, overloaded()
	}
	defer g.waiting.Add(-1)
	over := time.NewTimer(g.wait)
	defer over.Stop()
	select {
	case g.slots <- struct{}{}:
		return g.leave, nil
	case <-over.C:
		return nil, overloaded()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *Gate) leave() { <-g.slots }

func overloaded() error {
	return mgx.Errorf(mgx.KindConfig, CodeOverloaded, "the server has more to do than it can; try again in a moment")
}
