package event

import (
	"testing"

	"mgx"
)

func TestCheckStored(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for name, c := range map[string]struct {
		spoil func(*mgx.Event)
		code  string
	}{
		"as written":       {func(*mgx.Event) {}, ""},
		"erased":           {func(e *mgx.Event) { e.Data = mgx.Tombstone }, ""},
		"an unknown type":  {func(e *mgx.Event) { e.Type = "run.imagined" }, CodeUnknownType},
		"of no version":    {func(e *mgx.Event) { e.Version = "7.0.0" }, CodeUnknownVersion},
		"other data":       {func(e *mgx.Event) { e.Data = []byte(`{"level":1}`) }, CodeBadEvent},
		"another envelope": {func(e *mgx.Event) { e.Traceparent = "x" }, CodeBadEvent},
		"an earlier version": {func(e *mgx.Event) {
			e.Type, e.Version, e.Data = mgx.WorkflowCompleted, "1.0.0", []byte(`{"status":"done","steps":1}`)
		}, ""},
		"later data in an earlier version": {func(e *mgx.Event) {
			e.Type, e.Version, e.Data = mgx.WorkflowCompleted, "1.0.0", []byte(`{"status":"done","steps":1,"duration_ms":3}`)
		}, CodeBadEvent},
	} {
		e := sample(mgx.RunNoted, []byte(`{"level":"info","text":"x"}`))
		e.Version = "1.0.0"
		c.spoil(&e)
		err := r.CheckStored(e)
		if err == nil && c.code != "" || err != nil && !mgx.IsCode(err, c.code) {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
}
