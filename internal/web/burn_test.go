package web

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mgx"
)

// What is left is drawn from the limit down to now, within the drawing whatever was
// spent.
func TestBurn(t *testing.T) {
	t.Parallel()
	s := &site{words: catalogue()}
	start, end := mgx.PeriodMonth.Around(time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC))
	now := start.AddDate(0, 0, 10)
	use := func(limit mgx.Money, each mgx.Money) (budgetLine, map[string]mgx.Money) {
		b := mgx.BudgetUse{Budget: mgx.Budget{Scope: mgx.ScopeWorkspace, Period: mgx.PeriodMonth, Limit: limit}, Start: &start, End: &end}
		spent := map[string]mgx.Money{}
		for day := start; day.Before(now); day = day.AddDate(0, 0, 1) {
			spent[day.Format(time.DateOnly)] = each
			b.Settled += each
		}
		return budgetLine{b}, spent
	}
	b, spent := use(20*mgx.USD, mgx.USD)
	projection := 30 * mgx.USD
	b.Forecast = &mgx.Forecast{Projection: &projection}
	d := s.drawBurn(b, spent, start, now, end)
	if !strings.HasPrefix(d.Line, "0.00,0.00 20.00,8.00 ") || !strings.HasSuffix(d.Line, " 200.00,80.00") || d.Ahead != "200.00,80.00 600.00,160.00" || d.Today != "200.00" || len(d.Days) != 10 || d.Days[0].Day != "2026-11-10" || d.Days[0].Total != "$10.00" {
		t.Errorf("%+v", d)
	}
	if d.Label != "$10.00 of $20.00 are left, from 1 Nov to 30 Nov" {
		t.Error(d.Label)
	}
	soon := start.AddDate(0, 0, 20)
	b.Forecast.ExhaustedAt = &soon
	if d := s.drawBurn(b, spent, start, now, end); d.Ahead != "200.00,80.00 400.00,160.00" {
		t.Errorf("it is reached at %s", d.Ahead)
	}
	rapid.Check(t, func(t *rapid.T) {
		b, spent := use(mgx.Money(rapid.Int64Range(1, int64(mgx.MaxBudget)).Draw(t, "limit")), mgx.Money(rapid.Int64Range(0, int64(mgx.MaxBudget)).Draw(t, "each")))
		b.Reserved = mgx.Money(rapid.Int64Range(0, int64(mgx.USD)).Draw(t, "reserved"))
		for point := range strings.FieldsSeq(s.drawBurn(b, spent, start, now, end).Line) {
			x, y, ok := strings.Cut(point, ",")
			if !ok || strings.ContainsAny(x+y, "-NI") || len(y) > len("160.00") || y > "160.00" && len(y) == 6 {
				t.Fatalf("a point is %s", point)
			}
		}
	})
}

func TestGist(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ  mgx.EventType
		data any
		want string
	}{
		{mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{Title: "Add a limiter"}}, "Add a limiter"},
		{mgx.RunNoted, mgx.NotedData{Level: "info", Text: "one\n\ttwo \u202ethree\x1b[31m"}, "one two three"},
		{mgx.ToolCalled, mgx.ToolCallData{Name: "shell", Summary: "go test ./..."}, "go test ./... · shell"},
		{mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1}, "attempt 1"},
		{mgx.RunNoted, []int{1}, ""},
	} {
		if got := gist(mgx.NewEvent(c.typ, c.data)); got != c.want {
			t.Errorf("%s %v is %q, not %q", c.typ, c.data, got, c.want)
		}
	}
	if got := gist(mgx.NewEvent(mgx.RunNoted, mgx.NotedData{Text: strings.Repeat("ä", 100_000)})); len([]rune(got)) > gistLength {
		t.Errorf("a long text has %d runes", len([]rune(got)))
	}
	if got := string(coloured([]byte(`{"a":"<b>\u202e` + "\u202e\u200b\U000E0041" + `"}`))); onlyOurs(strings.ReplaceAll(got, "&#34;", "")) != "" || strings.ContainsAny(got, "\u202e\u200b\U000E0041") || !strings.Contains(got, `\u200b`) || !strings.Contains(got, `\udb40\udc41`) {
		t.Errorf("it is coloured as %q", got)
	}
}
