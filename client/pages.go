package client

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/url"

	"mgx"
)

// maxListed is the longest list that is kept in memory; a server whose list goes
// on beyond that is asked for a part of it instead.
const maxListed = 100_000

// each reads a list page by page, in the order of the server, until the loop is
// left. It yields one error at most, as the last thing.
func each[T any](ctx context.Context, c *Client, path, name string, q url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		q := maps.Clone(q)
		if q == nil {
			q = url.Values{}
		}
		for {
			list, next, err := onePage[T](ctx, c, path, name, q)
			for _, v := range list {
				if !yield(v, nil) {
					return
				}
			}
			if err == nil && next != "" && next == q.Get("page_token") {
				err = c.strange("its list goes round in circles")
			}
			if err != nil {
				yield(none, err)
				return
			}
			if next == "" {
				return
			}
			q.Set("page_token", next)
		}
	}
}

func onePage[T any](ctx context.Context, c *Client, path, name string, q url.Values) (list []T, next string, err error) {
	var page map[string]json.RawMessage
	if err := c.get(ctx, path, q, &page); err != nil {
		return nil, "", err
	}
	if text := page["next_page_token"]; text != nil {
		err = json.Unmarshal(text, &next)
	}
	if err == nil {
		err = json.Unmarshal(page[name], &list)
	}
	if err == nil {
		err = presentable(list)
	}
	if err != nil {
		return nil, "", c.strange("%w", err)
	}
	return list, next, nil
}

// pages reads a list to its end.
func pages[T any](ctx context.Context, c *Client, path, name string) ([]T, error) {
	return atMost(c, maxListed, each[T](ctx, c, path, name, nil))
}

// atMost collects a list that must not be longer.
func atMost[T any](c *Client, most int, all iter.Seq2[T, error]) (list []T, err error) {
	for v, err := range all {
		if err != nil {
			return nil, err
		}
		if list = append(list, v); len(list) > most {
			return nil, c.strange("it lists more than %d", most)
		}
	}
	return list, nil
}

// first collects the beginning of a list.
func first[T any](most int, all iter.Seq2[T, error]) (list []T, err error) {
	for v, err := range all {
		if err != nil {
			return nil, err
		}
		if list = append(list, v); len(list) == most {
			break
		}
	}
	return list, nil
}

// strange is the error of an answer that no MGX server gives.
func (c *Client) strange(format string, args ...any) error {
	return mgx.Errorf(mgx.KindConfig, CodeBadServer, "the answer of %s is not what this version of mgx understands: %w", c.base.Host, mgx.Errorf(mgx.KindInternal, CodeBadServer, format, args...))
}
