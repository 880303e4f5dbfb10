package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

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
	CSV     string // addresses of all that is chosen, to download
	JSON    string
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

// auditLog is that of the reader's workspace.
func (v *visit) auditLog() *app.Audit {
	theirs := *v.site.o.Audit
	theirs.By = v.Actor.Doer()
	return &theirs
}

func auditChoice(q url.Values) app.AuditFilter {
	return app.AuditFilter{Actor: q.Get("actor"), Action: q.Get("action"), Denied: q.Get("denied") == "true"}
}

func auditLog(v *visit) (page, error) {
	if err := v.read("audit"); err != nil {
		return page{}, err
	}
	q := v.URL.Query()
	chosen := auditChoice(q)
	d := &auditPage{Actor: chosen.Actor, Action: chosen.Action, Denied: chosen.Denied, Verify: with1(q, "verify", "1")}
	log := v.auditLog()
	if err := d.fill(v, log, chosen); err != nil {
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

func (d *auditPage) fill(v *visit, log *app.Audit, chosen app.AuditFilter) error {
	q := v.URL.Query()
	var before int64
	if text := q.Get("page"); text != "" {
		var err error
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 {
			return mgx.Errorf(mgx.KindUsage, "bad_page", "A page of the audit log begins before the number of an entry, not %q.", middle(20, text))
		}
		d.Newer = with1(q, "page", "")
	}
	found, next, err := log.Newest(v.Context(), chosen, before, auditEntries)
	if err != nil {
		return err
	}
	for _, e := range found {
		d.Entries = append(d.Entries, auditLine{e, "/audit" + with1(nil, "actor", e.Actor), "/audit" + with1(nil, "action", e.Action)})
	}
	if next > 0 {
		d.Older = with1(q, "page", strconv.FormatInt(next, 10))
	}
	all := url.Values{}
	for _, name := range []string{"actor", "action", "denied"} {
		if value := q.Get(name); value != "" {
			all.Set(name, value)
		}
	}
	d.CSV, d.JSON = "/audit/export"+with1(all, "format", "csv"), "/audit/export"+with1(all, "format", "json")
	return nil
}

// auditExport writes all entries that are chosen, to download, for as long as
// somebody reads. What goes wrong on the way can only cut it off.
func (s *site) auditExport(w http.ResponseWriter, r *http.Request) {
	v, err := s.enter(r)
	if err != nil && s.signIn(w, r, err) {
		return
	}
	if err == nil {
		err = v.read("audit")
	}
	q := r.URL.Query()
	if err == nil { // an error of the choice is told before anything is written
		_, _, err = v.auditLog().Newest(v.Context(), auditChoice(q), 1, 1)
	}
	if err != nil {
		s.fail(w, v, err)
		return
	}
	kind, ending := "application/jsonl", "jsonl"
	if q.Get("format") == "csv" {
		kind, ending = "text/csv; charset=utf-8; header=present", "csv"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="audit.`+ending+`"`)
	http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as long as it takes to read and send all
	if err := v.auditLog().Export(v.Context(), auditChoice(q), q.Get("format"), w); err != nil {
		s.o.Log.Warn("an export of the audit log was cut off", "request", v.ID, "error", err)
		panic(http.ErrAbortHandler)
	}
}
