package web

import (
	"strings"
	"time"

	"mgx"
)

// burn is what is left of a budget over its period, drawn on the server: from its
// limit down to now, and from there to where it goes.
type burn struct {
	Label       string
	Top         string
	First, Last string // what days the drawing begins and ends with
	Line, Area  string // of what was left, as points of polygons
	Even        string // how it would be with as much each day
	Ahead       string // to where it goes; empty: nobody can say
	Today       string // where today is
	Tone        string
	Days        []usageDay // the newest first, for the table behind it
}

// burnWidest is how many days are drawn at most: an absolute budget has no end.
const burnWidest = 92

// leastBurn is for how long a budget without an end is there before it is drawn.
const leastBurn = 3 * 24 * time.Hour

// burnDown draws a budget; nil: there is nothing to draw of one that begins anew
// each day, or that is of something else than a workspace, a project or a person.
func (v *visit) burnDown(b budgetLine) (*burn, error) {
	now := v.site.o.Now().UTC()
	start, end := burnPeriod(b, now)
	if b.Period == mgx.PeriodAbsolute && end.Sub(start) < leastBurn {
		return nil, nil
	}
	q := mgx.UsageQuery{By: mgx.ByDay, Since: start, Limit: burnWidest + 1}
	switch b.Scope {
	case mgx.ScopeWorkspace:
	case mgx.ScopeProject:
		q.Project = mgx.ProjectID(b.ScopeID)
	case mgx.ScopeUser:
		q.User = mgx.UserID(b.ScopeID)
	default:
		return nil, nil
	}
	if b.Period == mgx.PeriodDay || b.Limit <= 0 {
		return nil, nil
	}
	rows, err := v.money().Usage(v.Context(), q)
	if err != nil {
		return nil, err
	}
	spent := map[string]mgx.Money{}
	for _, r := range rows {
		spent[r.Key] = r.Cost
	}
	return v.site.drawBurn(b, spent, start, now, end), nil
}

// burnPeriod is from when to when a budget is drawn.
func burnPeriod(b budgetLine, now time.Time) (start, end time.Time) {
	if b.Start != nil && b.End != nil {
		return *b.Start, *b.End
	}
	day := func(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
	start = day(b.CreatedAt)
	if first := day(now).AddDate(0, 0, 1-burnWidest); start.Before(first) {
		start = first
	}
	return start, day(now).AddDate(0, 0, 1)
}

// drawBurn draws what is left at the end of each day that has begun. What was spent
// before the first, or is set aside, is gone from the beginning.
func (s *site) drawBurn(b budgetLine, spent map[string]mgx.Money, start, now, end time.Time) *burn {
	days := max(1, int(end.Sub(start).Hours()/24+0.5))
	gone := b.Spent()
	for _, cost := range spent {
		gone -= cost
	}
	left := b.Limit - max(0, gone)
	x := func(at time.Time) string {
		return coordinate(max(0, min(1, at.Sub(start).Hours()/24/float64(days))) * chartWidth)
	}
	y := func(m mgx.Money) string {
		return coordinate((1 - max(0, min(1, float64(m)/float64(b.Limit)))) * chartHeight)
	}
	d := &burn{Top: money(b.Limit), First: start.Format("2 Jan"), Last: end.AddDate(0, 0, -1).Format("2 Jan"), Today: x(now), Tone: b.Tone()}
	points := []string{x(start) + "," + y(left)}
	for i := 0; i < days && start.AddDate(0, 0, i).Before(now); i++ {
		at := start.AddDate(0, 0, i)
		day := at.Format(time.DateOnly)
		left -= spent[day]
		upTo := at.AddDate(0, 0, 1)
		if upTo.After(now) {
			upTo = now
		}
		points = append(points, x(upTo)+","+y(left))
		d.Days = append(d.Days, usageDay{Day: day, Cells: []string{money(spent[day])}, Total: money(left)})
	}
	for i, j := 0, len(d.Days)-1; i < j; i, j = i+1, j-1 {
		d.Days[i], d.Days[j] = d.Days[j], d.Days[i]
	}
	d.Line = strings.Join(points, " ")
	d.Area = d.Line + " " + d.Today + "," + coordinate(chartHeight) + " 0," + coordinate(chartHeight)
	if b.Period != mgx.PeriodAbsolute {
		d.Even = "0," + y(b.Limit) + " " + coordinate(chartWidth) + "," + coordinate(chartHeight)
		if f := b.Forecast; f != nil && f.Projection != nil {
			d.Ahead = d.Today + "," + y(left) + " " + x(end) + "," + y(b.Limit-*f.Projection)
			if f.ExhaustedAt != nil && f.ExhaustedAt.Before(end) {
				d.Ahead = d.Today + "," + y(left) + " " + x(*f.ExhaustedAt) + "," + coordinate(chartHeight)
			}
		}
	}
	d.Label = s.t("burn.label", money(max(0, left)), money(b.Limit), d.First, d.Last)
	return d
}
