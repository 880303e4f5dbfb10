package ui

import (
	"fmt"
	"time"
)

// Duration writes a length of time with at most two units: "40 ms", "0.8 s",
// "12 s", "3 min 12 s", "2 h 5 min", "3 d 4 h". It never rounds up.
func Duration(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%d.%d s", d/time.Second, d%time.Second/(100*time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return two(d, time.Minute, "min", time.Second, "s")
	case d < 24*time.Hour:
		return two(d, time.Hour, "h", time.Minute, "min")
	}
	return two(d, 24*time.Hour, "d", time.Hour, "h")
}

func two(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	if rest := d % large / small; rest > 0 {
		return fmt.Sprintf("%d %s %d %s", d/large, largeName, rest, smallName)
	}
	return fmt.Sprintf("%d %s", d/large, largeName)
}

// Tokens writes a count of tokens in at most five characters or so: "950",
// "12.3k", "1.2M". It never rounds up.
func Tokens(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%d.%dk", n/1000, n%1000/100)
	}
	return fmt.Sprintf("%d.%dM", n/1_000_000, n%1_000_000/100_000)
}

// Ago writes when t was, seen from now: "just now", "3 min ago", "2 h ago",
// "5 d ago", and the UTC date when it is more than 30 days away.
func Ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	switch {
	case d > 30*24*time.Hour || d < -30*24*time.Hour:
		return t.UTC().Format(time.DateOnly)
	case d < -10*time.Second:
		return "in " + largest(-d)
	case d < 10*time.Second:
		return "just now"
	}
	return largest(d) + " ago"
}

// largest writes d in its largest unit alone.
func largest(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

// stamp writes a time exactly, with its zone.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
