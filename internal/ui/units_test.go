package ui

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 ms", 0: "0 ms", 40 * time.Millisecond: "40 ms", 800 * time.Millisecond: "0.8 s",
		9999 * time.Millisecond: "9.9 s", 12500 * time.Millisecond: "12 s", 59999 * time.Millisecond: "59 s",
		time.Minute: "1 min", 192 * time.Second: "3 min 12 s", 3599 * time.Second: "59 min 59 s",
		2*time.Hour + 5*time.Minute: "2 h 5 min", 76 * time.Hour: "3 d 4 h", 72*time.Hour + time.Minute: "3 d",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1.0k", 12345: "12.3k", 999_999: "999.9k", 1_250_000: "1.2M", 2_000_000_000: "2000.0M",
	} {
		if got := Tokens(n); got != want {
			t.Errorf("Tokens(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestAgo(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 3, 14, 9, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "just now", 9 * time.Second: "just now", 12 * time.Second: "12 s ago", 3*time.Minute + 50*time.Second: "3 min ago",
		5 * time.Hour: "5 h ago", 49 * time.Hour: "2 d ago", 31 * 24 * time.Hour: "2025-02-11",
		-5 * time.Second: "just now", -3 * time.Minute: "in 3 min", -40 * 24 * time.Hour: "2025-04-23",
	} {
		if got := Ago(now.Add(-d), now); got != want {
			t.Errorf("Ago(%v before) = %q, want %q", d, got, want)
		}
	}
	if got := Ago(time.Time{}, now); got != "never" {
		t.Errorf("Ago(zero) = %q", got)
	}
}
