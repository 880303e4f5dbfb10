package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/config"
	"mgx/internal/git"
	"mgx/internal/llm/cassette"
)

// runFlags are the choices of a run beyond those that are settings.
type runFlags struct {
	repo         string
	project      string // at a server
	upload       bool   // send the repository to the server
	template     string
	attach       []string
	plan         bool
	branch       string
	checks       []string
	maxTokens    int64
	includeDirty bool
	price        string
}

func (f *runFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.plan, "plan", false, "plan first, whatever the size of the task")
	flags.StringVar(&f.branch, "branch", "", "`name` of the branch to deliver (default mgx/<slug>/run-<n>)")
	flags.StringArrayVar(&f.checks, "check", nil, "`command` that must succeed; may be given several times (default: found from the repository's files)")
	flags.Int64Var(&f.maxTokens, "max-tokens", 0, "most `tokens` in and out, in the whole run (0: no limit)")
	flags.StringVar(&f.price, "price", "", "`IN,OUT` in dollars per million tokens, for models that MGX has no price for")
	addLimits(flags)
}

// addLimits adds the flags that are settings too. Their defaults are the
// configuration's; see package config.
func addLimits(flags *pflag.FlagSet) {
	flags.String("model", "", "`provider/model`, or a policy such as auto (default: the first provider found)")
	flags.String("approve", "ask", "`who` approves plans, and calls that the policy asks about: auto, ask or never")
	flags.String("policy", "auto", "permission `policy` of tool calls: plan, ask, accept-edits, auto, never or a file, see docs/policy.md")
	flags.String("budget", "none", "most that the run may spend, in `dollars`")
	flags.String("max-turns", "200", "most model `turns`")
	flags.String("timeout", "2h", "longest `time` that the run may work, such as 45m")
	flags.String("sandbox", "auto", "`walls` around tools: auto, docker, gvisor or off")
	addMinimum(flags)
	addAllowHosts(flags)
	addSandboxLimits(flags)
}

func addSandboxLimits(flags *pflag.FlagSet) {
	flags.String("sandbox-limits", "default", "`limits` of each command, such as memory=4GB,disk=20GB; see docs/sandbox.md")
}

func addMinimum(flags *pflag.FlagSet) {
	flags.String("sandbox-minimum", "off", "weakest `level` of the sandbox at which anything may run: lite, basic, docker, full or gvisor")
}

func (c *cli) runCommand() *cobra.Command {
	var f runFlags
	var r repeatFlags
	cmd := &cobra.Command{
		Use:   `run "TASK"`,
		Short: "Have a task done on a repository",
		Long: `Have a task done on a git repository. The work happens in a clone of its own; your
checkout is never touched. The result is a new branch.

With --server the server does it, on a project of the workspace (see: mgx project list), and
this shows how that goes. With --upload it does it on the repository here: its head is sent
with its history, and the branch comes back into it. An interrupt leaves the run to the
server, or cancels it.

Exit codes: 0 done; 1 goal not reached; 2 usage; 3 configuration; 4 provider;
5 budget; 6 refused or approval missing; 7 timed out or cancelled; 70 internal.`,
		Example: `  mgx run "add a /healthz endpoint with a test"
  mgx run "why does the parser allocate so much?" --repo ../parser
  mgx run "port the tests to table form" --plan --approve ask --budget 2
  mgx run "add a changelog" --server https://mgx.example.com --project shop
  mgx run "add a changelog" --server https://mgx.example.com --upload`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && (r.replay != "" || f.template != "") {
				return nil // the task is in the recording, or in the template
			}
			return oneArg("the task in quotes")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			text := strings.Join(args, "")
			if f.template != "" {
				if text, err = c.byTemplate(cmd, text, &f); err != nil {
					return err
				}
			}
			if c.at.server != "" {
				return c.runThere(cmd, text, f)
			}
			if f.project != "" || f.upload {
				return usage("bad_project", "--project and --upload are for a run at a server; name the repository with --repo")
			}
			return c.run(cmd.Context(), text, f, r, cmd.Flags().Changed("approve"))
		},
	}
	cmd.Flags().StringVar(&f.repo, "repo", "", "the repository's `directory` (default: the current one)")
	cmd.Flags().StringVar(&f.project, "project", "", "at a server: on the project with this `name or id` (default: the workspace's only one)")
	cmd.Flags().BoolVar(&f.upload, "upload", false, "at a server: on the repository here, which is sent there; the branch comes back")
	cmd.Flags().StringVar(&f.template, "template", "", "by the template with this `name`, which fills in what is not said; see: mgx templates")
	cmd.Flags().StringArrayVar(&f.attach, "attach", nil, "`path` of a file, directory or archive (tar, tar.gz, zip) that agents can read in /attachments; may be given several times")
	cmd.Flags().String("mcp", "", "`file` of servers of the Model Context Protocol whose pinned tools agents may call, see docs/mcp.md (default: none)")
	cmd.Flags().BoolVar(&f.includeDirty, "include-dirty", false, "take the checkout's uncommitted changes along")
	f.add(cmd.Flags())
	r.add(cmd.Flags())
	return cmd
}

func isTask(text string) error {
	if strings.TrimSpace(text) == "" {
		return usage("empty_task", `the task is empty; say what you want, for example: mgx run "add a /healthz endpoint with a test"`)
	}
	return nil
}

func (c *cli) run(ctx context.Context, text string, f runFlags, r repeatFlags, approveTyped bool) (err error) {
	tape, err := c.openTape(r)
	if err != nil {
		return err
	}
	defer func() { err = tape.close(c.err, err) }()
	text = cmp.Or(text, tape.run().Task)
	if err := isTask(text); err != nil {
		return err
	}
	dir, err := workingDir(f.repo)
	if err != nil {
		return err
	}
	src, err := git.Inspect(ctx, dir)
	if err != nil {
		return err
	}
	if f.branch != "" {
		if err := git.ValidBranch(f.branch); err != nil {
			return err
		}
		if err := src.CanDeliver(ctx, f.branch); err != nil && r.replay == "" { // which may make the same commit once more
			return err
		}
	}
	m := newModels(tape.getenv(c.getenv), tape)
	model, err := m.choose(ctx, cmp.Or(c.cfg.Model, tape.run().Model))
	if err != nil {
		return err
	}
	n, err := c.open(ctx, m)
	if err != nil {
		return err
	}
	defer n.close()
	if err := c.forProject(ctx, n, codeBase{mgx.ProjectOf(src.Path), src.Path}); err != nil {
		return err
	}
	settings, err := c.settings(src.Path, f)
	if err != nil {
		return err
	}
	if err := c.demand(ctx, settings.Sandbox); err != nil {
		return err
	}
	if err := demandGate(ctx, settings); err != nil {
		return err
	}
	if settings.MCP, err = serversOf(c.cfg, src.Path); err != nil {
		return err
	}
	settings.Model = model
	r.settle(&settings, tape)
	if err := n.models.use(settings); err != nil {
		return err
	}
	settings.Plan = f.plan || approveTyped && c.cfg.Approve == "ask"
	if err := tape.begin(c.err, cassette.Run{Task: text, Model: model, Head: src.Head, Seed: settings.Seed}); err != nil {
		return err
	}
	if settings.InOrder {
		end, err := n.reproduce(ctx, tape.seed(settings), tape.started())
		if err != nil {
			return err
		}
		defer end()
	}
	run, err := n.start(ctx, app.NewRun{Text: text, Repo: src.RepoInfo, Settings: settings, Source: "cli"}, f.attach)
	if err != nil {
		return err
	}
	return c.attach(ctx, n, run)
}

// settings are those of the configuration and the flags, for a run on a repository.
func (c *cli) settings(repo string, f runFlags) (mgx.RunSettings, error) {
	return c.settingsOf(c.cfg, repo, f)
}

func (c *cli) settingsOf(cfg *config.Config, repo string, f runFlags) (mgx.RunSettings, error) {
	rules, err := c.policyFor(repo, cfg.Policy)
	return mgx.RunSettings{
		Policy: rules, Plan: f.plan,
		Approve: cfg.Approve, Budget: cfg.Budget, MaxTurns: cfg.MaxTurns, Timeout: cfg.Timeout,
		Sandbox: cfg.Sandbox, AllowHosts: cfg.AllowHosts, Branch: f.branch, Checks: f.checks, MaxTokens: f.maxTokens, IncludeDirty: f.includeDirty, Price: f.price,
	}, err
}
