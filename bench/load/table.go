package main

import (
	"encoding/json"
	"fmt"
	"os"
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
	users := strconv.Itoa(p.to)
	if p.from != p.to {
		users = fmt.Sprintf("%d-%d", p.from, p.to)
	}
	n := len(r.reads) + len(r.creates)
	at := func(of []time.Duration, percent int) string {
		if len(of) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f ms", float64(of[min(len(of)*percent/100, len(of)-1)])/1e6)
	}
	fmt.Printf(row, p.name, users, strconv.Itoa(n), fmt.Sprintf("%.0f", float64(n)/r.took.Seconds()),
		at(r.reads, 50), at(r.reads, 95), at(r.reads, 99), at(r.creates, 50), at(r.creates, 95), at(r.creates, 99),
		strconv.Itoa(r.failed), fmt.Sprintf("%.0f%%", 100*r.cpu.Seconds()/r.took.Seconds()), strconv.FormatInt(r.memory>>20, 10))
}

func micros(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }

// cost is what requests cost the server in CPU, as multiples of what they cost a
// bare one.
type cost struct {
	Request float64 `json:"request_times_bare"`
}

// within is how much more a request may cost than it did, before -check fails. CPU
// time is steadier than time on the wall, but not steady.
const within = 1.6

func (c cost) settle(check, write string) error {
	if write != "" {
		text, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			return err
		}
		return os.WriteFile(write, append(text, '\n'), 0o644)
	}
	if check == "" {
		return nil
	}
	text, err := os.ReadFile(check)
	if err != nil {
		return err
	}
	var was cost
	if err := json.Unmarshal(text, &was); err != nil {
		return err
	}
	if c.Request > was.Request*within {
		return fmt.Errorf("a request costs %.1f times the CPU of a bare server's, and %.1f times when %s was written; find out why, or write it anew with: make load LOADFLAGS=-write=%s", c.Request, was.Request, check, check)
	}
	fmt.Printf("within %.1f times of %s, which says %.1f\n", within, check, was.Request)
	return nil
}
