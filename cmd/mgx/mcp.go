package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/config"
	"mgx/internal/git"
	"mgx/internal/sandbox"
	"mgx/internal/team"
	"mgx/internal/tool"
	"mgx/internal/tool/mcp"
)

// servers reads the operator's servers of tools with what was pinned of them. A
// file in the repository that the run works on is none of the operator's.
func serversOf(cfg *config.Config, repo string) ([]mgx.MCPServer, error) {
	if cfg.MCP == "" {
		return nil, nil
	}
	if inside(cfg.MCP, repo) {
		return nil, usage("mcp_in_repository", "%s lies in the repository that the run works on, where others than you may write it; keep it somewhere else", cfg.MCP)
	}
	servers, _, err := readServers(cfg.MCP)
	return servers, err
}

// readServers reads a configuration and the lock beside it, if there is one.
func readServers(file string) ([]mgx.MCPServer, mcp.Lock, error) {
	text, err := readBounded(file, mcp.MaxConfig)
	if err != nil {
		return nil, nil, mgx.Errorf(mgx.KindConfig, mcp.CodeBadConfig, "%s cannot be read: %w", file, err)
	}
	servers, err := mcp.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	text, err = readBounded(mcp.LockName(file), mcp.MaxLock)
	if errors.Is(err, fs.ErrNotExist) {
		return servers, mcp.Lock{}, nil
	}
	if err != nil {
		return nil, nil, mgx.Errorf(mgx.KindConfig, mcp.CodeBadConfig, "%s cannot be read: %w", mcp.LockName(file), err)
	}
	lock, err := mcp.ParseLock(text)
	if err != nil {
		return nil, nil, err
	}
	return lock.Apply(servers), lock, nil
}

// outsideSet are the servers of a run and the box that their programs run in.
type outsideSet struct {
	*mcp.Set
	box sandbox.Box
}

func (s outsideSet) Close() error { return errors.Join(s.Set.Close(), s.box.Close()) }

// outside prepares the servers of a run; nil when it has none. Their programs run
// in a box like that of the run's commands, next to it, since each lives as long
// as the run is worked on: what a box overlays can be had by one command at a time.
//
// For the same reason no veil can be put over what a policy hides, as over the files
// of one command: a tool that replaces a file takes away what is mounted over it. So
// they get no files at all then.
func (n *node) outside(ctx context.Context, of mgx.Scope, settings mgx.RunSettings, site *team.Site, spec sandbox.Spec, least sandbox.Level) (team.Outside, error) {
	if len(settings.MCP) == 0 {
		return nil, nil
	}
	id := of.Run
	rules, err := team.RulesOf(settings)
	if err != nil {
		return nil, err
	}
	if rules.Hides() {
		blank, err := site.Clone.Blank()
		if err != nil {
			return nil, err
		}
		ofRepository := git.Mounts(n.runDir(id), site.Source)
		spec.Work = blank.Dir
		spec.Mounts = slices.DeleteFunc(slices.Clone(spec.Mounts), func(m sandbox.Mount) bool { return slices.Contains(ofRepository, m) })
	}
	spec.State, spec.Mounts = spec.State+"-mcp", lasting(spec.Mounts)
	box, err := openBox(ctx, driver(settings.Sandbox), least, spec)
	if err != nil {
		return nil, err
	}
	return outsideSet{mcp.Open(settings.MCP, mcp.Options{
		Run: id, Box: box, Getenv: os.Getenv, Secret: n.hiding(of.Workspace).Add, Version: version, Lifetime: settings.Timeout,
	}), box}, nil
}

// lasting are the mounts that several commands can have at once. What programs of
// the run printed, and what it was given, is not for servers.
func lasting(mounts []sandbox.Mount) (out []sandbox.Mount) {
	for _, m := range mounts {
		if m.Mode == sandbox.Cache || m.Guest == tool.OutputsDir || m.Guest == tool.AttachmentsDir {
			continue
		}
		if m.Mode != sandbox.Empty {
			m.Mode = sandbox.ReadOnly
		}
		out = append(out, m)
	}
	return out
}

func (c *cli) mcpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "See and pin the tools of servers of the Model Context Protocol",
		Long: `Agents may call tools of servers of the Model Context Protocol that you name in a file,
and of those the tools that you have seen and pinned. Here the programs of servers run within
the limits that runs of the workspace have (--workspace). See docs/mcp.md.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.mcpListCommand(), c.mcpPinCommand())
	return inAWorkspace(cmd)
}

func (c *cli) mcpListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [FILE]",
		Short: "List what the servers in a file offer, and what of it is pinned",
		Long: `Start or call each server in FILE, or in the one that MGX_MCP names, and list its tools: the
effect class that you gave it (network where you gave none), and whether it is pinned, changed
since, new, barred by your list of tools, or unfit to be used at all.`,
		Args: optionalArg("a file of servers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var failed error
			err := c.mcpEach(cmd.Context(), args, "", func(_ mgx.MCPServer, _ mcp.Lock, all []mcp.Described, err error) error {
				if err != nil && failed != nil {
					c.tell("mgx: %s\n", mgx.AsError(err).Message)
				}
				if failed = cmp.Or(failed, err); err != nil { // the others are listed all the same
					return cmd.Context().Err()
				}
				return c.mcpList(all)
			})
			return cmp.Or(err, failed)
		},
	}
	addMinimum(cmd.Flags())
	return cmd
}

func (c *cli) mcpPinCommand() *cobra.Command {
	var yes bool
	var only string
	cmd := &cobra.Command{
		Use:   "pin [FILE]",
		Short: "Look at what the servers in a file say of their tools, and pin it",
		Long: `Show what each server in FILE, or in the one that MGX_MCP names, says of its tools to models:
the words and the schema of each that is new or has changed, with hidden characters made visible.
What you then accept is pinned by its hash in a lock file beside FILE. Agents are offered pinned
tools only, and one that is described otherwise later is refused.

Read it as you would read a program: models follow what stands there.

Exit codes: 0 pinned; 2 usage; 3 configuration; 6 not confirmed.`,
		Args: optionalArg("a file of servers"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.mcpPin(cmd.Context(), args, only, yes) },
	}
	cmd.Flags().StringVar(&only, "server", "", "pin the tools of one `server` only")
	cmd.Flags().BoolVar(&yes, "yes", false, "pin without asking")
	addMinimum(cmd.Flags())
	return cmd
}

// mcpFile is the file that a command is about.
func (c *cli) mcpFile(args []string) (string, error) {
	if len(args) == 1 && args[0] != "" {
		return args[0], nil
	}
	if len(args) == 1 || c.cfg.MCP == "" {
		return "", usage("no_mcp_file", "name the file of servers, or set MGX_MCP; docs/mcp.md says what it looks like")
	}
	return c.cfg.MCP, nil
}

// mcpEach connects the servers in a file one after the other, or only one of them, in a
// sandbox with an empty workspace.
func (c *cli) mcpEach(ctx context.Context, args []string, only string, f func(mgx.MCPServer, mcp.Lock, []mcp.Described, error) error) (err error) {
	file, err := c.mcpFile(args)
	if err != nil {
		return err
	}
	servers, lock, err := readServers(file)
	if err != nil {
		return err
	}
	dir, err := sandbox.Scratch("mcp")
	if err != nil {
		return err
	}
	defer sandbox.RemoveState(dir)
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		return mgx.Errorf(mgx.KindConfig, "sandbox_state", "there is no room for temporary files: %w", err)
	}
	spec := boxSpec(c.cfg.Data, "mcp", work, filepath.Join(dir, "state"), nil)
	spec.Mounts, spec.Limits = lasting(spec.Mounts), boxLimits(c.cfg.SandboxLimits)
	if spec.Quotas, err = c.asRunsHere(ctx, ""); err != nil {
		return err
	}
	box, err := openBox(ctx, driver(c.cfg.Sandbox), sandbox.Level(c.cfg.LeastSandbox), spec)
	if err != nil {
		return err
	}
	set := outsideSet{mcp.Open(servers, mcp.Options{Box: box, Getenv: os.Getenv, Secret: redactors().Own().Add, Version: version, Lifetime: c.cfg.Timeout}), box}
	defer func() { err = errors.Join(err, set.Close()) }()
	for _, s := range servers {
		if only != "" && s.Name != only {
			continue
		}
		all, err := set.Describe(ctx, s.Name)
		if err := f(s, lock, all, err); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) mcpList(all []mcp.Described) error {
	if c.json {
		return printJSON(c, all...)
	}
	for _, d := range all {
		about := d.Why
		if about == "" {
			about, _, _ = strings.Cut(strings.TrimSpace(d.Description), "\n")
		}
		c.printf("%-40s %-8s %-8s %s\n", tool.Visible(d.Server+"/"+d.Tool), d.Effect, d.State, shortened(tool.Visible(about), 80))
	}
	return nil
}

func shortened(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func (c *cli) mcpPin(ctx context.Context, args []string, only string, yes bool) error {
	file, err := c.mcpFile(args)
	if err != nil {
		return err
	}
	var lock mcp.Lock
	asked, found := 0, false
	err = c.mcpEach(ctx, args, only, func(s mgx.MCPServer, now mcp.Lock, all []mcp.Described, err error) error {
		if err != nil {
			return err
		}
		lock, found = now, true
		asked += c.showPins(all, now[s.Name])
		now[s.Name] = pinsOf(all)
		return nil
	})
	switch {
	case err != nil:
		return err
	case !found:
		return usage("not_found", "%s has no server %q", file, only)
	case asked > 0 && !yes:
		if err := c.confirmPins(ctx, asked); err != nil {
			return err
		}
	}
	if err := writeLock(mcp.LockName(file), lock); err != nil {
		return err
	}
	c.tell("%s holds the pins.\n", mcp.LockName(file))
	return nil
}

// pinsOf are the tools of a server that can be offered, as it describes them.
func pinsOf(all []mcp.Described) map[string]mcp.Pinned {
	pins := map[string]mcp.Pinned{}
	for _, d := range all {
		if slices.Contains([]mcp.State{mcp.IsPinned, mcp.IsChanged, mcp.IsNew}, d.State) {
			pins[d.Tool] = mcp.Pinned{Pin: d.Pin, Description: d.Description, Schema: d.Schema, Hints: d.Hints}
		}
	}
	return pins
}

// readBounded reads a small file of the operator's.
func readBounded(file string, most int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, errors.New("it is no file, or too large")
	}
	return os.ReadFile(file)
}
