package api

import (
	"context"

	"mgx"
	"mgx/internal/app"
)

// steerRoutes are how people reach into a run that is under way.
func (s *Server) steerRoutes() []route {
	const runs = "Runs"
	return []route{
		op("POST /api/v1/runs/{id}/messages", to("update", "runs"), with(s.work, steerRun), about{
			ID: "steerRun", Group: runs, Short: "Say something to a run that is under way", Status: 202,
			Long:  "The agent that leads hears it before its next turn, and whoever leads after it is told with the task. With an Idempotency-Key it is said once.",
			Codes: codes{"already_ended": 400, "empty_message": 400, "message_too_long": 400, "too_many_messages": 400},
		}, finer),
		op("POST /api/v1/runs/{id}/pause", to("update", "runs"), with(s.work, pauseRun), about{
			ID: "pauseRun", Group: runs, Short: "Have a run stand still before its next turn or tool call", Status: 202,
			Long:  "What is being done is finished first. The run's deadline does not move. Asking again changes nothing.",
			Codes: codes{"already_ended": 400, "bad_reason": 400},
		}, finer),
		op("POST /api/v1/runs/{id}/continue", to("update", "runs"), with(s.work, continueRun), about{
			ID: "continueRun", Group: runs, Short: "Let a run go on that is paused", Status: 202,
			Long: "One that is not paused is left as it is.", Codes: codes{"already_ended": 400},
		}, finer),
	}
}

type steerIn struct {
	At[mgx.RunID]
	Body struct {
		Text string `json:"text" doc:"What the run should know" minLength:"1" maxLength:"16384" example:"Keep the old flag as an alias."`
	} `nameHint:"Message"`
}

func steerRun(ctx context.Context, w *app.Work, in *steerIn) (*none, error) {
	return &none{}, w.Steer(ctx, actor(ctx), in.ID, in.Body.Text, requestOf(ctx).Header.Get(keyHeader))
}

type pauseIn struct {
	At[mgx.RunID]
	Body struct {
		Reason string `json:"reason,omitempty" doc:"Why, for the record" maxLength:"16384"`
	} `nameHint:"Pause"`
}

func pauseRun(ctx context.Context, w *app.Work, in *pauseIn) (*none, error) {
	return &none{}, w.Pause(ctx, actor(ctx), in.ID, in.Body.Reason)
}

func continueRun(ctx context.Context, w *app.Work, in *At[mgx.RunID]) (*none, error) {
	return &none{}, w.Continue(ctx, actor(ctx), in.ID)
}
