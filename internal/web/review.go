package web

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/guard"
)

// The tab of a run's change is where people look through it: they comment on lines,
// approve files, and request changes. What holds a delivery back is for package app
// to say; the page only shows it.

// judging is what people say about a change as a whole.
type judging struct {
	Files, Approved int // that are approved as they are
	Open            int // comments
	ByFile          bool
	Asked           bool // the delivery is asked about, with the form above
	May             bool // the reader may judge
}

// judged is what people say about one file.
type judged struct {
	Digest   string // of what is shown: an approval is of exactly that
	Approved *approving
	Lapsed   bool // it was approved, and changed after that
	Open     int
	Apart    []note // on lines that are not shown here any more
	May      bool
	Run      mgx.RunID

	notes map[string][]note // by side and line
	all   []note
}

type approving struct {
	By string
	At time.Time
}

// note is a comment as it is drawn.
type note struct {
	app.Comment
	Name string // of who made it
	Step string // of who sent or closed it
	May  bool   // the reader may close it
	Run  mgx.RunID
}

// on are the comments on a line.
func (j judged) on(side string, line int) []note { return j.notes[lineKey(side, line)] }

func lineKey(side string, line int) string { return side + strconv.Itoa(line) }

// Version changes when something about the file does; the page keeps what somebody
// does in it until then.
func (j judged) Version() string {
	var b strings.Builder
	fmt.Fprint(&b, j.Digest, j.Approved != nil, j.Lapsed, j.May)
	for _, n := range j.all {
		fmt.Fprint(&b, " ", n.ID, n.State, n.Outdated)
	}
	return numberText(b.String())
}

func numberText(s string) string { return strconv.Itoa(numberOf(s)) }

// RemarkKey makes what the form says one comment, however often it is sent.
func (j judged) RemarkKey() string { return mgx.NewID[string]("key") }

// decided is who decided on what the run asked for last, while it goes on.
type decided struct{ Key, By, Reason string }

func (v *visit) decided(run mgx.Run) *decided {
	a := run.Approval
	if a == nil || !a.Decided || run.Status.Ended() || a.By == "" || a.By == "policy" {
		return nil
	}
	names := map[mgx.UserID]string{mgx.UserID(a.By): middle(26, a.By)}
	v.called(names)
	d := &decided{Key: "decided.rejected", By: names[mgx.UserID(a.By)], Reason: a.Reason}
	switch {
	case a.Approved:
		d.Key = "decided.approved"
	case a.Changes:
		d.Key = "decided.changes"
	}
	return d
}

// fillDiff shows what the run has changed by now, and what people say about it; of a
// moment before there is none to be had.
func fillDiff(v *visit, d *runPage) error {
	if d.At > 0 || d.Run.Tree == "" && d.Run.Commit == "" {
		return nil
	}
	r, err := v.site.o.Work.Review(v.Context(), v.Actor, d.Run.ID)
	if err != nil {
		return err
	}
	names := v.names(r)
	said := make([]judged, len(r.Files))
	for i, f := range r.Files {
		said[i] = judged{Digest: f.Digest, Lapsed: f.Lapsed, Open: f.Open, May: d.May.Review, Run: d.Run.ID, notes: map[string][]note{}}
		if f.Approved != nil {
			said[i].Approved = &approving{names[f.Approved.By], f.Approved.At}
		}
		for _, c := range r.Comments {
			if c.File == f.Path {
				said[i].take(note{Comment: c, Name: names[c.By], Step: names[c.StepBy], May: d.May.Review && c.State == app.CommentOpen, Run: d.Run.ID})
			}
		}
	}
	c := drawDiff(r.Diff.Text, said)
	d.Diff = &c
	d.Judging = judging{Files: len(r.Files), Approved: r.Approved(), Open: r.Open(), ByFile: r.ByFile, Asked: r.Asked != nil, May: d.May.Review}
	return nil
}

func (j *judged) take(n note) {
	n.Quote = guard.Visible(n.Quote)
	j.all = append(j.all, n)
	if n.Outdated {
		j.Apart = append(j.Apart, n)
		return
	}
	key := lineKey(n.Side, n.Line)
	j.notes[key] = append(j.notes[key], n)
}

// mostMembers is how many members of a workspace are known by name on a page.
const mostMembers = 500

// names are those of the people of a review, by their ids; of whom the reader may not
// know it is the id.
func (v *visit) names(r app.Review) map[mgx.UserID]string {
	names := map[mgx.UserID]string{}
	add := func(id mgx.UserID) {
		if id != "" {
			names[id] = middle(26, string(id))
		}
	}
	for _, c := range r.Comments {
		add(c.By)
		add(c.StepBy)
	}
	for _, f := range r.Files {
		if f.Approved != nil {
			add(f.Approved.By)
		}
	}
	v.called(names)
	return names
}

// called puts names to ids.
func (v *visit) called(names map[mgx.UserID]string) {
	if len(names) == 0 || !v.mayRead("users") {
		return
	}
	members, err := v.site.o.Access.Members(v.Context(), v.Actor, "", mostMembers)
	if err != nil {
		v.site.o.Log.Warn("the members of a workspace cannot be named", "error", err)
		return
	}
	for _, m := range members {
		if _, asked := names[m.User]; asked && m.Name != "" {
			names[m.User] = m.Name
		}
	}
}

// Comments, approvals of files and requests for changes. Each goes back to where it
// was made.

func diffPath(id mgx.RunID) string { return "/runs/" + url.PathEscape(string(id)) + "/diff" }

func commentRun(v *visit) (string, error) {
	id := mgx.RunID(v.PathValue("run"))
	line, err := strconv.Atoi(v.text("line"))
	if err != nil {
		return "", mgx.Errorf(mgx.KindUsage, "bad_line", "A comment is on a line, which has a number.")
	}
	c, err := v.site.o.Work.Comment(v.Context(), v.Actor, id, app.NewComment{
		File: v.PostFormValue("file"), Side: v.text("side"), Line: line, Text: v.text("words"), Key: v.text("key"),
	})
	return diffPath(id) + "#" + c.ID, err
}

func closeComment(v *visit) (string, error) {
	id := mgx.RunID(v.PathValue("run"))
	return diffPath(id) + "#" + anchorOf(v.PostFormValue("file")), v.site.o.Work.CloseComment(v.Context(), v.Actor, id, v.PathValue("comment"))
}

func approveFile(v *visit) (string, error) {
	id := mgx.RunID(v.PathValue("run"))
	file := v.PostFormValue("file")
	return diffPath(id) + "#" + anchorOf(file), v.site.o.Work.ApproveFile(v.Context(), v.Actor, id, file, v.text("digest"), v.text("approved") == "yes")
}

func requestChanges(v *visit) (string, error) {
	id := mgx.RunID(v.PathValue("run"))
	return diffPath(id), v.site.o.Work.RequestChanges(v.Context(), v.Actor, id, app.Changes{Reason: v.text("reason"), Key: v.text("key")})
}

// openComments counts what is held against a delivery that is asked about, for whoever
// decides on it. It is for words on the page: deciding asks again.
func (v *visit) openComments(run mgx.RunID) (open int) {
	all, err := v.site.o.Work.Remarks(v.Context(), v.Actor, run)
	if err != nil {
		v.site.o.Log.Warn("the comments on a run cannot be counted", "run_id", run, "error", err)
	}
	for _, c := range all {
		if c.State == app.CommentOpen {
			open++
		}
	}
	return open
}
