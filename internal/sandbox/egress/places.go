package egress

import "context"

// Places are those of the connections of all commands that a process serves, since
// each costs it descriptors, of which it has so many. Nil: there is no end of them.
type Places struct {
	free chan struct{}
	each int // that one command may have
}

// NewPlaces returns places for so many connections at once. One command gets no more
// than a quarter of them.
func NewPlaces(connections int) *Places {
	return &Places{make(chan struct{}, max(connections, 1)), min(max(connections/4, 1), maxConnections)}
}

// most is how many connections one command may have at once.
func (p *Places) most() int {
	if p == nil {
		return maxConnections
	}
	return p.each
}

// enter waits for a place, and reports whether there came one before ctx ended.
func (p *Places) enter(ctx context.Context) bool {
	if p == nil {
		return true
	}
	select {
	case p.free <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *Places) leave() {
	if p != nil {
		<-p.free
	}
}
