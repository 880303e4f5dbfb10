package store

import (
	"context"

	"mgx"
)

// PlanWorkErasure says what EraseWork would erase.
func (s *Store) PlanWorkErasure(ctx context.Context, ws mgx.WorkspaceID, w mgx.Work) (mgx.WorkErasure, error) {
	plan, err := s.PlanErasure(ctx, Subject{ws, w.Task, w.Run})
	return plan.work(), err
}

// EraseWork is Erase of a task with its runs, or of a run.
func (s *Store) EraseWork(ctx context.Context, by mgx.Doer, w mgx.Work) (mgx.WorkErasure, error) {
	done, err := s.Erase(ctx, Subject{by.Workspace, w.Task, w.Run}, by.Actor)
	return done.work(), err
}

// ExportWork is Export of a task with its runs, or of a run.
func (s *Store) ExportWork(ctx context.Context, ws mgx.WorkspaceID, w mgx.Work, each func(kind string, record any) error) error {
	return s.Export(ctx, Subject{ws, w.Task, w.Run}, each)
}

// work is an erasure without the words of what goes.
func (e Erasure) work() mgx.WorkErasure {
	w := mgx.WorkErasure{Task: e.Task, Events: e.Events}
	for _, run := range e.Runs {
		w.Runs = append(w.Runs, run.ID)
		if run.Branch != "" {
			w.Delivered = append(w.Delivered, mgx.DeliveredBranch{Run: run.ID, Repo: run.Repo.Path, Branch: run.Branch})
		}
	}
	for _, fork := range e.Forks {
		w.Forks = append(w.Forks, fork.ID)
	}
	return w
}
