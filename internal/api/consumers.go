package api

import (
	"context"
	"net/http"
	"strconv"

	"mgx"
)

// Consumers are the readers of the log inside MGX, for those who run it;
// *store.Store documents and is one.
type Consumers interface {
	Consumers(ctx context.Context) ([]mgx.Consumer, error)
	Consumer(ctx context.Context, name string) (mgx.Consumer, error)
	DeadLetters(ctx context.Context, consumer string, after int64, limit int) ([]mgx.DeadLetter, error)
	RetryDeadLetters(ctx context.Context, consumer string, event mgx.EventID) (int64, error)
	DiscardDeadLetter(ctx context.Context, consumer string, event mgx.EventID) error
}

// consuming makes a handler of one that works on consumers, where there are any.
func (s *Server) consuming(f func(w http.ResponseWriter, r *http.Request, all Consumers, name string) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if s.o.Consumers == nil {
			return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server knows of no consumers")
		}
		return f(w, r, s.o.Consumers, r.PathValue("name"))
	}
}

func getConsumers(w http.ResponseWriter, r *http.Request, all Consumers, _ string) error {
	list, err := all.Consumers(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"consumers": append([]mgx.Consumer{}, list...)})
}

func getConsumer(w http.ResponseWriter, r *http.Request, all Consumers, name string) error {
	c, err := all.Consumer(r.Context(), name)
	if err != nil {
		return err
	}
	return writeJSON(w, c)
}

// getDeadLetters lists a page, the oldest event first. The token of the next is a
// position.
func getDeadLetters(w http.ResponseWriter, r *http.Request, all Consumers, name string) error {
	q, err := parseQuery(r, "limit", "page_token")
	if err != nil {
		return err
	}
	limit, err := q.number("limit", 100, 1, 500)
	if err != nil {
		return err
	}
	after := int64(0)
	if token := q.Get("page_token"); token != "" {
		if after, err = strconv.ParseInt(token, 10, 64); err != nil || after < 0 {
			return badQuery("page_token is what the page before gave")
		}
	}
	list, err := all.DeadLetters(r.Context(), name, after, limit)
	if err != nil {
		return err
	}
	page := map[string]any{"dead_letters": append([]mgx.DeadLetter{}, list...)}
	if len(list) == limit {
		page["next_page_token"] = strconv.FormatInt(list[limit-1].Position, 10)
	}
	return writeJSON(w, page)
}

// retryDeadLetters has all dead letters tried again, or the one in the path.
func retryDeadLetters(w http.ResponseWriter, r *http.Request, all Consumers, name string) error {
	n, err := all.RetryDeadLetters(r.Context(), name, mgx.EventID(r.PathValue("event")))
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]int64{"retried": n})
}

func discardDeadLetter(w http.ResponseWriter, r *http.Request, all Consumers, name string) error {
	return done(w, all.DiscardDeadLetter(r.Context(), name, mgx.EventID(r.PathValue("event"))))
}
