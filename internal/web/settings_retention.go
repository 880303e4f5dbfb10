package web

import (
	"strconv"

	"mgx"
	"mgx/internal/app"
)

// retentionPage is for how long events are kept, by category.
type retentionPage struct {
	sheetPage
	Kept   []keptLine
	Manage bool
	Seen   int64 // the revision of all of it
}

// keptLine is a category, and with what its field begins.
type keptLine struct {
	app.Kept
	Begins string
}

// retention is that of whoever asks.
func (v *visit) retention() *app.Retention {
	theirs := *v.site.o.Settings.Retention
	theirs.By = v.Actor.Doer()
	return &theirs
}

func retention(v *visit, f *form) (page, error) {
	d := &retentionPage{sheetPage: v.sheetPage("retention", f), Manage: v.meets(managesEverything)}
	seen, err := v.revisions("settings", string(v.Actor.Workspace))
	if err != nil {
		return page{}, err
	}
	d.Seen = seen[string(v.Actor.Workspace)]
	all, err := v.retention().List(v.Context())
	if err != nil {
		return page{}, err
	}
	for _, k := range all {
		line := keptLine{Kept: k}
		if k.Days > 0 {
			line.Begins = strconv.FormatInt(k.Days, 10)
		}
		d.Kept = append(d.Kept, line)
	}
	return v.settingsPage("retention", "set.retention", "mgx retain show\nmgx retain set agent=30\nmgx retain --dry-run", d), nil
}

func (s *site) retentionActs(m *mux) {
	m.Handle("POST /settings/retention", s.act("retention", managesEverything, setRetention, need{action: "read", kind: "settings", installation: true}, retention))
}

// setRetention replaces all that is set; a field that is empty is as contracts say.
func setRetention(v *visit) (outcome, error) {
	all, err := v.retention().List(v.Context())
	if err != nil {
		return outcome{}, err
	}
	days := map[string]int64{}
	for _, k := range all {
		text := v.text(k.Category)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < k.Least || n > k.Most {
			return outcome{}, &fieldError{k.Category, mgx.Errorf(mgx.KindUsage, "bad_retention", "%s", v.site.t("set.retention.bad", k.Category, k.Least, k.Most, middle(20, text)))}
		}
		days[k.Category] = n
	}
	if err := v.retention().Set(v.upon("settings", string(v.Actor.Workspace)), days); err != nil {
		return outcome{}, err
	}
	return done("/settings/retention", "retention")
}
