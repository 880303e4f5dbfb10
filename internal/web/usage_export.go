package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"mgx"
	"mgx/internal/app"
)

// usageExport writes what was used in the days of the page, summed up as there or
// call by call, to download: as CSV, or as JSON with a line in each line.
func (s *site) usageExport(w http.ResponseWriter, r *http.Request) {
	v, err := s.enter(r)
	if err != nil && s.signIn(w, r, err) {
		return
	}
	if err == nil {
		err = v.read("budgets")
	}
	by := mgx.UsageBy(r.URL.Query().Get("by"))
	format := r.URL.Query().Get("format")
	if err == nil && !slices.Contains(mgx.UsageBys, by) {
		_, err = mgx.ParseUsageBy(string(by))
	}
	if err == nil && format != "csv" && format != "json" {
		err = mgx.Errorf(mgx.KindUsage, "bad_query", "usage is exported as csv or as json")
	}
	if err != nil {
		s.fail(w, v, err)
		return
	}
	kind, ending := "application/jsonl", "jsonl"
	if format == "csv" {
		kind, ending = "text/csv; charset=utf-8; header=present", "csv"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="usage-by-`+string(by)+`.`+ending+`"`)
	http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as long as it takes to read and send all
	if err := v.exportUsage(w, by, format); err != nil {
		s.o.Log.Warn("an export of usage was cut off", "request", v.ID, "error", err)
		panic(http.ErrAbortHandler)
	}
}

func (v *visit) exportUsage(w http.ResponseWriter, by mgx.UsageBy, format string) error {
	since := v.site.o.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-usageDays)
	q := mgx.UsageQuery{By: by, Since: since}
	if format == "json" {
		lines := json.NewEncoder(w)
		return v.money().EachUsage(v.Context(), q, func(r app.UsageRow) error { return lines.Encode(r) })
	}
	out, err := app.NewUsageCSV(w, by)
	if err == nil {
		err = v.money().EachUsage(v.Context(), q, out.Write)
	}
	if err == nil {
		err = out.Flush()
	}
	return err
}
