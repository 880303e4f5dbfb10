package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	return c.conclude(ctx, n, after, time.Since(start))
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
		decided, err := c.prompt(ctx, n, now, watch)
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

func (c *cli) watch(ctx context.Context, n *node, run mgx.Run) *watcher {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &watcher{out: c.out, stop: stop, done: make(chan struct{})}
	if !c.json {
		w.progress = ui.New(c.err, ui.Options{})
		n.logTo.set(w.progress)
		n.deltas = func(_ mgx.RunID, d team.Delta) {
			if d.Again {
				w.progress.Delta("\n")
			}
			w.progress.Delta(d.Text)
		}
	}
	// A resumed run was shown before, by whoever started it.
	from := int64(0)
	if run.Status != mgx.RunQueued {
		from = run.Sequence
		if w.progress != nil {
			w.progress.Seed(run)
		}
	}
	w.seen.Store(from)
	go func() {
		defer close(w.done)
		for e, err := range event.Follow(ctx, n.store, event.FollowQuery{Workspace: run.Workspace, Run: run.ID}) {
			if err != nil {
				return
			}
			if e.Stream == mgx.StreamID(run.ID) && e.Sequence > w.seen.Load() {
				w.show(e)
				w.seen.Store(e.Sequence)
			}
		}
	}()
	return w
}

func (w *watcher) show(e mgx.Event) {
	if w.progress != nil {
		w.progress.Event(e)
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		fmt.Fprintf(w.out, "%s\n", line)
	}
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
	if w.progress != nil {
		n.logTo.set(stderr)
		w.progress.Close()
	}
}

// conclude says how a run stands and turns that into the command's exit.
func (c *cli) conclude(ctx context.Context, n *node, run mgx.Run, elapsed time.Duration) error {
	_, unsettled, err := n.store.Spent(context.WithoutCancel(ctx), run.ID)
	if err != nil {
		return err
	}
	if !c.json {
		try := next(run)
		if run.Failure != nil && run.Status != mgx.RunRefused {
			at, err := forkPoint(context.WithoutCancel(ctx), n, run)
			if err != nil {
				return err
			}
			try = append(try, fmt.Sprintf("mgx fork %s --at %d", run.ID, at))
		}
		ui.Summary(c.err, run, ui.SummaryOptions{Elapsed: elapsed, Unsettled: unsettled, Next: try})
		if run.Status == mgx.RunDone && run.Answer != "" {
			fmt.Fprintln(c.out, ui.Text(run.Answer))
		}
	}
	e := run.Err()
	if ctx.Err() != nil && !run.Status.Ended() {
		e = mgx.Errorf(mgx.KindStopped, "interrupted", "interrupted; go on with: mgx resume %s", run.ID)
	}
	if e == nil {
		return nil
	}
	return &saidError{e}
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
func forkPoint(ctx context.Context, n *node, run mgx.Run) (int64, error) {
	journal, err := n.store.Journal(ctx, run.Execution)
	if err != nil {
		return 0, err
	}
	for _, rec := range slices.Backward(journal) {
		if rec.Failure == nil {
			return rec.Sequence, nil
		}
	}
	return 1, nil
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
