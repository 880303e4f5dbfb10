package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"mgx"
	"mgx/internal/access"
)

// codeManyStreams refuses a stream to who has as many as one may have.
const codeManyStreams = "too_many_streams"

// closeManyStreams is what a browser hears instead, which sees no status.
const closeManyStreams = 4029

// shareWait is when somebody who has too many streams may ask again.
const shareWait = 15 * time.Second

// shares counts the streams and sockets that are open of each person, key and
// workspace, so that none of them takes the connections of the others. What has none
// is not kept.
type shares struct {
	mu   sync.Mutex
	open map[string]int
}

// share is one of those counted, and how many it may have; 0: any number.
type share struct {
	policy, whose, words string
	most                 int
}

// enter counts one more stream in all of the shares, or in none when one of them has
// all that it may have.
func (s *shares) enter(all []share) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range all {
		if one.most > 0 && s.open[one.name()] >= one.most {
			return nil, mgx.Errorf(mgx.KindRefused, codeManyStreams, "%s has %d streams open, which is the most at a time; close pages or programs that follow events, then it goes on by itself (who runs the server sets it: mgx help serve, --rate-limits %s-streams)",
				one.words, one.most, one.policy)
		}
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	for _, one := range all {
		s.open[one.name()]++
	}
	return func() { s.leave(all) }, nil
}

func (s *shares) leave(all []share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range all {
		if s.open[one.name()]--; s.open[one.name()] == 0 {
			delete(s.open, one.name())
		}
	}
}

func (s share) name() string { return s.policy + ":" + s.whose }

// sharesOf are those of somebody. The owner of the data directory is bounded by
// nothing but the machine.
func (l Limits) sharesOf(a access.Actor) []share {
	if a.Owner {
		return nil
	}
	all := []share{{"user", string(a.User), "this person", l.UserStreams}}
	if a.Key != nil {
		all = append(all, share{"key", string(a.Key.ID), "this key", l.KeyStreams})
	}
	if a.Workspace != "" {
		all = append(all, share{"workspace", string(a.Workspace), "this workspace", l.WorkspaceStreams})
	}
	return all
}

// share counts a stream of somebody, or says in the headers when to ask again.
func (s *Server) share(w http.ResponseWriter, r *http.Request, a access.Actor) (leave func(), err error) {
	leave, err = s.shares.enter(s.edge.limits.sharesOf(a))
	if err != nil {
		s.o.Access.Throttled(r.Context(), a, "streams")
		w.Header().Set("Retry-After", strconv.Itoa(int(shareWait/time.Second)))
	}
	return leave, err
}
