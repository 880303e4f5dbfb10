package main

import (
	"context"
	"errors"

	"mgx"
	"mgx/client"
)

// eventsOf prints the log of a server, and with follow what comes.
func (c *cli) eventsOf(ctx context.Context, run, glob string, channels []string, since int64, follow bool) error {
	var types []string
	remote, err := c.remote(c.at)
	if err != nil {
		return err
	}
	if run != "" {
		id, err := theirRuns{remote.Runs(), remote}.idOf(ctx, run)
		if err != nil {
			return err
		}
		channels = []string{"run:" + string(id)}
	}
	if glob != "" {
		types = []string{glob}
	}
	if !follow {
		return c.pagesOf(ctx, remote, client.EventQuery{Channels: channels, Types: types, After: since, Limit: 500})
	}
	lost := func(err error) {
		if !c.json {
			c.tell("%s; connecting again\n", mgx.AsError(err).Message)
		}
	}
	for e, err := range remote.Stream(ctx, client.StreamOptions{Channels: channels, Types: types, After: &since, Lost: lost}) {
		if err != nil {
			return streamError(ctx, err)
		}
		if err := c.printEvent(e); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) pagesOf(ctx context.Context, remote *client.Client, q client.EventQuery) error {
	for {
		page, err := remote.Events(ctx, q)
		if err != nil {
			return streamError(ctx, err)
		}
		for _, e := range page.Events {
			if err := c.printEvent(e); err != nil {
				return err
			}
		}
		if q.Page = page.NextPage; q.Page == "" {
			return nil
		}
	}
}

func streamError(ctx context.Context, err error) error {
	if reset, ok := errors.AsType[*client.ResetError](err); ok {
		return usage("stream_reset", "%s; begin anew with --since %d", reset, max(0, reset.Earliest-1))
	}
	return ignoreInterrupt(ctx, err)
}
