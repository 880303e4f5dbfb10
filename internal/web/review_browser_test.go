package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"mgx"
	"mgx/internal/team"
)

// change is a difference of two files.
const change = patch + `diff --git a/docs/new.md b/docs/new.md
new file mode 100644
--- /dev/null
+++ b/docs/new.md
@@ -0,0 +1,3 @@
+# Health
+
+GET /healthz answers 200.
`

const deliverHash = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

// delivering is a run that asks whether its change may be delivered.
func (s *stage) delivering() *played {
	s.host.show(change)
	return s.play("Add a /healthz endpoint").did(
		mgx.RunCheckpointed, mgx.CheckpointData{Tree: strings.Repeat("b", 40), Step: "implementer/1"},
		mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhaseDeliver},
		mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/deliver", Effect: "add the branch mgx/healthz/run-1 to the repository", Hash: deliverHash, Call: &mgx.ProposedCall{
			Tool: team.DeliverTool, Effect: "deliver", AgentRole: "implementer", Arguments: `{"branch":"mgx/healthz/run-1"}`, Rule: "ask effect deliver", Why: "a person looks at what is delivered", Rest: "this branch",
		}},
		mgx.WorkflowWaiting, mgx.WaitingData{For: "decision/deliver"},
	)
}

// judged is one with comments in every state and an approval.
func (s *stage) judged() *played {
	s.t.Helper()
	r := s.delivering()
	say := func(path string, form url.Values) {
		s.t.Helper()
		if got := s.ask("POST", r.path()+path, form); got.StatusCode != http.StatusSeeOther {
			s.t.Fatalf("%s: %d %s", path, got.StatusCode, words(got.body))
		}
	}
	comment := func(file, line, text string) {
		say("/comments", url.Values{"file": {file}, "line": {line}, "side": {"new"}, "words": {text}})
	}
	comment("server.go", "2", "Say **what** it serves, as `NewServer` does.")
	comment("docs/new.md", "3", strings.Repeat("A long comment that goes on and on. ", 12))
	say("/files", url.Values{"file": {"docs/new.md"}, "digest": {s.digest(r, "docs/new.md")}, "approved": {"yes"}})
	return r
}

// digest is that of a file, as the page of a run has it.
func (s *stage) digest(r *played, file string) string {
	s.t.Helper()
	_, rest, _ := strings.Cut(s.ask("GET", r.path()+"/diff", nil).body, `name="file" value="`+file+`"`)
	_, rest, _ = strings.Cut(rest, `name="digest" value="`)
	digest, _, _ := strings.Cut(rest, `"`)
	if !strings.HasPrefix(digest, "sha256:") {
		s.t.Fatalf("%s has no digest: %q", file, digest)
	}
	return digest
}

// decided are the decisions on the delivery.
func (r *played) decided() []mgx.Signal {
	r.s.t.Helper()
	all, err := r.s.store.Signals(r.s.t.Context(), r.Execution, "decision/deliver")
	must(r.s.t, err)
	return all
}

// press clicks what a selector finds, also on a page that is not in front, where a
// pointer waits for a picture of it.
func press(b *tab, selector string) *tab {
	b.t.Helper()
	eval[any](b, fmt.Sprintf("document.querySelector(%q).click()", selector))
	return b
}

// TestReview comments on a line by a click on its number, approves a file and requests
// changes, while somebody else looks at the same page and writes.
func TestReview(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.delivering()
	a, b := s.tab(), s.as(mgx.RoleDeveloper).tab()
	for _, who := range []*tab{a, b} {
		who.do(chromedp.EmulateViewport(1280, 900))
		who.open(r.path() + "/diff").live()
	}
	number := func(side, n string) string { return fmt.Sprintf(`.file .%s .l i[data-n="%s"]`, side, n) }
	// What the other is writing stays when something comes.
	press(b, number("new", "1")).until(`document.activeElement?.matches(".hunks textarea")`)
	b.keys("I am not done")
	press(a, number("new", "2")).until(`document.activeElement?.matches(".hunks .remark-form textarea")`)
	if got := eval[string](a, `(() => { const f = document.activeElement.form; return [f.file.value, f.side.value, f.line.value, f.previousElementSibling.className, document.querySelectorAll(".l.marked").length].join(" ") })()`); got != "server.go new 2 block changed 1" {
		t.Errorf("the form is of %q", got)
	}
	a.keys(hostile[0] + " Say what it serves.")
	press(a, ".hunks .remark-form button.do").until(`document.querySelector(".note .tag.open")`).says("Say what it serves.")
	b.until(`document.querySelector(".hunks .note")?.textContent.includes("Say what it serves.")`)
	if got := eval[string](b, `document.querySelector(".hunks .remark-form textarea")?.value + "|" + document.activeElement?.matches(".hunks textarea") + "|" + document.querySelector(".hunks .note b").textContent`); !strings.HasPrefix(got, "I am not done|true|") {
		t.Errorf("what was being written is %q", got)
	}
	b.until(`document.querySelector("#review").textContent.includes("1 open comment")`)
	b.until(`document.querySelector("#decisions").textContent.includes("The open comment goes to the agents")`)
	// A comment survives a reload, and holds the delivery back.
	a.open(r.path() + "/diff").live().says("Say what it serves.")
	press(a, `.decision [name=decision][value=approve]`).says("1 comment is on this change open")
	press(a.open(r.path()+"/diff").live(), `.file-bar [value=yes]`).until(`document.querySelector(".file .status.done")`)
	b.until(`document.querySelector(".file .status.done")?.textContent.includes("approved by")`)
	// The viewed mark is of the file as it is.
	box := `document.querySelector("input.viewed")`
	a.until(box + `.closest("label").hidden === false`)
	press(a, "label:has(input.viewed)").until(`document.querySelector(".file").open === false`)
	a.open(r.path() + "/diff").live().until(box + `.checked && !document.querySelector(".file").open`)
	s.host.show(strings.Replace(change, `and "quoted"`, "and another", 1))
	r.did(mgx.RunCheckpointed, mgx.CheckpointData{Tree: strings.Repeat("c", 40), Step: "implementer/2"})
	a.until(`document.querySelector(".file .status.waiting")?.textContent.includes("changed since") && !` + box + `.checked`)
	a.until(`document.querySelector(".note")?.textContent.includes("earlier state")`)
	// Changes are requested, and both see it.
	eval[any](a, `document.querySelector(".decision textarea").value = "Nearly."`)
	press(a, `.decision [name=decision][value=changes]`).until(`location.pathname.endsWith("` + string(r.Run) + `")`)
	if all := r.decided(); len(all) != 1 || !strings.Contains(string(all[0].Payload), "Say what it serves.") || !strings.Contains(string(all[0].Payload), `"changes":true`) {
		t.Fatalf("sent %+v", all)
	}
	b.until(`document.querySelector(".note .tag")?.textContent.includes("sent to the agents")`)
	r.did(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: "decision/deliver", By: string(mgx.LocalUser), Changes: true, Reason: "Nearly.", Hash: deliverHash}, mgx.WorkflowResumed, mgx.ResumedData{Reason: "signal"})
	b.until(`!document.querySelector(".decision") && document.querySelector(".decided")?.textContent.includes("requested changes")`)
	if got := eval[string](b, `String(window.pwned)`); got != "undefined" {
		t.Error("a comment was taken for a page's own")
	}
}

// TestTwoPeople decide on one run at the same time: one does, the other is told who
// it was, and whoever only looks sees the form go.
func TestTwoPeople(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.delivering()
	people := []*tab{s.tab(), s.as(mgx.RoleDeveloper).tab()}
	third := s.as(mgx.RoleAdmin).tab().open(r.path()).live()
	third.until(`document.querySelector(".decision form")`)
	for _, who := range people {
		who.open(r.path()).live().until(`document.querySelector(".decision form")`)
		// A form that is sent leaves the page; the mark tells when it has.
		eval[any](who, `window.before = true`)
	}
	for i, who := range people {
		eval[any](who, fmt.Sprintf(`document.querySelector(".decision [value=%s]").click()`, []string{"approve", "reject"}[i]))
	}
	lost := 0
	for _, who := range people {
		who.until(`window.before === undefined && document.querySelector("main")`)
		if eval[bool](who, `document.querySelector("main").textContent.includes("it before you, so what you decided was not used")`) {
			lost++
		}
	}
	if all := r.decided(); len(all) != 1 || lost != 1 {
		t.Fatalf("%d decisions and %d who lost: %+v", len(all), lost, all)
	}
	r.did(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: "decision/deliver", Approved: true, By: string(mgx.LocalUser), Hash: deliverHash}, mgx.WorkflowResumed, mgx.ResumedData{Reason: "signal"})
	third.until(`!document.querySelector(".decision") && document.querySelector(".decided")?.textContent.includes("approved what the run asked for")`)
	r.did(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "both see this"})
	for _, who := range append(people, third) {
		who.open(r.path()).says("both see this")
	}
	// When the run has ended nothing more can be said to it, without a reload.
	third.live().until(`document.querySelector("form.say")`)
	r.did(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: "enough", By: "user_local"})
	third.until(`!document.querySelector("form.say")`)
}

// TestReviewForms sends the forms as they are, without a script; who may not, cannot.
func TestReviewForms(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.judged()
	viewer := s.as(mgx.RoleViewer)
	seen := viewer.ask("GET", r.path()+"/diff", nil)
	has(t, seen, "A long comment that goes on", "approved by", "1 of 2 files approved", "2 open comments")
	hasNot(t, seen, "/comments\"", "/files\"", "Approve this file", "/changes\"")
	comment := url.Values{"file": {"server.go"}, "line": {"2"}, "side": {"new"}, "words": {"x"}}
	for path, form := range map[string]url.Values{
		"/comments": comment, "/files": {"file": {"server.go"}, "digest": {s.digest(r, "server.go")}, "approved": {"yes"}}, "/changes": {"reason": {"x"}}, "/comments/cmt_x/close": {},
	} {
		if got := viewer.ask("POST", r.path()+path, form); got.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer may %s: %d", path, got.StatusCode)
		}
	}
	for name, form := range map[string]url.Values{
		"no line": {"file": {"server.go"}, "words": {"x"}}, "another line": {"file": {"server.go"}, "line": {"77"}, "words": {"x"}},
		"no file": {"file": {"none"}, "line": {"1"}, "words": {"x"}}, "no words": {"file": {"server.go"}, "line": {"1"}, "words": {" "}},
	} {
		if got := s.ask("POST", r.path()+"/comments", form); got.StatusCode < 400 || got.StatusCode >= 500 {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
	if got := s.ask("POST", r.path()+"/files", url.Values{"file": {"server.go"}, "digest": {"sha256:other"}, "approved": {"yes"}}); got.StatusCode != http.StatusConflict {
		t.Errorf("another digest: %d", got.StatusCode)
	}
	// The same form is one comment, and closing all leaves the files to be approved.
	comment.Set("key", "key_1")
	s.ask("POST", r.path()+"/comments", comment)
	s.ask("POST", r.path()+"/comments", comment)
	page := s.ask("GET", r.path()+"/diff", nil)
	has(t, page, "3 open comments")
	for rest, more := page.body, true; more; {
		var id string
		if _, rest, more = strings.Cut(rest, r.path()+"/comments/"); more {
			id, rest, _ = strings.Cut(rest, "/close")
			if got := s.ask("POST", r.path()+"/comments/"+id+"/close", nil); got.StatusCode != http.StatusSeeOther {
				t.Errorf("close %s: %d", id, got.StatusCode)
			}
		}
	}
	yes := url.Values{"approval": {"decision/deliver"}, "hash": {deliverHash}, "decision": {"approve"}}
	if got := s.ask("POST", r.path()+"/decide", yes); got.StatusCode != http.StatusConflict || !strings.Contains(got.body, "1 file is not approved") {
		t.Errorf("%d %s", got.StatusCode, words(got.body))
	}
	s.ask("POST", r.path()+"/files", url.Values{"file": {"server.go"}, "digest": {s.digest(r, "server.go")}, "approved": {"yes"}})
	if got := s.ask("POST", r.path()+"/decide", yes); got.StatusCode != http.StatusSeeOther || len(r.decided()) != 1 {
		t.Errorf("%d %s", got.StatusCode, words(got.body))
	}
}

// TestReviewKeys goes through a change with the keyboard: to a file, to the form for a
// comment on it, and to its mark.
func TestReviewKeys(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.delivering()
	b := s.tab()
	b.do(chromedp.EmulateViewport(1280, 900))
	b.open(r.path() + "/diff").live()
	file := `document.querySelectorAll("details.file")[1]`
	b.keys("jj").until(file + `.hasAttribute("data-current")`)
	b.keys("c").until(`document.activeElement?.matches("details.file[data-current] .remark-form input[name=line]")`)
	b.keys("3\tx")
	if eval[bool](b, file+`.querySelector("form").ownerDocument.querySelector("input.viewed:checked") !== null`) {
		t.Error("a letter that is written into the form marks the file")
	}
	eval[any](b, `document.activeElement.blur()`)
	box := `document.querySelector("input.viewed[data-file='" + ` + file + `.id + "']")`
	b.keys("x").until(box + `.checked && !` + file + `.open`)
	b.keys("x").until(`!` + box + `.checked`)
}
