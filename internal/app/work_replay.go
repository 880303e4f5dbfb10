package app

import (
	"context"

	"mgx"
	"mgx/internal/access"
)

// Replay says whether the workflow's code still decides as it did in a run.
type Replay struct {
	Steps      int         `json:"steps" doc:"Records that were compared"`
	Identical  bool        `json:"identical" doc:"Every decision came out the same"`
	Difference *Difference `json:"difference,omitempty" doc:"The first that did not"`
}

// Difference is a place where the code and the journal of a run part.
type Difference struct {
	Execution mgx.ExecutionID `json:"execution" doc:"Of which execution"`
	Step      string          `json:"step" doc:"Empty: the result of the whole execution"`
	Recorded  string          `json:"recorded" doc:"What the journal has"`
	Asked     string          `json:"asked" doc:"What the code asks for now"`
}

// Replay runs the workflow code of a run again from its journal. It calls no model,
// runs no tool and writes nothing. Four are made at once, with differences; who comes
// then waits.
func (w *Work) Replay(ctx context.Context, actor access.Actor, id mgx.RunID) (Replay, error) {
	run, err := w.run(ctx, actor, "read", id)
	if err != nil {
		return Replay{}, err
	}
	if err := run.NotErased(); err != nil {
		return Replay{}, err
	}
	leave, err := w.seats.take(ctx, run.Workspace)
	if err != nil {
		return Replay{}, err
	}
	defer leave()
	report, err := w.o.Engine.Replay(ctx, run.Execution)
	out := Replay{Steps: report.Steps, Identical: report.Identical}
	if d := report.Difference; d != nil {
		out.Difference = &Difference{d.Execution, d.Step, d.Recorded, d.Asked}
	}
	return out, err
}
