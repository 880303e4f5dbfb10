package store

import (
	"context"

	"mgx"
)

// MaxProjects bounds the projects of one workspace.
const MaxProjects = 10_000

const projectColumns = `workspace, id, name, path, within, created_by, created_at, updated_at`

func scanProject(row scanner) (p mgx.Project, err error) {
	var created, updated int64
	err = row.Scan(&p.Workspace, &p.ID, &p.Name, &p.Path, &p.Within, &p.CreatedBy, &created, &updated)
	p.CreatedAt, p.UpdatedAt = fromTime(created), fromTime(updated)
	return p, err
}

// Project returns a project of a workspace (CodeNotFound).
func (s *Store) Project(ctx context.Context, ws mgx.WorkspaceID, id mgx.ProjectID) (mgx.Project, error) {
	p, found, err := one(ctx, s, scanProject, `SELECT `+projectColumns+` FROM projects WHERE workspace = $1 AND id = $2`, string(ws), string(id))
	if err == nil && !found {
		err = noProject(id)
	}
	return p, err
}

func noProject(id mgx.ProjectID) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no project %s in this workspace", id)
}

// Projects lists the projects of a workspace by name, after one name.
func (s *Store) Projects(ctx context.Context, ws mgx.WorkspaceID, after string, limit int) ([]mgx.Project, error) {
	return list(ctx, s, scanProject, `SELECT `+projectColumns+` FROM projects WHERE workspace = $1 AND name > $2 ORDER BY name LIMIT $3`,
		string(ws), after, bounded(limit, MaxProjects))
}

func (t *tx) project(ws mgx.WorkspaceID, id mgx.ProjectID) (p mgx.Project, found bool, err error) {
	var created, updated int64
	found, err = t.row(`SELECT `+projectColumns+` FROM projects WHERE workspace = $1 AND id = $2`, []any{string(ws), string(id)},
		&p.Workspace, &p.ID, &p.Name, &p.Path, &p.Within, &p.CreatedBy, &created, &updated)
	p.CreatedAt, p.UpdatedAt = fromTime(created), fromTime(updated)
	return p, found, err
}

// CreateProject gives a workspace a project. When it has one with this id already
// that is returned, and created is false. CodeConflict: the name is taken.
func (s *Store) CreateProject(ctx context.Context, by mgx.Doer, p mgx.Project) (stored mgx.Project, created bool, err error) {
	err = s.act(ctx, by, "project.create", func(t *tx, a *act) (err error) {
		created = false
		if err := t.d.lockStream(t, mgx.AuditStream(by.Workspace)); err != nil {
			return err
		}
		if stored, created, err = t.project(by.Workspace, p.ID); err != nil || created {
			created = false
			return err
		}
		if err := t.room(by.Workspace, mgx.QuotaProjects); err != nil {
			return err
		}
		p.Workspace, p.CreatedBy, p.CreatedAt, p.UpdatedAt = by.Workspace, by.Actor, t.now, t.now
		made, err := t.exec(`INSERT INTO projects (`+projectColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (workspace, name) DO NOTHING`,
			string(p.Workspace), string(p.ID), p.Name, p.Path, p.Within, p.CreatedBy, micros(p.CreatedAt), micros(p.UpdatedAt))
		if err == nil && made == 0 {
			err = nameTaken(p.Name)
		}
		stored, created = p, err == nil
		a.resource, a.after = string(p.ID), p
		return err
	})
	return stored, created, err
}

func nameTaken(name string) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "there is a project %q already; choose another name", name)
}

// RenameProject gives a project another name.
func (s *Store) RenameProject(ctx context.Context, by mgx.Doer, id mgx.ProjectID, name string) error {
	return s.act(ctx, by, "project.rename", func(t *tx, a *act) error {
		if err := t.d.lockStream(t, mgx.AuditStream(by.Workspace)); err != nil {
			return err
		}
		before, found, err := t.project(by.Workspace, id)
		if err != nil || !found {
			return orNo(found, err, "project", string(id))
		}
		if before.Name == name {
			return nil
		}
		var other string
		if taken, err := t.row(`SELECT id FROM projects WHERE workspace = $1 AND name = $2`, []any{string(by.Workspace), name}, &other); err != nil || taken {
			if err == nil {
				err = nameTaken(name)
			}
			return err
		}
		after := before
		after.Name, after.UpdatedAt = name, t.now
		a.resource, a.before, a.after = string(id), before, after
		_, err = t.exec(`UPDATE projects SET name = $1, updated_at = $2 WHERE workspace = $3 AND id = $4`, name, micros(t.now), string(by.Workspace), string(id))
		return err
	})
}

// RemoveProject takes a project from a workspace, with what was set for it. Runs
// and the repository stay.
func (s *Store) RemoveProject(ctx context.Context, by mgx.Doer, id mgx.ProjectID) error {
	return s.act(ctx, by, "project.remove", func(t *tx, a *act) error {
		if err := t.d.lockStream(t, mgx.AuditStream(by.Workspace)); err != nil {
			return err
		}
		before, found, err := t.project(by.Workspace, id)
		if err != nil || !found {
			return orNo(found, err, "project", string(id))
		}
		a.resource, a.before = string(id), before
		if _, err := t.exec(`DELETE FROM project_settings WHERE workspace = $1 AND project = $2`, string(by.Workspace), string(id)); err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM projects WHERE workspace = $1 AND id = $2`, string(by.Workspace), string(id))
		return err
	})
}
