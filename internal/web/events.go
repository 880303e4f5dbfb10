package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/guard"
)

// eventLog is the log of the workspace, the newest events first.
type eventLog struct {
	Rows   []eventRow
	Types  []string // all that there are, to choose from
	People []mgx.Member
	Chosen eventChoice
	Live   bool
	Newer  string
	Older  string
}

// eventChoice is what the form of the page holds, as it was typed.
type eventChoice struct {
	Type, Of, Person, From, To, Text string
}

// Narrow reports whether not all events are chosen.
func (c eventChoice) Narrow() bool { return c != eventChoice{} }

// eventRow is an event in the list: what of it tells events apart.
type eventRow struct {
	mgx.Event
	Gist string // some words of it
	Like string // address of all of its type
}

const (
	eventsListed = 100
	mostPeople   = 200 // members that are offered to choose from
)

func events(v *visit) (page, error) {
	q := v.URL.Query()
	d := &eventLog{Chosen: chosenEvents(q), Types: v.site.o.Events.Types()}
	search, err := d.Chosen.search()
	if err != nil {
		return page{}, err
	}
	search.Limit = eventsListed
	found, err := v.site.o.Events.Search(v.Context(), v.Actor, search, q.Get("page"))
	if err != nil {
		return page{}, err
	}
	for _, e := range found.Items {
		d.Rows = append(d.Rows, eventRow{e, gist(e), "/events" + with1(nil, "type", string(e.Type))})
	}
	if found.Next != "" {
		d.Older = with1(q, "page", found.Next)
	}
	p := page{Template: "events", Title: v.site.t("events.title"), Nav: "events", Command: d.Chosen.command(), Data: d}
	if q.Get("page") != "" {
		d.Newer = with1(q, "page", "")
	} else if d.Live = d.Chosen.To == "" && v.mayConnect(); d.Live {
		p.Live = &live{Channel: app.ChannelOf(d.Chosen.Of), Types: strings.Join(search.Types, ","), Part: v.URL.RequestURI()}
	}
	d.People, err = v.people()
	return p, err
}

func (v *visit) mayConnect() bool { return v.may("connect", "events") }

// people are the members of the workspace, for who may know them.
func (v *visit) people() ([]mgx.Member, error) {
	if v.part() || !v.may("read", "users") {
		return nil, nil
	}
	return v.site.o.Access.Members(v.Context(), v.Actor, "", mostPeople)
}

func chosenEvents(q url.Values) eventChoice {
	field := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return eventChoice{Type: field("type"), Of: field("of"), Person: field("person"), From: field("from"), To: field("to"), Text: field("text")}
}

// types are the patterns that the form names, with commas or spaces between them.
func (c eventChoice) types() []string {
	return strings.FieldsFunc(c.Type, func(r rune) bool { return r == ',' || r == ' ' })
}

// search is what the form asks for.
func (c eventChoice) search() (q mgx.EventSearch, err error) {
	q = mgx.EventSearch{Types: c.types(), Of: c.Of, User: mgx.UserID(c.Person), Text: c.Text}
	if q.Since, err = moment(c.From); err == nil {
		q.Until, err = moment(c.To)
	}
	return q, err
}

// moment reads a time of UTC, as forms send it; empty: none.
func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, mgx.Errorf(mgx.KindUsage, "bad_query", "a time is one of UTC such as 2026-11-29T08:30, not %q", middle(30, text))
}

// command is what shows about the same on the command line.
func (c eventChoice) command() string {
	command := "mgx events --follow"
	if strings.HasPrefix(c.Of, "run_") {
		command += " --run " + quotedWord(c.Of)
	}
	if types := c.types(); len(types) == 1 {
		command += " --type " + quotedWord(types[0])
	}
	return command
}

// quotedWord is a word as a shell takes it for itself.
func quotedWord(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// gistKeys are the parts of events that people know them by, the best first.
var gistKeys = []string{"title", "text", "summary", "message", "effect", "action", "resource", "name", "phase", "reason", "step", "status", "model", "branch", "path", "agent_role", "round", "verdict", "by"}

const (
	gistParts  = 3
	gistLength = 160
)

// gist is a line of some of an event's words.
func gist(e mgx.Event) string {
	var data map[string]json.RawMessage
	if json.Unmarshal(e.Data, &data) != nil {
		return ""
	}
	if task, ok := data["task"]; ok {
		var d struct {
			Title string `json:"title"`
		}
		if json.Unmarshal(task, &d) == nil && d.Title != "" {
			return line1(d.Title)
		}
	}
	var parts []string
	for _, key := range gistKeys {
		var text string
		if json.Unmarshal(data[key], &text) == nil && strings.TrimSpace(text) != "" && len(parts) < gistParts {
			parts = append(parts, line1(text))
		}
	}
	if len(parts) == 0 {
		parts = scalars(data)
	}
	return middle(gistLength, strings.Join(parts, " · "))
}

// scalars are some of an event's parts by their names, of one that has no words.
func scalars(data map[string]json.RawMessage) (parts []string) {
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if text := string(data[key]); len(parts) < gistParts && text != "null" && !strings.ContainsAny(text[:1], "{[") {
			parts = append(parts, line1(key+" "+strings.Trim(text, `"`)))
		}
	}
	return parts
}

// line1 is a text as one line without what would hide or turn it.
func line1(text string) string {
	return middle(gistLength, strings.Join(strings.Fields(guard.Clean(text[:min(len(text), 20*gistLength)])), " "))
}

// eventPage is one event with its contract.
type eventPage struct {
	app.EventDetail
	Data   template.HTML // in the colours of its syntax
	Schema template.HTML // empty: it is not known any more
	Whole  string        // the envelope, to copy
	Then   string        // address of its run as it was after it
}

func eventOf(v *visit) (page, error) {
	found, err := v.site.o.Events.Event(v.Context(), v.Actor, mgx.EventID(v.PathValue("event")))
	if err != nil {
		return page{}, err
	}
	whole, err := json.MarshalIndent(found.Event, "", "  ")
	if err != nil {
		return page{}, err
	}
	d := &eventPage{EventDetail: found, Data: coloured(found.Data), Schema: coloured(found.Schema), Whole: escaped(string(whole))}
	if found.Run != "" && mgx.StreamID(found.Run) == found.Stream {
		d.Then = "/runs/" + url.PathEscape(string(found.Run)) + with1(nil, "at", strconv.FormatInt(found.Sequence, 10))
	}
	return page{Template: "event", Title: string(found.Type), Nav: "events", Command: eventCommand(found.Event), Data: d}, nil
}

func eventCommand(e mgx.Event) string {
	command := "mgx events --since " + strconv.FormatInt(e.Position-1, 10) + " --type " + quotedWord(string(e.Type))
	if e.Run != "" {
		command += " --run " + quotedWord(string(e.Run))
	}
	return command
}

const mostColoured = 256 << 10 // bytes of JSON that are drawn

// coloured is JSON, indented and in colours; empty for what is none.
func coloured(raw json.RawMessage) template.HTML {
	var b bytes.Buffer
	if len(raw) == 0 || json.Indent(&b, raw, "", "  ") != nil {
		return ""
	}
	text := escaped(b.String())
	if len(text) > mostColoured {
		text = strings.ToValidUTF8(text[:mostColoured], "") + "\n…"
	}
	lines := lit(languageNamed("json"), strings.Split(text, "\n"))
	var m markup
	for i, l := range lines {
		if i > 0 {
			m.text("\n")
		}
		l.draw(&m)
	}
	return m.html()
}

// escaped is JSON in which characters that hide or turn text are written out.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r != '\n' && (unicode.Is(unicode.Cf, r) || unicode.IsControl(r) || unicode.Is(unicode.Variation_Selector, r)) {
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
