package limit

import (
	"sync"

	"mgx"
)

// CodeTooManyAtOnce refuses who has as much under way as they may.
const CodeTooManyAtOnce = "too_many_at_once"

// Shares bounds how much each owner has under way, so that none takes every place. An
// owner that has nothing is not kept.
type Shares struct {
	mu sync.Mutex
	of map[string]int
}

// Share is that of an owner: how much it may have under way; 0: any number.
type Share struct {
	Owner string
	Most  int
}

// Take counts one more in all of the shares until leave is called, or in none, when one
// of them, which is returned, is full.
func (s *Shares) Take(all ...Share) (leave func(), full *Share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range all {
		if one.Most > 0 && s.of[one.Owner] >= one.Most {
			return nil, &all[i]
		}
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	for _, one := range all {
		s.of[one.Owner]++
	}
	return func() { s.leave(all) }, nil
}

func (s *Shares) leave(all []Share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range all {
		if s.of[one.Owner]--; s.of[one.Owner] == 0 {
			delete(s.of, one.Owner)
		}
	}
}

// Enter is Take of what takes long; a full share is an error (CodeTooManyAtOnce).
func (s *Shares) Enter(all ...Share) (leave func(), err error) {
	leave, full := s.Take(all...)
	if full != nil {
		return nil, mgx.Errorf(mgx.KindRefused, CodeTooManyAtOnce, "%d requests that take long are under way, the most at a time for one person or workspace; wait for one to end", full.Most)
	}
	return leave, nil
}
