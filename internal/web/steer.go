package web

import (
	"net/url"

	"mgx"
)

// What people do to a run while it is under way: say something to it, have it stand
// still, have it go on. Each goes back to the run.

// SayKey makes what the form says one message, however often it is sent: it is
// another one with every page.
func (d *runPage) SayKey() string { return mgx.NewID[string]("say") }

func steerRun(v *visit) (string, error) {
	id := mgx.RunID(v.PathValue("run"))
	return runPath(id), v.site.o.Work.Steer(v.Context(), v.Actor, id, v.text("words"), v.text("key"))
}

func pauseRun(v *visit) (string, error) {
	id := mgx.RunID(v.PathValue("run"))
	return runPath(id), v.site.o.Work.Pause(v.Context(), v.Actor, id, v.text("reason"))
}

func continueRun(v *visit) (string, error) {
	id := mgx.RunID(v.PathValue("run"))
	return runPath(id), v.site.o.Work.Continue(v.Context(), v.Actor, id)
}

func runPath(id mgx.RunID) string { return "/runs/" + url.PathEscape(string(id)) }
