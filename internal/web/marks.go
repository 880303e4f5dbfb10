package web

import (
	"net/url"
	"slices"

	"mgx"
	"mgx/internal/app"
)

// In lists, several things are marked (with a box, or with x) and then acted on at
// once. Each is done as if it was asked for alone: who may do it, what is decided on
// and what the audit log says are the same.

// mostMarked bounds what is acted on at once.
const mostMarked = 200

// marked are the values of the boxes of a list.
func (v *visit) marked(name string) ([]string, error) {
	switch all := v.PostForm[name]; {
	case len(all) == 0:
		return nil, mgx.Errorf(mgx.KindUsage, "nothing_marked", "%s", v.site.t("mark.none"))
	case len(all) > mostMarked:
		return nil, mgx.Errorf(mgx.KindUsage, "too_many_marked", "%s", v.site.t("mark.many", mostMarked))
	default:
		return all, nil
	}
}

// eachMarked does something with all that is marked, in order, up to the first that
// cannot be done, which says how many were done before.
func (v *visit) eachMarked(all []string, do func(string) error) error {
	for i, one := range all {
		if err := do(one); err != nil {
			e := mgx.AsError(err)
			if i == 0 || statusOf(e) >= 500 {
				return err
			}
			return mgx.Errorf(e.Kind, e.Code, "%s %s", sentence(e.Message), v.site.t("mark.before", i, len(all)))
		}
	}
	return nil
}

// cancelMarked cancels runs. One that has ended meanwhile is as it should be.
func cancelMarked(v *visit) (string, error) {
	all, err := v.marked("run")
	if err != nil {
		return "", err
	}
	err = v.eachMarked(all, func(id string) error {
		err := v.site.o.Work.Cancel(v.Context(), v.Actor, mgx.RunID(id), v.text("reason"))
		if mgx.IsCode(err, "already_ended") {
			return nil
		}
		return err
	})
	return "/tasks?" + url.Values{"done": {v.site.note(v, v.site.t("mark.cancelled", len(all)))}}.Encode(), err
}

// Mark is the value of a decision's box: what is approved with it is what was shown.
func (a waitingAsk) Mark() string {
	return url.Values{"run": {string(a.Run.ID)}, "approval": {a.ID}, "hash": {a.Hash}}.Encode()
}

// MarkID names the box, differently when something else is asked.
func (a waitingAsk) MarkID() int { return numberOf(a.Mark()) }

func approveMarked(v *visit) (string, error) {
	all, err := v.marked("ask")
	if err != nil {
		return "", err
	}
	err = v.eachMarked(all, func(mark string) error {
		q, err := url.ParseQuery(mark)
		if err != nil || q.Get("run") == "" || q.Get("approval") == "" || q.Get("hash") == "" {
			return mgx.Errorf(mgx.KindUsage, "bad_decision", "The form does not say what was decided on; open the approvals again.")
		}
		return v.site.o.Work.Decide(v.Context(), v.Actor, mgx.RunID(q.Get("run")), app.Answer{Approval: q.Get("approval"), Hash: q.Get("hash"), Approved: true})
	})
	return "/approvals?" + url.Values{"done": {v.site.note(v, v.site.t("mark.approved", len(all)))}}.Encode(), err
}

// doneNotice says once what was done with what was marked.
func (v *visit) doneNotice() *notice {
	text, said := v.site.notes.take(v.noteKey(v.URL.Query().Get("done")))
	if !said || text == "sent" {
		return nil
	}
	return &notice{Tone: "info", Text: text}
}

// markable are the runs of a list that the reader may cancel.
func (v *visit) markable(runs []mgx.RunInfo) map[mgx.RunID]bool {
	can := map[mgx.RunID]bool{}
	for _, r := range runs {
		if !r.Status.Ended() && v.mayDo(r).Cancel {
			can[r.ID] = true
		}
	}
	return can
}

// AnyMark reports whether there is a decision that can be approved with others: one
// that asks for leave, of a reader who may give it.
func (d *inbox) AnyMark() bool {
	return slices.ContainsFunc(d.Asks, waitingAsk.Markable)
}

// Markable reports whether that is so of one.
func (a waitingAsk) Markable() bool { return a.May.Decide && !a.Question() }
