package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mgx"
	"mgx/internal/config"
)

// cli is one command line at work: where it reads and writes, and its settings.
type cli struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string

	at      at
	typing  typed
	json    bool
	metrics bool // the command collects metrics
	cfg     *config.Config

	stranger string // the server that is asked without anything to sign in with

	typed map[string]string   // flags, by name
	real  func(string) string // the environment itself
}

// command builds the whole command tree; each subcommand has a file of its own.
func (c *cli) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "mgx",
		Short: "A team of AI agents that does software work on your repositories",
		Long: `MGX takes a task in words and a git repository. A team of agents plans, works in a
sandbox, runs the repository's checks, reviews its own work and delivers a branch.
Start with: mgx demo

Commands work on the data directory of this machine. Most work at a server too, with --server
or MGX_SERVER, after mgx login; see docs/server.md.`,
		Args:              noArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.configure(cmd) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("bad_flag", "%s; see: %s --help", flagTrouble(err), cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.String("data", "", "data `directory` (default: the XDG data directory)")
	flags.String("database", "", "SQLite `file` or postgres:// address (default: mgx.db in the data directory)")
	flags.String("nats", "", "`address` of a NATS server by which processes on one PostgreSQL wake each other, nats://host:port, see docs/nats.md (default: none)")
	flags.String("redis", "", "`address` of a Redis for limits and kept answers, redis://host:port/0, see docs/routing.md (default: none)")
	flags.String("models-file", "", "`file` of providers and policies, see docs/routing.md (default: models.json beside the configuration)")
	c.at.flags(flags)
	flags.String("log-format", "text", "`format` of log lines, text or json")
	flags.String("log-level", "warn", "least `level` of log lines: debug, info, warn, error")
	flags.BoolVar(&c.json, "json", false, "results as JSON on stdout, one object a line")
	root.CompletionOptions.HiddenDefaultCmd = true
	add := func(title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
		for _, cmd := range commands {
			cmd.GroupID = title
		}
		root.AddCommand(commands...)
	}
	add("Have work done", append(anywhere(
		c.runCommand(), c.resumeCommand(), c.pauseCommand(), c.cancelCommand(), c.steerCommand(), c.forkCommand(), c.getCommand(), c.templatesCommand(),
	), c.demoCommand())...)
	add("Decide what waits for you", anywhere(c.approvalsCommand(), c.approveCommand(), c.reviewCommand())...)
	add("See what happens", anywhere(
		c.runsCommand(), c.tasksCommand(), c.showCommand(), c.diffCommand(), c.artifactsCommand(), c.eventsCommand(), c.executionsCommand(), c.agentsCommand(), c.replayCommand(),
	)...)
	add("Models, money and rules", append(anywhere(
		c.modelsCommand(), c.budgetCommand(), c.usageCommand(), c.policyCommand(), c.projectCommand(), c.secretsCommand(),
	), c.mcpCommand())...)
	add("Servers and people", append(anywhere(
		c.whoamiCommand(), c.sessionsCommand(), c.passwordCommand(), c.invitationsToMe(), c.keysCommand(), c.membersCommand(), c.rolesCommand(), c.workspacesCommand(), c.webhooksCommand(), c.consumersCommand(),
	), c.serveCommand(), c.loginCommand(), c.logoutCommand())...)
	add("What is kept", append(anywhere(
		c.auditCommand(), c.exportCommand(), c.eraseCommand(), c.retainCommand(),
	), c.backupCommand(), c.restoreCommand(), c.verifyCommand())...)
	add("This machine", c.doctorCommand(), c.configCommand(), c.sandboxCommand(), c.versionCommand())
	root.SetHelpCommandGroupID("This machine")
	byEachName(root)
	return root
}

// byEachName has commands that take something away go by the names that others of the
// kind have.
func byEachName(cmd *cobra.Command) {
	names := []string{"remove", "delete", "rm"}
	for _, sub := range cmd.Commands() {
		if slices.Contains(names, sub.Name()) {
			sub.Aliases = slices.DeleteFunc(names, func(name string) bool { return name == sub.Name() })
		}
		byEachName(sub)
	}
}

// flagTrouble says what is wrong with a flag.
func flagTrouble(err error) string {
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		f := bad.GetFlag()
		switch f.Value.Type() {
		case "int", "int64":
			return fmt.Sprintf("--%s takes a whole number, not %q", f.Name, bad.GetValue())
		case "float64":
			return fmt.Sprintf("--%s takes a number, not %q", f.Name, bad.GetValue())
		case "duration":
			return fmt.Sprintf("--%s takes a time such as 90s, 45m or 2h, not %q", f.Name, bad.GetValue())
		case "bool":
			return fmt.Sprintf("--%s takes true or false, not %q", f.Name, bad.GetValue())
		case "file":
			return fmt.Sprintf("--%s takes the name of a file, not %q", f.Name, bad.GetValue())
		}
	}
	if none, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fmt.Sprintf("--%s takes a value", none.GetFlag().Name)
	}
	return err.Error()
}

// configure settles the configuration before any command runs.
func (c *cli) configure(cmd *cobra.Command) error {
	if cmd.ValidateFlagGroups() != nil { // which cobra itself does later, in words of its own
		var both []string
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if f.Annotations["cobra_annotation_mutually_exclusive"] != nil {
				both = append(both, "--"+f.Name)
			}
		})
		return usage("bad_flag", "%s cannot be said together; see: %s --help", strings.Join(both, " and "), cmd.CommandPath())
	}
	if err := c.settlePlace(cmd); err != nil {
		return err
	}
	typed := map[string]string{}
	cmd.Flags().Visit(func(f *pflag.Flag) { typed[f.Name] = f.Value.String() })
	cfg, err := config.Load(c.getenv, typed)
	if err != nil {
		return err
	}
	hideSettings(cfg)
	real := c.getenv
	c.cfg, c.typed, c.real = cfg, typed, real
	c.getenv = func(name string) string { // also what a flag or the user's file says
		switch name {
		case "MGX_MODELS_FILE":
			return cfg.ModelsFile
		case "MGX_PRICES":
			return cfg.Prices
		case "MGX_PRICES_URL":
			return cfg.PricesURL
		case "MGX_DATA":
			return cfg.Data
		}
		return real(name)
	}
	return nil
}

// noArgs, oneArg: as cobra's, with an error of ours.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		hint := ""
		cmd.SuggestionsMinimumDistance = 2 // letters that are wrong
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 && args[0] != "" {
			hint = ", but there is " + strings.Join(near, " and ")
		}
		return usage("unknown_command", "there is no command %q%s; see: %s --help", args[0], hint, cmd.CommandPath())
	}
	return usage("bad_arguments", "%s takes no arguments; got %q", cmd.CommandPath(), args)
}

func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return usage("bad_arguments", "%s takes one argument, %s; got %d", cmd.CommandPath(), what, len(args))
	}
}

func optionalArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= 1 {
			return nil
		}
		return usage("bad_arguments", "%s takes at most one argument, %s; got %d", cmd.CommandPath(), what, len(args))
	}
}

// terminal reports whether a person is at both ends of this command.
func (c *cli) terminal() bool {
	return !c.json && isTerminal(c.in) && isTerminal(c.err)
}

func workingDir(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	wd, err := os.Getwd()
	if errors.Is(err, os.ErrNotExist) {
		return "", usage("not_a_directory", "the working directory no longer exists; change to another or use --repo")
	}
	if err != nil {
		return "", mgx.Errorf(mgx.KindConfig, "no_working_directory", "the working directory cannot be read: %w", err)
	}
	return wd, nil
}
