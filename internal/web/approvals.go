package web

import (
	"hash/crc32"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// inbox is what waits for a person in the workspace, what has waited longest first.
type inbox struct {
	Asks  []waitingAsk
	Newer string
	Older string
}

// waitingAsk is a decision and the run that waits for it.
type waitingAsk struct {
	ask
	Run   runRef
	Title string
	User  mgx.UserID
	Since time.Time
	May   mayDo
}

// runRef is what the form of a decision needs of its run.
type runRef struct{ ID mgx.RunID }

// inboxPage is how many runs that wait are shown at once.
const inboxPage = 50

func approvals(v *visit) (page, error) {
	q := v.URL.Query()
	found, err := v.site.o.Work.Approvals(v.Context(), v.Actor, q.Get("page"), inboxPage)
	if err != nil {
		return page{}, err
	}
	d := &inbox{}
	for _, a := range found.Items {
		d.Asks = append(d.Asks, v.waitingAsk(a))
	}
	if found.Next != "" {
		d.Older = with1(q, "page", found.Next)
	}
	if q.Get("page") != "" {
		d.Newer = with1(q, "page", "")
	}
	return page{
		Notice: v.doneNotice(), Template: "approvals", Title: v.site.t("approvals.title"), Nav: "approvals", Command: "mgx approvals\nmgx approve RUN\nmgx approve RUN --reject \"why\"", Data: d,
		Live: &live{Channel: "all", Types: "workflow.approval.*,workflow.waiting,workflow.resumed,task.*", Part: v.URL.RequestURI()},
	}, nil
}

func (v *visit) waitingAsk(a app.AskedApproval) waitingAsk {
	one := waitingAsk{ask: ask{Approval: a.Approval, Plan: a.Plan, N: numberOf(string(a.Run), a.ID)}, Run: runRef{a.Run}, Title: a.Task.Title, User: a.User, Since: a.AskedAt}
	if one.Delivers = app.Delivers(a.Approval); one.Delivers {
		one.Open = v.openComments(a.Run)
	}
	if a.Call != nil {
		one.Plan, one.Args = nil, arguments(a.Call.Arguments)
	}
	one.May.Decide = v.site.o.Access.May(v.Context(), v.Actor, "approve", access.Resource{Kind: "runs", ID: string(a.Run), User: a.User})
	return one
}

// numberOf names a decision within the page, the same whatever comes and goes
// around it, so that what somebody is writing stays with it.
func numberOf(parts ...string) int {
	return int(crc32.ChecksumIEEE([]byte(strings.Join(parts, "\x00"))))
}

// Version changes when what is to be decided does.
func (d *inbox) Version() string {
	var all []string
	for _, a := range d.Asks {
		all = append(all, string(a.Run.ID)+" "+a.ID+"="+a.Hash)
	}
	return strings.Join(all, " ")
}

// waiting counts what waits for a person, to the end of the first page; an error
// only costs the number.
func (v *visit) waiting() int {
	found, err := v.site.o.Work.Approvals(v.Context(), v.Actor, "", inboxPage)
	if err != nil {
		v.site.o.Log.Warn("what waits for a person cannot be counted", "error", err)
	}
	return len(found.Items)
}
