package storetest

import (
	"fmt"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// What is forecast comes from the ledger: from what was spent in the budget's scope
// within the window, in this period and the one before it, and the log is told the same.
func forecasts(t *testing.T, open Opener) {
	c := newClock()
	c.at = time.Date(2027, 1, 9, 18, 0, 0, 0, time.UTC)
	began := c.at
	s := open(t, c.set)
	sc := begin(t, s)
	day := budget(t, s, mgx.ScopeUser, "user_a", mgx.PeriodDay, 24*mgx.USD)
	month := budget(t, s, mgx.ScopeUser, "user_a", mgx.PeriodMonth, 2000*mgx.USD)
	ever := budget(t, s, mgx.ScopeUser, "user_a", mgx.PeriodAbsolute, 50*mgx.USD)
	spend := func(id string, amount mgx.Money) {
		t.Helper()
		commit(t, s, reserve(call(sc, id, amount)))
		commit(t, s, settled(id, amount))
	}
	expect := func(when string, b mgx.Budget, want string) {
		t.Helper()
		u, err := s.Budget(t.Context(), ws, b.ID)
		if got := forecastLine(u.Forecast); err != nil || got != want {
			t.Errorf("%s: of %s it says %s, want %s; %v", when, b, got, want, err)
		}
	}

	elsewhere := call(sc, "elsewhere", 700*mgx.USD)
	elsewhere.User = "user_b"
	commit(t, s, reserve(elsewhere))
	commit(t, s, settled("elsewhere", 700*mgx.USD))
	spend("evening", 12*mgx.USD)
	c.pass(time.Hour - time.Microsecond)
	expect("too early", day, "nothing")
	c.pass(5*time.Hour + time.Microsecond) // midnight
	spend("midnight", 2*mgx.USD)
	c.pass(90 * time.Minute)
	spend("night", 4*mgx.USD)
	c.pass(4*time.Hour + 30*time.Minute) // 6 o'clock
	spend("morning", 6*mgx.USD)

	// $24 in 12 hours. Of the day there are 18 left, of the month 522.
	since := began.Format(time.DateTime)
	expect("in the morning", day, "since "+since+" 2.00 an hour, 48.00 of 14.37 to 81.63, used up 2027-01-10 12:00:00")
	expect("in the morning", month, "since "+since+" 2.00 an hour, 1068.00 of 298.83 to 1837.17, used up never")
	expect("in the morning", ever, "since "+since+" 2.00 an hour, used up 2027-01-10 19:00:00")
	if _, got := toldOf[mgx.ThresholdReachedData](t, s, day, mgx.BillingThresholdReached, 1); got.ProjectionUSD != nil {
		t.Errorf("at first the log is told %+v", got)
	}
	if _, got := toldOf[mgx.ThresholdReachedData](t, s, day, mgx.BillingThresholdReached, 2); got.UsageUSD != 12*mgx.USD || got.ProjectionUSD == nil || *got.ProjectionUSD != 48*mgx.USD {
		t.Errorf("the log is told %+v", got)
	}

	// What is set aside counts as spent, and not in the rate.
	commit(t, s, reserve(call(sc, "open", 6*mgx.USD)))
	expect("with a call under way", day, "since "+since+" 2.00 an hour, 54.00 of 20.37 to 87.63, used up 2027-01-10 09:00:00")
	refused(t, s, mgx.CodeBudgetExceeded, reserve(call(sc, "more", 7*mgx.USD)))
	if _, got := toldOf[mgx.UsageAlertData](t, s, day, mgx.BillingUsageAlert, 1); got.ProjectionUSD == nil || *got.ProjectionUSD != 54*mgx.USD {
		t.Errorf("that it refuses is told as %+v", got)
	}
	commit(t, s, settled("open", 0))

	// An hour later the day's window has left the evening behind; the month's has not.
	c.pass(13 * time.Hour)
	expect("a day later", day, "since 2027-01-09 19:00:00 0.50 an hour, 14.50 of 12.00 to 19.14, used up never")
	expect("a day later", month, "since "+since+" 0.96 an hour, 512.64 of 148.07 to 877.21, used up never")
	verify(t, s)
}

func forecastLine(f *mgx.Forecast) string {
	if f == nil {
		return "nothing"
	}
	cents := func(m mgx.Money) string { return fmt.Sprintf("%.2f", float64(m)/float64(mgx.USD)) }
	line := fmt.Sprintf("since %s %s an hour, ", f.Since.Format(time.DateTime), cents(f.Rate))
	if f.Projection != nil {
		line += fmt.Sprintf("%s of %s to %s, ", cents(*f.Projection), cents(*f.Low), cents(*f.High))
	}
	if f.ExhaustedAt == nil {
		return line + "used up never"
	}
	return line + "used up " + f.ExhaustedAt.Format(time.DateTime)
}

// toldOf waits for what the log is told of a budget for the n-th time.
func toldOf[T any](t testing.TB, s Store, b mgx.Budget, typ mgx.EventType, n int) (e mgx.Event, data T) {
	t.Helper()
	var all []mgx.Event
	until(t, func() bool {
		all = events(t, s, store.EventQuery{Stream: mgx.StreamID(b.ID), Types: []string{string(typ)}})
		return len(all) >= n
	})
	if err := all[n-1].Decode(&data); err != nil {
		t.Fatal(err)
	}
	return all[n-1], data
}
