package app

import (
	"context"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/team"
)

// Bounds of what people say to a run.
const (
	maxMessage  = 16 << 10 // bytes
	maxMessages = 200
)

// Steer says something to a run that is under way. The agent that leads hears it
// before its next turn, and whoever leads after it is told with the task. With a
// key it is said once.
func (w *Work) Steer(ctx context.Context, actor access.Actor, id mgx.RunID, words, key string) error {
	run, err := w.underWay(ctx, actor, id)
	if err != nil {
		return err
	}
	words = strings.TrimSpace(words)
	switch {
	case words == "":
		return mgx.Errorf(mgx.KindUsage, "empty_message", "the message is empty; say what the run should know")
	case len(words) > maxMessage:
		return mgx.Errorf(mgx.KindUsage, "message_too_long", "a message has at most %d bytes, and this one %d; put details into a file of the repository and name it", maxMessage, len(words))
	case run.Messages >= maxMessages:
		return mgx.Errorf(mgx.KindUsage, "too_many_messages", "run %s got %d messages, which is the most; fork it to go on with another task", run.ID, run.Messages)
	case len(key) > maxKey:
		return mgx.Errorf(mgx.KindUsage, "bad_query", "an Idempotency-Key has at most %d bytes", maxKey)
	}
	if key == "" {
		key = mgx.NewID[string]("msg")
	}
	by := whoActs(actor)
	return w.reach(ctx, run, team.MessageSignal, team.Message{Text: words, By: by},
		mgx.RunMessageSent, mgx.MessageSentData{Text: words, By: by},
		act(actor, "run.steer", string(run.ID), map[string]any{"bytes": len(words)}, string(run.Execution), "message", key))
}

// Pause has a run stand still before its next model turn or tool call, until
// Continue. Its deadline does not move. Pausing what is paused changes nothing.
func (w *Work) Pause(ctx context.Context, actor access.Actor, id mgx.RunID, reason string) error {
	run, err := w.underWay(ctx, actor, id)
	if err != nil || run.Paused != nil {
		return err
	}
	if reason = strings.TrimSpace(reason); len(reason) > maxReason {
		return mgx.Errorf(mgx.KindUsage, "bad_reason", "a reason has at most %d bytes", maxReason)
	}
	return w.reach(ctx, run, team.PauseSignal, struct{}{},
		mgx.RunPaused, mgx.PausedData{By: whoActs(actor), Reason: reason},
		act(actor, "run.pause", string(run.ID), map[string]any{"reason": reason}, string(run.Execution), "pause", strconv.Itoa(run.Pauses)))
}

// Continue lets a run go on that is paused. It changes nothing when it is not.
func (w *Work) Continue(ctx context.Context, actor access.Actor, id mgx.RunID) error {
	run, err := w.underWay(ctx, actor, id)
	if err != nil || run.Paused == nil {
		return err
	}
	return w.reach(ctx, run, team.ContinueSignal, struct{}{},
		mgx.RunContinued, mgx.ContinuedData{By: whoActs(actor)},
		act(actor, "run.continue", string(run.ID), nil, string(run.Execution), "continue", strconv.Itoa(run.Pauses)))
}

// underWay is a run that can still be reached, for an actor who may change it.
func (w *Work) underWay(ctx context.Context, actor access.Actor, id mgx.RunID) (mgx.RunInfo, error) {
	run, err := w.run(ctx, actor, "update", id)
	if err == nil && run.Status.Ended() {
		err = mgx.Errorf(mgx.KindUsage, "already_ended", "run %s has ended already: %s; fork it to go on from a moment of it", run.ID, run.Status)
	}
	return run, err
}

// reach sends a signal with the event that tells of it and the audit's entry, which
// makes it once: of two who do the same at the same time the second changes nothing.
func (w *Work) reach(ctx context.Context, run mgx.RunInfo, signal string, payload any, told mgx.EventType, data any, audit mgx.Event) error {
	scope := mgx.Scope{Workspace: run.Workspace, Project: mgx.ProjectOf(run.Repo.Path), Task: run.Task.ID, Run: run.ID, User: run.User, Execution: run.Execution}
	err := w.o.Engine.Signal(ctx, run.Execution, signal, payload, scope.Event(told, data), audit)
	if mgx.IsCode(err, mgx.CodeConflict) {
		return nil
	}
	return err
}
