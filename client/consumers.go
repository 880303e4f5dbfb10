package client

import (
	"context"
	"net/http"
	"net/url"

	"mgx"
)

// Consumers are the readers of the event log inside MGX, for those who run it.
type Consumers struct{ c *Client }

// Consumers is what can be done with them.
func (c *Client) Consumers() Consumers { return Consumers{c} }

// List lists them.
func (r Consumers) List(ctx context.Context) ([]mgx.Consumer, error) {
	return pages[mgx.Consumer](ctx, r.c, "/api/v1/consumers", "consumers")
}

// DeadLetters lists what a consumer has given up, the oldest event first.
func (r Consumers) DeadLetters(ctx context.Context, consumer string) ([]mgx.DeadLetter, error) {
	return pages[mgx.DeadLetter](ctx, r.c, consumerPath(consumer)+"/dead", "dead_letters")
}

// Retry has a consumer try a dead letter again, or all of them when event is
// empty. It returns how many.
func (r Consumers) Retry(ctx context.Context, consumer string, event mgx.EventID) (int64, error) {
	path := consumerPath(consumer)
	if event != "" {
		path += "/dead/" + url.PathEscape(string(event))
	}
	var done retried
	err := r.c.send(ctx, http.MethodPost, path+"/retry", nil, nil, &done)
	return done.N, err
}

// Discard gives a dead letter up for good.
func (r Consumers) Discard(ctx context.Context, consumer string, event mgx.EventID) error {
	return r.c.send(ctx, http.MethodDelete, consumerPath(consumer)+"/dead/"+url.PathEscape(string(event)), nil, nil, nil)
}

func consumerPath(name string) string { return "/api/v1/consumers/" + url.PathEscape(name) }
