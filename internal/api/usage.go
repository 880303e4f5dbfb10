package api

import (
	"encoding/base64"
	"mime"
	"net/http"
	"strings"
	"time"

	"mgx"
	"mgx/internal/app"
)

const usagePage = 100

type usageIn struct {
	By      mgx.UsageBy   `query:"by" doc:"What is summed up by; call: no sums, each call" enum:"model,provider,role,task,run,project,user,day,call" default:"model"`
	Since   string        `query:"since" doc:"From this time (RFC 3339) or date of UTC on" maxLength:"40" example:"2026-11-01"`
	Until   string        `query:"until" doc:"Before this time or date" maxLength:"40"`
	Project mgx.ProjectID `query:"project" doc:"Only of this project" maxLength:"200"`
	Task    mgx.TaskID    `query:"task" doc:"Only of this task" maxLength:"200"`
	Run     mgx.RunID     `query:"run" doc:"Only of this run" maxLength:"200"`
	User    mgx.UserID    `query:"user" doc:"Only of this person" maxLength:"200"`
	Limit   int           `query:"limit" doc:"How many at most" minimum:"1" maximum:"1000" default:"100"`
	Page    string        `query:"page_token" doc:"The next_page_token of the page before; not with CSV" maxLength:"500"`
}

type usageOut struct {
	Body struct {
		Usage []app.UsageRow `json:"usage"`
		Next  string         `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"UsagePage"`
}

// getUsage sums the ledger up: a page of lines as JSON or, when the client
// accepts text/csv and not JSON, all of them as CSV.
func (s *Server) getUsage(w http.ResponseWriter, r *http.Request) error {
	b, err := s.money(r.Context())
	if err != nil {
		return err
	}
	q, err := parseUsage(r)
	if err != nil {
		return err
	}
	w.Header().Add("Vary", "Accept")
	if wantsCSV(r) {
		return s.writeUsageCSV(w, r, b, q)
	}
	all, err := b.Usage(r.Context(), q)
	if err != nil {
		return err
	}
	out := map[string]any{"usage": append([]app.UsageRow{}, all...)}
	if len(all) == q.Limit {
		out["next_page_token"] = base64.RawURLEncoding.EncodeToString([]byte("u" + all[len(all)-1].Key))
	}
	return writeJSON(w, out)
}

func (s *Server) writeUsageCSV(w http.ResponseWriter, r *http.Request, b *app.Budgets, q mgx.UsageQuery) error {
	if q.After != nil {
		return badQuery("CSV is not sent in pages; leave page_token out")
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="usage.csv"`)
	out, err := app.NewUsageCSV(w, q.By)
	if err == nil {
		err = b.EachUsage(r.Context(), q, func(row app.UsageRow) error {
			if row.Call != nil {
				row.Call.Note = s.o.Redact(b.By.Workspace, row.Call.Note)
			}
			return out.Write(row)
		})
	}
	if err == nil {
		err = out.Flush()
	}
	return err
}

// wantsCSV reports whether CSV is accepted by name, before JSON if that is too.
func wantsCSV(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil || params["q"] == "0" {
			continue
		}
		switch kind {
		case "text/csv":
			return true
		case "application/json":
			return false
		}
	}
	return false
}

func parseUsage(r *http.Request) (q mgx.UsageQuery, err error) {
	values := query{Values: r.URL.Query()}
	if err = values.only("by", "since", "until", "project", "task", "run", "user", "limit", "page_token"); err != nil {
		return q, err
	}
	q.By = mgx.ByModel
	if name := values.Get("by"); name != "" {
		if q.By, err = mgx.ParseUsageBy(name); err != nil {
			return q, err
		}
	}
	if q.Since, err = values.time("since"); err != nil {
		return q, err
	}
	if q.Until, err = values.time("until"); err != nil {
		return q, err
	}
	q.Project, q.Task = mgx.ProjectID(values.Get("project")), mgx.TaskID(values.Get("task"))
	q.Run, q.User = mgx.RunID(values.Get("run")), mgx.UserID(values.Get("user"))
	if q.Limit, err = values.number("limit", usagePage, 1, 1000); err != nil {
		return q, err
	}
	if token := values.Get("page_token"); token != "" {
		text, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || !strings.HasPrefix(string(text), "u") {
			return q, badQuery("page_token is the next_page_token of another page")
		}
		q.After = new(string(text[1:]))
	}
	return q, nil
}

// time reads a time or a date of UTC; without it the zero time.
func (q query) time(name string) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, badQuery("%s is a time of RFC 3339 or a date", name)
}
