package web

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mgx"
	"mgx/internal/guard"
)

// funcs are what templates may call.
func (s *site) funcs() template.FuncMap {
	return template.FuncMap{
		"t": s.t, "tokens": tokens, "whole": func(n any) string { return whole(number(n)) }, "money": money, "took": took, "span": span, "iso": iso, "exact": exact,
		"ago": func(at time.Time) string { return s.ago(at) }, "middle": middle, "short": func(id any) string { return short(fmt.Sprint(id)) }, "icon": icon, "state": func(status any) state { return stateOf(fmt.Sprint(status)) },
		"bytes": size, "dict": dict, "percent": percent, "join": strings.Join, "marked": s.marked, "ansi": ansi, "told": func(w said) string { return s.t(w.Key, w.Args...) }, "letter": letterOf, "hue": hueOf,
		"capital": capital, "awaited": s.awaited, "arguments": arguments, "shown": shownArguments, "trim": strings.TrimSpace, "plain": func(text any) string { return guard.Clean(fmt.Sprint(text)) },
	}
}

// money writes an amount with its currency, at least two digits, and its exact
// value nearby when that is longer.
func money(m mgx.Money) string { return m.String() }

// tokens writes a count of tokens as people say it: 940, 12.3k, 4.56M.
func tokens(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10)
	case n < 999_950:
		return trimZero(fmt.Sprintf("%.1f", float64(n)/1e3)) + "k"
	}
	return trimZero(fmt.Sprintf("%.2f", float64(n)/1e6)) + "M"
}

// number is a number of whatever kind of whole ones.
func number(n any) int64 {
	switch n := n.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	}
	panic(fmt.Sprintf("web: %v is no whole number", n))
}

// awaited is what a run waits for, in words.
func (s *site) awaited(name string) string {
	kind, _, _ := strings.Cut(name, "/")
	switch kind {
	case "decision", "question":
		return s.t("told.wait." + kind)
	}
	return s.t("told.wait", name)
}

// capital begins a text with a capital.
func capital(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

func trimZero(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }

// whole writes a number with its thousands apart: 12,345.
func whole[N int | int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// took writes a duration: 85 ms, 3.2 s, 3 min 12 s, 2 h 5 min.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return trimZero(fmt.Sprintf("%.1f", d.Seconds())) + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// span is took of milliseconds, in which events count.
func span(ms int64) string { return took(time.Duration(ms) * time.Millisecond) }

func iso(at time.Time) string   { return at.UTC().Format(time.RFC3339Nano) }
func exact(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// ago tells a time relative to now; mgx-time keeps it true.
func (s *site) ago(at time.Time) string {
	d := s.o.Now().Sub(at)
	switch {
	case at.IsZero():
		return ""
	case d < -time.Minute:
		return s.t("time.in", took((-d).Truncate(time.Minute)))
	case d < 45*time.Second:
		return s.t("time.now")
	case d < time.Hour:
		return s.t("time.min", int(d.Minutes()+0.5))
	case d < 24*time.Hour:
		return s.t("time.hour", int(d.Hours()+0.5))
	case d < 30*24*time.Hour:
		return s.t("time.day", int(d.Hours()/24+0.5))
	}
	return at.UTC().Format("2 Jan 2006")
}

// middle cuts the middle out of a long name, since the ends tell names apart.
func middle(most int, text string) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	r := []rune(text)
	head := (most - 1) / 2
	return string(r[:head]) + "…" + string(r[len(r)-(most-1-head):])
}

// short is an id as people can hold it: its prefix and its last characters. One of little
// more than is left then, such as ws_default, stays whole.
func short(id string) string {
	prefix, rest, ok := strings.Cut(id, "_")
	if !ok || len(rest) <= 10 {
		return middle(24, id)
	}
	return prefix + "_…" + rest[len(rest)-6:]
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return trimZero(fmt.Sprintf("%.1f", float64(n)/(1<<10))) + " KB"
	case n >= 10<<30:
		return trimZero(fmt.Sprintf("%.1f", float64(n)/(1<<30))) + " GB"
	}
	return trimZero(fmt.Sprintf("%.1f", float64(n)/(1<<20))) + " MB"
}

// percent is how much of a whole a part is, from 0 to 100.
func percent(part, whole mgx.Money) int {
	if whole <= 0 {
		return 0
	}
	return int(min(100, max(0, float64(part)/float64(whole)*100)))
}

// dict gives a component its named arguments.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict takes names and values")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// state is how a status looks: a shape, a colour and a word.
type state struct{ Key, Word, Icon string }

// stateOf is the look of the status of a run, an execution, a check, a tool call
// or a plan's step, and of what is not known.
func stateOf(status string) state {
	look := map[string]string{
		"queued": "queued", "ready": "queued", "todo": "queued", "pending": "queued",
		"running": "running", "doing": "running", "leased": "running",
		"waiting": "waiting", "ask": "waiting", "unavailable": "waiting", "timeout": "waiting",
		"done": "done", "passed": "done", "success": "done", "approve": "done", "approved": "done", "allow": "done", "allowed": "done", "completed": "done",
		"failed": "failed", "error": "failed", "revise": "failed",
		"cancelled": "cancelled", "dropped": "cancelled", "skipped": "cancelled",
		"refused": "refused", "denied": "refused", "deny": "refused", "rejected": "refused",
	}[status]
	if look == "" {
		look = "queued"
	}
	return state{Key: look, Word: strings.ReplaceAll(status, "_", " "), Icon: look}
}

// icon names a drawing of the sprite; templates draw it with the component icon.
func icon(name string) string { return "#i-" + name }
