package team

import (
	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/workflow"
)

// emitLimit tells the operator of a limit that a command reached, if it did.
func emitLimit(s *workflow.StepContext, d mgx.LimitReachedData, limit sandbox.Limit) {
	if limit == "" {
		return
	}
	d.Limit, d.Sandbox = string(limit), string(s.Scope().Run)
	s.Emit(s.Scope().Event(mgx.RunLimitReached, d))
}
