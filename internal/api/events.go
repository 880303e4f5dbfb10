package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/event"
)

const typeSchema = "application/schema+json"

func (s *Server) eventRoutes() []route {
	const group, contracts = "Events", "Event contracts"
	bad := codes{
		event.CodeBadChannel: 400, event.CodeChannelRefused: 403, "bad_event_pins": 400, event.CodeBadFilter: 400, codeReset: 410, event.CodeVersionGone: 410,
		event.CodeUnknownVersion: 400, event.CodeUnknownType: 404, codeNotAcceptable: 406, event.CodeRestarting: 503, event.CodeBehind: 503,
	}
	return []route{
		plain[pageIn, pageOut]("GET /api/v1/events", s.getEvents, to("read", "events"), about{
			ID: "listEvents", Group: group, Short: "Read a page of the log", Codes: bad, Types: []string{event.CloudEventsType},
			Long: "It looks at a bounded part of the log at once, so a page may be empty and still have a next one. Who accepts `application/cloudevents-batch+json` gets CloudEvents.",
		}),
		plain[streamIn, streamOut]("GET /api/v1/events/stream", s.getStream, to("connect", "events"), about{
			ID: "streamEvents", Group: group, Short: "Follow the log as server-sent events", Type: typeStream, Codes: bad.and(codes{codeFull: 503, codeManySubscribers: 503, codeManyStreams: 429}),
			Long: "The id of each event is the token to resume after it. Events have no name; `subscribed`, `checkpoint`, `lagging`, `reset` and `live` have theirs. A stream of one run that has ended, of which the reader has everything, is answered with 204.",
		}, stream),
		plain[socketIn, none]("GET /api/v1/events/ws", s.getSocket, to("connect", "events"), about{
			ID: "connectEvents", Group: group, Short: "Follow the log by WebSocket", Status: 101, Codes: codes{codeSubprotocol: 400, codeFull: 503, codeManyStreams: 429, event.CodeRestarting: 503},
			Long: "The sub-protocol is `events.v1+json`. A browser, which cannot set headers, sends its token as a second one, `bearer.TOKEN`; where others get 429 it gets the close code 4029. The frames are in the AsyncAPI document.",
		}, stream, socks),
		op("GET /api/v1/events/schemas", to("read", "events"), s.listSchemas, about{
			ID: "listSchemas", Group: contracts, Short: "List the types of events",
		}),
		op("GET /api/v1/events/schemas/{type}", to("read", "events"), s.getSchema, about{
			ID: "getSchema", Group: contracts, Short: "Show a type of events, with its schema and examples",
		}),
		plain[schemaVersionIn, schemaVersionOut]("GET /api/v1/events/schemas/{type}/{version}", s.getSchemaVersion, to("read", "events"), about{
			ID: "getSchemaVersion", Group: contracts, Short: "Get the JSON Schema of one version", Type: typeSchema,
		}),
	}
}

// Reading are the parameters of all ways to read events. They are embedded in
// inputs.
type Reading struct {
	Channel   []string        `query:"channel" doc:"all, or run:ID, task:ID, project:ID and the like; several with commas or by naming it several times" maxLength:"300" example:"[\"all\"]"`
	Type      []string        `query:"type" doc:"Patterns of types: task.created, task.*; several as of channel" maxLength:"200"`
	After     int64           `query:"after" doc:"Only events after this position" minimum:"0"`
	Versions  string          `query:"versions" doc:"Versions to have events in, such as task.created@1" maxLength:"2000"`
	Workspace mgx.WorkspaceID `query:"workspace" doc:"In which workspace to ask, for who cannot send Mgx-Workspace" maxLength:"200"`
}

type pageIn struct {
	Reading
	Limit  int    `query:"limit" doc:"How many at most" minimum:"1" maximum:"500" default:"100"`
	Page   string `query:"page_token" doc:"The next_page_token of the page before" maxLength:"1000"`
	Format string `query:"format" doc:"In which form, whatever is accepted" enum:"mgx,cloudevents"`
}

type pageOut struct {
	Body page
}

// page is the answer of GET /api/v1/events.
type page struct {
	Events []json.RawMessage `json:"events"`
	Next   string            `json:"next_page_token,omitempty" doc:"Of the next page, if there is more by now"`
	Resume string            `json:"resume" doc:"To go on after this page as a stream"`
}

type streamIn struct {
	Reading
	Live     bool   `query:"live" doc:"Also what agents and their programs say while they work, which is kept nowhere"`
	Format   string `query:"format" doc:"In which form, whatever is accepted" enum:"mgx,cloudevents"`
	Last     string `query:"last_event_id" doc:"As the header Last-Event-ID, for the first request of a page" maxLength:"1000"`
	LastSeen string `header:"Last-Event-ID" doc:"The id of the last event, to go on after it" maxLength:"1000"`
}

type streamOut struct {
	Body string
}

type socketIn struct {
	Reading
	Live     bool   `query:"live" doc:"Also what agents and their programs say while they work"`
	Format   string `query:"format" doc:"In which form events are" enum:"mgx,cloudevents"`
	Last     string `query:"last_event_id" doc:"The token of the last event, to go on after it" maxLength:"1000"`
	Client   string `query:"client" doc:"What the client calls itself: a second connection of the same name ends the first" maxLength:"200"`
	Protocol string `header:"Sec-WebSocket-Protocol" doc:"events.v1+json, and for browsers bearer.TOKEN" maxLength:"2000"`
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
	if cloud {
		return writeBatch(w, r, found)
	}
	out := page{Events: []json.RawMessage{}, Resume: found.Resume}
	if found.More {
		out.Next = found.Resume
	}
	return writePage(w, out, found.Events)
}

func writePage(w http.ResponseWriter, p page, events [][]byte) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"events":`)
	writeEvents(w, events)
	w.Write(bytes.TrimPrefix(text, []byte(`{"events":[]`)))
	return nil
}

// writeEvents writes an array of events, which are JSON already: encoding them would read
// and write each once more.
func writeEvents(w io.Writer, events [][]byte) {
	io.WriteString(w, "[")
	for i, text := range events {
		if i > 0 {
			io.WriteString(w, ",")
		}
		w.Write(text)
	}
	io.WriteString(w, "]")
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
