package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/llm"
)

// What was sent to a workspace goes with it, and so do answers of models: at once
// where it is erased, what comes meanwhile, and in the data directory of another
// process when that next looks. Another workspace keeps what it has.
func TestErasedWorkspaceLeavesNothingBesides(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	n := l.node()
	asked := &forgetting{}
	n.models.state = llm.NewState(llm.StateOptions{Cache: asked})
	owner := mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: string(mgx.LocalUser)}
	ws, err := n.store.CreateWorkspace(t.Context(), owner, mgx.Workspace{ID: mgx.NewID[mgx.WorkspaceID]("ws"), Name: "gone"}, mgx.LocalUser)
	if err != nil {
		t.Fatal(err)
	}
	bundle, digest := l.bundle()
	keep := func(ws mgx.WorkspaceID) error {
		_, err := n.uploads.Keep(t.Context(), ws, digest, strings.NewReader(bundle))
		return err
	}
	left := func(ws mgx.WorkspaceID) []string {
		found, err := filepath.Glob(filepath.Join(n.uploads.root(ws), "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, id := range []mgx.WorkspaceID{ws.ID, mgx.DefaultWorkspace} {
		if err := keep(id); err != nil {
			t.Fatal(err)
		}
	}
	done, err := ownRights{n}.EraseWorkspace(t.Context(), ws.ID)
	if err != nil || done.Members != 1 {
		t.Fatalf("%+v %v", done, err)
	}
	if found := left(ws.ID); len(found) > 0 {
		t.Errorf("%q is left", found)
	}
	if err := keep(ws.ID); !mgx.IsCode(err, mgx.CodeErased) || len(left(ws.ID)) > 0 {
		t.Errorf("sent meanwhile: %v, and %q is left", err, left(ws.ID))
	}
	if err := os.MkdirAll(n.uploads.place(ws.ID, digest), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := n.uploads.sweepOnce(t.Context(), time.Now().Add(-uploadUnused)); err != nil || len(left(ws.ID)) > 0 {
		t.Errorf("%v, and %q is left of what another process erased", err, left(ws.ID))
	}
	if len(left(mgx.DefaultWorkspace)) != 1 {
		t.Error("the other workspace has lost what it was sent")
	}
	if len(asked.prefixes) != 1 || asked.prefixes[0] == "" {
		t.Errorf("answers of models that were forgotten: %q", asked.prefixes)
	}
}

// forgetting notes what it is to forget.
type forgetting struct {
	llm.Cache
	prefixes []string
}

func (f *forgetting) Forget(_ context.Context, prefix string) error {
	f.prefixes = append(f.prefixes, prefix)
	return nil
}
