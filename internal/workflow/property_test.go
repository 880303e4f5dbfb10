package workflow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/workflow"
	"pgregory.net/rapid"
)

// node is a workflow as a tree; the workflow "main" interprets it.
type node struct {
	Do    string `json:"do"` // step, fail, sleep, await, list, parallel, child
	Name  string `json:"name"`
	Parts []node `json:"parts,omitempty"`
}

// want is what a node returns when nothing ever goes wrong.
func (n node) want() string {
	switch n.Do {
	case "step", "await":
		return n.Name
	case "fail":
		return "!" + n.Name
	case "sleep":
		return "z"
	}
	var parts []string
	for _, p := range n.Parts {
		parts = append(parts, p.want())
	}
	return "(" + strings.Join(parts, " ") + ")"
}

func (n node) signals() (names []string) {
	if n.Do == "await" {
		names = append(names, n.Name)
	}
	for _, p := range n.Parts {
		names = append(names, p.signals()...)
	}
	return names
}

// play is the workflow: it does what the node says.
func play(c *workflow.Context, n node, f *effects) (string, error) {
	switch n.Do {
	case "step", "fail":
		got, err := workflow.Step(c, n.Name, n, func(s *workflow.StepContext) (string, error) {
			f.add(s)
			if n.Do == "fail" {
				return "", mgx.Errorf(mgx.KindProvider, "planned", "planned")
			}
			return n.Name, nil
		})
		if mgx.IsCode(err, "planned") {
			return "!" + n.Name, nil
		}
		return got, err
	case "sleep":
		return "z", workflow.Sleep(c, n.Name, time.Minute)
	case "await":
		return workflow.Await[string](c, n.Name, 0)
	case "child":
		return workflow.Child[node, string](c, n.Name, "main", node{Do: "list", Parts: n.Parts})
	}
	parts := make([]string, len(n.Parts))
	var branches []func(*workflow.Context) error
	for i, p := range n.Parts {
		branches = append(branches, func(c *workflow.Context) (err error) { parts[i], err = play(c, p, f); return err })
	}
	if n.Do == "parallel" {
		if err := workflow.Parallel(c, branches...); err != nil {
			return "", err
		}
	} else {
		for _, b := range branches {
			if err := b(c); err != nil {
				return "", err
			}
		}
	}
	return "(" + strings.Join(parts, " ") + ")", nil
}

// tree draws a workflow; every name in it is used once. Children hold no
// awaits: their ids are not known to the test.
func tree(rt *rapid.T, depth int, child bool, count *int) node {
	leaves, all := []string{"step", "step", "fail", "sleep", "await"}, []string{"list", "parallel", "child"}
	if child {
		leaves = leaves[:4]
	}
	kinds := leaves
	if depth > 0 {
		kinds = append(append(kinds[:len(kinds):len(kinds)], all...), all...)
	}
	*count++
	n := node{Do: rapid.SampledFrom(kinds).Draw(rt, "do"), Name: fmt.Sprint("n", *count)}
	if n.Do == "list" || n.Do == "parallel" || n.Do == "child" {
		for range rapid.IntRange(0, 3).Draw(rt, "parts") {
			n.Parts = append(n.Parts, tree(rt, depth-1, child || n.Do == "child", count))
		}
	}
	return n
}

// Whatever the workflow, and however often its process dies, it ends with the
// same result, no recorded step runs again, and the journal replays.
func TestAnyTreeSurvivesAnyCrashes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		count := 0
		root := node{Do: "list", Parts: []node{tree(rt, 3, false, &count), tree(rt, 3, false, &count)}}
		crashes := rapid.SliceOfN(rapid.IntRange(1, 12), 0, 5).Draw(rt, "commits before each crash")
		after := rapid.Bool().Draw(rt, "crash after the commit")
		held := rapid.IntRange(0, 3).Draw(rt, "signals held back")
		var problem string
		synctest.Test(t, func(t *testing.T) { problem = survive(t, root, crashes, after, held) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func survive(t *testing.T, root node, crashes []int, after bool, held int) string {
	b := newBench(t)
	defer b.store.Close()
	f := &effects{}
	process := func(i int, s workflow.Store) *workflow.Engine {
		owner := fmt.Sprint("process-", i)
		e := workflow.New(s, workflow.Options{Owner: owner, Alive: func(o string) bool { return o == owner }})
		workflow.Register(e, "main", func(c *workflow.Context, n node) (string, error) { return play(c, n, f) })
		return e
	}
	last := process(len(crashes), b.store)
	b.startAs(last, root, time.Time{})
	signals := root.signals()
	held = min(held, len(signals))
	send := func(names []string) {
		for _, name := range names {
			last.Signal(t.Context(), b.root, name, name)
		}
	}
	send(signals[held:])
	for i, k := range crashes {
		process(i, newMortal(b.store, k, after)).Drive(t.Context(), b.run, b.root)
	}
	if held > 0 {
		if x := b.driveBy(last); x.Status != mgx.ExecWaiting {
			return fmt.Sprintf("without %v the root is %s, want waiting", signals[:held], x.Status)
		}
		send(signals[:held])
	}
	x := b.driveBy(last)
	want, _ := json.Marshal(root.want())
	if string(x.Result) != string(want) {
		return fmt.Sprintf("status %s, failure %v, result %s, want %s", x.Status, x.Failure, x.Result, want)
	}
	if n := f.repeats(); n > len(crashes)*widest(root) {
		return fmt.Sprintf("%d repeats with %d crashes: %v", n, len(crashes), f.n)
	}
	if len(crashes) == 0 && f.repeats() > 0 {
		return fmt.Sprintf("repeats without a crash: %v", f.n)
	}
	report, err := last.Replay(t.Context(), b.root)
	if err != nil || !report.Identical {
		return fmt.Sprintf("replay: %v, difference %+v", err, report.Difference)
	}
	return ""
}

// widest is how many steps can be under way at once, and so be caught by one
// crash.
func widest(n node) int {
	if len(n.Parts) == 0 {
		return 1
	}
	w := 0
	for _, p := range n.Parts {
		if n.Do == "parallel" {
			w += widest(p)
		} else {
			w = max(w, widest(p))
		}
	}
	return max(w, 1)
}
