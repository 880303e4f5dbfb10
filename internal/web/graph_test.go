package web

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mgx/internal/app"
)

// stepsOf makes steps of "name begin end", in seconds; no end: it runs.
func stepsOf(specs ...[3]any) (steps []app.StepInfo, now time.Time) {
	zero := time.Date(2025, 3, 14, 9, 0, 0, 0, time.UTC)
	for _, s := range specs {
		one := app.StepInfo{Name: s[0].(string), State: "done", StartedAt: zero.Add(time.Duration(s[1].(int)) * time.Second)}
		if end := s[2].(int); end >= 0 {
			one.EndedAt = zero.Add(time.Duration(end) * time.Second)
		} else {
			one.State = "running"
		}
		steps = append(steps, one)
	}
	return steps, zero.Add(time.Minute)
}

// Steps in a row are one stretch, what comes back is another, and what runs beside
// each other stays together.
func TestStretches(t *testing.T) {
	t.Parallel()
	steps, now := stepsOf(
		[3]any{"check/1", 0, 1}, [3]any{"check/2", 1, 2}, [3]any{"work/1", 2, 4}, [3]any{"check/3", 4, 5},
		[3]any{"left/1", 5, 8}, [3]any{"right/1", 5, 9}, [3]any{"left/2", 8, 10}, [3]any{"right/2", 9, 11}, [3]any{"end/1", 11, -1},
	)
	var got []string
	all := stretches(steps, now)
	for i, s := range all {
		got = append(got, fmt.Sprint(s.key, s.steps, after(all, i), s.state()))
	}
	want := []string{"check2 []done", "work1 [0]done", "check1 [1]done", "left2 [2]done", "right2 [2]done", "end1 [3 4]running"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// However nodes come after each other, also in circles, each is drawn once, right of
// those before it where that can be, and none on another.
func TestLayOut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		acyclic := rapid.Bool().Draw(t, "acyclic")
		nodes := make([]graphNode, n)
		for i := range nodes {
			for range rapid.IntRange(0, 3).Draw(t, "many") {
				before := rapid.IntRange(-1, n).Draw(t, "before")
				if acyclic && before >= i {
					continue
				}
				nodes[i].After = append(nodes[i].After, before)
			}
		}
		g := layOut(nodes)
		places := map[[2]int]bool{}
		for i, a := range g.Nodes {
			if a.X < 0 || a.Y < 0 || a.X+nodeWidth > g.Width || a.Y+nodeHeight > g.Height {
				t.Fatalf("node %d is outside: %+v of %dx%d", i, a, g.Width, g.Height)
			}
			if places[[2]int{a.X, a.Y}] {
				t.Fatalf("node %d lies on another", i)
			}
			places[[2]int{a.X, a.Y}] = true
			for _, before := range a.After {
				if acyclic && before >= 0 && before < n && g.Nodes[before].X >= a.X {
					t.Fatalf("node %d is not right of %d", i, before)
				}
			}
		}
	})
}

// Very many stretches are few nodes.
func TestGraphIsBounded(t *testing.T) {
	t.Parallel()
	var specs [][3]any
	for i := range 5000 {
		specs = append(specs, [3]any{fmt.Sprintf("s%d/1", i%7), i, i + 1})
	}
	steps, now := stepsOf(specs...)
	v := &visit{site: &site{words: catalogue()}}
	g := v.graphOf(app.ExecutionSteps{Steps: steps}, now.Add(2*time.Hour))
	if len(g.Nodes) != mostNodes || len(g.Edges) != mostNodes-1 {
		t.Errorf("%d nodes, %d edges", len(g.Nodes), len(g.Edges))
	}
	if v.graphOf(app.ExecutionSteps{}, now) != nil {
		t.Error("no steps have a graph")
	}
}
