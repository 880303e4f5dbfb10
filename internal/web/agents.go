package web

import (
	"cmp"
	"slices"
	"time"

	"mgx"
	"mgx/internal/app"
)

// agentsPage is the registry of agents: who is in the team, what each is for, what
// it did of late and what that cost.
type agentsPage struct {
	Agents []agentCard
	Others []usageRow // called models as a role that is none of the team
	Books  bool       // whether the reader may see what was spent
	Days   int
}

// agentCard is one of them.
type agentCard struct {
	app.AgentInfo
	agentFigures
}

// agentFigures are what a role did in the last days, by the ledger.
type agentFigures struct {
	mgx.UsageLine
	Runs  int // that it worked on, as far as they are looked at
	Ended int // of which have ended
	Done  int // of which reached their goal
}

func (a agentCard) Letter() string { return letterOf(a.Role) }
func (a agentCard) Hue() string    { return hueOf(a.Role) }

const (
	agentDays   = 30
	agentRuns   = app.MaxPage // newest runs that are looked at for what came of them
	agentTurns  = 25          // shown
	agentCalled = 500         // newest calls that are looked at for how they went
)

// agentNews are the types after which pages about agents are others.
const agentNews = "agent.message,llm.call.completed,tool.call,task.*,run.created"

func agents(v *visit) (page, error) {
	all, err := v.site.o.Work.Agents(v.Context(), v.Actor)
	if err != nil {
		return page{}, err
	}
	d := &agentsPage{Books: v.money() != nil, Days: agentDays}
	lines, err := v.roleLines()
	if err != nil {
		return page{}, err
	}
	ended, err := v.runStatuses()
	if err != nil {
		return page{}, err
	}
	for _, a := range all {
		card := agentCard{AgentInfo: a}
		card.UsageLine = lines[a.Role]
		delete(lines, a.Role)
		if err := v.fillRunsOf(a.Role, ended, &card.agentFigures); err != nil {
			return page{}, err
		}
		d.Agents = append(d.Agents, card)
	}
	for role, line := range lines {
		d.Others = append(d.Others, usageRow{Name: cmp.Or(role, v.site.t("usage.unknown.role")), Whole: role, UsageLine: line})
	}
	slices.SortFunc(d.Others, func(a, b usageRow) int { return cmp.Or(cmp.Compare(b.Cost, a.Cost), cmp.Compare(a.Whole, b.Whole)) })
	d.Others = d.Others[:min(len(d.Others), mostOthers)]
	return page{
		Template: "agents", Title: v.site.t("agents.title"), Nav: "agents", Command: "mgx agents\nmgx usage --by role --since 30d", Data: d,
		Live: &live{Channel: "all", Types: agentNews, Part: "/agents"},
	}, nil
}

// mostOthers bounds the roles of others that are listed, the dearest first.
const mostOthers = 20

// since is when the days begin of which figures tell.
func (v *visit) agentsSince() time.Time {
	return v.site.o.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-agentDays)
}

// roleLines is what each role used; nothing for who may not see it.
func (v *visit) roleLines() (map[string]mgx.UsageLine, error) {
	lines := map[string]mgx.UsageLine{}
	books := v.money()
	if books == nil {
		return lines, nil
	}
	rows, err := books.Usage(v.Context(), mgx.UsageQuery{By: mgx.ByRole, Since: v.agentsSince()})
	for _, r := range rows {
		lines[r.Key] = r.UsageLine
	}
	return lines, err
}

// runStatuses are those of the newest runs; nothing for who may not see them.
func (v *visit) runStatuses() (map[mgx.RunID]mgx.RunStatus, error) {
	all := map[mgx.RunID]mgx.RunStatus{}
	if !v.may("read", "runs") {
		return all, nil
	}
	found, err := v.site.o.Work.Runs(v.Context(), v.Actor, app.RunsQuery{Limit: agentRuns})
	for _, r := range found.Items {
		all[r.ID] = r.Status
	}
	return all, err
}

// fillRunsOf counts what became of the runs for which a role called models.
func (v *visit) fillRunsOf(role string, statuses map[mgx.RunID]mgx.RunStatus, f *agentFigures) error {
	books := v.money()
	if books == nil || role == "" || len(statuses) == 0 {
		return nil
	}
	for q := (mgx.UsageQuery{By: mgx.ByRun, Role: role, Since: v.agentsSince(), Limit: agentRuns}); ; {
		rows, err := books.Usage(v.Context(), q)
		if err != nil {
			return err
		}
		for _, r := range rows {
			status, known := statuses[mgx.RunID(r.Key)]
			if !known {
				continue
			}
			if f.Runs++; status.Ended() {
				f.Ended++
			}
			if status == mgx.RunDone {
				f.Done++
			}
		}
		if len(rows) < agentRuns || f.Runs >= len(statuses) {
			return nil
		}
		q.After = new(rows[len(rows)-1].Key)
	}
}

// agentPage is one role of the team.
type agentPage struct {
	app.AgentDetail
	agentFigures
	Books    bool
	Looked   int // newest calls that the next three tell of
	Answered int
	Open     int
	Median   time.Duration // of those that were answered
	Chart    chart
	Days     []usageDay
	Turns    []agentTurn
}

func (a agentPage) Letter() string { return letterOf(a.Role) }
func (a agentPage) Hue() string    { return hueOf(a.Role) }

// May reports whether the role has a tool with an effect.
func (a agentPage) May(effect string) bool {
	return slices.ContainsFunc(a.Given, func(g app.Given) bool { return g.Effect == effect })
}

// agentTurn is one call of a model that the role made.
type agentTurn struct {
	*mgx.UsageCall
	mgx.UsageLine
}

// Name is the model's.
func (t agentTurn) Name() string { return t.Provider + "/" + t.UsageCall.Model }

// State is what came of it, and Took how long that was.
func (t agentTurn) State() string {
	switch {
	case t.SettledAt.IsZero():
		return "running"
	case t.Outcome == mgx.OutcomeDone:
		return "done"
	case t.Outcome == mgx.OutcomeCancelled:
		return "cancelled"
	}
	return "failed"
}

func (t agentTurn) Took() time.Duration {
	if t.SettledAt.IsZero() {
		return 0
	}
	return max(0, t.SettledAt.Sub(t.ReservedAt))
}

func agent(v *visit) (page, error) {
	found, err := v.site.o.Work.Agent(v.Context(), v.Actor, v.PathValue("role"))
	if err != nil {
		return page{}, err
	}
	d := &agentPage{AgentDetail: found, Books: v.money() != nil}
	if d.Books {
		if err := v.fillAgent(d); err != nil {
			return page{}, err
		}
	}
	return page{
		Template: "agent", Title: found.Role, Nav: "agents", Command: "mgx usage --by role --since 30d\nmgx events --type 'agent.*'", Data: d,
		Live: &live{Channel: "all", Types: agentNews, Part: v.URL.Path},
	}, nil
}

// fillAgent reads of a role what the ledger has.
func (v *visit) fillAgent(d *agentPage) error {
	statuses, err := v.runStatuses()
	if err != nil {
		return err
	}
	if err := v.fillRunsOf(d.Role, statuses, &d.agentFigures); err != nil {
		return err
	}
	books, since := v.money(), v.agentsSince()
	rows, err := books.Usage(v.Context(), mgx.UsageQuery{By: mgx.ByDay, Role: d.Role, Since: since, Limit: agentDays + 1})
	if err != nil {
		return err
	}
	costs := map[string]mgx.Money{}
	for _, r := range rows {
		costs[r.Key] = r.Cost
		d.UsageLine = d.UsageLine.Add(r.UsageLine)
	}
	d.Chart, d.Days = v.site.costChart(since, agentDays, costs, func(all string) string { return v.site.t("agent.chart", d.Role, all) })
	calls, err := books.Usage(v.Context(), mgx.UsageQuery{By: mgx.ByCall, Role: d.Role, Newest: true, Limit: agentCalled})
	if err != nil {
		return err
	}
	d.fillTurns(calls)
	return nil
}

func (d *agentPage) fillTurns(calls []app.UsageRow) {
	var times []time.Duration
	for _, c := range calls {
		t := agentTurn{c.Call, c.UsageLine}
		switch t.State() {
		case "running":
			d.Open++
		case "done":
			d.Answered++
			times = append(times, t.Took())
		}
		if len(d.Turns) < agentTurns {
			d.Turns = append(d.Turns, t)
		}
	}
	if d.Looked = len(calls); len(times) > 0 {
		slices.Sort(times)
		d.Median = times[len(times)/2]
	}
}
