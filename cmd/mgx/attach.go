package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/team"
	"mgx/internal/ui"
)

// attach works on a run in this process and shows its progress until it ends or
// waits for a person who is not here.
func (c *cli) attach(ctx context.Context, n *node, run mgx.Run) error {
	start := time.Now()
	watch := c.watch(ctx, n, run)
	defer watch.close(n, c.err)
	err := c.drive(ctx, n, run, watch)
	watch.drain(n, run)
	watch.close(n, c.err)
	after, readErr := n.store.Run(context.WithoutCancel(ctx), run.Workspace, run.ID)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	return c.conclude(ctx, ownRuns{n}, after, time.Since(start))
}

// drive works on the run, putting what it waits for to the person at the
// terminal, if there is one.
func (c *cli) drive(ctx context.Context, n *node, run mgx.Run, watch *watcher) error {
	for {
		if _, err := n.engine.Drive(ctx, run.ID, run.Execution); err != nil {
			return err
		}
		now, err := n.store.Run(ctx, run.Workspace, run.ID)
		if err != nil {
			return err
		}
		if now.Status != mgx.RunWaiting || !c.terminal() || len(now.Pending()) == 0 {
			return nil
		}
		watch.drain(n, run)
		decided, err := c.prompt(ctx, ownRuns{n}, now, watch)
		if err != nil || !decided {
			return err
		}
	}
}

// watcher shows a run's events as they come: progress for people on stderr, or
// envelopes on stdout with --json.
type watcher struct {
	progress *ui.Progress // nil with --json
	out      io.Writer
	seen     atomic.Int64 // sequence shown last
	stop     context.CancelFunc
	done     chan struct{}
}

// display makes a watcher of a run that is shown nothing yet.
func (c *cli) display(run mgx.Run, o ui.Options) *watcher {
	w := &watcher{out: c.out, stop: func() {}, done: make(chan struct{})}
	if !c.json {
		w.progress = ui.New(c.err, o)
	}
	// A resumed run was shown before, by whoever started it.
	if run.Status != mgx.RunQueued {
		w.seen.Store(run.Sequence)
		if w.progress != nil {
			w.progress.Seed(run)
		}
	}
	return w
}

// watch shows a run that this process works on.
func (c *cli) watch(ctx context.Context, n *node, run mgx.Run) *watcher {
	w := c.display(run, ui.Options{})
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	if w.progress != nil {
		n.logTo.set(w.progress)
		if c.cfg.LogLevel == slog.LevelWarn {
			n.callLevel.Set(slog.LevelError) // the progress tells of calls that failed
		}
		n.deltas = func(_ mgx.RunID, d team.Delta) {
			w.said(d.Text, d.Again)
			if d.Failed != "" {
				w.said("\n"+d.Failed+"; trying again\n", false)
			}
		}
	}
	go func() {
		defer close(w.done)
		for e, err := range event.Follow(ctx, n.store, event.FollowQuery{Workspace: run.Workspace, Run: run.ID}) {
			if err != nil {
				return
			}
			if e.Stream == mgx.StreamID(run.ID) && e.Sequence > w.seen.Load() {
				w.show(e)
			}
		}
	}()
	return w
}

// said shows a piece of what a model says; again: it starts over.
func (w *watcher) said(text string, again bool) {
	if w.progress == nil {
		return
	}
	if again {
		w.progress.Delta("\n")
	}
	w.progress.Delta(text)
}

func (w *watcher) show(e mgx.Event) {
	defer w.seen.Store(e.Sequence)
	if w.progress != nil {
		w.progress.Event(e)
		return
	}
	writeJSON(w.out, e)
}

// hold keeps the progress from writing while something else does.
func (w *watcher) hold() (release func()) {
	if w.progress == nil {
		return func() {}
	}
	return w.progress.Hold()
}

// drain waits until everything that has happened is shown.
func (w *watcher) drain(n *node, of mgx.Run) {
	run, err := n.store.Run(context.Background(), of.Workspace, of.ID)
	for err == nil && w.seen.Load() < run.Sequence {
		select {
		case <-w.done:
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// close ends the display; calling it again does nothing.
func (w *watcher) close(n *node, stderr io.Writer) {
	w.stop()
	<-w.done
	n.logTo.set(stderr)
	w.end()
}

func (w *watcher) end() {
	if w.progress != nil {
		w.progress.Close()
	}
}

// conclude says how a run stands and turns that into the command's exit.
func (c *cli) conclude(ctx context.Context, r runs, run mgx.Run, elapsed time.Duration) error {
	interrupted := ctx.Err() != nil && !run.Status.Ended()
	ctx = context.WithoutCancel(ctx)
	if !c.json {
		if err := c.summarize(ctx, r, run, elapsed); err != nil {
			return err
		}
	}
	e := run.Err()
	if interrupted {
		e = mgx.Errorf(mgx.KindStopped, "interrupted", "interrupted; go on with: mgx resume %s", run.ID)
	}
	if e == nil {
		return nil
	}
	return &saidError{e}
}

func (c *cli) summarize(ctx context.Context, r runs, run mgx.Run, elapsed time.Duration) error {
	open, err := r.Open(ctx, run)
	if err != nil {
		return err
	}
	try := next(run)
	if run.Failure != nil && run.Status != mgx.RunRefused {
		steps, err := r.Steps(ctx, run)
		if err != nil {
			return err
		}
		try = append(try, fmt.Sprintf("mgx fork %s --at %d", run.ID, forkPoint(steps)))
	}
	if c.at.server != "" {
		try = slices.DeleteFunc(try, func(s string) bool { return strings.HasPrefix(s, "mgx replay ") })
	}
	for i := range try {
		try[i] += c.there()
	}
	ui.Summary(c.err, run, ui.SummaryOptions{Elapsed: elapsed, Unsettled: open, Next: try})
	if run.Status == mgx.RunDone && run.Answer != "" {
		fmt.Fprintln(c.out, ui.Text(run.Answer))
	}
	return nil
}

// next are the commands worth trying on a run as it stands.
func next(run mgx.Run) []string {
	id := string(run.ID)
	switch {
	case run.Status == mgx.RunWaiting && run.Approval != nil && run.Approval.Call == nil && strings.HasPrefix(run.Approval.Effect, team.QuestionPrefix):
		return []string{"mgx approve " + id + ` --answer "…"`, "mgx resume " + id}
	case run.Status == mgx.RunWaiting:
		return []string{"mgx show " + id, "mgx approve " + id, "mgx approve " + id + ` --reject "why"`, "mgx resume " + id}
	case !run.Status.Ended():
		return []string{"mgx resume " + id, "mgx cancel " + id}
	}
	list := []string{"mgx show " + id}
	if run.Tree != "" {
		list = append(list, "mgx diff "+id)
	}
	list = append(list, "mgx events --run "+id, "mgx replay "+id)
	return list
}

// forkPoint is the sequence from which a run that failed can be tried again: that
// of its last step with a result.
func forkPoint(steps []mgx.StepRecord) int64 {
	for _, rec := range slices.Backward(steps) {
		if rec.Failure == nil {
			return rec.Sequence
		}
	}
	return 1
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
