package agent

import (
	"crypto/sha256"
	"fmt"

	"mgx/internal/llm"
	"mgx/internal/tool"
)

// observation is what the watch keeps of one call: digests of what was asked and
// what came back.
type observation struct {
	name   string
	ask    [32]byte
	answer [32]byte
	failed bool
	tree   string
}

func observe(call llm.ToolCall, r tool.Result, tree string) observation {
	return observation{
		name:   call.Name,
		ask:    sha256.Sum256([]byte(call.Name + "\x00" + call.Args)),
		answer: sha256.Sum256([]byte(string(r.Status) + "\x00" + r.Text)),
		failed: r.Status != tool.Success,
		tree:   tree,
	}
}

func (o observation) same(p observation) bool { return o.ask == p.ask && o.answer == p.answer }

// watch notices an agent that goes in circles. It looks at what happened since
// the files last changed, since a changed world makes the same call a new one.
type watch struct {
	seen   []observation
	tree   string
	silent int // turns in a row without a call
	warned int // warnings since the last progress
}

// The windows. A pattern seen this often earns a warning; seen again after
// that, it ends the run.
const (
	sameLimit      = 3 // the same call with the same result
	errorLimit     = 3 // the same failure, whatever was asked
	pingPongLimit  = 6 // calls alternating between two, three rounds
	monologueLimit = 3 // turns without a call
	windowSize     = 20
)

func (w *watch) reset() { *w = watch{tree: w.tree} }

// note takes in a turn's calls and returns what is wrong, if anything.
func (w *watch) note(batch []observation) string {
	w.silent = 0
	for _, o := range batch {
		if o.tree != "" && o.tree != w.tree {
			w.tree = o.tree
			w.seen, w.warned = nil, 0
		}
		w.seen = append(w.seen, o)
	}
	if len(w.seen) > windowSize {
		w.seen = w.seen[len(w.seen)-windowSize:]
	}
	return w.pattern()
}

func (w *watch) monologue() string {
	if w.silent++; w.silent >= monologueLimit {
		return fmt.Sprintf("%d answers in a row called no tool", w.silent)
	}
	return ""
}

func (w *watch) pattern() string {
	if len(w.seen) == 0 {
		return ""
	}
	last := w.seen[len(w.seen)-1]
	same, failed := 0, 0
	for i := len(w.seen) - 1; i >= 0; i-- {
		if w.seen[i].same(last) {
			same++
		}
	}
	for i := len(w.seen) - 1; i >= 0 && last.failed && w.seen[i].failed && w.seen[i].answer == last.answer; i-- {
		failed++
	}
	switch {
	case same >= sameLimit:
		return fmt.Sprintf("the same %s call gave the same result %d times", clip(last.name, 40), same)
	case failed >= errorLimit:
		return fmt.Sprintf("the same error came back %d times in a row", failed)
	case w.pingPong():
		return "two calls alternate without anything changing"
	}
	return ""
}

func (w *watch) pingPong() bool {
	n := len(w.seen)
	if n < pingPongLimit {
		return false
	}
	tail := w.seen[n-pingPongLimit:]
	if tail[0].same(tail[1]) {
		return false
	}
	for i := 2; i < len(tail); i++ {
		if !tail[i].same(tail[i-2]) {
			return false
		}
	}
	return true
}

// supervise looks at a turn's calls for signs of being stuck.
func (c *Conversation) supervise(b batch) error { return c.judge(c.seen.note(b.seen)) }

// judge warns the agent the first time something is wrong and ends the run when
// it goes on.
func (c *Conversation) judge(problem string) error {
	if problem == "" {
		return nil
	}
	c.seen.warned++
	if c.seen.warned > 2 {
		return ended("stuck", "the %s is stuck: %s, also after warnings", c.spec.Role, problem)
	}
	c.say(Piece{Label: c.label, Text: fmt.Sprintf("You seem to be stuck: %s. Do something different: read the latest output again, question your assumption, or try another way. If it cannot be done, call %s and say why. (warning %d of 2)",
		problem, c.spec.Finish.Name, c.seen.warned)})
	return c.host.Warn(c.step("stuck"), fmt.Sprintf("%s: %s; warned", c.spec.Role, problem))
}
