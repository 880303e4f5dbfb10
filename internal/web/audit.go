package web

import (
	"net/url"
	"strconv"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/audit"
)

// auditPage is a page of the audit log, the newest first.
type auditPage struct {
	Entries []auditLine
	Actor   string
	Action  string
	Denied  bool
	Export  string // the choice, as the addresses of the exports take it
	Newer   string
	Older   string

	Size   int64
	Found  *audit.Report // what reading the log over found; nil: it is long, and nobody asked
	Verify string        // address that asks for it
}

// auditLine is an entry, and the addresses of what else its actor did and of what
// else was done so.
type auditLine struct {
	app.AuditEntry
	Same, Like string
}

// Narrow reports whether not all entries are chosen.
func (d *auditPage) Narrow() bool { return d.Actor != "" || d.Action != "" || d.Denied }

const (
	auditEntries = 100
	// auditAtOnce is how long a log may be to be read over each time the page is shown.
	auditAtOnce = 2000
)

func auditLog(v *visit) (page, error) {
	if err := v.read("audit"); err != nil {
		return page{}, err
	}
	q := v.URL.Query()
	d := &auditPage{Actor: q.Get("actor"), Action: q.Get("action"), Denied: q.Get("denied") == "true", Verify: with1(q, "verify", "1")}
	log := *v.site.o.Audit
	log.By = v.Actor.Doer()
	if err := d.fill(v, &log); err != nil {
		return page{}, err
	}
	var err error
	if d.Size, err = log.Store.AuditSize(v.Context(), v.Actor.Workspace); err != nil {
		return page{}, err
	}
	if d.Size <= auditAtOnce || q.Get("verify") != "" {
		found, err := log.Verify(v.Context())
		if err != nil {
			return page{}, err
		}
		d.Found = &found
	}
	return page{Template: "audit", Title: v.site.t("audit.title"), Nav: "audit", Command: "mgx audit\nmgx audit verify", Data: d}, nil
}

func (d *auditPage) fill(v *visit, log *app.Audit) error {
	q := v.URL.Query()
	var before int64
	if text := q.Get("page"); text != "" {
		var err error
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 {
			return mgx.Errorf(mgx.KindUsage, "bad_page", "A page of the audit log begins before the number of an entry, not %q.", middle(20, text))
		}
		d.Newer = with1(q, "page", "")
	}
	found, next, err := log.Newest(v.Context(), app.AuditFilter{Actor: d.Actor, Action: d.Action, Denied: d.Denied}, before, auditEntries)
	if err != nil {
		return err
	}
	for _, e := range found {
		d.Entries = append(d.Entries, auditLine{e, "/audit" + with1(nil, "actor", e.Actor), "/audit" + with1(nil, "action", e.Action)})
	}
	if next > 0 {
		d.Older = with1(q, "page", strconv.FormatInt(next, 10))
	}
	choice := url.Values{"workspace": {string(v.Actor.Workspace)}}
	for _, name := range []string{"actor", "action", "denied"} {
		if value := q.Get(name); value != "" {
			choice.Set(name, value)
		}
	}
	d.Export = choice.Encode()
	return nil
}
