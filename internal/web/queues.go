package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// queuesPage is what waits and is worked on.
type queuesPage struct {
	Queues  []queueRow
	Hooks   []mgx.Webhook // with anything that was not sent
	Readers []readerRow
	Keeper  bool // sees the readers of the log
}

// queueRow is a queue, and where what is in it is listed.
type queueRow struct {
	mgx.Queue
	Path string
	Age  time.Duration // of what has waited longest
}

// readerRow is a reader of the log, and where its dead letters are listed.
type readerRow struct {
	mgx.Consumer
	Path string
}

// Tone warns of what has waited for long, or was given up.
func (q queueRow) Tone() string {
	if q.Dead > 0 || q.Kind != mgx.QueueApprovals && q.Waiting > 0 && q.Age > lateAfter {
		return "near"
	}
	return ""
}

// lateAfter is how long something may wait for its turn before the page warns.
const lateAfter = 5 * time.Minute

var queuePaths = map[mgx.QueueKind]string{
	mgx.QueueRuns: "/tasks?status=queued", mgx.QueueExecutions: "/executions?status=ready", mgx.QueueApprovals: "/approvals", mgx.QueueCalls: "/usage", mgx.QueueDeliveries: "#hooks",
}

// queueNews are the types after which the page of queues is another.
const queueNews = "run.*,task.*,workflow.started,workflow.waiting,workflow.resumed,workflow.completed,llm.call.completed,webhook.*"

func queues(v *visit) (page, error) {
	all, err := v.site.o.Queues.Standing(v.Context(), v.Actor)
	if err != nil {
		return page{}, err
	}
	d := &queuesPage{Keeper: v.site.o.Queues.Keeps(v.Context(), v.Actor, "read")}
	for _, q := range all {
		row := queueRow{Queue: q, Path: queuePaths[q.Kind]}
		if !q.Oldest.IsZero() {
			row.Age = max(0, v.site.o.Now().Sub(q.Oldest))
		}
		d.Queues = append(d.Queues, row)
	}
	if v.may("read", "webhooks") {
		hooks, err := v.site.o.Queues.Endpoints(v.Context(), v.Actor)
		if err != nil {
			return page{}, err
		}
		for _, h := range hooks {
			if h.Pending+h.Dead > 0 || !h.FailingSince.IsZero() {
				d.Hooks = append(d.Hooks, h)
			}
		}
	}
	if d.Keeper {
		readers, err := v.site.o.Queues.Readers(v.Context(), v.Actor)
		if err != nil {
			return page{}, err
		}
		for _, r := range readers {
			if !strings.HasPrefix(r.Name, "webhook:") { // those are of all workspaces
				d.Readers = append(d.Readers, readerRow{r, "/queues/readers/" + url.PathEscape(r.Name)})
			}
		}
	}
	return page{
		Template: "queues", Title: v.site.t("queues.title"), Nav: "queues", Command: "mgx runs\nmgx webhooks\nmgx consumers", Data: d,
		Live: &live{Channel: "all", Types: queueNews, Part: "/queues"},
	}, nil
}

// lettersPage is what was not delivered to one endpoint, or what one reader of the
// log has given up.
type lettersPage struct {
	Title, Text string
	Path        string // of the page, below which is what can be done
	May         bool   // whether the reader may have it tried again
	Discard     bool   // whether there is giving up for good, too
	Dead        int64
	Rows        []letterRow
	Newer       string
	Older       string
}

// letterRow is an event that did not arrive.
type letterRow struct {
	Event    mgx.EventID
	Type     mgx.EventType
	Position int64
	Status   string
	Attempts int
	Error    string
	NextAt   time.Time
	Since    time.Time
	Again    bool // can be tried again now
}

const lettersListed = 50

// position reads where a page begins.
func position(q url.Values) (int64, error) {
	text := q.Get("page")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, mgx.Errorf(mgx.KindUsage, "bad_page", "a page of this list begins at the number of an event, not at %q", middle(20, text))
	}
	return n, nil
}

func undelivered(v *visit) (page, error) {
	at, err := position(v.URL.Query())
	if err != nil {
		return page{}, err
	}
	id := mgx.WebhookID(v.PathValue("webhook"))
	hook, all, err := v.site.o.Queues.Undelivered(v.Context(), v.Actor, id, at, lettersListed)
	if err != nil {
		return page{}, err
	}
	d := &lettersPage{Title: v.site.t("queues.hook"), Text: hook.URL, Path: "/queues/webhooks/" + string(id), May: v.may("execute", "webhooks"), Dead: hook.Dead}
	for _, l := range all {
		d.Rows = append(d.Rows, letterRow{
			Event: l.Event, Type: l.Type, Position: l.Position, Status: letterState(l.Status), Attempts: l.Attempts, Error: l.LastError, NextAt: l.NextAt, Since: l.CreatedAt,
			Again: l.Status == mgx.DeliveryDead || !l.NextAt.IsZero(),
		})
	}
	d.pages(v.URL.Query(), at > 0)
	return page{Template: "letters", Title: d.Title, Nav: "queues", Command: "mgx webhooks deliveries " + string(id) + "\nmgx webhooks retry " + string(id) + " --dead", Data: d}, nil
}

func letterState(s mgx.DeliveryStatus) string {
	if s == mgx.DeliveryDead {
		return "failed"
	}
	return "queued"
}

func letters(v *visit) (page, error) {
	at, err := position(v.URL.Query())
	if err != nil {
		return page{}, err
	}
	name := v.PathValue("reader")
	reader, all, err := v.site.o.Queues.Letters(v.Context(), v.Actor, name, at, lettersListed)
	if err != nil {
		return page{}, err
	}
	may := v.site.o.Queues.Keeps(v.Context(), v.Actor, "manage")
	d := &lettersPage{Title: v.site.t("queues.reader"), Text: name, Path: "/queues/readers/" + url.PathEscape(name), May: may, Discard: may, Dead: reader.Dead}
	for _, l := range all {
		state := "failed"
		if !l.NextAt.IsZero() {
			state = "queued"
		}
		d.Rows = append(d.Rows, letterRow{Event: l.Event, Type: l.Type, Position: l.Position, Status: state, Attempts: l.Attempts, Error: l.LastError, NextAt: l.NextAt, Since: l.CreatedAt, Again: true})
	}
	d.pages(v.URL.Query(), at > 0)
	return page{Template: "letters", Title: d.Title, Nav: "queues", Command: "mgx consumers dead " + name + "\nmgx consumers retry " + name, Data: d}, nil
}

func (d *lettersPage) pages(q url.Values, on bool) {
	if len(d.Rows) == lettersListed {
		d.Older = with1(q, "page", strconv.FormatInt(d.Rows[lettersListed-1].Position, 10))
	}
	if on {
		d.Newer = with1(q, "page", "")
	}
}

// resend has an endpoint get again what it did not get: what the form names, or all
// that was given up.
func resend(v *visit) (string, error) {
	id := mgx.WebhookID(v.PathValue("webhook"))
	return "/queues/webhooks/" + url.PathEscape(string(id)), v.site.o.Queues.Resend(v.Context(), v.Actor, id, mgx.EventID(v.text("event")))
}

func reread(v *visit) (string, error) {
	name := v.PathValue("reader")
	return "/queues/readers/" + url.PathEscape(name), v.site.o.Queues.Reread(v.Context(), v.Actor, name, mgx.EventID(v.text("event")))
}

func discard(v *visit) (string, error) {
	name := v.PathValue("reader")
	return "/queues/readers/" + url.PathEscape(name), v.site.o.Queues.Discard(v.Context(), v.Actor, name, mgx.EventID(v.text("event")))
}

// queuePages are the pages of queues and what they do.
func (s *site) queuePages(m *mux, page func(string, view)) {
	page("/queues", queues)
	page("/queues/webhooks/{webhook}", undelivered)
	page("/queues/readers/{reader}", letters)
	for path, do := range map[string]act{"/queues/webhooks/{webhook}/retry": resend, "/queues/readers/{reader}/retry": reread, "/queues/readers/{reader}/discard": discard} {
		m.Handle(http.MethodPost+" "+path, s.do(do))
	}
}
