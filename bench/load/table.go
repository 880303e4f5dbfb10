package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// table prints a row for each phase.
type table struct{}

const row = "%-13s %9s %8s %7s   %8s %8s %8s   %8s %8s %8s   %6s %5s %6s  %s\n"

// goals are how long people shall wait, at most, for so many of a hundred requests. They
// say how a machine does: what is late is no failure, since another machine is faster.
var goals = []struct {
	kind    string
	percent int
	most    time.Duration
}{
	{"read", 95, 10 * time.Millisecond},
	{"read", 99, 50 * time.Millisecond},
	{"create", 95, 30 * time.Millisecond},
}

// goalsText says them: "a read 10 ms at p95 and 50 ms at p99, …".
func goalsText() string {
	var b strings.Builder
	kind := ""
	for _, g := range goals {
		switch {
		case g.kind == kind:
			b.WriteString(" and")
		case kind == "":
			b.WriteString("a " + g.kind)
		default:
			b.WriteString(", a " + g.kind)
		}
		kind = g.kind
		fmt.Fprintf(&b, " %d ms at p%d", g.most.Milliseconds(), g.percent)
	}
	return b.String()
}

func newTable() table {
	fmt.Printf(row, "", "", "", "", "read", "", "", "create", "", "", "", "", "", "")
	fmt.Printf(row, "phase", "users", "requests", "per s", "p50", "p95", "p99", "p50", "p95", "p99", "failed", "CPU", "MB", "goal")
	return table{}
}

func (table) add(p phase, r result) {
	n := len(r.reads) + len(r.creates)
	at := func(of []time.Duration, percent int) string {
		if len(of) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f ms", float64(percentile(of, percent))/1e6)
	}
	fmt.Printf(row, p.name, p.users(), strconv.Itoa(n), fmt.Sprintf("%.0f", float64(n)/r.took.Seconds()),
		at(r.reads, 50), at(r.reads, 95), at(r.reads, 99), at(r.creates, 50), at(r.creates, 95), at(r.creates, 99),
		strconv.Itoa(r.failed), fmt.Sprintf("%.0f%%", 100*r.cpu.Seconds()/r.took.Seconds()), strconv.FormatInt(r.memory>>20, 10), r.goal())
}

// percentile is what so many of a hundred of some sorted times do not exceed.
func percentile(of []time.Duration, percent int) time.Duration {
	return of[min(len(of)*percent/100, len(of)-1)]
}

// goal says whether the goals are met, and else which are not. Requests that nobody made
// met none and missed none.
func (r result) goal() string {
	var missed []string
	for _, g := range goals {
		of := map[string][]time.Duration{"read": r.reads, "create": r.creates}[g.kind]
		if len(of) > 0 && percentile(of, g.percent) > g.most {
			missed = append(missed, fmt.Sprintf("%s p%d", g.kind, g.percent))
		}
	}
	if r.failed > 0 {
		missed = append(missed, "no errors")
	}
	if len(missed) > 0 {
		return "not met: " + strings.Join(missed, ", ")
	}
	return "met"
}
