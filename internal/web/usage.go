package web

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/app"
)

// usagePage is what was spent in the last days and how budgets stand.
type usagePage struct {
	By, Of  string
	Choices []choice
	Chart   chart
	Days    []usageDay // those with anything, the newest first
	Rows    []usageRow
	Total   mgx.UsageLine
	Budgets []budgetStand
	More    bool     // there are more budgets than are shown
	Exports []export // ways to have it all
}

// export is a way to download what the page shows.
type export struct{ Name, Path string }

// choice is one thing that the reader chooses about the page.
type choice struct {
	Label   string
	Filters []filter
}

// usageRow is what one model, project or role used in all days together.
type usageRow struct {
	Name, Whole string
	mgx.UsageLine
}

// usageDay is a row of the table behind the chart.
type usageDay struct {
	Day   string
	Cells []string
	Total string
}

// budgetStand is a budget as it stands, of whatever it is.
type budgetStand struct {
	budgetLine
	Name string
	Burn *burn // nil: it is not drawn
}

const (
	usageDays    = 30
	usageSeries  = 5 // what comes after is one series, "the rest"
	usageBudgets = 100
	usageBurns   = 12 // budgets that are drawn over time, those first of which most is spent
)

func usage(v *visit) (page, error) {
	if err := v.read("budgets"); err != nil {
		return page{}, err
	}
	q := v.URL.Query()
	d := &usagePage{By: cmp.Or(q.Get("by"), "model"), Of: cmp.Or(q.Get("of"), "cost")}
	if !slices.Contains(usageBys, d.By) || !slices.Contains(usageOfs, d.Of) {
		return page{}, mgx.Errorf(mgx.KindUsage, "bad_query", "Usage is shown by model, project, agent or person, as cost or as tokens.")
	}
	d.Choices = []choice{usageChoice(v, "of", d.Of, usageOfs), usageChoice(v, "by", d.By, usageBys)}
	for _, format := range []string{"csv", "json"} {
		d.Exports = append(d.Exports, export{strings.ToUpper(format), "/usage/export?by=" + d.By + "&format=" + format})
	}
	if err := v.fillUsage(d); err != nil {
		return page{}, err
	}
	if err := v.fillBudgets(d); err != nil {
		return page{}, err
	}
	return page{Template: "usage", Title: v.site.t("usage.title"), Nav: "usage", Command: "mgx usage --since 30d --by " + d.By + "\nmgx budget", Data: d}, nil
}

// usageChoice is a parameter of the page with its values.
func usageChoice(v *visit, param, now string, all []string) choice {
	c := choice{Label: v.site.t("usage.choice." + param)}
	for _, value := range all {
		c.Filters = append(c.Filters, filter{Name: v.site.t("usage." + param + "." + value), Path: "/usage" + with1(v.URL.Query(), param, value), Here: value == now})
	}
	return c
}

var (
	usageBys = []string{"model", "project", "role", "user"}
	usageOfs = []string{"cost", "tokens"}
)

// fillUsage reads the ledger day by day, each of which is one sum by key.
func (v *visit) fillUsage(d *usagePage) error {
	books := v.money()
	today := v.site.o.Now().UTC().Truncate(24 * time.Hour)
	days := make([]time.Time, usageDays)
	lines := make([]map[string]mgx.UsageLine, usageDays)
	sums := map[string]mgx.UsageLine{}
	for i := range days {
		days[i] = today.AddDate(0, 0, i-usageDays+1)
		lines[i] = map[string]mgx.UsageLine{}
		rows, err := books.Usage(v.Context(), mgx.UsageQuery{By: mgx.UsageBy(d.By), Since: days[i], Until: days[i].AddDate(0, 0, 1)})
		if err != nil {
			return err
		}
		for _, row := range rows {
			lines[i][row.Key] = row.UsageLine
			sums[row.Key] = sums[row.Key].Add(row.UsageLine)
			d.Total = d.Total.Add(row.UsageLine)
		}
	}
	names, err := v.usageNames(d.By)
	if err != nil {
		return err
	}
	for key, sum := range sums {
		name := cmp.Or(names[key], key, v.site.t("usage.unknown."+d.By))
		d.Rows = append(d.Rows, usageRow{Name: name, Whole: key, UsageLine: sum})
	}
	slices.SortFunc(d.Rows, func(a, b usageRow) int {
		return cmp.Or(cmp.Compare(d.amount(b.UsageLine), d.amount(a.UsageLine)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Whole, b.Whole))
	})
	d.draw(v.site, days, lines)
	return nil
}

// usageNames are the names of what has an id.
func (v *visit) usageNames(by string) (map[string]string, error) {
	names := map[string]string{}
	if by == "user" {
		members, err := v.people()
		for _, m := range members {
			names[string(m.User)] = m.Name
		}
		return names, err
	}
	if by != "project" || v.site.o.Work == nil || !v.mayRead("repositories") {
		return names, nil
	}
	for token := ""; ; {
		found, err := v.site.o.Work.Projects(v.Context(), v.Actor, token, app.MaxPage)
		if err != nil {
			return nil, err
		}
		for _, p := range found.Items {
			names[string(p.ID)] = p.Name
		}
		if token = found.Next; token == "" || len(names) >= mostNames {
			return names, nil
		}
	}
}

// mostNames bounds the projects whose names are looked up; others show their id.
const mostNames = 1000

// amount is what the chart shows of a line.
func (d *usagePage) amount(l mgx.UsageLine) int64 {
	if d.Of == "tokens" {
		return l.Usage.Total()
	}
	return int64(l.Cost)
}

func (d *usagePage) say(n int64) string {
	if d.Of == "tokens" {
		return tokens(n)
	}
	return money(mgx.Money(n))
}

// draw makes the chart and the table behind it: the largest each for itself, the
// rest together.
func (d *usagePage) draw(s *site, days []time.Time, lines []map[string]mgx.UsageLine) {
	series := d.series(s)
	stacks := make([][]float64, len(days))
	totals := make([]int64, len(days))
	for i, day := range days {
		parts := make([]int64, len(series))
		for n, row := range d.Rows {
			parts[min(n, usageSeries)] += d.amount(lines[i][row.Whole])
		}
		row := usageDay{Day: day.Format(time.DateOnly)}
		for _, part := range parts {
			totals[i] += part
			stacks[i] = append(stacks[i], float64(part))
			row.Cells = append(row.Cells, d.say(part))
		}
		if row.Total = d.say(totals[i]); len(lines[i]) > 0 {
			d.Days = append(d.Days, row)
		}
	}
	slices.Reverse(d.Days)
	top := scale(slices.Max(totals))
	if d.Of == "cost" {
		top = max(top, int64(mgx.USD/100))
	}
	name := func(i int) string { return days[i].Format("2 Jan") }
	d.Chart = chart{
		Label: s.t("usage.chart", s.t("usage.of."+d.Of), s.t("usage.by."+d.By), d.say(d.amount(d.Total))), Series: series,
		Top: d.say(top), Half: d.say(top / 2), First: name(0), Middle: name(len(days) / 2), Last: name(len(days) - 1),
		Bars: bars(stacks, float64(top), func(i int) string { return name(i) + ": " + d.say(totals[i]) }),
	}
}

func (d *usagePage) series(s *site) (all []series) {
	var rest int64
	for n, row := range d.Rows {
		if n < usageSeries {
			all = append(all, series{N: n, Name: row.Name, Total: d.say(d.amount(row.UsageLine))})
		} else {
			rest += d.amount(row.UsageLine)
		}
	}
	if len(d.Rows) > usageSeries {
		all = append(all, series{N: usageSeries, Name: s.t("usage.rest", len(d.Rows)-usageSeries), Total: d.say(rest)})
	}
	return all
}

func (v *visit) fillBudgets(d *usagePage) error {
	all, err := v.money().List(v.Context(), mgx.BudgetQuery{Limit: usageBudgets + 1})
	if d.More = len(all) > usageBudgets; d.More {
		all = all[:usageBudgets]
	}
	for _, b := range all {
		d.Budgets = append(d.Budgets, budgetStand{budgetLine: budgetLine{b}, Name: v.site.t("usage.budget." + string(b.Scope))})
	}
	slices.SortStableFunc(d.Budgets, func(a, b budgetStand) int { return cmp.Compare(b.Percent(), a.Percent()) })
	for i := range d.Budgets[:min(len(d.Budgets), usageBurns)] {
		if err != nil {
			break
		}
		d.Budgets[i].Burn, err = v.burnDown(d.Budgets[i].budgetLine)
	}
	return err
}
