package team

import (
	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/workflow"
)

// emitLimit tells the operator of a limit that a command reached, if it did.
func emitLimit(s *workflow.StepContext, d mgx.LimitReachedData, reached sandbox.Reached) {
	if reached.Limit == "" {
		return
	}
	d.Limit, d.Setting, d.Quota, d.Told = string(reached.Limit), reached.Setting, reached.Quota, reached.Told
	d.Sandbox = string(s.Scope().Run)
	s.Emit(s.Scope().Event(mgx.RunLimitReached, d))
}
