package guard

import "sync"

// Redactors are those of an installation that serves several workspaces, which keep
// secrets of their own. What one workspace calls a secret is hidden in its own texts
// and in nobody else's: else any of them could take words out of what all others
// write and read, and see by what is missing which secrets they keep.
//
// All methods may be called at the same time.
type Redactors struct {
	own, all Redactor
	of       sync.Map // of a workspace: its *Redactor
}

// NewRedactors returns the redactors of an installation that has these secrets itself.
// None of them takes what is [Commonplace] for a secret.
func NewRedactors(secrets ...string) *Redactors {
	r := new(Redactors)
	r.own.tells, r.own.picky = &r.all, true
	r.own.add(secrets)
	return r
}

// Own hides the secrets of the installation itself. It is for whom no workspace is
// known of.
func (r *Redactors) Own() *Redactor { return &r.own }

// All hides the secrets of everybody. It is for what only who runs the installation
// reads: logs, traces, reports of errors.
func (r *Redactors) All() *Redactor { return &r.all }

// Of hides the secrets of a workspace and those of the installation, also such as
// either learns later.
func (r *Redactors) Of(workspace string) *Redactor {
	if known, ok := r.of.Load(workspace); ok {
		return known.(*Redactor)
	}
	known, _ := r.of.LoadOrStore(workspace, &Redactor{above: &r.own, tells: &r.all, picky: true})
	return known.(*Redactor)
}
