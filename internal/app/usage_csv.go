package app

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// UsageCSV writes lines of usage as CSV (RFC 4180). Amounts are dollars with nine
// digits, which is exact.
type UsageCSV struct {
	w  *csv.Writer
	by mgx.UsageBy
}

// NewUsageCSV writes the header.
func NewUsageCSV(w io.Writer, by mgx.UsageBy) (*UsageCSV, error) {
	u := &UsageCSV{w: csv.NewWriter(w), by: by}
	header := []string{
		string(by), "calls", "prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
		"cost_usd", "lost_usd", "open_calls", "open_usd",
	}
	if by == mgx.ByCall {
		header = append(header, "reserved_at", "settled_at", "outcome", "provider", "model", "role", "price_version", "reserved_usd",
			"project_id", "task_id", "run_id", "user_id", "execution_id", "note")
	}
	return u, u.w.Write(header)
}

func (u *UsageCSV) Write(r UsageRow) error {
	n := func(i int64) string { return strconv.FormatInt(i, 10) }
	line := []string{
		Cell(r.Key), n(r.Calls), n(r.Usage.Prompt), n(r.Usage.Completion), n(r.Usage.Cached), n(r.Usage.CacheWrite), n(r.Usage.Reasoning),
		r.Cost.Decimal(), r.Lost.Decimal(), n(r.OpenRows), r.Open.Decimal(),
	}
	if c := r.Call; c != nil {
		settled := ""
		if !c.SettledAt.IsZero() {
			settled = c.SettledAt.Format(time.RFC3339Nano)
		}
		line = append(line, c.ReservedAt.Format(time.RFC3339Nano), settled)
		for _, text := range []string{string(c.Outcome), c.Provider, c.Model, c.Role, c.PriceVersion} {
			line = append(line, Cell(text))
		}
		line = append(line, c.Reserved.Decimal())
		for _, text := range []string{string(c.Project), string(c.Task), string(c.Run), string(c.User), string(c.Execution), c.Note} {
			line = append(line, Cell(text))
		}
	}
	return u.w.Write(line)
}

// Flush writes what is buffered.
func (u *UsageCSV) Flush() error {
	u.w.Flush()
	return u.w.Error()
}

// Cell is text that no spreadsheet takes for a formula, after OWASP's advice on
// CSV injection: what begins like one gets an apostrophe before it.
func Cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n|%＝＋－＠", []rune(s)[0]) {
		return "'" + s
	}
	return s
}
