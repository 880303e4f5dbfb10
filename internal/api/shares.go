package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/limit"
)

// codeManyStreams refuses a stream to who has as many as one may have.
const codeManyStreams = "too_many_streams"

// shareWait is when somebody who has too many streams may ask again.
const shareWait = 15 * time.Second

// share is how many streams and sockets a person, key or workspace may have open, so
// that none of them takes the connections of the others.
type share struct {
	limit.Share
	policy, words string
}

// tooMany says of a share that is full.
func (s share) tooMany() error {
	return mgx.Errorf(mgx.KindRefused, codeManyStreams, "%s has %d streams open, which is the most at a time; close pages or programs that follow events, then it goes on by itself (who runs the server sets it: mgx help serve, --rate-limits %s-streams)",
		s.words, s.Most, s.policy)
}

func shareOf(policy, whose, words string, most int) share {
	return share{limit.Share{Owner: policy + ":" + whose, Most: most}, policy, words}
}

// sharesOf are those of somebody. The owner of the data directory is bounded by
// nothing but the machine.
func (l Limits) sharesOf(a access.Actor) []share {
	if a.Owner {
		return nil
	}
	all := []share{shareOf("user", string(a.User), "this person", l.UserStreams)}
	if a.Key != nil {
		all = append(all, shareOf("key", string(a.Key.ID), "this key", l.KeyStreams))
	}
	if a.Workspace != "" {
		all = append(all, shareOf("workspace", string(a.Workspace), "this workspace", l.WorkspaceStreams))
	}
	return all
}

// share counts a stream of somebody, or says in the headers when to ask again.
func (s *Server) share(w http.ResponseWriter, r *http.Request, a access.Actor) (leave func(), err error) {
	if leave, err = s.follow(r.Context(), a); err != nil {
		w.Header().Set("Retry-After", strconv.Itoa(int(shareWait/time.Second)))
	}
	return leave, err
}

// follow counts one more stream of somebody: a connection with what it follows, or what
// it follows besides.
func (s *Server) follow(ctx context.Context, a access.Actor) (leave func(), err error) {
	all := s.edge.limits.sharesOf(a)
	counted := make([]limit.Share, len(all))
	for i, one := range all {
		counted[i] = one.Share
	}
	leave, full := s.shares.Take(counted...)
	if full == nil {
		return leave, nil
	}
	s.o.Access.Throttled(ctx, a, "streams")
	return nil, all[slices.IndexFunc(all, func(one share) bool { return one.Owner == full.Owner })].tooMany()
}
