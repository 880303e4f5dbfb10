package workflow

import (
	"fmt"

	"mgx"
)

// maxBranches bounds one call of Parallel.
const maxBranches = 1000

// Parallel runs branches at the same time and returns when all have ended, with
// the error of the first, in their order, that failed. Each branch has its own
// Context, and its steps are named "p<call>.<branch>/…", both counted from 1. A
// branch that waits holds up no other; the execution parks when all that are
// left do.
func Parallel(c *Context, branches ...func(*Context) error) error {
	defer c.enter()()
	c.groups++
	if len(branches) == 0 {
		return nil
	}
	if len(branches) > maxBranches {
		c.claim.fail(mgx.Errorf(mgx.KindInternal, "too_many_branches", "Parallel was given %d branches; the limit is %d", len(branches), maxBranches))
	}
	g := &group{claim: c.claim, open: len(branches), done: make(chan struct{}), errs: make([]error, len(branches))}
	c.claim.fork(len(branches))
	for i, branch := range branches {
		go g.run(i, branch, newContext(c.claim, fmt.Sprintf("%sp%d.%d/", c.prefix, c.groups, i+1)))
	}
	<-g.done
	return g.outcome()
}

// group is one call of Parallel.
type group struct {
	claim *claim
	done  chan struct{} // closed when all branches have ended or were left
	errs  []error       // one for each branch

	// Guarded by claim.mu:
	open int  // branches that have not ended
	left bool // one was unwound
}

func (g *group) run(i int, branch func(*Context) error, c *Context) {
	defer g.join()
	left, crash := g.claim.caught("a branch of workflow "+g.claim.x.Workflow, func() { g.errs[i] = branch(c) })
	if crash != nil {
		g.claim.stop(failed(crash))
	}
	if left || crash != nil {
		g.claim.mu.Lock()
		defer g.claim.mu.Unlock()
		g.left = true
	}
}

// fork counts n branches as active in place of the one that starts them.
func (c *claim) fork(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active += n - 1
}

// join counts a branch as ended; the last one hands over to the branch that
// started the group.
func (g *group) join() {
	g.claim.mu.Lock()
	defer g.claim.mu.Unlock()
	if g.open--; g.open > 0 {
		g.claim.rest()
		return
	}
	close(g.done)
}

func (g *group) outcome() error {
	g.claim.mu.Lock()
	defer g.claim.mu.Unlock()
	if g.left {
		g.claim.leave()
	}
	for _, err := range g.errs {
		if err != nil {
			return err
		}
	}
	return nil
}
