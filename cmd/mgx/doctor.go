package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/ui"
)

func (c *cli) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Try what MGX needs on this machine, and say what is missing",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.doctor(cmd.Context()) },
	}
	addMinimum(cmd.Flags())
	return cmd
}

// doctor tries each thing a run needs. Its exit is 3 when a run could not work.
func (c *cli) doctor(ctx context.Context) error {
	host, walls := c.doctorHost(ctx), c.doctorWalls(ctx)
	wanted := slices.Concat(c.doctorRedis(ctx), c.doctorNATS(ctx), c.doctorVault(ctx), c.doctorTenants(ctx))
	there := append(walls[1:], c.doctorToolchains(), c.doctorModels())
	if c.json {
		if err := printJSON(c, slices.Concat([]sandbox.Report{host, walls[0]}, there, wanted)...); err != nil {
			return err
		}
	} else {
		c.report(host, ui.MarkFail)
		c.report(walls[0], ui.MarkFail)
		for _, r := range there {
			c.report(r, ui.MarkNo)
		}
		for _, r := range wanted {
			c.report(r, ui.MarkFail)
		}
	}
	if !allOK(host) || !allOK(walls[0]) {
		return mgx.Errorf(mgx.KindConfig, "not_ready", "this machine lacks something that runs need; see the lines marked above")
	}
	return nil
}

// report prints a report; lacking marks what is not as it should be.
func (c *cli) report(r sandbox.Report, lacking ui.Mark) {
	title := r.Driver
	if r.Level != "" {
		title += ": level " + string(r.Level)
	}
	var rows []ui.Row
	for _, check := range r.Checks {
		mark := ui.MarkOK
		if !check.OK {
			mark = lacking
		}
		rows = append(rows, ui.Row{Name: check.Name, Text: cmp.Or(check.Detail, "as it should be"), Mark: mark})
	}
	ui.Section(c.out, title, rows)
}

func allOK(r sandbox.Report) bool {
	for _, check := range r.Checks {
		if !check.OK {
			return false
		}
	}
	return true
}

func (c *cli) doctorHost(ctx context.Context) sandbox.Report {
	r := sandbox.Report{Driver: "host"}
	add := func(name string, err error, detail string) {
		check := sandbox.Check{Name: name, OK: err == nil, Detail: detail}
		if err != nil {
			check.Detail = mgx.AsError(err).Message
		}
		r.Checks = append(r.Checks, check)
	}
	out, err := exec.CommandContext(ctx, "git", "--version").Output()
	if err != nil {
		err = mgx.Errorf(mgx.KindConfig, "git_missing", "git is not on the PATH; install it, for example with: apt-get install git")
	}
	add("git", err, strings.TrimSpace(string(out)))
	n, err := c.openAny(ctx)
	if err == nil {
		defer n.close()
		err = n.store.Verify(ctx)
	}
	add("data directory and log", err, c.cfg.Data)
	add("platform", nil, runtime.GOOS+"/"+runtime.GOARCH)
	return r
}

func (c *cli) doctorToolchains() sandbox.Report {
	_, _, found := sandbox.Toolchains(os.Getenv, os.Getenv("HOME"), c.cfg.Data)
	r := sandbox.Report{Driver: "toolchains in the sandbox"}
	for _, t := range found {
		r.Checks = append(r.Checks, sandbox.Check{Name: t.Name, OK: true, Detail: cmp.Or(t.Version, t.Path)})
	}
	return r
}

func (c *cli) doctorModels() sandbox.Report {
	m := newModels(c.getenv, nil)
	r := sandbox.Report{Driver: "models"}
	for _, p := range m.found {
		detail := "configured; try it with: mgx models"
		if p.Local {
			detail += "; " + freeBy(p.Local, p.From)
		}
		r.Checks = append(r.Checks, sandbox.Check{Name: p.Name(), OK: true, Detail: detail})
	}
	if len(m.found) == 0 {
		r.Checks = append(r.Checks, sandbox.Check{Name: "provider", Detail: "none found; set one of " + strings.Join(m.lookedFor, ", ") + ". mgx demo needs none"})
	}
	return r
}

func (c *cli) configCommand() *cobra.Command {
	var project string
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show every setting, its value and where it comes from",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if project != "" {
				if err := c.configOf(cmd.Context(), project); err != nil {
					return err
				}
			}
			entries := c.cfg.Dump(redactor().String)
			if c.json {
				return printJSON(c, entries...)
			}
			w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
			for _, e := range entries {
				fmt.Fprintf(w, "%s\t%s\t%s\n", e.Name, ui.Text(e.Value), e.Source)
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&project, "project", "", "as the runs of the project with this `directory or id` get it")
	return cmd
}

// configOf settles the configuration for a project.
func (c *cli) configOf(ctx context.Context, project string) (err error) {
	at, err := projectAt(ctx, project)
	if err != nil {
		return err
	}
	n, err := c.openAny(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	return c.forProject(ctx, n, at)
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if c.json {
				return printJSON(c, map[string]string{"version": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			c.printf("mgx %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
