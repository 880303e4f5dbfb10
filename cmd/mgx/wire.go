package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/git"
	"mgx/internal/guard"
	"mgx/internal/sandbox"
	"mgx/internal/secret/transit"
	"mgx/internal/store"
	"mgx/internal/team"
	"mgx/internal/telemetry"
	"mgx/internal/telemetry/observe"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// node is everything a command works with, built in one place.
type node struct {
	app       *app.Work
	store     *store.Store
	engine    *workflow.Engine
	owner     *owner
	data      string
	log       *slog.Logger
	logTo     redirect
	callLevel slog.LevelVar // least level of log lines about calls of models
	redact    *guard.Redactors
	models    *models
	deltas    func(mgx.RunID, team.Delta) // may be set before work begins
	apart     func()                      // ends what the models share with other processes
	owed      owed                        // of the gateway, when the database was away
	meters    *meters
	sandbox   string           // where nothing else says which walls
	least     sandbox.Level    // below it nothing runs; see leastFor
	limits    sandbox.Limits   // of each command
	leastSaid bool             // by a flag or the environment
	seen      *observe.Process // nil: nothing that is measured leaves the process
	workspace mgx.WorkspaceID  // of the command
	crew      *foreman         // works on runs here; nil: nobody does
	host      *host            // this machine to the use cases of work
	uploads   *uploads         // repositories that people sent
	elsewhere bool             // the database is a server's
	roots     []string         // where admins find repositories

	ringPath string              // the file of the key ring of the secrets
	wrapper  *transit.Client     // has HashiCorp Vault wrap with its own; nil: none does
	reporter *telemetry.Reporter // of errors; nil: none
	second   string              // the file of checkpoints of the audit log in a second place; empty: none
	links    []string            // hosts to which links on pages of the console may lead

	providers []access.Provider // at which people sign in, besides here
}

// openAny opens a node for a command that may call whatever model a run names.
func (c *cli) openAny(ctx context.Context) (*node, error) {
	return c.open(ctx, newModels(c.getenv, nil))
}

// open builds a node on the data directory of the configuration.
func (c *cli) open(ctx context.Context, m *models) (*node, error) {
	n := &node{workspace: c.workspaceHere(), data: c.cfg.Data, models: m, redact: redactors(), sandbox: c.cfg.Sandbox, least: sandbox.Level(c.cfg.LeastSandbox), leastSaid: c.cfg.Said("sandbox-minimum"), limits: boxLimits(c.cfg.SandboxLimits)}
	n.logTo.set(c.err)
	var err error
	if c.cfg.SentryDSN != "" {
		if n.reporter, err = telemetry.NewReporter(c.cfg.SentryDSN, version); err != nil {
			return nil, mgx.Errorf(mgx.KindConfig, "bad_sentry_dsn", "--sentry-dsn: %w", err)
		}
	}
	n.callLevel.Set(c.cfg.LogLevel)
	lines := telemetry.Options{Format: c.cfg.LogFormat, Level: c.cfg.LogLevel, Redact: n.redact.All().String, Message: n.redact.Own().String, Report: n.reporter}
	n.log = telemetry.NewLogger(&n.logTo, lines)
	lines.Level = &n.callLevel
	m.log = telemetry.NewLogger(&n.logTo, lines)
	if m.stale != nil {
		n.log.Warn(m.stale.Error())
	}
	n.warnCommonplace(os.Environ())
	if err := os.MkdirAll(n.data, 0o700); err != nil {
		return nil, dataError(n.data, err)
	}
	contracts, err := event.NewRegistry()
	if err != nil {
		return nil, err
	}
	path := c.cfg.Database
	if path == "" {
		path = filepath.Join(n.data, "mgx.db")
	}
	if err := n.measure(ctx, c); err != nil {
		return nil, err
	}
	keep := kept(contracts)
	if n.wrapper, err = c.wrapper(n.redact.Own(), n.log); err != nil {
		return nil, err
	}
	waker, err := c.waker(n.log)
	if err != nil {
		return nil, err
	}
	n.elsewhere = strings.Contains(path, "://")
	if n.apart, err = m.share(c.cfg.Redis, n.log); err != nil {
		return nil, err
	}
	if n.store, err = store.Open(ctx, path, store.Options{Check: n.meters.checked(contracts, keep), Redact: n.hidesStored, Keep: keep, Waker: waker, Vouch: n.vouch, Beside: func(ws mgx.WorkspaceID) (int64, error) { return n.uploads.size(ws) }}); err != nil {
		return nil, err
	}
	if err := n.keepAsSet(ctx, contracts); err != nil {
		n.store.Close()
		return nil, err
	}
	if n.owner, err = newOwner(n.data); err != nil {
		n.store.Close()
		return nil, dataError(n.data, err)
	}
	n.engine = workflow.New(n.store, workflow.Options{Owner: n.owner.id, Alive: n.owner.alive, Log: n.log})
	team.Register(n.engine, team.Deps{
		Model:  n.models,
		Limits: n.models.limitsFor,
		Log:    m.log,
		Redact: n.hiding,
		Open:   n.site,
		Run:    n.store.Run,
		Deltas: func(id mgx.RunID, d team.Delta) {
			if n.deltas != nil {
				n.deltas(id, d)
			}
		},
	})
	n.host, n.uploads = &host{c, n, git.NewInspections()}, newUploads(n)
	n.app = n.work(n.access(""), nil)
	n.ringPath = cmp.Or(c.cfg.SecretsKeys, filepath.Join(n.data, ringFile))
	if !m.tape.playing() {
		m.keys.set(n.useSecret)
	}
	return n, nil
}

func (n *node) close() error {
	n.unmeasure()
	defer n.reporter.Close()
	n.leaveVault()
	if _, err := n.owed.settle(n.store); err != nil {
		n.log.Error("calls that ended while the database could not be written count in full", "error", err)
	}
	n.owner.close()
	n.apart()
	return n.store.Close()
}

func dataError(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return mgx.Errorf(mgx.KindConfig, store.CodeReadOnly, "the data directory %s cannot be written; make it writable or choose another with --data: %w", dir, err)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return mgx.Errorf(mgx.KindConfig, store.CodeDiskFull, "the disk that holds %s is full; free some space: %w", dir, err)
	}
	return mgx.Errorf(mgx.KindConfig, "data_unusable", "the data directory %s cannot be used; choose another with --data: %w", dir, err)
}

func (n *node) runDir(id mgx.RunID) string { return filepath.Join(n.data, "runs", string(id)) }

// besides is whose commands are that no run needs in order to go on: all of them have
// one part of the machine together, as each run that is worked on has.
const besides = "besides"

// atOnce is how many parts the machine has: one for each run that is worked on here at
// a time, and on a server another for what is done besides.
func (n *node) atOnce() int {
	if n.crew == nil {
		return 1
	}
	return cap(n.crew.seats) + 1
}

// limit bounds a box of a workspace: as the operator has it, and lower where who runs
// the installation has set that for this workspace. Nobody else has a say.
func (n *node) limit(ctx context.Context, spec *sandbox.Spec, ws mgx.WorkspaceID) (err error) {
	spec.Limits, spec.AtOnce = n.limits, n.atOnce()
	spec.Quotas, err = n.store.SandboxLimits(ctx, ws)
	return err
}

// site opens the files of a run in the sandbox that its settings ask for, to work on it.
func (n *node) site(ctx context.Context, of mgx.Scope, repo mgx.RepoInfo, settings mgx.RunSettings) (*team.Site, error) {
	return n.siteFor(ctx, string(of.Run), of, repo, settings)
}

// siteFor has commands there count as those of whoever it is.
func (n *node) siteFor(ctx context.Context, whose string, of mgx.Scope, repo mgx.RepoInfo, settings mgx.RunSettings) (*team.Site, error) {
	id := of.Run
	src, err := git.Reopen(ctx, hereIn(n.data, of.Workspace, repo))
	if err == nil {
		err = n.app.Contained(ctx, of.Workspace, checkoutOf(src))
	}
	if err != nil {
		return nil, err
	}
	dir := n.runDir(id)
	if err := git.Layout(dir); err != nil {
		return nil, dataError(n.data, err)
	}
	mounts := append(git.Mounts(dir, src), sandbox.Mount{Host: filepath.Join(dir, "outputs"), Guest: tool.OutputsDir, Mode: sandbox.ReadOnly})
	given, shown, err := n.attachments(id, settings.Attachments)
	if err != nil {
		return nil, err
	}
	mounts = append(mounts, shown...)
	spec := boxSpec(n.data, whose, filepath.Join(dir, "work"), filepath.Join(dir, "state"), mounts)
	spec.Kept = []string{git.Kept(dir)}
	if err := n.limit(ctx, &spec, of.Workspace); err != nil {
		return nil, err
	}
	if err := openGate(&spec, settings.AllowHosts); err != nil {
		return nil, err
	}
	least, err := n.leastFor(ctx, of.Workspace, repo)
	if err != nil {
		return nil, err
	}
	box, err := openBox(ctx, driver(settings.Sandbox), least, spec)
	if err != nil {
		return nil, err
	}
	site := &team.Site{Source: src, Clone: git.New(box, dir, src), Box: box, Gate: gateTo, Files: tool.Workspace{Box: box, Attachments: given}}
	if site.Files.Root, err = os.OpenRoot(filepath.Join(dir, "work")); err == nil {
		site.Files.Outputs, err = os.OpenRoot(filepath.Join(dir, "outputs"))
	}
	if err != nil {
		box.Close()
		return nil, dataError(n.data, err)
	}
	if site.Outside, err = n.outside(ctx, of, settings, site, spec, least); err != nil {
		box.Close()
		return nil, err
	}
	return site, nil
}

// find returns the run that a person means by a whole id or a part of it.
func (n *node) find(ctx context.Context, name string) (mgx.Run, error) {
	return n.store.FindRun(ctx, n.workspace, name)
}

// redirect is where log lines go: stderr, or the progress display while there is
// one, so that the two do not mix.
type redirect struct{ to atomic.Pointer[io.Writer] }

func (r *redirect) set(w io.Writer) { r.to.Store(&w) }

func (r *redirect) Write(b []byte) (int, error) { return (*r.to.Load()).Write(b) }
