package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/config"
	"mgx/internal/git"
	"mgx/internal/guard/policy"
	"mgx/internal/sandbox/egress"
)

// me is the owner of the data directory, in the workspace of the command.
func (n *node) me() access.Actor {
	return access.Actor{
		User: mgx.LocalUser, Workspace: n.workspace, Role: mgx.RoleAdmin, Owner: true, Where: access.Where{Address: "cli", Agent: "mgx"},
	}
}

// work are the use cases of work on this node, with the roots below which admins
// find repositories.
func (n *node) work(who *app.Access, roots []string) *app.Work {
	return app.NewWork(app.WorkOptions{Access: who, Store: n.store, Engine: n.engine, Host: n.host, Roots: roots, Uploads: n.uploads})
}

// repoRoots are directories that exist, without links.
func repoRoots(dirs []string) (roots []string, err error) {
	for _, dir := range dirs {
		abs, err := filepath.Abs(dir)
		if err == nil {
			abs, err = filepath.EvalSymlinks(abs)
		}
		info, statErr := os.Stat(abs)
		if err != nil || statErr != nil || !info.IsDir() {
			return nil, usage("bad_repo_root", "--repo-root %s is no directory that can be read", dir)
		}
		roots = append(roots, abs)
	}
	return roots, nil
}

// host is this machine to the use cases of work.
type host struct {
	c *cli
	n *node

	inspections *git.Inspections
}

func (h *host) Inspect(ctx context.Context, dir string) (app.Checkout, error) {
	src, err := h.inspections.Inspect(ctx, dir)
	if err != nil {
		return app.Checkout{}, err
	}
	return checkoutOf(src), nil
}

func checkoutOf(src *git.Source) app.Checkout {
	return app.Checkout{RepoInfo: src.RepoInfo, Parts: append([]string{src.GitDir, src.CommonDir}, src.Objects...)}
}

func (h *host) CheckBranch(name string) error { return git.ValidBranch(name) }

// Settings are those of the configuration and the project, with what its runs can
// call and reach from here.
func (h *host) Settings(ctx context.Context, ws mgx.WorkspaceID, repo, model string) (mgx.RunSettings, error) {
	cfg, err := h.c.configFor(ctx, h.n, ws, codeBase{mgx.ProjectOf(repo), repo})
	if err != nil {
		return mgx.RunSettings{}, err
	}
	s, err := h.c.settingsOf(cfg, repo, runFlags{})
	if err != nil {
		return s, err
	}
	if err := demandLevel(ctx, cfg, s.Sandbox); err != nil {
		return s, err
	}
	if err := demandGate(ctx, s); err != nil {
		return s, err
	}
	if s.MCP, err = serversOf(cfg, repo); err != nil {
		return s, err
	}
	models, err := h.n.models.of(ws)
	if err != nil {
		return s, err
	}
	if s.Model, err = models.choose(ctx, cmp.Or(model, models.preferred(cfg.Model))); err != nil {
		return s, err
	}
	return s, models.use(s)
}

// CheckSetting holds what somebody who is not trusted sets to what needs no file of
// this machine and leads nowhere that the public network does not.
func (h *host) CheckSetting(repo, name, value string, trusted bool) (string, error) {
	if !trusted {
		switch {
		case name == "policy" && !slices.Contains(policy.Names(), value):
			return "", usage("no_such_policy", "there is no policy %q; there are %s", value, strings.Join(policy.Names(), ", "))
		case name == "allow-host" && strings.Contains(value, "+"):
			return "", usage("bad_host", "hosts inside the network of the server are for its operator to allow; leave +private away")
		}
	}
	value, err := config.OfProject(h.c.getenv, name, value)
	if err != nil {
		return "", err
	}
	if name == "allow-host" && !trusted {
		for text := range strings.SplitSeq(value, ",") {
			if r, err := egress.ParseRule(text); err == nil && r.Inside() { // a proxy of the server could know the name
				return "", usage("bad_host", "%s belongs to the network of the server, whose hosts are for its operator to allow", text)
			}
		}
	}
	return value, h.c.fitProject(repo, name, value)
}

func (h *host) CopyFiles(from, to mgx.RunID) error {
	if err := h.n.noteMaking(context.Background(), to); err != nil {
		return err
	}
	if err := git.CopyRun(h.n.runDir(from), h.n.runDir(to)); err != nil {
		return err
	}
	if err := h.n.copyAttachments(from, to); err != nil {
		return err
	}
	return h.n.made(to)
}

// maxShownDiff bounds the text of a difference that a server hands out, in bytes.
const maxShownDiff = 4 << 20

func (h *host) Diff(ctx context.Context, run mgx.Run) (app.Diff, error) {
	base, to := span(run)
	d := app.Diff{Base: base, Tree: to}
	if to == "" {
		return d, nil
	}
	site, err := h.n.siteFor(ctx, besides, scopeOf(run), run.Repo, withoutServers(run.Settings))
	if err != nil {
		return d, err
	}
	defer site.Box.Close()
	files, err := site.Clone.Changes(ctx, base, to)
	if err != nil {
		return d, err
	}
	hides := h.n.hiding(run.Workspace)
	for _, f := range files {
		d.Files = append(d.Files, app.DiffFile{
			Path: hides.String(strings.ToValidUTF8(f.Path, "\uFFFD")), OldPath: hides.String(strings.ToValidUTF8(f.OldPath, "\uFFFD")),
			Status: f.Status, Additions: f.Additions, Deletions: f.Deletions, Binary: f.Binary,
		})
	}
	text, err := site.Clone.Diff(ctx, base, to, git.DiffOptions{MaxBytes: maxShownDiff})
	d.Text = hides.String(strings.ToValidUTF8(text, "\uFFFD"))
	return d, err
}

// span is from which commit to which commit or tree a run has changed something; to
// is empty when it has changed nothing.
func span(run mgx.Run) (base, to string) {
	if run.Delivered != nil {
		return run.Delivered.Base, cmp.Or(run.Commit, run.Tree)
	}
	return run.Repo.Head, cmp.Or(run.Commit, run.Tree)
}

// scopeOf is a run's, as far as its files need it.
func scopeOf(run mgx.Run) mgx.Scope {
	return mgx.Scope{Workspace: run.Workspace, Project: mgx.ProjectOf(run.Repo.Path), Task: run.Task.ID, Run: run.ID, Execution: run.Execution}
}

// withoutServers are settings for looking at a run's files alone.
func withoutServers(s mgx.RunSettings) mgx.RunSettings {
	s.MCP, s.AllowHosts = nil, nil
	return s
}
