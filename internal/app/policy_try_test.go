package app_test

import (
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/app"
)

// A trial that would take minutes is refused before it is begun, and what people try
// is not.
func TestTrialsAreBounded(t *testing.T) {
	t.Parallel()
	call := app.TryCall{Call: app.Call{Tool: "shell", Effect: "execute", Command: "make", Paths: slices.Repeat([]string{"a/b/c.go"}, 100)}}
	if _, err := (app.Trial{}).TryAll("auto", "", slices.Repeat([]app.TryCall{call}, app.MostTried)); err != nil {
		t.Error(err)
	}
	long := strings.Repeat("deny path "+strings.Repeat("**/a/", 25)+"b\n", 400)
	call.Paths = slices.Repeat([]string{strings.Repeat("a/", 60)}, 1000)
	if _, err := (app.Trial{}).TryAll("", long, slices.Repeat([]app.TryCall{call}, 6)); !mgx.IsCode(err, "bad_trial") {
		t.Errorf("many: %v", err)
	}
	if _, err := (app.Trial{}).Try("", long, call.Call); !mgx.IsCode(err, "bad_trial") {
		t.Errorf("one: %v", err)
	}
}
