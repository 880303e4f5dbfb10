package app

import (
	"context"
	"sync"

	"mgx"
)

// Bounds of what takes a sandbox, or much of the machine, for as long as it is made:
// differences, branches, replays.
const (
	seatsAtOnce = 4
	seatsEach   = 3  // of one workspace, so that another gets one
	seatsMost   = 32 // of one workspace, with those that wait
)

// codeTooManyAtOnce refuses who has as much under way as they may.
const codeTooManyAtOnce = "too_many_at_once"

// seats are places for that. Who comes when they are taken waits, in their order.
type seats struct {
	all chan struct{}

	mu sync.Mutex
	of map[mgx.WorkspaceID]*seated
}

// seated is what a workspace has of the seats.
type seated struct {
	come int // that have a seat or wait for one
	own  chan struct{}
}

func newSeats() *seats {
	return &seats{all: make(chan struct{}, seatsAtOnce), of: map[mgx.WorkspaceID]*seated{}}
}

// take waits for a seat, which leave gives back.
func (s *seats) take(ctx context.Context, ws mgx.WorkspaceID) (leave func(), err error) {
	mine, err := s.come(ws)
	if err != nil {
		return nil, err
	}
	taken := []chan struct{}{}
	leave = func() {
		for _, c := range taken {
			<-c
		}
		s.gone(ws, mine)
	}
	for _, c := range []chan struct{}{mine.own, s.all} {
		select {
		case c <- struct{}{}:
			taken = append(taken, c)
		case <-ctx.Done():
			leave()
			return nil, ctx.Err()
		}
	}
	return leave, nil
}

func (s *seats) come(ws mgx.WorkspaceID) (*seated, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.of[ws]
	if mine == nil {
		mine = &seated{own: make(chan struct{}, seatsEach)}
		s.of[ws] = mine
	}
	if mine.come >= seatsMost {
		return nil, mgx.Errorf(mgx.KindRefused, codeTooManyAtOnce, "%d differences, branches and replays of this workspace are being made or wait for that, the most at a time; wait for one to end", seatsMost)
	}
	mine.come++
	return mine, nil
}

func (s *seats) gone(ws mgx.WorkspaceID, mine *seated) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mine.come--; mine.come == 0 {
		delete(s.of, ws)
	}
}
