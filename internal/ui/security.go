package ui

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"mgx"
)

// Security prints what a run read that others wrote, what that could have led to,
// what was held back and who decided. Nothing of it is cut but long lists, which
// say so.
func Security(w io.Writer, s mgx.Security) error {
	p := page{style: reportOn(w)}
	p.say(span{text: "Security of " + string(s.Run), tint: bold})
	p.part("Untrusted content that was read", len(s.Read), "Nothing that others wrote was read.")
	for _, r := range s.Read {
		p.item(readText(r), tintOf(len(r.Suspicions) > 0))
		for _, why := range r.Suspicions {
			p.text("        ", why, 20, yellow)
		}
	}
	p.part("Calls that do more than read, or were not simply allowed", len(s.Calls), "There were none.")
	for _, c := range s.Calls {
		p.item(callText(c), tintOf(c.Status == "denied" || c.Asked && !c.Approved))
		if c.Why != "" && c.Verdict != "allow" {
			p.text("        ", c.Why+" (rule: "+c.Rule+")", 20, none)
		}
	}
	p.part("Alarms", len(s.Alarms), "No canary was seen, nothing was suspected.")
	for _, a := range s.Alarms {
		p.item(fmt.Sprintf("#%d %s %s%s: %s", a.Sequence, a.Severity, strings.ReplaceAll(a.What, "_", " "), iff(a.Blocked, ", stopped"), a.Detail), yellow)
	}
	p.part("Hosts that commands asked for", len(s.Hosts), "No command used the network.")
	for _, h := range s.Hosts {
		p.item(fmt.Sprintf("%s %s:%d, %d times, %d bytes sent%s", h.Decision, h.Host, h.Port, h.Times, h.Sent, iff(h.Reason != "", ": "+h.Reason)), tintOf(h.Decision != "allowed"))
	}
	p.part("Limits that were reached", len(s.Limits), "None.")
	for _, l := range s.Limits {
		p.item(fmt.Sprintf("#%d %s", l.Sequence, l.What), none)
	}
	if len(s.Foreign) > 0 {
		p.part("Delivered files that others run or obey once the branch gets there: read them", len(s.Foreign), "")
		for _, path := range s.Foreign {
			p.item(path, yellow)
		}
	}
	return p.write(w)
}

// part begins a section and says what it means that there is nothing in it.
func (p *page) part(title string, n int, empty string) {
	p.gap()
	p.say(span{text: title, tint: bold}, span{text: fmt.Sprintf(" (%d)", n), tint: dim})
	if n == 0 {
		p.say(span{text: "    " + empty, tint: dim})
	}
}

func (p *page) item(text string, t tint) {
	for i, l := range wrap(text, p.width-6, 100) {
		p.say(span{text: map[bool]string{true: "    ", false: "      "}[i == 0]}, span{text: l, tint: t})
	}
}

func readText(r mgx.ReadItem) string {
	text := fmt.Sprintf("#%d %s: %s, from %s", r.Sequence, r.Conversation, r.Item, cmp.Or(strings.Join(r.Label.Sources, ", "), "an unknown source"))
	if r.Label.Secrecy == mgx.Secret {
		text += ", secret"
	}
	switch n := len(r.Influenced) + r.More; {
	case n == 1:
		text += fmt.Sprintf("; could have led to call #%d", r.Influenced[0])
	case n > 1:
		text += fmt.Sprintf("; could have led to %d calls, #%d and later", n, r.Influenced[0])
	}
	return text
}

func callText(c mgx.SecurityCall) string {
	text := fmt.Sprintf("#%d %s: %s %s", c.Sequence, c.Conversation, c.Name, c.Summary)
	if c.Conversation == "" {
		text = fmt.Sprintf("#%d %s: %s", c.Sequence, c.Name, c.Summary)
	}
	switch {
	case c.Asked && c.By == "":
		return text + " → waits for a person"
	case c.Asked && c.Approved:
		return text + " → asked, approved by " + c.By + said(c.Reason)
	case c.Asked:
		return text + " → asked, refused by " + c.By + said(c.Reason)
	case c.Status == "denied":
		return text + " → refused"
	case c.Verdict != "":
		return text + " → " + c.Verdict
	}
	return text
}

func said(reason string) string { return iff(reason != "", ": "+reason) }

func iff(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func tintOf(bad bool) tint {
	if bad {
		return yellow
	}
	return none
}
