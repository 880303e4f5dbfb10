package app

import (
	"testing"
	"time"

	"mgx"
)

// A sign-in comes back in time, to the browser and from the provider with which it
// began, and as it was.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	now := time.Now()
	u := underWay{Provider: "corp", Next: "/runs", Until: now.Add(time.Minute)}
	state, err := u.seal("kept")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := opened("kept", state, "corp", now); err != nil || got.Next != "/runs" {
		t.Errorf("%+v %v", got, err)
	}
	if again, err := u.seal("kept"); err != nil || again == state {
		t.Errorf("two are %s, %v", again, err)
	}
	late := now.Add(time.Minute)
	for what, c := range map[string]struct {
		keep, state, provider string
		at                    time.Time
	}{
		"in another browser": {"other", state, "corp", now}, "in one that keeps nothing": {"", state, "corp", now}, "from another provider": {"kept", state, "other", now}, "too late": {"kept", state, "corp", late},
		"changed": {"kept", "A" + state[1:], "corp", now}, "cut off": {"kept", state[:20], "corp", now}, "nothing": {"kept", "", "corp", now}, "nonsense": {"kept", "%", "corp", now},
	} {
		if state[0] == 'A' && what == "changed" {
			c.state = "B" + state[1:]
		}
		if got, err := opened(c.keep, c.state, c.provider, c.at); !mgx.IsCode(err, mgx.CodeTokenUnknown) || got.Next != "" {
			t.Errorf("%s: %+v %v", what, got, err)
		}
	}
}
