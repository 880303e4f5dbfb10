package mgx

import (
	"math"
	"time"
)

// Spending is what was spent up to a moment, in equal parts of time.
type Spending struct {
	From  time.Time // where the first part begins
	Width time.Duration
	Parts []Money // the last one ends now
}

// ForecastWindow is how far a forecast looks back, and in how many parts: a day
// for what begins anew every day, else a week. A window is shorter when nothing
// was spent before.
func ForecastWindow(p BudgetPeriod) (window time.Duration, parts int) {
	if p == PeriodDay {
		return 24 * time.Hour, 24
	}
	return 7 * 24 * time.Hour, 28
}

// LeastHistory is how long something must have been spent before anything is
// said about what will be.
const LeastHistory = time.Hour

// Forecast is where spending goes if it goes on as it did. It knows nothing of
// what is planned, of nights and of weekends: it takes the mean of the window and
// how much the window's parts differ, as if those were independent.
type Forecast struct {
	Since time.Time `json:"since"`        // what it looked at
	Rate  Money     `json:"usd_per_hour"` // mean since then

	// What will have been spent when the period ends, and between which amounts
	// that lies in four of five cases. Nil for absolute budgets.
	Projection *Money `json:"projection_usd,omitempty"`
	Low        *Money `json:"projection_low_usd,omitempty"`
	High       *Money `json:"projection_high_usd,omitempty"`

	// When the limit is reached; nil: not in this period.
	ExhaustedAt *time.Time `json:"exhausted_at,omitempty"`
}

// fourOfFive is how many standard deviations to either side of the mean hold 80
// percent of a normal distribution.
const fourOfFive = 1.2816

// NewForecast forecasts a budget's period from what was spent in its scope before
// now, in this period and earlier ones. Nil: the history is shorter than
// LeastHistory.
func NewForecast(u BudgetUse, s Spending, now time.Time) *Forecast {
	history := now.Sub(s.From)
	if history < LeastHistory || len(s.Parts) == 0 || s.Width <= 0 {
		return nil
	}
	mean, variance := moments(s.Parts)
	perHour := mean * float64(time.Hour) / float64(s.Width)
	f := &Forecast{Since: s.From, Rate: money(perHour)}
	taken := u.Settled + u.Reserved
	if u.End != nil {
		left := max(0, u.End.Sub(now))
		parts := float64(left) / float64(s.Width)
		// The future differs from its mean, and the mean from what we take for it.
		spread := fourOfFive * math.Sqrt(parts*variance+parts*parts*variance/float64(len(s.Parts)))
		more := mean * parts
		projection, low, high := taken+money(more), taken+money(max(0, more-spread)), taken+money(more+spread)
		f.Projection, f.Low, f.High = &projection, &low, &high
	}
	f.ExhaustedAt = exhausted(u, perHour, taken, now)
	return f
}

// exhausted is when the limit is reached at this rate, if that is in the period.
func exhausted(u BudgetUse, perHour float64, taken Money, now time.Time) *time.Time {
	left := u.Limit - taken
	if left <= 0 {
		return &now
	}
	if perHour <= 0 {
		return nil
	}
	hours := float64(left) / perHour
	if hours > 100*365*24 {
		return nil
	}
	at := now.Add(time.Duration(hours * float64(time.Hour))).Round(time.Second)
	if u.End != nil && !at.Before(*u.End) {
		return nil
	}
	return &at
}

// moments are the mean and the sample variance.
func moments(parts []Money) (mean, variance float64) {
	n := float64(len(parts))
	for _, m := range parts {
		mean += float64(m) / n
	}
	if n < 2 {
		return mean, 0
	}
	for _, m := range parts {
		d := float64(m) - mean
		variance += d * d / (n - 1)
	}
	return mean, variance
}

func money(f float64) Money { return Money(math.Round(min(f, float64(1<<62)))) }
