package gateway

import (
	"context"
	"net/http"
	"sync"
	"time"

	"mgx"
)

// recheck is how often it is looked whether the key of a call is good still.
const recheck = 5 * time.Second

// watch ends a call whose key is revoked or expires meanwhile, with the reason.
// What it has cost by then is settled as ever. Keys that cannot be looked up end
// none.
func (s *Server) watch(ctx context.Context, r *http.Request, cancel context.CancelCauseFunc) (stop func()) {
	var mu sync.Mutex
	var timer *time.Timer
	over := false
	again := func() {
		_, err := s.caller(r.WithContext(ctx))
		if err != nil && (isKeyless(err) || mgx.AsError(err).Kind == mgx.KindRefused) {
			cancel(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if !over {
			timer.Reset(recheck)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(recheck, again)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		timer.Stop()
	}
}

func isKeyless(err error) bool {
	f, ok := err.(*failure)
	return ok && f.kind == noKey
}
