package app

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/access"
)

// ProjectStore keeps what is set for projects; *store.Store is one.
type ProjectStore interface {
	ProjectSettings(ctx context.Context, ws mgx.WorkspaceID, project mgx.ProjectID) (mgx.ProjectSettings, error)
	ChangeProject(ctx context.Context, by mgx.Doer, project mgx.ProjectID, name string, value *string) error
}

// NewProject is a code base to give to a workspace.
type NewProject struct {
	Name string `json:"name"` // empty: that of its directory
	// Path is a directory of the machine, in a repository. The owner of the data
	// directory names any; an admin one below the workspace's directory in a root, also
	// relative to that.
	Path string `json:"path"`
}

const maxPath = 4096

// CreateProject gives the actor's workspace a project. The same repository is the
// same project: it is returned, and created is false.
func (w *Work) CreateProject(ctx context.Context, actor access.Actor, n NewProject) (p mgx.Project, created bool, err error) {
	if err := w.may(ctx, actor, "create", "repositories"); err != nil {
		return p, false, err
	}
	if n.Path == "" || len(n.Path) > maxPath || strings.ContainsRune(n.Path, 0) {
		return p, false, mgx.Errorf(mgx.KindUsage, "bad_path", "a project needs the path of a repository on the server, of at most %d bytes", maxPath)
	}
	if n.Name != "" {
		if n.Name, err = access.Name(n.Name); err != nil {
			return p, false, err
		}
	}
	dir, within, err := w.place(actor, n.Path)
	if err != nil {
		return p, false, err
	}
	seen, err := w.o.Host.Inspect(ctx, dir)
	if err == nil {
		err = contained(seen, within)
	}
	if err != nil {
		return p, false, veiled(actor, err)
	}
	if n.Name == "" {
		n.Name = filepath.Base(seen.Path)
	}
	if n.Name, err = access.Name(n.Name); err != nil {
		return p, false, err
	}
	return w.o.Store.CreateProject(ctx, actor.Doer(), mgx.Project{ID: mgx.ProjectOf(seen.Path), Name: n.Name, Path: seen.Path, Within: within})
}

// place says which directory an actor means, and within which it has to be.
func (w *Work) place(actor access.Actor, path string) (dir, within string, err error) {
	if actor.Owner {
		if dir, err = filepath.Abs(path); err != nil {
			err = mgx.Errorf(mgx.KindUsage, "not_a_directory", "%s cannot be found: %w", path, err)
		}
		return dir, "", err
	}
	for _, home := range w.homes(actor.Workspace) {
		dir := path
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(home, dir)
		}
		if real, ok := below(home, dir); ok {
			return real, home, nil
		}
	}
	return "", "", outside()
}

// homes are the directories of a workspace, of which there is one in each root.
func (w *Work) homes(ws mgx.WorkspaceID) (homes []string) {
	// What an id is made of names nothing above, but that is not for here to trust.
	if name := string(ws); filepath.IsLocal(name) && !strings.ContainsAny(name, `/\`) {
		for _, root := range w.o.Roots {
			homes = append(homes, filepath.Join(root, name))
		}
	}
	return homes
}

func outside() error {
	return mgx.Errorf(mgx.KindRefused, "outside_roots", "there is no such repository for this workspace; the operator of the server puts those into the directory of the workspace below mgx serve --repo-root, or gives them with mgx project add")
}

// below finds what a directory really is, if that is in another.
func below(home, dir string) (string, bool) {
	home, err := filepath.EvalSymlinks(home)
	if err != nil {
		return "", false
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", false
	}
	rest, err := filepath.Rel(home, real)
	return real, err == nil && rest != "." && filepath.IsLocal(rest)
}

// contained refuses a repository that is not, with all that git reads for it, in
// the directory where it has to be.
func contained(c Checkout, within string) error {
	if within == "" {
		return nil
	}
	for _, dir := range append([]string{c.Path}, c.Parts...) {
		if _, ok := below(within, dir); !ok {
			return outside()
		}
	}
	return nil
}

// Contained refuses, with outside_roots, a repository of a run that has begun when it
// leads out of the directory where the workspace's have to be, by now.
func (w *Work) Contained(ctx context.Context, ws mgx.WorkspaceID, c Checkout) error {
	p, err := w.o.Store.Project(ctx, ws, mgx.ProjectOf(c.Path))
	if err == nil {
		return contained(c, p.Within)
	}
	if !mgx.IsCode(err, mgx.CodeNotFound) {
		return err
	}
	for _, home := range w.homes(ws) { // the project was removed meanwhile
		if rest, err := filepath.Rel(home, c.Path); err == nil && filepath.IsLocal(rest) {
			return contained(c, home)
		}
	}
	return nil
}

// veiled keeps from everybody but the owner what the machine's files are like.
func veiled(actor access.Actor, err error) error {
	if actor.Owner || errors.Is(err, fs.ErrPermission) || mgx.IsCode(err, "outside_roots") {
		return err
	}
	if e := mgx.AsError(err); e.Kind == mgx.KindUsage {
		return mgx.Errorf(mgx.KindUsage, e.Code, "that is no repository that runs can work on (%s); ask the operator of the server", e.Code)
	}
	return err
}

// Projects lists the projects of the actor's workspace by name.
func (w *Work) Projects(ctx context.Context, actor access.Actor, token string, limit int) (Page[mgx.Project], error) {
	if err := w.may(ctx, actor, "read", "repositories"); err != nil {
		return Page[mgx.Project]{}, err
	}
	after, err := readToken(token, 1)
	if err != nil {
		return Page[mgx.Project]{}, err
	}
	limit = pageSize(limit)
	all, err := w.o.Store.Projects(ctx, actor.Workspace, after[0], limit+1)
	return page(all, limit, func(p mgx.Project) []string { return []string{p.Name} }), err
}

// Project returns a project of the actor's workspace.
func (w *Work) Project(ctx context.Context, actor access.Actor, id mgx.ProjectID) (mgx.Project, error) {
	return w.project(ctx, actor, "read", id)
}

func (w *Work) project(ctx context.Context, actor access.Actor, action string, id mgx.ProjectID) (mgx.Project, error) {
	if err := w.o.Access.Authorize(ctx, actor, action, access.Resource{Kind: "repositories", ID: string(id)}); err != nil {
		return mgx.Project{}, err
	}
	if !mgx.IsText(string(id)) {
		return mgx.Project{}, noSuch("project", string(id))
	}
	return w.o.Store.Project(ctx, actor.Workspace, id)
}

// RenameProject gives a project another name.
func (w *Work) RenameProject(ctx context.Context, actor access.Actor, id mgx.ProjectID, name string) (mgx.Project, error) {
	if _, err := w.project(ctx, actor, "update", id); err != nil {
		return mgx.Project{}, err
	}
	name, err := access.Name(name)
	if err == nil {
		err = w.o.Store.RenameProject(ctx, actor.Doer(), id, name)
	}
	if err != nil {
		return mgx.Project{}, err
	}
	return w.o.Store.Project(ctx, actor.Workspace, id)
}

// RemoveProject takes a project from the workspace, with what was set for it. Its
// runs and its repository stay.
func (w *Work) RemoveProject(ctx context.Context, actor access.Actor, id mgx.ProjectID) error {
	if _, err := w.project(ctx, actor, "delete", id); err != nil {
		return err
	}
	return w.o.Store.RemoveProject(ctx, actor.Doer(), id)
}

// ProjectSettings returns what is set for a project. The owner of the data directory
// sees it for every repository.
func (w *Work) ProjectSettings(ctx context.Context, actor access.Actor, id mgx.ProjectID) (mgx.ProjectSettings, error) {
	if err := w.known(ctx, actor, "read", id); err != nil {
		return nil, err
	}
	return w.o.Store.ProjectSettings(ctx, actor.Workspace, id)
}

func (w *Work) known(ctx context.Context, actor access.Actor, action string, id mgx.ProjectID) error {
	_, err := w.project(ctx, actor, action, id)
	if actor.Owner && mgx.IsCode(err, mgx.CodeNotFound) {
		return nil
	}
	return err
}

// Setting is one setting of a project.
type Setting struct {
	Project mgx.ProjectID
	Repo    string // where its repository is, when the workspace was not given it; only the owner of the data directory says so
	Name    string
	Value   string
}

// SetProject sets one setting of a project. It holds for runs that begin from then
// on.
func (w *Work) SetProject(ctx context.Context, actor access.Actor, s Setting) error {
	if err := w.known(ctx, actor, "manage", s.Project); err != nil {
		return err
	}
	if err := w.tenants(actor, s.Name); err != nil {
		return err
	}
	p, err := w.o.Store.Project(ctx, actor.Workspace, s.Project)
	switch {
	case err == nil:
		s.Repo = p.Path
	case !actor.Owner:
		return err
	}
	if !mgx.IsText(s.Name, s.Value) {
		return mgx.Errorf(mgx.KindUsage, "bad_setting", "the value is no text")
	}
	value, err := w.o.Host.CheckSetting(s.Repo, s.Name, s.Value, actor.Owner)
	if err != nil {
		return err
	}
	return w.o.Store.ChangeProject(ctx, actor.Doer(), s.Project, s.Name, &value)
}

// UnsetProject takes a setting back (CodeNotFound).
func (w *Work) UnsetProject(ctx context.Context, actor access.Actor, id mgx.ProjectID, name string) error {
	if err := w.known(ctx, actor, "manage", id); err != nil {
		return err
	}
	if err := w.tenants(actor, name); err != nil {
		return err
	}
	if !mgx.IsText(name) {
		return noSuch("setting", name)
	}
	return w.o.Store.ChangeProject(ctx, actor.Doer(), id, name, nil)
}

// tenants refuses settings that are for the operator of the machine: they name its
// files, or say how strong its walls have to be.
func (w *Work) tenants(actor access.Actor, name string) error {
	if actor.Owner || slices.Contains([]string{"allow-host", "policy"}, name) {
		return nil
	}
	return mgx.Errorf(mgx.KindRefused, access.CodeForbidden, "only the owner of the data directory sets that; an admin sets allow-host and policy")
}
