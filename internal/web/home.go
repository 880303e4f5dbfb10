package web

import (
	"strconv"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// homePage is what somebody sees first: what waits for them, what runs, what it
// costs, and how it went.
type homePage struct {
	Asks   []waiting
	Now    []mgx.RunInfo
	Recent []mgx.RunInfo
	Spend  *spend // nil: the reader may not see it, or nothing is kept
	Health *homeHealth
	Create bool // whether the reader may ask for something
	Decide bool
	More   bool // waits than are shown
	Busier bool // runs than are shown

	Begin  bool // nothing was asked for, and there is no project that it could be about
	Models bool // there is a page of providers
}

// How much of each is shown.
const (
	homeAsks    = 6
	homeRuns    = 8
	homeBudgets = 4
)

// waiting is a decision, and where it is made.
type waiting struct {
	app.AskedApproval
	Path string
}

// spend is what was spent today, in UTC, and how that stands to the budgets.
type spend struct {
	Today, Open mgx.Money
	Calls       int64
	Tokens      int64
	Budgets     []budgetLine
	Burn        *burn // of the first budget of a longer time; nil: there is none
}

// budgetLine is a budget of the workspace or of the reader.
type budgetLine struct{ mgx.BudgetUse }

// Key names the text that says what it is for and how often it begins anew.
func (b budgetLine) Key() string { return "home.budget." + string(b.Scope) + "." + string(b.Period) }

// Spent is how much of it is gone, with what is set aside for calls under way.
func (b budgetLine) Spent() mgx.Money { return b.Settled + b.Reserved }

// Part is that in percent. Nothing of nothing is all.
func (b budgetLine) Part() int {
	if b.Limit <= 0 {
		return 100
	}
	return percent(b.Spent(), b.Limit)
}

// Tone warns of a budget that is nearly or quite spent.
func (b budgetLine) Tone() string {
	switch part := b.Part(); {
	case part >= 100:
		return "over"
	case part >= 80:
		return "near"
	}
	return ""
}

// Empty reports whether nothing was ever asked for.
func (d *homePage) Empty() bool { return len(d.Asks)+len(d.Now)+len(d.Recent) == 0 }

func home(v *visit) (page, error) {
	d := &homePage{Create: v.may("create", "tasks"), Decide: v.may("approve", "runs")}
	for _, fill := range []func(*visit, *homePage) error{fillAsks, fillRuns, fillSpend, fillHealth} {
		if err := fill(v, d); err != nil {
			return page{}, err
		}
	}
	if d.Empty() && d.Create && !v.Actor.Owner {
		found, err := v.site.o.Work.Projects(v.Context(), v.Actor, "", 1)
		if err != nil {
			return page{}, err
		}
		d.Begin, d.Models = len(found.Items) == 0, v.site.o.Settings != nil && v.site.o.Settings.Models != nil && v.meets(readsModels)
	}
	return page{
		Template: "home", Title: v.site.t("home.title"), Nav: "home", Command: "mgx approvals\nmgx runs\nmgx usage", Data: d, Notice: d.budgetNotice(v.site),
		Live: &live{Channel: "all", Types: "run.created,task.*,workflow.waiting,workflow.resumed,run.phase.changed,run.paused,run.continued,budget.*", Part: "/home"},
	}, nil
}

// may asks whether the reader may do something to a kind of thing, for what is
// offered to them.
func (v *visit) may(action, kind string) bool {
	return v.site.o.Access.May(v.Context(), v.Actor, action, access.Resource{Kind: kind})
}

// fillAsks shows the decisions that have waited longest. Those of a run are
// numbered as its page does.
func fillAsks(v *visit, d *homePage) error {
	found, err := v.site.o.Work.Approvals(v.Context(), v.Actor, "", homeAsks)
	seen := map[mgx.RunID]int{}
	for _, a := range found.Items {
		if seen[a.Run]++; len(d.Asks) < homeAsks {
			d.Asks = append(d.Asks, waiting{a, "/runs/" + string(a.Run) + "#ask-" + strconv.Itoa(seen[a.Run])})
		}
	}
	d.More = found.Next != "" || len(found.Items) > len(d.Asks)
	return err
}

func fillRuns(v *visit, d *homePage) error {
	now, err := v.site.o.Work.Runs(v.Context(), v.Actor, app.RunsQuery{Statuses: []mgx.RunStatus{mgx.RunRunning, mgx.RunQueued}, Limit: homeRuns})
	if err != nil {
		return err
	}
	ended, err := v.site.o.Work.Runs(v.Context(), v.Actor, app.RunsQuery{Statuses: []mgx.RunStatus{mgx.RunDone, mgx.RunFailed, mgx.RunRefused, mgx.RunCancelled}, Limit: homeRuns})
	d.Now, d.Recent, d.Busier = now.Items, ended.Items, now.Next != ""
	return err
}

// money is what the reader may do with budgets; nil when they may not see them.
func (v *visit) money() *app.Budgets {
	if v.site.o.Budgets == nil || !v.may("read", "budgets") {
		return nil
	}
	theirs := *v.site.o.Budgets
	theirs.By, theirs.Actor = v.Actor.Doer(), v.Actor.User
	return &theirs
}

func fillSpend(v *visit, d *homePage) error {
	m := v.money()
	if m == nil {
		return nil
	}
	start, end := mgx.PeriodDay.Around(v.site.o.Now())
	rows, err := m.Usage(v.Context(), mgx.UsageQuery{By: mgx.ByDay, Since: start, Until: end.Add(-time.Microsecond), Limit: 1})
	if err != nil {
		return err
	}
	d.Spend = &spend{}
	for _, r := range rows {
		d.Spend.Today, d.Spend.Open, d.Spend.Calls, d.Spend.Tokens = r.Cost, r.Open, r.Calls, r.Usage.Total()
	}
	for _, of := range []mgx.BudgetQuery{{Scopes: []mgx.BudgetScope{mgx.ScopeWorkspace}, ScopeID: string(v.Actor.Workspace)}, {Scopes: []mgx.BudgetScope{mgx.ScopeUser}, ScopeID: string(v.Actor.User)}} {
		if of.ScopeID == "" {
			continue
		}
		of.Limit = homeBudgets
		all, err := m.List(v.Context(), of)
		if err != nil {
			return err
		}
		for _, u := range all {
			d.Spend.Budgets = append(d.Spend.Budgets, budgetLine{u})
		}
	}
	for _, b := range d.Spend.Budgets {
		if d.Spend.Burn, err = v.burnDown(b); err != nil || d.Spend.Burn != nil {
			return err
		}
	}
	return nil
}

// budgetNotice says above the page that a budget is nearly or quite spent: the one
// of which most is.
func (d *homePage) budgetNotice(s *site) *notice {
	if d.Spend == nil {
		return nil
	}
	var worst *budgetLine
	for i, b := range d.Spend.Budgets {
		if b.Tone() != "" && (worst == nil || b.Part() > worst.Part()) {
			worst = &d.Spend.Budgets[i]
		}
	}
	if worst == nil {
		return nil
	}
	if worst.Tone() == "over" {
		return &notice{Tone: "bad", Text: s.t("home.budget.over", s.t(worst.Key()))}
	}
	return &notice{Tone: "warn", Text: s.t("home.budget.near", money(worst.Spent()), money(worst.Limit), s.t(worst.Key()))}
}
