package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/app"
)

// sampleAround is what the storybook shows of charts and of pages about the
// workspace: each when it has nothing, little, much, long names, and trouble.
type sampleAround struct {
	Charts    []namedChart
	Burns     []namedBurn
	Agents    []agentCard
	Queues    []queueRow
	Events    []eventRow
	Letters   *lettersPage
	Templates []templateRow
	Health    []*homeHealth
	Lines     []int
}

type namedChart struct {
	Name  string
	Chart chart
}

type namedBurn struct {
	Name string
	Burn *burn
}

const longName = "a-name-that-goes-on/and-on/without-an-end/as-some-do"

func (s *site) sampleAround(now time.Time) sampleAround {
	now = now.UTC()
	return sampleAround{
		Charts: s.sampleCharts(now), Burns: s.sampleBurns(now), Agents: sampleAgents(now), Queues: sampleQueues(now), Events: sampleEvents(now),
		Letters: sampleLetters(now), Templates: sampleTemplates(), Health: sampleHealth(now), Lines: []int{1, 2, 3},
	}
}

func (s *site) sampleCharts(now time.Time) []namedChart {
	first := now.Truncate(24*time.Hour).AddDate(0, 0, 1-usageDays)
	label := func(name string) func(string) string {
		return func(all string) string { return name + ": " + all }
	}
	costs := func(days ...int) map[string]mgx.Money {
		all := map[string]mgx.Money{}
		for _, day := range days {
			all[first.AddDate(0, 0, day).Format(time.DateOnly)] = mgx.USD * mgx.Money(1+day*7%11) / 4
		}
		return all
	}
	empty, _ := s.costChart(first, usageDays, nil, label(s.t("book.empty")))
	one, _ := s.costChart(first, usageDays, costs(29), label(s.t("book.one")))
	full, _ := s.costChart(first, usageDays, costs(0, 1, 2, 4, 5, 7, 8, 9, 11, 12, 14, 15, 16, 18, 19, 20, 21, 22, 25, 26, 28, 29), label(s.t("book.full")))
	many := usagePage{By: "model", Of: "tokens"}
	days, lines := make([]time.Time, usageDays), make([]map[string]mgx.UsageLine, usageDays)
	for i := range days {
		days[i], lines[i] = first.AddDate(0, 0, i), map[string]mgx.UsageLine{}
		for n := range 8 {
			key := fmt.Sprint(longName, "-", n)
			line := mgx.UsageLine{Calls: 1, Usage: mgx.Usage{Prompt: int64(1000 * (1 + (i*(n+3))%9))}}
			lines[i][key] = line
			many.Total = many.Total.Add(line)
		}
	}
	for n := range 8 {
		key := fmt.Sprint(longName, "-", n)
		row := usageRow{Name: key, Whole: key}
		for _, day := range lines {
			row.UsageLine = row.Add(day[key])
		}
		many.Rows = append(many.Rows, row)
	}
	many.draw(s, days, lines)
	return []namedChart{{s.t("book.empty"), empty}, {s.t("book.one"), one}, {s.t("book.full"), full}, {s.t("book.long.many"), many.Chart}}
}

func (s *site) sampleBurns(now time.Time) []namedBurn {
	start, end := mgx.PeriodMonth.Around(now)
	made := func(limit, each mgx.Money, projection mgx.Money) *burn {
		spent := map[string]mgx.Money{}
		b := mgx.BudgetUse{Budget: mgx.Budget{Scope: mgx.ScopeWorkspace, Period: mgx.PeriodMonth, Limit: limit}, Start: &start, End: &end}
		for day := start; day.Before(now); day = day.AddDate(0, 0, 1) {
			spent[day.Format(time.DateOnly)] = each
			b.Settled += each
		}
		if projection > 0 {
			b.Forecast = &mgx.Forecast{Projection: &projection}
		}
		return s.drawBurn(budgetLine{b}, spent, start, now, end)
	}
	return []namedBurn{{s.t("book.empty"), made(40*mgx.USD, 0, 0)}, {s.t("book.full"), made(40*mgx.USD, mgx.USD/2, 16*mgx.USD)}, {s.t("book.burn.over"), made(10*mgx.USD, 2*mgx.USD, 60*mgx.USD)}}
}

func sampleAgents(now time.Time) []agentCard {
	line := mgx.UsageLine{Calls: 1204, Usage: mgx.Usage{Prompt: 8_400_000, Completion: 320_000}, Cost: 42 * mgx.USD}
	busy := app.AgentInfo{Role: "planner", Purpose: "reads the repository and proposes a plan", Tools: []string{"read", "grep"}, MaxTurns: 40, Now: []app.AgentNow{{Since: now}, {Since: now}}}
	return []agentCard{
		{AgentInfo: app.AgentInfo{Role: "triage", Purpose: "says what kind of work a task is", MaxTurns: 4}},
		{AgentInfo: busy, agentFigures: agentFigures{UsageLine: line, Runs: 40, Ended: 38, Done: 31}},
		{AgentInfo: app.AgentInfo{Role: longName, Purpose: strings.Repeat("has a purpose that takes many words to say ", 4), MaxTurns: 4}},
	}
}

func sampleQueues(now time.Time) []queueRow {
	return []queueRow{
		{Queue: mgx.Queue{Kind: mgx.QueueApprovals}, Path: "#b-queues"},
		{Queue: mgx.Queue{Kind: mgx.QueueRuns, Waiting: 3, Working: 4, Asleep: 2, Oldest: now}, Path: "#b-queues", Age: 40 * time.Second},
		{Queue: mgx.Queue{Kind: mgx.QueueExecutions, Waiting: 1200, Working: 16, Asleep: 80, Retried: 12, Oldest: now}, Path: "#b-queues", Age: 3 * time.Hour},
		{Queue: mgx.Queue{Kind: mgx.QueueDeliveries, Waiting: 8, Retried: 8, Dead: 21, Oldest: now}, Path: "#b-queues", Age: 26 * time.Hour},
	}
}

func sampleEvents(now time.Time) (rows []eventRow) {
	scope := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: "run_01J0000000000000000SAMPLE0"}
	add := func(typ mgx.EventType, payload any) {
		e := scope.Event(typ, payload)
		e.ID, e.Sequence, e.Position, e.Time = mgx.EventID(fmt.Sprintf("evt_01J00000000000000SAMPLE%03d", len(rows))), int64(len(rows)+1), int64(len(rows)+1), now.Add(-time.Minute)
		rows = append(rows, eventRow{e, gist(e), "/events"})
	}
	add(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1})
	add(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "The checkout had uncommitted changes."})
	add(mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: longName, Text: strings.Repeat("Words that go on. ", 60)})
	add(mgx.RunNoted, nil)
	rows[3].Data = mgx.Tombstone
	slices.Reverse(rows)
	return rows
}

func sampleLetters(now time.Time) *lettersPage {
	d := &lettersPage{Title: "metrics", Path: "/storybook", May: true, Discard: true, Dead: 2}
	for i, state := range []string{"failed", "queued"} {
		d.Rows = append(d.Rows, letterRow{
			Event: mgx.EventID(fmt.Sprintf("evt_01J0000000000000SAMPLEL%03d", i)), Type: mgx.TaskStarted, Position: int64(i + 1), Status: state, Attempts: 8 * i, Error: strings.Repeat("it was answered 503 and says why at length ", 1+4*i), Since: now.Add(-time.Hour), Again: true,
		})
	}
	d.Rows[1].NextAt = now.Add(5 * time.Minute)
	return d
}

func sampleTemplates() []templateRow {
	budget := 2 * mgx.USD
	return []templateRow{
		{TaskTemplate: app.TaskTemplate{Name: "Fix a bug", BuiltIn: true}, Use: "/tasks/new", Gist: "What goes wrong: …"},
		{TaskTemplate: app.TaskTemplate{Name: "Weekly dependencies", Task: app.TemplateTask{Model: "anthropic/claude-sonnet", Budget: &budget, Plan: true}, CreatedBy: "user_ada"}, Use: "/tasks/new", Delete: "/storybook", For: "greeter", Gist: strings.Repeat("Update what can be updated. ", 5)},
		{TaskTemplate: app.TaskTemplate{Name: longName}, Use: "/tasks/new", Delete: "/storybook"},
	}
}

func sampleHealth(now time.Time) []*homeHealth {
	good := Health{Ready: true, Version: "1.0.0", Seats: 4, Busy: 1, Free: 40 << 30, LastBackup: now.Add(-3 * time.Hour)}
	bad := HealthCheck{Name: "database_write", Status: "failed", Detail: "the disk is full: writes are refused until there is room again"}
	return []*homeHealth{
		{Health: good},
		{Health: good, Keeper: true},
		{Health: Health{Version: "1.0.0", Seats: 4, Busy: 4, Due: 12, OldestDue: 9 * time.Minute}, Keeper: true, Failed: []HealthCheck{bad, {Name: "nats", Status: "warning"}}},
	}
}
