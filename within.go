package mgx

import "context"

type withinKey struct{}

// InWorkspace returns a context in which everything is asked on behalf of one
// workspace: a database that can then shows nothing of any other, whatever is
// asked. An empty one is none, and sees nothing. Whoever finds out who asks says so
// at once, in one place; access.With does.
func InWorkspace(ctx context.Context, ws WorkspaceID) context.Context {
	return context.WithValue(ctx, withinKey{}, &ws)
}

// ForInstallation returns a context in which what is asked is the installation's
// own affair: people and their sessions, who is member of what, the upkeep of the
// log. Whoever calls it must have decided that it may be asked.
func ForInstallation(ctx context.Context) context.Context {
	if _, within := WorkspaceOf(ctx); !within {
		return ctx
	}
	return context.WithValue(ctx, withinKey{}, (*WorkspaceID)(nil))
}

// WorkspaceOf returns on behalf of which workspace something is asked; within is
// false when it is the installation's own affair.
func WorkspaceOf(ctx context.Context) (ws WorkspaceID, within bool) {
	p, _ := ctx.Value(withinKey{}).(*WorkspaceID)
	if p == nil {
		return "", false
	}
	return *p, true
}
