package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/ui"
)

func (c *cli) secretsCommand() *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error { return c.withSecrets(cmd, c.listSecrets) }
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "Keep keys of providers and other secrets sealed, and use them by name",
		Long: `Lists the secrets, without their values. A secret is sealed with the key of its workspace,
and that key with the key ring, which is not in the database. The file of models refers
to secrets by name ("key_secret": "NAME"). Each use is in the audit log, with what for:
mgx audit --action secret.use. See docs/secrets.md.`,
		Example: `  mgx secrets set openai < key.txt
  mgx audit --action 'secret.*'`,
		Args: noArgs,
		RunE: list,
	}
	cmd.PersistentFlags().String("secrets-keys", "", "`file` of the key ring (default: secrets.keys in the data directory)")
	cmd.PersistentFlags().String("secrets-vault", "", "JSON `file` that says which HashiCorp Vault has the key ring (default: none)")
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "The same as mgx secrets", Args: noArgs, RunE: list},
		c.secretSetCommand(), c.secretRemoveCommand(), c.secretsRotateCommand(), hereOnly(c.secretsRekeyCommand()),
	)
	return cmd
}

// sealed is what commands do with secrets, where they work.
type sealed interface {
	List(ctx context.Context) ([]mgx.SecretInfo, error)
	Set(ctx context.Context, name, value string) (mgx.SecretInfo, error)
	Remove(ctx context.Context, name string) error
	Rotate(ctx context.Context) error
}

// ownSecrets are those of the data directory.
type ownSecrets struct{ *app.Secrets }

func (o ownSecrets) List(ctx context.Context) ([]mgx.SecretInfo, error) {
	return o.Secrets.List(ctx, "", math.MaxInt)
}

// withSecrets does something with secrets where a command says.
func (c *cli) withSecrets(cmd *cobra.Command, f func(context.Context, sealed) error) error {
	if err := c.onlyHere(cmd, "secrets-keys", "secrets-vault"); err != nil {
		return err
	}
	return reach(cmd.Context(), c, func(_ context.Context, n *node) (sealed, error) {
		return ownSecrets{&app.Secrets{By: n.doer(), Vault: n.anyVault, Hide: n.hideOf}}, nil
	}, func(remote *client.Client) sealed { return remote.Secrets() }, f)
}

// useSecret hands out the value of a secret of a workspace, which from then on is hidden
// wherever this process writes what is of that workspace. Those of the default one the
// operator keeps, also for providers that all workspaces call, so they are hidden in all.
func (n *node) useSecret(ctx context.Context, ws mgx.WorkspaceID, name, purpose string) (string, error) {
	v, err := n.vault(ws, false)
	if err != nil {
		return "", err
	}
	value, err := v.Use(ctx, name, purpose)
	if mgx.IsCode(err, mgx.CodeNotFound) {
		return "", mgx.Errorf(mgx.KindConfig, "no_key", "%s needs the secret %s, and there is none; keep it: mgx secrets set %s", purpose, name, name)
	}
	switch {
	case err != nil:
	case ws == mgx.DefaultWorkspace:
		n.redact.Own().Add(value)
	default:
		n.hiding(ws).Add(value)
	}
	return value, err
}

func (c *cli) listSecrets(ctx context.Context, s sealed) error {
	all, err := s.List(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		c.tell("No secrets yet. Keep one with: mgx secrets set NAME < FILE\n")
	}
	for _, s := range all {
		c.printf("%-40s  version %d  set %s by %s\n", s.Name, s.Version, ui.Ago(s.CreatedAt, mgx.Now()), ui.Text(string(s.CreatedBy)))
	}
	return nil
}

func (c *cli) secretSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME",
		Short: "Keep a secret, read from standard input",
		Long: `Reads a value from standard input, never from the command line, where others could see
it; on a terminal it asks, and shows nothing. One line end at the end is not part of it.
What used the secret before uses the new value from its next start on.`,
		Args: oneArg("the name of the secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := mgx.CheckSecretName(args[0]); err != nil {
				return err
			}
			value, err := c.readSecret(args[0])
			if err != nil {
				return err
			}
			return c.withSecrets(cmd, func(ctx context.Context, s sealed) error {
				if value == "" && c.at.server != "" {
					return usage("bad_secret_value", "a secret's value has 1 to %d bytes, not 0", mgx.MaxSecret)
				}
				kept, err := s.Set(ctx, args[0], value)
				if err != nil {
					return err
				}
				if c.json {
					return printJSON(c, kept)
				}
				c.tell("Kept %s, version %d.\n", kept.Name, kept.Version)
				return nil
			})
		},
	}
}

// readSecret reads a value that nobody is to see.
func (c *cli) readSecret(name string) (string, error) {
	if f, ok := c.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(c.err, "Value of %s (it is not shown): ", name)
		value, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.err)
		return string(value), err
	}
	value, err := io.ReadAll(io.LimitReader(c.in, mgx.MaxSecret+3))
	if err != nil {
		return "", usage("no_value", "the value cannot be read from standard input: %v", err)
	}
	value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	return string(value), nil
}

func (c *cli) secretRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Forget a secret, in all its versions",
		Args:  oneArg("the name of the secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withSecrets(cmd, func(ctx context.Context, s sealed) error { return s.Remove(ctx, args[0]) })
		},
	}
}

func (c *cli) secretsRotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Give the workspace a new key, and seal every secret anew",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withSecrets(cmd, func(ctx context.Context, s sealed) error {
				if err := s.Rotate(ctx); err != nil {
					return err
				}
				c.tell("Every secret is sealed with a new key.\n")
				return nil
			})
		},
	}
}
