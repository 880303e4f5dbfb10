package web

import (
	"mgx"
)

// overviewPage is the workspace itself, what it may have, and what else there is to
// set.
type overviewPage struct {
	sheetPage
	Workspace mgx.Workspace
	Seen      int64 // its revision
	Role      string
	Quotas    []quotaLine
	Others    []mgx.Workspace // that the reader may go to
	More      bool            // of them than are shown
	Rename    bool
	Create    bool // workspaces
}

// quotaLine is how a quota stands.
type quotaLine struct {
	mgx.QuotaUse
	Means string
	Most  int64 // what no workspace can have more of; 0: there is no such bound
	Each  bool  // run may have so much, so nothing is counted
}

const mostWorkspaces = 100

var (
	readsSettings     = need{action: "read", kind: "settings"}
	updatesSettings   = need{action: "update", kind: "settings"}
	managesSettings   = need{action: "manage", kind: "settings"}
	managesEverything = need{action: "manage", kind: "settings", installation: true}
)

func overview(v *visit, f *form) (page, error) {
	d := &overviewPage{sheetPage: v.sheetPage("overview", f), Role: v.Actor.Role, Rename: v.meets(updatesSettings), Create: v.meets(managesEverything)}
	for _, fill := range []func(*visit, *overviewPage) error{fillWorkspace, fillOthers} {
		if err := fill(v, d); err != nil {
			return page{}, err
		}
	}
	return v.settingsPage("overview", "set.title", "mgx workspaces\nmgx workspaces quota", d), nil
}

// fillWorkspace shows the workspace in which the reader is. Its name is no secret to
// its members.
func fillWorkspace(v *visit, d *overviewPage) (err error) {
	if v.Actor.Workspace == "" {
		return nil
	}
	seen, err := v.revisions("workspace", string(v.Actor.Workspace))
	if err != nil {
		return err
	}
	d.Seen = seen[string(v.Actor.Workspace)]
	if d.Workspace, err = v.site.o.Access.Workspace(v.Context(), v.Actor); err != nil || !v.meets(readsSettings) {
		return err
	}
	all, err := v.site.o.Access.Quotas(v.Context(), v.Actor)
	for _, q := range all {
		line := quotaLine{QuotaUse: q, Means: string(q.Quota), Each: q.Quota.SandboxLimit() != ""}
		for _, known := range mgx.Quotas {
			if known.Name == q.Quota {
				line.Means, line.Most = known.Means, known.Most
			}
		}
		d.Quotas = append(d.Quotas, line)
	}
	return err
}

func fillOthers(v *visit, d *overviewPage) error {
	all, err := v.site.o.Access.Workspaces(v.Context(), v.Actor, "", mostWorkspaces+1)
	if d.More = len(all) > mostWorkspaces; d.More {
		all = all[:mostWorkspaces]
	}
	for _, w := range all {
		if w.ID != v.Actor.Workspace {
			d.Others = append(d.Others, w)
		}
	}
	return err
}

func (s *site) overviewActs(m *mux) {
	m.Handle("POST /settings/rename", s.act("rename", updatesSettings, renameWorkspace, signedIn, overview))
	m.Handle("POST /settings/workspaces", s.act("workspace", managesEverything, createWorkspace, signedIn, overview))
}

func renameWorkspace(v *visit) (outcome, error) {
	if _, err := v.site.o.Access.RenameWorkspace(v.upon("workspace", string(v.Actor.Workspace)), v.Actor, v.text("name")); err != nil {
		return outcome{}, err
	}
	return done("/settings", "renamed")
}

func createWorkspace(v *visit) (outcome, error) {
	if _, err := v.site.o.Access.CreateWorkspace(v.Context(), v.Actor, v.text("name")); err != nil {
		return outcome{}, err
	}
	return done("/settings", "workspace")
}
