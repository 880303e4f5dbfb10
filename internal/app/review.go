package app

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/team"
)

// Sides of a difference.
const (
	SideOld = "old"
	SideNew = "new"
)

// Bounds of what people say about the lines of a run's change.
const (
	maxComment  = 4 << 10 // bytes of one
	maxOpen     = 100     // comments that are open
	maxRemarks  = 2000    // made, closed and given in a run, all together
	maxQuote    = 400     // bytes of the line that a comment is on
	maxFileName = 4096
)

// Review is what a run has changed, and what people say about it.
type Review struct {
	Diff     Diff           `json:"-"` // what Files are the parts of
	Files    []ReviewedFile `json:"files"`
	Comments []Comment      `json:"comments"` // in their order
	// Asked is the delivery that a person is asked about now; nil: none.
	Asked *mgx.Approval `json:"asked,omitempty"`
	// ByFile says that somebody approved a file of this run: its delivery can then be
	// approved only when each file is, as it is now.
	ByFile bool `json:"by_file"`
}

// ReviewedFile is one file of the difference.
type ReviewedFile struct {
	Path   string `json:"path"`
	Digest string `json:"digest"` // SHA-256 of its part: an approval is of exactly that
	// Approved is by whom, and when; nil: by nobody, or of another part than this.
	Approved *Approving `json:"approved,omitempty"`
	Lapsed   bool       `json:"lapsed,omitempty"` // it was approved, and changed after that
	Open     int        `json:"open_comments"`
}

// Approving is who said that a file is good as it is.
type Approving struct {
	By mgx.UserID `json:"by"`
	At time.Time  `json:"at"`
}

// Comment is what a person remarked on a line.
type Comment struct {
	ID    string     `json:"id"`
	By    mgx.UserID `json:"by"`
	At    time.Time  `json:"at"`
	File  string     `json:"file"`
	Side  string     `json:"side"` // old or new
	Line  int        `json:"line"`
	Quote string     `json:"quote"` // the line as it was then
	Text  string     `json:"text"`
	// State is open, sent (to the agents) or closed.
	State  string     `json:"state"`
	StepBy mgx.UserID `json:"state_by,omitempty"` // who sent or closed it
	// Outdated says that the file's part of the difference is another one by now.
	Outdated bool `json:"outdated,omitempty"`

	digest string
}

// States of a comment.
const (
	CommentOpen   = "open"
	CommentSent   = "sent"
	CommentClosed = "closed"
)

// Open counts the comments that wait for something.
func (r Review) Open() int { return len(r.open()) }

func (r Review) open() (all []Comment) {
	for _, c := range r.Comments {
		if c.State == CommentOpen {
			all = append(all, c)
		}
	}
	return all
}

// Approved counts the files that are approved as they are.
func (r Review) Approved() (n int) {
	for _, f := range r.Files {
		if f.Approved != nil {
			n++
		}
	}
	return n
}

// Review returns what a run of the actor's workspace has changed and what people
// said about it.
func (w *Work) Review(ctx context.Context, actor access.Actor, id mgx.RunID) (Review, error) {
	run, err := w.runFor(ctx, actor, "read", "artifacts", id)
	if err != nil {
		return Review{}, err
	}
	return w.review(ctx, run.Run)
}

// Remarks are the comments on a run of the actor's workspace, without a look at its
// files: none of them is said to be outdated.
func (w *Work) Remarks(ctx context.Context, actor access.Actor, id mgx.RunID) ([]Comment, error) {
	run, err := w.runFor(ctx, actor, "read", "artifacts", id)
	if err != nil {
		return nil, err
	}
	m, err := w.remarks(ctx, run.Run)
	return m.comments, err
}

func (w *Work) review(ctx context.Context, run mgx.Run) (Review, error) {
	r := Review{Files: []ReviewedFile{}, Comments: []Comment{}, Asked: delivery(run)}
	m, err := w.remarks(ctx, run)
	if err != nil {
		return r, err
	}
	r.ByFile = len(m.approved) > 0
	if run.Tree == "" && run.Commit == "" {
		return r, nil
	}
	if r.Diff, err = w.diff(ctx, run); err != nil {
		return r, err
	}
	parts := partsOf(r.Diff)
	for _, c := range m.comments {
		c.Outdated = !slices.ContainsFunc(parts, func(f PatchFile) bool { return f.Name == c.File && f.Digest == c.digest })
		r.Comments = append(r.Comments, c)
	}
	for _, f := range parts {
		r.Files = append(r.Files, m.file(f))
	}
	return r, nil
}

// partsOf are the parts of a difference. What its text has no room for is there with
// the digest of the whole state: it counts as changed when anything is.
func partsOf(d Diff) []PatchFile {
	parts, _ := ReadPatch(d.Text, 0)
	state := d.Base + " " + d.Tree
	named := map[string]bool{}
	for i, p := range parts {
		named[p.Name] = true
		if len(p.Hunks) == 0 { // a binary file, say: its part does not tell what is in it
			parts[i].Digest = digestOf(p.Digest, state)
		}
	}
	if n := len(parts); n > 0 && cutOff(d.Text) {
		parts[n-1].Digest = digestOf(parts[n-1].Digest, state)
	}
	for _, f := range d.Files {
		if !named[f.Path] {
			parts = append(parts, PatchFile{Name: f.Path, Was: f.OldPath, What: f.Status, Adds: f.Additions, Dels: f.Deletions, Digest: digestOf(f.Path, f.Status, state)})
		}
	}
	return parts
}

// cutOff reports whether a difference ends with the notice that it is cut.
func cutOff(text string) bool {
	last := text[strings.LastIndexByte(strings.TrimRight(text, "\n"), '\n')+1:]
	return strings.HasPrefix(last, "[…")
}

// delivery is the delivery that a person is asked about now, if one is.
func delivery(run mgx.Run) *mgx.Approval {
	for _, p := range run.Pending() {
		if Delivers(p) {
			return &p
		}
	}
	return nil
}

// Delivers reports whether an approval is of the run's branch.
func Delivers(a mgx.Approval) bool { return a.Call != nil && a.Call.Tool == team.DeliverTool }

// remarks are what people said about a run's change, as its events have it.
type remarks struct {
	comments []Comment
	approved map[string]mark // by file; what was taken back is not there
}

type mark struct {
	digest string
	Approving
}

// file holds a part against what was said about the file.
func (m remarks) file(p PatchFile) ReviewedFile {
	f := ReviewedFile{Path: p.Name, Digest: p.Digest}
	if a, ok := m.approved[p.Name]; ok {
		if f.Lapsed = a.digest != p.Digest; !f.Lapsed {
			f.Approved = &a.Approving
		}
	}
	for _, c := range m.comments {
		if c.File == p.Name && c.State == CommentOpen {
			f.Open++
		}
	}
	return f
}

var remarkTypes = []string{string(mgx.RunCommentMade), string(mgx.RunCommentClosed), string(mgx.RunFileApproved), string(mgx.RunChangesRequested)}

// remarks folds the events of a run that tell of them.
func (w *Work) remarks(ctx context.Context, run mgx.Run) (remarks, error) {
	m := remarks{approved: map[string]mark{}}
	if run.Remarks == 0 {
		return m, nil
	}
	for after := int64(0); ; {
		events, err := w.o.Store.EventsAfter(ctx, run.Workspace, mgx.StreamID(run.ID), run.ID, remarkTypes, after, MaxEventsPage)
		if err != nil {
			return m, err
		}
		for _, e := range events {
			if err := m.take(e); err != nil {
				return m, err
			}
			after = e.Position
		}
		if len(events) < MaxEventsPage {
			return m, nil
		}
	}
}

func (m *remarks) take(e mgx.Event) error {
	if e.Erased() {
		return nil
	}
	switch e.Type {
	case mgx.RunCommentMade:
		return taken(e, func(d mgx.CommentMadeData) {
			m.comments = append(m.comments, Comment{
				ID: d.CommentID, By: mgx.UserID(d.By), At: e.Time, File: d.File, Side: d.Side, Line: d.Line, Quote: d.Quote, Text: d.Text, State: CommentOpen, digest: d.Digest,
			})
		})
	case mgx.RunCommentClosed:
		return taken(e, func(d mgx.CommentClosedData) { m.move(d.CommentID, CommentClosed, d.By) })
	case mgx.RunFileApproved:
		return taken(e, func(d mgx.FileApprovedData) {
			delete(m.approved, d.File)
			if d.Approved {
				m.approved[d.File] = mark{d.Digest, Approving{mgx.UserID(d.By), e.Time}}
			}
		})
	case mgx.RunChangesRequested:
		return taken(e, func(d mgx.ChangesRequestedData) {
			for _, id := range d.Comments {
				m.move(id, CommentSent, d.By)
			}
		})
	}
	return nil
}

// move ends that a comment is open; what is not stays as it is.
func (m *remarks) move(id, state, by string) {
	for i, c := range m.comments {
		if c.ID == id && c.State == CommentOpen {
			m.comments[i].State, m.comments[i].StepBy = state, mgx.UserID(by)
		}
	}
}

func taken[D any](e mgx.Event, f func(D)) error {
	var d D
	if err := e.Decode(&d); err != nil {
		return err
	}
	f(d)
	return nil
}

// reviewed is a run whose change the actor may judge, while there is anybody to hear
// it.
func (w *Work) reviewed(ctx context.Context, actor access.Actor, id mgx.RunID) (mgx.RunInfo, error) {
	run, err := w.run(ctx, actor, "approve", id)
	if err != nil {
		return run, err
	}
	if run.Status.Ended() {
		return run, mgx.Errorf(mgx.KindUsage, "already_ended", "run %s has ended already: %s; what is said about it would reach nobody, so fork it to go on from a moment of it", run.ID, run.Status)
	}
	if run.Remarks >= maxRemarks {
		return run, mgx.Errorf(mgx.KindUsage, "too_many_remarks", "people said %d things about the files of run %s, which is the most; request changes in words, or decide", run.Remarks, run.ID)
	}
	return run, nil
}

// NewComment is a remark on a line of what a run has changed.
type NewComment struct {
	File string
	Side string // old or new; empty: new
	Line int    // on that side; one that the difference shows
	Text string
	Key  string // with the same key it is one comment
}

// Comment remarks something on a line. It reaches the agents when somebody requests
// changes, and keeps the delivery from being approved until then.
func (w *Work) Comment(ctx context.Context, actor access.Actor, id mgx.RunID, n NewComment) (Comment, error) {
	n.Text, n.Side = strings.TrimSpace(n.Text), cmp.Or(n.Side, SideNew)
	switch {
	case n.Text == "" || !mgx.IsText(n.Text):
		return Comment{}, mgx.Errorf(mgx.KindUsage, "empty_comment", "the comment is empty; say what should be different")
	case len(n.Text) > maxComment:
		return Comment{}, mgx.Errorf(mgx.KindUsage, "comment_too_long", "a comment has at most %d bytes, and this one %d; say the rest when you request changes", maxComment, len(n.Text))
	case n.Side != SideOld && n.Side != SideNew:
		return Comment{}, mgx.Errorf(mgx.KindUsage, "bad_line", "a side is old or new")
	case len(n.Key) > maxKey || len(n.File) > maxFileName || !mgx.IsText(n.File, n.Key):
		return Comment{}, mgx.Errorf(mgx.KindUsage, "bad_query", "a name of a file has at most %d bytes and an Idempotency-Key at most %d", maxFileName, maxKey)
	}
	run, err := w.reviewed(ctx, actor, id)
	if err != nil {
		return Comment{}, err
	}
	r, err := w.review(ctx, run.Run)
	if err != nil {
		return Comment{}, err
	}
	if len(r.open()) >= maxOpen {
		return Comment{}, mgx.Errorf(mgx.KindUsage, "too_many_comments", "%d comments are open, which is the most; request changes to send them, or close some", maxOpen)
	}
	part, err := r.part(n.File)
	if err != nil {
		return Comment{}, err
	}
	quote, shown := part.at(n.Side, n.Line)
	if !shown {
		return Comment{}, mgx.Errorf(mgx.KindUsage, "bad_line", "the difference does not show line %d of the %s side of %q; comment on one that it shows", n.Line, n.Side, n.File)
	}
	key := cmp.Or(n.Key, mgx.NewID[string]("key"))
	by := whoActs(actor)
	c := Comment{
		ID: mgx.IDOf[string]("cmt", string(run.ID), by, key), By: mgx.UserID(by), At: mgx.Now(), File: n.File, Side: n.Side, Line: n.Line,
		Quote: shorten(quote, maxQuote), Text: n.Text, State: CommentOpen,
	}
	return c, w.remark(ctx, run, mgx.RunCommentMade,
		mgx.CommentMadeData{CommentID: c.ID, By: by, File: c.File, Side: c.Side, Line: c.Line, Quote: c.Quote, Text: c.Text, Digest: part.Digest},
		act(actor, "run.comment", string(run.ID), map[string]any{"comment_id": c.ID, "file": c.File, "line": c.Line, "bytes": len(c.Text)}, string(run.Execution), "comment", c.ID))
}

// part is a file's part of the difference.
func (r Review) part(name string) (PatchFile, error) {
	for _, f := range partsOf(r.Diff) {
		if f.Name == name {
			return f, nil
		}
	}
	return PatchFile{}, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "the run does not change a file %q", shorten(name, 200))
}

// shorten cuts a text at so many bytes, saying so.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// CloseComment takes a comment back that is open, or says that it is settled. One
// that is not open is left as it is.
func (w *Work) CloseComment(ctx context.Context, actor access.Actor, id mgx.RunID, comment string) error {
	run, err := w.reviewed(ctx, actor, id)
	if err != nil {
		return err
	}
	m, err := w.remarks(ctx, run.Run)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(m.comments, func(c Comment) bool { return c.ID == comment })
	switch {
	case i < 0:
		return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "run %s has no comment %q", run.ID, shorten(comment, 200))
	case m.comments[i].State != CommentOpen:
		return nil
	}
	return w.remark(ctx, run, mgx.RunCommentClosed, mgx.CommentClosedData{CommentID: comment, By: whoActs(actor)},
		act(actor, "run.comment.close", string(run.ID), map[string]any{"comment_id": comment}, string(run.Execution), "closed", comment))
}

// ApproveFile says that a file is good as it is, or takes that back. It counts for
// the part of the difference that has the digest, and nothing else.
func (w *Work) ApproveFile(ctx context.Context, actor access.Actor, id mgx.RunID, file, digest string, approved bool) error {
	run, err := w.reviewed(ctx, actor, id)
	if err != nil {
		return err
	}
	r, err := w.review(ctx, run.Run)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(r.Files, func(f ReviewedFile) bool { return f.Path == file })
	switch {
	case i < 0:
		_, err := r.part(file)
		return err
	case r.Files[i].Digest != digest:
		return mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "%q is not what you looked at any more; look at it again", file)
	case approved == (r.Files[i].Approved != nil) && !r.Files[i].Lapsed:
		return nil
	}
	said := map[string]any{"file": file, "digest": digest, "approved": approved}
	return w.remark(ctx, run, mgx.RunFileApproved, mgx.FileApprovedData{File: file, Digest: digest, Approved: approved, By: whoActs(actor)},
		act(actor, "run.file.approve", string(run.ID), said))
}

// remark commits what somebody said about a run's change, once by the audit's entry.
func (w *Work) remark(ctx context.Context, run mgx.RunInfo, typ mgx.EventType, data any, audit mgx.Event) error {
	_, err := w.o.Store.Commit(ctx, mgx.Change{Events: []mgx.Event{scopeOf(run).Event(typ, data), audit}})
	if mgx.IsCode(err, mgx.CodeConflict) {
		return nil
	}
	return err
}

// scopeOf is where the events of a run belong.
func scopeOf(run mgx.RunInfo) mgx.Scope {
	return mgx.Scope{Workspace: run.Workspace, Project: mgx.ProjectOf(run.Repo.Path), Task: run.Task.ID, Run: run.ID, User: run.User, Execution: run.Execution}
}
