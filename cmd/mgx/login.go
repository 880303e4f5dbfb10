package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mgx"
	"mgx/client"
	"mgx/internal/ui"
)

func (c *cli) loginCommand() *cobra.Command {
	var l login
	cmd := &cobra.Command{
		Use:   "login --server URL",
		Short: "Sign in at a server",
		Long: `Signs in at a server, for the commands that take --server. What the server gives is kept in
servers.json in the XDG state directory, which only you can read, and renewed when it expires.

	mgx login --server https://mgx.example.com                          asks for address and password
	mgx login --server https://mgx.example.com --invitation mgxi_…      as somebody who was invited
	mgx login --server https://mgx.example.com --key-stdin < key        with an API key instead

mgx serve prints the invitation of its owner when it starts for the first time.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l.server = cmp.Or(l.server, c.getenv("MGX_SERVER"))
			if l.server == "" {
				return usage("no_server", "say where to sign in, for example: mgx login --server https://mgx.example.com")
			}
			return c.login(cmd.Context(), l)
		},
	}
	f := cmd.Flags()
	f.StringVar(&l.server, "server", "", "the server's `URL`")
	f.StringVar(&l.email, "email", "", "your `address`")
	f.StringVar(&l.name, "name", "", "your `name`, when you were invited")
	f.StringVar(&l.workspace, "workspace", "", "`id` of the workspace that commands are for unless they say")
	f.StringVar(&l.invitation, "invitation", "", "the `token` of an invitation")
	f.BoolVar(&l.passwordStdin, "password-stdin", false, "read the password from stdin")
	f.BoolVar(&l.keyStdin, "key-stdin", false, "read an API key from stdin")
	return cmd
}

type login struct {
	server, email, name, workspace, invitation string
	passwordStdin, keyStdin                    bool
}

func (c *cli) login(ctx context.Context, l login) error {
	kept, err := c.signIn(ctx, l)
	if err != nil {
		return err
	}
	err = c.withCredentials(func(all *credentials) (bool, error) {
		all.Servers[serverName(l.server)] = kept
		return true, nil
	})
	if err != nil {
		return err
	}
	c.tell("Signed in at %s as %s", l.server, cmp.Or(kept.Email, string(kept.User)))
	if kept.Workspace != "" {
		c.tell(", in workspace %s", kept.Workspace)
	}
	fmt.Fprintln(c.err, ".")
	return nil
}

func (c *cli) signIn(ctx context.Context, l login) (kept credential, err error) {
	if err := c.protected(l.server); err != nil {
		return kept, err
	}
	if l.keyStdin {
		return c.signInByKey(ctx, l)
	}
	remote, err := client.New(l.server, "")
	if err != nil {
		return kept, err
	}
	if l.email == "" {
		if l.email, err = c.ask("Address: "); err != nil {
			return kept, err
		}
	}
	if l.invitation != "" && l.name == "" {
		l.name, _, _ = strings.Cut(l.email, "@")
	}
	password, err := c.password(l.passwordStdin)
	if err != nil {
		return kept, err
	}
	var signed client.Signed
	if l.invitation != "" {
		signed, err = remote.Accept(ctx, client.Acceptance{Token: l.invitation, Email: l.email, Name: l.name, Password: password})
	} else {
		signed, err = remote.SignIn(ctx, l.email, password)
	}
	if err != nil {
		return kept, err
	}
	ws, err := c.chosen(signed.Members, mgx.WorkspaceID(l.workspace))
	return session(signed, ws), err
}

// chosen is the workspace that commands are for: the one that was named, or the
// only one. Who has several names one with each command, or here.
func (c *cli) chosen(all []mgx.Member, named mgx.WorkspaceID) (mgx.WorkspaceID, error) {
	for _, m := range all {
		if m.Workspace == named {
			return named, nil
		}
	}
	switch {
	case named != "":
		return "", usage("no_such_workspace", "you are not a member of %s", named)
	case len(all) == 1:
		return all[0].Workspace, nil
	case len(all) > 1:
		fmt.Fprintln(c.err, "You are a member of several workspaces; name one with --workspace, here or with each command:")
		for _, m := range all {
			c.tell("  %s  %s, %s\n", m.Workspace, ui.Text(m.WorkspaceName), m.Role)
		}
	}
	return "", nil
}

// signInByKey keeps a key once the server has taken it.
func (c *cli) signInByKey(ctx context.Context, l login) (kept credential, err error) {
	if kept.Key, err = c.line(); err != nil {
		return kept, err
	}
	remote, err := client.New(l.server, kept.Key)
	if err != nil {
		return kept, err
	}
	me, err := remote.Me(ctx)
	kept.User, kept.Workspace = me.User.ID, me.Workspace
	return kept, err
}

// ask asks a person for a line.
func (c *cli) ask(what string) (string, error) {
	if !c.terminal() {
		return "", usage("not_a_terminal", "there is nobody to ask; use --email, and --password-stdin or --key-stdin")
	}
	fmt.Fprint(c.err, what)
	return c.line()
}

// line reads one line of stdin.
func (c *cli) line() (string, error) { return lineOf(bufio.NewReader(io.LimitReader(c.in, maxLine))) }

// twoLines reads two.
func (c *cli) twoLines() (first, second string, err error) {
	in := bufio.NewReader(io.LimitReader(c.in, 2*maxLine))
	if first, err = lineOf(in); err == nil {
		second, err = lineOf(in)
	}
	return first, second, err
}

const maxLine = 4096

func lineOf(in *bufio.Reader) (string, error) {
	text, err := in.ReadString('\n')
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		if err == nil || errors.Is(err, io.EOF) {
			err = usage("no_input", "stdin has no line to read")
		}
		return "", err
	}
	return text, nil
}

// password reads one from stdin, or asks a person, who does not see it.
func (c *cli) password(stdin bool) (string, error) {
	if stdin {
		return c.line()
	}
	return c.askPassword("Password: ", "use --password-stdin or --key-stdin")
}

// askPassword asks a person, who does not see it; without one it says what else to do.
func (c *cli) askPassword(what, otherwise string) (string, error) {
	in, file := c.in.(*os.File)
	if !file || !c.terminal() {
		return "", usage("not_a_terminal", "there is nobody to ask for a password; %s", otherwise)
	}
	fmt.Fprint(c.err, what)
	text, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(c.err)
	return string(text), err
}

func (c *cli) logoutCommand() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "logout --server URL",
		Short: "Sign out at a server",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if server = cmp.Or(server, c.getenv("MGX_SERVER")); server == "" {
				return usage("no_server", "say where to sign out, for example: mgx logout --server https://mgx.example.com")
			}
			return c.logout(cmd.Context(), server)
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "the server's `URL`")
	return cmd
}

// logout forgets a server also when that does not answer; its session then ends
// when it expires.
func (c *cli) logout(ctx context.Context, server string) error {
	remote, err := c.remote(at{server: server})
	if err != nil {
		return err
	}
	_, left := c.accessTo(ctx, server)
	if left == nil {
		left = remote.SignOut(ctx)
	}
	known := false
	err = c.withCredentials(func(all *credentials) (bool, error) {
		_, known = all.Servers[serverName(server)]
		delete(all.Servers, serverName(server))
		return known, nil
	})
	switch {
	case err != nil:
		return err
	case mgx.IsCode(left, client.CodeUnreachable):
		c.tell("Signed out here; %s could not be told, so the session there ends by itself.\n", server)
	case !known:
		c.tell("You were not signed in at %s.\n", server)
	default:
		c.tell("Signed out at %s.\n", server)
	}
	return nil
}

func (c *cli) whoamiCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "whoami",
		Short: "Say who you are at a server, and what you may do there",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withPeople(cmd.Context(), c.whoami)
		},
	}
	return cmd
}

func (c *cli) whoami(ctx context.Context, p people) error {
	me, err := p.Me(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, me)
	}
	c.printf("%s\n", ui.Text(cmp.Or(me.User.Email, string(me.User.ID))))
	switch {
	case me.Owner:
		c.printf("  the owner of the data directory, who may do everything\n")
	case me.Key != "":
		c.printf("  by key %s, scopes: %s\n", me.Key, strings.Join(me.Scopes, ", "))
	}
	if me.Workspace != "" && me.Role != "" {
		c.printf("  in %s as %s\n", me.Workspace, me.Role)
	}
	for _, m := range me.Members {
		c.printf("  member of %s (%s) as %s\n", m.Workspace, ui.Text(m.WorkspaceName), m.Role)
	}
	return nil
}
