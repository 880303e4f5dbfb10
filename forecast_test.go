package mgx_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"mgx"
)

// A month that is one third over, of which the forecast sees the last week.
func monthly(limit, settled mgx.Money) (mgx.BudgetUse, time.Time) {
	now := time.Date(2027, 4, 11, 0, 0, 0, 0, time.UTC)
	start, end := mgx.PeriodMonth.Around(now)
	return mgx.BudgetUse{Budget: mgx.Budget{Period: mgx.PeriodMonth, Limit: limit}, Start: &start, End: &end, Settled: settled}, now
}

func week(now time.Time, part func(i int) mgx.Money) mgx.Spending {
	window, parts := mgx.ForecastWindow(mgx.PeriodMonth)
	s := mgx.Spending{From: now.Add(-window), Width: window / time.Duration(parts)}
	for i := range parts {
		s.Parts = append(s.Parts, part(i))
	}
	return s
}

func TestForecastOfASteadyRate(t *testing.T) {
	u, now := monthly(200*mgx.USD, 60*mgx.USD)
	f := mgx.NewForecast(u, week(now, func(int) mgx.Money { return 3 * mgx.USD / 2 }), now) // $6 a day for 20 days more
	if *f.Projection != 180*mgx.USD || *f.Low != *f.Projection || *f.High != *f.Projection || f.Rate != mgx.USD/4 || f.ExhaustedAt != nil {
		t.Errorf("forecast %+v: %s, %s to %s", f, f.Projection, f.Low, f.High)
	}
	u.Limit = 90 * mgx.USD // five days more
	f = mgx.NewForecast(u, week(now, func(int) mgx.Money { return 3 * mgx.USD / 2 }), now)
	if f.ExhaustedAt == nil || !f.ExhaustedAt.Equal(now.AddDate(0, 0, 5)) {
		t.Errorf("used up at %v", f.ExhaustedAt)
	}
	u.Reserved = 40 * mgx.USD
	if f = mgx.NewForecast(u, week(now, func(int) mgx.Money { return 0 }), now); !f.ExhaustedAt.Equal(now) {
		t.Errorf("what is used up is used up at %v", f.ExhaustedAt)
	}
}

func TestForecastOfNothing(t *testing.T) {
	u, now := monthly(10*mgx.USD, 5*mgx.USD)
	if f := mgx.NewForecast(u, week(now, func(int) mgx.Money { return 0 }), now); *f.Projection != 5*mgx.USD || *f.High != 5*mgx.USD || f.ExhaustedAt != nil {
		t.Errorf("forecast %+v", f)
	}
	if f := mgx.NewForecast(u, mgx.Spending{From: now.Add(-time.Minute)}, now); f != nil {
		t.Errorf("after a minute: %+v", f)
	}
	u.Period, u.End = mgx.PeriodAbsolute, nil
	f := mgx.NewForecast(u, week(now, func(int) mgx.Money { return mgx.USD / 4 }), now)
	if f.Projection != nil || f.ExhaustedAt == nil || !f.ExhaustedAt.Equal(now.AddDate(0, 0, 5)) {
		t.Errorf("absolute: %+v", f)
	}
}

// On series whose parts are independent, what comes is within the range in about
// four of five cases.
func TestForecastRange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	spend := func(int) mgx.Money { return mgx.Money(float64(mgx.USD) * (math.Abs(r.NormFloat64()) + r.ExpFloat64())) }
	const series = 2000
	within := 0
	for range series {
		u, now := monthly(1000*mgx.USD, 0)
		f := mgx.NewForecast(u, week(now, spend), now)
		var came mgx.Money
		for i := range 80 { // parts of six hours in twenty days
			came += spend(i)
		}
		if came >= *f.Low && came <= *f.High {
			within++
		}
	}
	if share := float64(within) / series; share < 0.74 || share > 0.86 {
		t.Errorf("%.3f of the series end within the range, want about 0.8", share)
	}
}

func TestPeriods(t *testing.T) {
	at := time.Date(2027, 2, 28, 23, 30, 0, 0, time.FixedZone("", -3600)) // March in UTC
	for p, want := range map[mgx.BudgetPeriod][2]string{
		mgx.PeriodDay: {"2027-03-01", "2027-03-02"}, mgx.PeriodMonth: {"2027-03-01", "2027-04-01"}, mgx.PeriodAbsolute: {"0001-01-01", "0001-01-01"},
	} {
		if start, end := p.Around(at); start.Format(time.DateOnly) != want[0] || end.Format(time.DateOnly) != want[1] {
			t.Errorf("%s: %s to %s", p, start, end)
		}
	}
}

func TestMoneyDecimal(t *testing.T) {
	for m, want := range map[mgx.Money]string{0: "0.000000000", 1: "0.000000001", -mgx.USD - 1: "-1.000000001", 123456789012: "123.456789012", math.MaxInt64: "9223372036.854775807"} {
		if got := m.Decimal(); got != want {
			t.Errorf("%d is %s, want %s", int64(m), got, want)
		}
	}
}
