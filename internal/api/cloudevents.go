package api

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/event"
)

const (
	typeJSON   = "application/json"
	typeStream = "text/event-stream"
)

// pageForm says in which form a page is asked for: by format=, else by the Accept
// header. A page of CloudEvents is a batch, also for who accepts single ones.
func pageForm(q query, r *http.Request) (cloud bool, err error) {
	if q.Has("format") {
		return cloudFormat(q.Get("format"))
	}
	best, ok := preferred(r, typeJSON, event.CloudEventsType, event.CloudEventType)
	if !ok {
		return false, notAcceptable("a page of events", typeJSON, event.CloudEventsType)
	}
	return best != typeJSON, nil
}

// streamForm says the same of server-sent events. Who accepts CloudEvents gets
// them as the data of the stream.
func streamForm(q query, r *http.Request) (cloud bool, err error) {
	if q.Has("format") {
		return cloudFormat(q.Get("format"))
	}
	ranges := list(r.Header.Values("Accept"))
	named := strings.Contains(strings.ToLower(strings.Join(ranges, ",")), event.CloudEventType)
	switch {
	case named && quality(ranges, event.CloudEventType) > 0:
		return true, nil
	case len(ranges) == 0 || quality(ranges, typeStream) > 0:
		return false, nil
	}
	return false, notAcceptable("a stream of events", typeStream, event.CloudEventType)
}

func cloudFormat(name string) (bool, error) {
	switch name {
	case "mgx":
		return false, nil
	case "cloudevents":
		return true, nil
	}
	return false, badQuery("format is mgx or cloudevents")
}

func notAcceptable(what string, types ...string) error {
	return mgx.Errorf(mgx.KindUsage, codeNotAcceptable, "%s can be had as %s; the Accept header allows neither", what, strings.Join(types, " or "))
}

// preferred returns the one of some media types that a request likes best, the
// first of those it likes as much (RFC 9110, 12.5.1); false: it accepts none.
func preferred(r *http.Request, offers ...string) (string, bool) {
	ranges := list(r.Header.Values("Accept"))
	if len(ranges) == 0 {
		return offers[0], true
	}
	best, most := "", 0.0
	for _, offer := range offers {
		if q := quality(ranges, offer); q > most {
			best, most = offer, q
		}
	}
	return best, best != ""
}

// quality is how much the most specific of the ranges that fit likes a type.
func quality(ranges []string, offer string) (q float64) {
	kind, _, _ := strings.Cut(offer, "/")
	specific := -1
	for _, text := range ranges {
		name, params, err := mime.ParseMediaType(text)
		if err != nil {
			continue
		}
		level := map[string]int{"*/*": 0, kind + "/*": 1, offer: 2}
		fits, ok := level[name]
		if !ok || fits <= specific {
			continue
		}
		specific, q = fits, 1
		if text, has := params["q"]; has {
			if q, err = strconv.ParseFloat(text, 64); err != nil || q < 0 || q > 1 {
				q = 0
			}
		}
	}
	return q
}

// writeBatch answers with a page as a batch of CloudEvents. Where to go on is in
// the headers, since a batch is an array.
func writeBatch(w http.ResponseWriter, r *http.Request, p event.Page) error {
	h := w.Header()
	h.Set("Content-Type", event.CloudEventsType)
	h.Set("Mgx-Resume", p.Resume)
	if p.More {
		q := r.URL.Query()
		q.Del("after")
		q.Set("page_token", p.Resume)
		h.Set("Link", "<"+r.URL.Path+"?"+q.Encode()+`>; rel="next"`)
	}
	writeEvents(w, p.Events)
	return nil
}
