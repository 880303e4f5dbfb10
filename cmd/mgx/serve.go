package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/gateway"
	"mgx/internal/store"
	"mgx/internal/team"
)

const (
	defaultListen  = "127.0.0.1:7780"
	defaultWorkers = 4
	leastDisk      = 64 << 20 // bytes free on the disk of the data, below which the server is not ready
)

func (c *cli) serveCommand() *cobra.Command {
	var l listening
	var workers int
	var roots []string
	r := repeatFlags{serves: true}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API, the event stream and models, and work on runs",
		Long: `Serves the API, with the event log as WebSocket, server-sent events and pages; offers models
below /v1 to programs with a key, in the dialects of OpenAI and Anthropic (see: mgx keys);
and works on runs: on every run of the data directory that is due and that no other process
has begun and still works on, of every workspace in turns. That is so for runs that were
interrupted, and for those that got the decision they waited for. A run whose model cannot
be called with what the environment of the server names is left alone. --workers 0 works on
none.

Several servers on one PostgreSQL database wake each other through it, or, with --nats,
through NATS while that can be reached; see docs/nats.md.

/metrics has what Prometheus reads; traces go to OTEL_EXPORTER_OTLP_ENDPOINT. See
docs/reference/metrics.md, and mgx consumers for who reads the log.

It listens on the loopback interface. Beyond that it takes a certificate (--tls-cert,
--tls-key) or a proxy in front that has one (--behind-proxy, --host). Everything but /health
needs a key (mgx keys), somebody who signed in (mgx login), or, from this machine, the token
in the file "token" of the data directory, whose owner may do everything. When it starts for
the first time it prints what lets the owner set a password, once. See docs/access.md.

An interrupt or SIGTERM ends it in good order: streams are told to come back, runs stay where
they are.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := l.fill(cmd.Flags(), c.getenv); err != nil {
				return err
			}
			if workers < 0 || workers > 64 {
				return usage("bad_workers", "--workers takes 0 to 64, not %d", workers)
			}
			if r.replay != "" {
				return usage("no_server_replay", "a server calls models for many at once, in an order that nobody can make again, so it cannot be played from a recording; play one run with: mgx run --replay FILE")
			}
			return c.serve(cmd.Context(), l, workers, roots, r)
		},
	}
	l.flags(cmd.Flags())
	addWebhookAllow(cmd.Flags())
	addRateLimits(cmd.Flags())
	cmd.Flags().String("sentry-dsn", "", "report errors to the project at this `address` of a service like Sentry, see docs/reference/logs.md")
	cmd.Flags().String("link-host", "", "`hosts` to which links in what agents and people write lead in the console, with commas between; see docs/console.md (default: such links are text)")
	cmd.Flags().String("audit-checkpoints", "", "also add each checkpoint of the audit log to this `file`, see docs/audit.md")
	cmd.Flags().IntVar(&workers, "workers", defaultWorkers, "work on `N` runs at once")
	cmd.Flags().StringArrayVar(&roots, "repo-root", nil, "`directory` in which each workspace has a directory, of its id, where admins find repositories; may be given several times, see docs/projects.md")
	r.refuse(cmd.Flags(), "replay")
	return cmd
}

func (c *cli) serve(ctx context.Context, l listening, workers int, roots []string, r repeatFlags) (err error) {
	if err := c.demand(ctx, "auto"); err != nil {
		return err
	}
	proxies, err := l.networks()
	if err != nil {
		return err
	}
	origins, err := l.pages()
	if err != nil {
		return err
	}
	var n *node
	full := func(of string) {
		n.log.Warn("connections are refused, since as many are open as may be (--rate-limits connections, address-connections)", "of", of)
	}
	listener, err := l.open(ctx, c.connections(proxies, full))
	if err != nil {
		return err
	}
	defer listener.Close()
	c.metrics = true
	tape, err := c.openTape(r)
	if err != nil {
		return err
	}
	defer func() { err = tape.close(c.err, err) }()
	if n, err = c.open(ctx, newModels(c.getenv, tape)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if n.roots, err = repoRoots(roots); err != nil {
		return err
	}
	if err := n.models.observe(); err != nil {
		return err
	}
	if workers > 0 {
		n.crew = newForeman(n, workers)
	}
	if err := n.openProviders(l.oidc, c.getenv); err != nil {
		return err
	}
	n.second, n.links = c.cfg.AuditCheckpoints, c.cfg.LinkHosts
	url := l.url(listener.Addr())
	limits, limiter, unlimited, err := c.edge(n.log)
	if err != nil {
		return err
	}
	defer unlimited()
	s, err := newServer(ctx, n, url, api.Options{Webhooks: n.webhooks(c.cfg), Hosts: l.hosts, Proxies: proxies, Origins: origins, Secure: l.secure(), Limits: limits, Limiter: limiter})
	if err != nil {
		return err
	}
	setup, err := s.access.Found(ctx, access.Where{Address: "cli"})
	if err != nil {
		return err
	}
	c.announce(url, s.token, setup)

	// The hub outlives the server, so that what happens while it drains is
	// delivered.
	hubContext, stopHub := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	all.Go(func() { s.hub.Run(hubContext) })
	defer all.Wait()
	defer stopHub()
	var work sync.WaitGroup
	defer work.Wait()
	ctx, stopWork := context.WithCancel(ctx) // also when the listener fails
	defer stopWork()
	work.Go(func() { n.deliverer(c.cfg).Run(ctx) })
	work.Go(func() { n.consume(ctx, s.contracts, n.aliveHere(c.cfg)) })
	work.Go(func() { n.retainDaily(ctx) })
	work.Go(func() { n.reap(ctx) })
	work.Go(func() { n.uploads.sweep(ctx) })
	work.Go(func() { n.renewKeys(ctx, s.hub) })
	work.Go(func() { n.keepToken(ctx) })
	work.Go(func() { n.signAudits(ctx, c.cfg.AuditCheckpoints) })
	if n.crew != nil {
		work.Go(func() { n.crew.run(ctx) })
	}
	defer s.gateway.Close() // what was spent is settled before the store closes
	// Its calls are told that the server goes down, while their connections last.
	defer context.AfterFunc(ctx, s.gateway.Close)()
	return s.web.Serve(ctx, listener)
}

// announce says where the server is, its token when that is new, and what lets its
// owner set a password when it is the first time.
func (c *cli) announce(url string, t secret, setup string) {
	if c.json {
		said := map[string]string{"url": url, "token_file": t.path}
		if setup != "" {
			said["setup_token"], said["setup_url"] = setup, invitationAt(url, setup)
		}
		printJSON(c, said)
		return
	}
	fmt.Fprintf(c.err, "Serving on %s\n", url)
	if t.made {
		fmt.Fprintf(c.err, "Token (shown only now, kept in %s): %s\n", t.path, t.value)
	} else {
		fmt.Fprintf(c.err, "The token is in %s\n", t.path)
	}
	if setup != "" {
		fmt.Fprintf(c.err, "To sign in, set a password, once within a day (later: mgx members reset). In a browser:\n  %s\nor for commands:\n  mgx login --server %s --invitation %s\n", invitationAt(url, setup), url, setup)
	}
}

// server is what `mgx serve` runs besides the worker.
type server struct {
	hub     *event.Hub
	web     *api.Server
	gateway *gateway.Server
	token   secret
	access  *app.Access

	contracts *event.Registry
}

// newServer completes the options of the API with what it serves at an address.
func newServer(ctx context.Context, n *node, address string, o api.Options) (*server, error) {
	token, err := openSecret(n.data, "token")
	if err != nil {
		return nil, err
	}
	keys, err := n.resumeKeys(ctx)
	if err != nil {
		return nil, err
	}
	epoch, err := n.store.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	contracts, err := event.NewRegistry()
	if err != nil {
		return nil, err
	}
	who := n.access(token.value)
	hub := event.NewHub(event.HubOptions{
		Source: n.store, Epoch: epoch, Key: keys[0], Keys: n.knownResumeKeys, Authorize: who.Channels, Contracts: contracts, Server: address, Log: n.log,
	})
	hub.SetKeys(keys...)
	n.deltas = showLive(hub)
	gate := n.gateway(limitedKeys{who, o.Limits, o.Limiter})
	o.Gateway, o.Hub, o.Contracts, o.Access, o.Checks, o.Log = gate, hub, contracts, who, append(checks(n.store, hub, n.data), crewChecks(n.crew)...), n.log
	o.Version, o.Status = version, n.status(time.Now())
	o.Seen, o.Redact = n.logRequest, n.hidesShown
	o.Spool = n.data
	n.rights(&o, contracts)
	o.Budgets, o.Consumers, o.Metrics, o.Terms = n.budgets(), n.store, n.seen.Metrics(), n.store
	n.app = n.work(who, n.roots)
	o.Work, o.Models = n.app, app.NewModels(who, modelHost{n})
	o.Console = n.console(who, &o)
	web := api.New(o)
	if err := observeServer(n.meters, n.store, hub, contracts, who); err != nil {
		return nil, err
	}
	return &server{hub: hub, web: web, gateway: gate, token: token, access: who, contracts: contracts}, nil
}

// showLive passes what agents and their programs say on to those who watch.
func showLive(hub *event.Hub) func(mgx.RunID, team.Delta) {
	return func(run mgx.RunID, d team.Delta) {
		if d.Failed != "" {
			return // an event tells it
		}
		hub.Live(event.Live{Workspace: d.Workspace, Task: d.Task, Run: run, Agent: d.Agent, Text: d.Text, Again: d.Again, Tool: d.Tool})
	}
}

// checks are what /health/ready tries.
func checks(s *store.Store, hub *event.Hub, dir string) []api.Check {
	return append(append(wakeChecks(s), tenantChecks(s)...), []api.Check{
		{Name: "migrations", Run: s.TryVersion},
		{Name: "database_read", Run: func(ctx context.Context) error { _, err := s.Head(ctx); return err }},
		{Name: "database_write", Run: s.TryWrite},
		{Name: "event_log", Run: func(ctx context.Context) error { return hubKeepsUp(ctx, s, hub) }},
		{Name: "disk", Run: func(context.Context) error { return diskHasRoom(dir) }},
	}...)
}

// hubKeepsUp fails when the hub cannot read the log.
func hubKeepsUp(ctx context.Context, s *store.Store, hub *event.Hub) error {
	if err := hub.Trouble(); err != nil {
		return err
	}
	head, err := s.Head(ctx)
	if err == nil && hub.Head() < head {
		err = hub.Reached(ctx, head)
	}
	return err
}

// diskHasRoom writes to the disk of the data and looks how much is left.
func diskHasRoom(dir string) error {
	f, err := os.CreateTemp(dir, "ready-*")
	if err != nil {
		return dataError(dir, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, 4096))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return dataError(dir, err)
	}
	free, err := freeSpace(dir)
	if err == nil && free < leastDisk {
		err = mgx.Errorf(mgx.KindConfig, store.CodeDiskFull, "the disk that holds %s has %d MB left", dir, free>>20)
	}
	return err
}
