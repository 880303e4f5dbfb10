package team

import (
	"testing"

	"mgx"
)

func TestWhatIsHandedOverIsFit(t *testing.T) {
	t.Parallel()
	r := &run{prep: prepared{Secret: "s"}, in: Input{Task: mgx.TaskInfo{Description: "as https://docs.example/x says"}}}
	in := `{"summary":"a\u202eb\u001b[31m ![x](http://evil.example/p) https://docs.example/x","line":1234567890123,"findings":[{"title":"<img src=x>"}],"ok":true}`
	want := `{"findings":[{"title":"\u003c img src=x\u003e"}],"line":1234567890123,"ok":true,"summary":"ab ![x](http[:]//evil.example/p) https://docs.example/x"}`
	if got, err := r.fit([]byte(in)); err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	plan := mgx.Plan{Goal: "g", Steps: []mgx.PlanStep{{Text: "see\u202e http://evil.example/p", Status: "todo"}}}
	if got := r.fitPlan(plan); got.Steps[0].Text != "see http[:]//evil.example/p" || got.Steps[0].Status != "todo" || got.Goal != "g" {
		t.Errorf("a plan that was changed: %+v", got)
	}
	if plan.Steps[0].Text == r.fitText(plan.Steps[0].Text) {
		t.Error("the agent's own plan was changed")
	}
	if got, err := (&run{}).fit([]byte(in)); err != nil || string(got) != in {
		t.Errorf("a journal from before: %s, %v", got, err)
	}
}
