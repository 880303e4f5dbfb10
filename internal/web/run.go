package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/guard"
)

// runPage is what the page of a run draws, whichever of its tabs.
type runPage struct {
	Run  mgx.RunInfo
	Tabs []tab
	Tab  string

	At   int64 // the event after which everything is shown; 0: now
	Last int64 // of the run as it is now

	May     mayDo
	Asks    []ask
	Decided *decided

	Timeline *window
	Item     *inspected
	Diff     *change
	Judging  judging
	Checks   []mgx.ChecksData
	Reviews  []mgx.ReviewData
	Kept     []app.Artifact
	Calls    []modelCall
	Told     []*phase
	Events   []rawEvent
	Older    string
	Newer    string
	Cut      bool // there is more than is shown
}

// tab is one view of a run.
type tab struct {
	Key, Path string
	Here      bool
	N         string // what it counts; empty: nothing
}

// mayDo is what the reader may do with a run.
type mayDo struct{ Decide, Cancel, Fork, Steer, Review bool }

// ask is a decision that the run waits for.
type ask struct {
	mgx.Approval
	Plan *mgx.Plan // where that is what is to be approved
	Args []argument
	N    int

	Delivers bool // it is of the run's branch: changes can be requested instead
	Open     int  // comments on what it would deliver
}

// Short names it within the page.
func (a ask) Short() string { return strconv.Itoa(a.N) }

// Question reports whether it asks for words rather than for leave.
func (a ask) Question() bool { return strings.HasPrefix(a.ID, "question/") }

// tabsOf are the tabs of a run's page, in order.
func tabsOf(run mgx.RunInfo, here string, at int64) []tab {
	count := func(n int) string {
		if n == 0 {
			return ""
		}
		return whole(n)
	}
	steps := 0
	if run.Plan != nil {
		steps = len(run.Plan.Steps)
	}
	files := ""
	if run.Delivered != nil {
		files = count(run.Delivered.Files)
	}
	all := []tab{
		{Key: "timeline"},
		{Key: "plan", N: count(steps)},
		{Key: "diff", N: files},
		{Key: "checks", N: count(len(run.Checks.Checks))},
		{Key: "review", N: count(len(run.Review.Findings))},
		{Key: "artifacts"},
		{Key: "routing", N: count(run.Calls)},
		{Key: "security", N: count(run.Denied)},
		{Key: "events", N: count(int(run.Sequence))},
	}
	for i := range all {
		all[i].Path = "/runs/" + url.PathEscape(string(run.ID))
		if all[i].Key != "timeline" {
			all[i].Path += "/" + all[i].Key
		}
		if at > 0 {
			all[i].Path += "?at=" + strconv.FormatInt(at, 10)
		}
		all[i].Here = all[i].Key == here
	}
	return all
}

// runView makes the view of a tab: fill adds what the tab shows.
func runView(name string, fill func(*visit, *runPage) error) view {
	return func(v *visit) (page, error) {
		d, err := v.run(name)
		if err == nil && d.Run.ErasedAt.IsZero() {
			err = fill(v, d)
		}
		if err != nil {
			return page{}, err
		}
		p := page{Template: "run", Title: d.Run.Task.Title, Nav: "tasks", Data: d, Command: commandOf(d)}
		if p.Title == "" {
			p.Title = string(d.Run.ID)
		}
		switch {
		case d.At > 0:
			p.Notice = &notice{Tone: "info", Text: v.site.t("run.replaying", d.At, d.Last), Link: "/runs/" + string(d.Run.ID), Do: v.site.t("run.now")}
		case !d.Run.Status.Ended():
			p.Live = &live{Channel: "run:" + string(d.Run.ID), Part: v.URL.Path, Pieces: name == "timeline"}
			switch name {
			case "timeline", "events":
			case "diff": // which is much to ask for again
				p.Live.Types = "run.checkpointed,tool.result,run.delivered,run.comment.*,run.file.*,run.changes.*,task.*,workflow.waiting,workflow.resumed,workflow.approval.*"
			default:
				p.Live.Types = "run.*,task.*,workflow.waiting,workflow.resumed,workflow.approval.*,llm.call.completed"
			}
		}
		return p, nil
	}
}

// run finds the run of a visit as it is, or as it was at the moment asked for.
func (v *visit) run(tabName string) (*runPage, error) {
	id := mgx.RunID(v.PathValue("run"))
	ctx := v.Context()
	run, err := v.site.o.Work.Run(ctx, v.Actor, id)
	if err != nil {
		return nil, err
	}
	d := &runPage{Run: run, Tab: tabName, Last: run.Sequence}
	if text := v.URL.Query().Get("at"); text != "" {
		at, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, mgx.Errorf(mgx.KindUsage, "bad_sequence", "The moment of a replay is the number of an event, not %q.", middle(20, text))
		}
		if d.Run, err = v.site.o.Work.RunAt(ctx, v.Actor, id, at); err != nil {
			return nil, err
		}
		d.At = at
	}
	d.Tabs = tabsOf(d.Run, tabName, d.At)
	d.May = v.mayDo(run)
	if d.At == 0 {
		d.Asks = asksOf(d.Run)
		for i, a := range d.Asks {
			if a.Delivers {
				d.Asks[i].Open = v.openComments(d.Run.ID)
			}
		}
		d.Decided = v.decided(d.Run.Run)
	}
	return d, nil
}

func (v *visit) mayDo(run mgx.RunInfo) mayDo {
	may := func(action string) bool {
		return v.site.o.Access.May(v.Context(), v.Actor, action, access.Resource{Kind: "runs", ID: string(run.ID), User: run.User})
	}
	underWay := !run.Status.Ended() && may("update")
	decide := may("approve")
	return mayDo{Decide: decide, Cancel: underWay, Steer: underWay, Fork: may("create"), Review: decide && !run.Status.Ended()}
}

func asksOf(run mgx.RunInfo) (all []ask) {
	for i, p := range run.Pending() {
		a := ask{Approval: p, N: i + 1, Delivers: app.Delivers(p)}
		if p.Hash == run.PlanHash && p.Call == nil {
			a.Plan = run.Plan
		}
		if p.Call != nil {
			a.Args = arguments(p.Call.Arguments)
		}
		all = append(all, a)
	}
	return all
}

// Version changes when what is to be decided does; the page keeps what somebody is
// writing until then.
func (d *runPage) Version() string {
	var all []string
	for _, a := range d.Asks {
		all = append(all, a.ID+"="+a.Hash)
	}
	return strings.Join(all, " ")
}

// Here is the address of the tab, and Path that of the run.
func (d *runPage) Path() string { return "/runs/" + string(d.Run.ID) }

func (d *runPage) Here() string {
	if d.Tab == "timeline" {
		return d.Path()
	}
	return d.Path() + "/" + d.Tab
}

// BudgetTone warns of a budget that is nearly spent.
func (d *runPage) BudgetTone() string {
	switch limit := d.Run.Settings.Budget; {
	case limit == nil:
		return ""
	case d.Run.Cost >= *limit:
		return "over"
	case percent(d.Run.Cost, *limit) >= 80:
		return "near"
	}
	return ""
}

// commandOf does on the command line what the tab does here.
func commandOf(d *runPage) string {
	id := string(d.Run.ID)
	switch {
	case d.At > 0:
		return "mgx replay " + id + "\nmgx fork " + id + " --at " + strconv.FormatInt(d.At, 10)
	case d.Tab == "diff":
		return "mgx diff " + id + "\nmgx review " + id + "\nmgx review " + id + " --comment FILE:LINE \"what should be different\"\nmgx review " + id + " --request \"words for the agents\""
	case d.Tab == "events":
		return "mgx events --follow --run " + id
	case len(d.Asks) > 0:
		return "mgx show " + id + "\nmgx approve " + id + "\nmgx approve " + id + ` --reject "why"`
	}
	return "mgx show " + id
}

// argument is one of a tool call.
type argument struct{ Name, Value string }

// arguments reads what a model sent to a tool, for people. What is no JSON object
// is shown as it is.
func arguments(text string) []argument {
	var m map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &m) != nil {
		if text == "" {
			return nil
		}
		return []argument{{"", guard.VisibleLines(text)}}
	}
	var all []argument
	for name, raw := range m {
		value := string(raw)
		var s string
		if json.Unmarshal(raw, &s) == nil {
			value = s
		}
		all = append(all, argument{guard.Visible(name), guard.VisibleLines(value)})
	}
	slices.SortFunc(all, func(a, b argument) int {
		return cmp.Or(cmp.Compare(strings.Count(a.Value, "\n"), strings.Count(b.Value, "\n")), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// Decisions, cancelling and forking. Each goes back to the run.

func decideRun(v *visit) (string, error) {
	id := mgx.RunID(v.PathValue("run"))
	a := app.Answer{Approval: v.text("approval"), Hash: v.text("hash"), Reason: v.text("reason")}
	switch v.text("decision") {
	case "approve":
		a.Approved = true
	case "rest":
		a.Approved, a.Rest = true, true
	case "changes":
		a.Changes = true
	case "reject":
	default:
		return "", mgx.Errorf(mgx.KindUsage, "bad_decision", "Say whether you approve or reject.")
	}
	if a.Hash == "" || a.Approval == "" {
		return "", mgx.Errorf(mgx.KindUsage, "bad_decision", "The form does not say what was decided on; open the run again.")
	}
	back := "/runs/" + url.PathEscape(string(id))
	if v.text("from") == "approvals" {
		back = "/approvals"
	}
	return back, v.site.o.Work.Decide(v.Context(), v.Actor, id, a)
}

func cancelRun(v *visit) (string, error) {
	id := mgx.RunID(v.PathValue("run"))
	return "/runs/" + url.PathEscape(string(id)), v.site.o.Work.Cancel(v.Context(), v.Actor, id, v.text("reason"))
}

func forkRun(v *visit) (string, error) {
	at, err := strconv.ParseInt(v.text("at"), 10, 64)
	if err != nil {
		return "", mgx.Errorf(mgx.KindUsage, "bad_sequence", "A run is forked at one of its events, by its number.")
	}
	made, _, err := v.site.o.Work.Fork(v.Context(), v.Actor, mgx.RunID(v.PathValue("run")), app.NewFork{At: at, IdempotencyKey: v.text("key")})
	return fmt.Sprintf("/runs/%s", url.PathEscape(string(made.ID))), err
}
