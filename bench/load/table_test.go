package main

import (
	"slices"
	"testing"
	"time"
)

// The goals are met when no more than a few requests take longer, and none fails.
func TestGoals(t *testing.T) {
	times := func(ms, late int, lateBy time.Duration) []time.Duration {
		return slices.Concat(slices.Repeat([]time.Duration{time.Duration(ms) * time.Millisecond}, 1000-late), slices.Repeat([]time.Duration{lateBy}, late))
	}
	for want, r := range map[string]result{
		"met":                            {reads: times(10, 9, time.Second), creates: times(30, 49, time.Second)},
		"not met: read p95":              {reads: times(10, 50, 11*time.Millisecond), creates: times(30, 0, 0)},
		"not met: read p99":              {reads: times(10, 10, time.Second), creates: times(30, 0, 0)},
		"not met: create p95":            {reads: times(1, 0, 0), creates: times(30, 50, 31*time.Millisecond)},
		"not met: read p95, read p99":    {reads: times(51, 0, 0)},
		"not met: create p95, no errors": {creates: times(31, 0, 0), failed: 1},
	} {
		if got := r.goal(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What is said of the goals is what they are.
func TestGoalsText(t *testing.T) {
	if got, want := goalsText(), "a read 10 ms at p95 and 50 ms at p99, a create 30 ms at p95"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
