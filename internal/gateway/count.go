package gateway

import (
	"context"
	"net/http"
	"time"
)

// counting is Messages for a request of which only the prompt is of interest.
type counting struct{ messages }

func (counting) check(c *call, all fields) error {
	if all["max_tokens"] == nil {
		all["max_tokens"] = []byte("1") // nothing is answered
	}
	return messages{}.check(c, all)
}

// countWait bounds how long a provider may take to count.
const countWait = 30 * time.Second

// countTokens says how many tokens a prompt in the dialect Messages has: as its
// provider counts them where that speaks the dialect, else about as many as we
// guess, which a header tells apart. It costs nothing, and is counted by the
// limits of the key like a call.
func (s *Server) countTokens(w http.ResponseWriter, r *http.Request, id string) error {
	c, model, leave, err := s.admit(w, r, counting{}, id)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), countWait)
	defer cancel()
	tokens, counted, err := s.o.Models.Count(ctx, c.key.Workspace, &c.req)
	if err != nil {
		return err
	}
	how := "estimated"
	if counted {
		how = "counted"
	}
	w.Header().Set("X-Mgx-Tokens", how)
	if !model.Policy {
		w.Header().Set("X-Mgx-Model", model.Name)
	}
	write(http.NewResponseController(w), w, s.o.WriteWait, http.StatusOK, object("input_tokens", tokens))
	return nil
}
