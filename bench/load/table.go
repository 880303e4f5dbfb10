package main

import (
	"fmt"
	"strconv"
	"time"
)

// table prints a row for each phase.
type table struct{}

const row = "%-13s %9s %8s %7s   %8s %8s %8s   %8s %8s %8s   %6s %5s %6s\n"

func newTable() table {
	fmt.Printf(row, "", "", "", "", "read", "", "", "create", "", "", "", "", "")
	fmt.Printf(row, "phase", "users", "requests", "per s", "p50", "p95", "p99", "p50", "p95", "p99", "failed", "CPU", "MB")
	return table{}
}

func (table) add(p phase, r result) {
	n := len(r.reads) + len(r.creates)
	at := func(of []time.Duration, percent int) string {
		if len(of) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f ms", float64(of[min(len(of)*percent/100, len(of)-1)])/1e6)
	}
	fmt.Printf(row, p.name, p.users(), strconv.Itoa(n), fmt.Sprintf("%.0f", float64(n)/r.took.Seconds()),
		at(r.reads, 50), at(r.reads, 95), at(r.reads, 99), at(r.creates, 50), at(r.creates, 95), at(r.creates, 99),
		strconv.Itoa(r.failed), fmt.Sprintf("%.0f%%", 100*r.cpu.Seconds()/r.took.Seconds()), strconv.FormatInt(r.memory>>20, 10))
}
