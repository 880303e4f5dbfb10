package api

import (
	"context"
	"strconv"
	"time"

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

func (s *Server) consumerRoutes() []route {
	const group = "Consumers"
	return []route{
		op("GET /api/v1/consumers", to("read", "settings"), with(s.consumers, listConsumers), about{
			ID: "listConsumers", Group: group, Short: "List the readers of the log inside MGX, and how far they have come",
		}, installation),
		op("GET /api/v1/consumers/{name}", to("read", "settings"), with(s.consumers, getConsumer), about{ID: "getConsumer", Group: group, Short: "Show a reader of the log"}, installation),
		op("POST /api/v1/consumers/{name}/retry", to("manage", "settings"), with(s.consumers, retryConsumer), about{
			ID: "retryConsumer", Group: group, Short: "Try every dead letter of a reader again",
		}, installation),
		op("GET /api/v1/consumers/{name}/dead-letters", to("read", "settings"), with(s.consumers, listDeadLetters), about{
			ID: "listDeadLetters", Group: group, Short: "List dead letters, the oldest event first",
		}, installation),
		op("GET /api/v1/consumers/{name}/dead", to("read", "settings"), with(s.consumers, listDeadLetters), about{
			ID: "listDead", Group: group, Short: "List dead letters, by the name that this had first", Deprecated: &deprecation{
				Since: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC), Gone: time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC), Instead: "/api/v1/consumers/{name}/dead-letters",
			},
		}, installation),
		op("POST /api/v1/consumers/{name}/dead/{event}/retry", to("manage", "settings"), with(s.consumers, retryDeadLetter), about{
			ID: "retryDeadLetter", Group: group, Short: "Try one dead letter again",
		}, installation),
		op("DELETE /api/v1/consumers/{name}/dead/{event}", to("manage", "settings"), with(s.consumers, discardDeadLetter), about{
			ID: "discardDeadLetter", Group: group, Short: "Give a dead letter up for good",
		}, installation),
	}
}

func (s *Server) consumers(context.Context) (Consumers, error) {
	if s.o.Consumers == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server knows of no consumers")
	}
	return s.o.Consumers, nil
}

type consumersOut struct {
	Body struct {
		Consumers []mgx.Consumer `json:"consumers"`
	} `nameHint:"ConsumerList"`
}

func listConsumers(ctx context.Context, all Consumers, _ *none) (*consumersOut, error) {
	list, err := all.Consumers(ctx)
	out := &consumersOut{}
	out.Body.Consumers = every(list)
	return out, err
}

// Named is the path of a consumer.
type Named struct {
	Name string `path:"name" doc:"Of the reader, as the list tells" maxLength:"200" example:"metrics"`
}

type consumerOut struct {
	Body mgx.Consumer
}

func getConsumer(ctx context.Context, all Consumers, in *Named) (*consumerOut, error) {
	c, err := all.Consumer(ctx, in.Name)
	return &consumerOut{c}, err
}

type deadIn struct {
	Named
	Paged
}

type deadOut struct {
	Body struct {
		DeadLetters []mgx.DeadLetter `json:"dead_letters"`
		Next        string           `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"DeadLetterPage"`
}

// listDeadLetters lists a page. The token of the next is a position.
func listDeadLetters(ctx context.Context, all Consumers, in *deadIn) (*deadOut, error) {
	after, err := int64(0), error(nil)
	if in.Page != "" {
		if after, err = strconv.ParseInt(in.Page, 10, 64); err != nil || after < 0 {
			return nil, badQuery("page_token is what the page before gave")
		}
	}
	list, err := all.DeadLetters(ctx, in.Name, after, in.Limit)
	out := &deadOut{}
	out.Body.DeadLetters = every(list)
	if len(list) == in.Limit {
		out.Body.Next = strconv.FormatInt(list[in.Limit-1].Position, 10)
	}
	return out, err
}

func retryConsumer(ctx context.Context, all Consumers, in *Named) (*retriedOut, error) {
	n, err := all.RetryDeadLetters(ctx, in.Name, "")
	return retried(n), err
}

// Dead is the path of a dead letter.
type Dead struct {
	Named
	Event mgx.EventID `path:"event" doc:"Id of the event" maxLength:"200"`
}

func retryDeadLetter(ctx context.Context, all Consumers, in *Dead) (*retriedOut, error) {
	n, err := all.RetryDeadLetters(ctx, in.Name, in.Event)
	return retried(n), err
}

func discardDeadLetter(ctx context.Context, all Consumers, in *Dead) (*none, error) {
	return &none{}, all.DiscardDeadLetter(ctx, in.Name, in.Event)
}
