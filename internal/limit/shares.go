package limit

import (
	"sync"

	"mgx"
)

// CodeTooManyAtOnce refuses who has as much under way as they may.
const CodeTooManyAtOnce = "too_many_at_once"

// Shares bounds how much each owner has under way, so that none takes every place.
type Shares struct {
	mu sync.Mutex
	of map[string]int
}

// Enter counts one more of an owner, who may have so many, until leave is called.
func (s *Shares) Enter(owner string, most int) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[owner] >= most {
		return nil, mgx.Errorf(mgx.KindRefused, CodeTooManyAtOnce, "%d requests that take long are under way, the most at a time for one person or workspace; wait for one to end", most)
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.of[owner]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.of[owner]--; s.of[owner] == 0 {
			delete(s.of, owner)
		}
	}, nil
}
