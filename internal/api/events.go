package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/event"
)

// page is the answer of GET /api/v1/events.
type page struct {
	Events []json.RawMessage `json:"events"`
	Next   string            `json:"next_page_token,omitempty"` // of the next page, if there is more by now
	Resume string            `json:"resume"`                    // to go on after this page as a stream
}

// getEvents returns a page of the log. It looks at a bounded part of the log at
// once, so a page may be empty and still have a next one.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r, "limit", "page_token", "format")
	if err != nil {
		return err
	}
	w.Header().Set("Vary", "Accept")
	cloud, err := pageForm(q, r)
	if err != nil {
		return err
	}
	req := event.PageRequest{Cloud: cloud, Actor: actorOf(r).ID(), Channels: q.channels, Types: q.types, After: q.after, Resume: q.Get("page_token"), Versions: q.versions, Reader: actorOf(r).ID()}
	if req.Limit, err = q.number("limit", 100, 1, 500); err != nil {
		return err
	}
	if req.Resume != "" && req.After != nil {
		return badQuery("page_token and after exclude each other")
	}
	found, err := s.o.Hub.Page(r.Context(), req)
	if err != nil {
		return err
	}
	out := page{Events: make([]json.RawMessage, len(found.Events)), Resume: found.Resume}
	for i, text := range found.Events {
		out.Events[i] = text
	}
	if cloud {
		return writeBatch(w, r, out.Events, found)
	}
	if found.More {
		out.Next = found.Resume
	}
	return writeJSON(w, out)
}

// query is what all ways to read events understand.
type query struct {
	url.Values
	channels []event.Channel
	types    []string
	after    *int64
	versions string
}

// parseQuery reads channel and type (each several times, or with commas), after
// and versions; more names what else may be there.
func parseQuery(r *http.Request, more ...string) (query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query{}, badQuery("the query is not well formed")
	}
	q := query{Values: values, types: list(values["type"]), versions: values.Get("versions")}
	known := append([]string{"channel", "type", "after", "versions", "workspace"}, more...)
	for name, all := range values {
		if !slices.Contains(known, name) {
			return q, badQuery("there is no parameter %q; there are %s", clip(name), strings.Join(known, ", "))
		}
		if len(all) > 1 && name != "channel" && name != "type" {
			return q, badQuery("%s is there more than once", name)
		}
	}
	names := list(values["channel"])
	if len(names) == 0 {
		names = []string{"all"}
	}
	if q.channels, err = event.ParseChannels(names); err != nil {
		return q, err
	}
	if text := values.Get("after"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return q, badQuery("after is the position of an event, 0 or more")
		}
		q.after = &n
	}
	return q, nil
}

// only refuses parameters that are not named.
func (q query) only(names ...string) error {
	for name := range q.Values {
		if !slices.Contains(names, name) {
			return badQuery("there is no parameter %q; there are %s", clip(name), strings.Join(names, ", "))
		}
	}
	return nil
}

func list(values []string) []string {
	var out []string
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			if one = strings.TrimSpace(one); one != "" {
				out = append(out, one)
			}
		}
	}
	return out
}

func (q query) number(name string, fallback, least, most int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, badQuery("%s is a number from %d to %d", name, least, most)
	}
	return n, nil
}

func (q query) flag(name string) (bool, error) {
	switch q.Get(name) {
	case "":
		return false, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, badQuery("%s is true or false", name)
}

func badQuery(format string, args ...any) error {
	return mgx.Errorf(mgx.KindUsage, codeQuery, format, args...)
}

func clip(s string) string {
	if len(s) <= 100 {
		return s
	}
	return strings.ToValidUTF8(s[:100], "") + "…"
}
