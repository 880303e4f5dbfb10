package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	secrets "mgx/internal/secret"
)

func (c *cli) secretsRekeyCommand() *cobra.Command {
	var toFile bool
	cmd := &cobra.Command{
		Use:   "rekey",
		Short: "Wrap the keys of all workspaces anew: with a new key of the key ring, or in HashiCorp Vault",
		Long: `Adds a key to the key ring, wraps the keys of all workspaces with it, and takes the others
out of the ring. Other machines on the same database need the new file; earlier backups of
the database need the earlier one.

With --secrets-vault it has HashiCorp Vault wrap them, with the newest version of the key
there, whether the file or an earlier version wrapped them before. With --to-file as well
it is the other way about: what Vault wrapped is wrapped with the key ring in the file.

Interrupted, it is done again. See docs/secrets.md.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withNode(cmd.Context(), func(ctx context.Context, n *node) error {
				switch {
				case n.wrapper == nil && toFile:
					return usage("no_vault", "--to-file brings keys back from HashiCorp Vault, and none is named; name it with --secrets-vault, see docs/secrets.md")
				case n.wrapper == nil:
					return c.rekey(ctx, n)
				case toFile:
					return c.rekeyToFile(ctx, n)
				}
				return c.rekeyInVault(ctx, n)
			})
		},
	}
	cmd.Flags().BoolVar(&toFile, "to-file", false, "wrap with the key ring in the file what HashiCorp Vault wrapped")
	return cmd
}

// rekey gives the ring in the file a new key.
func (c *cli) rekey(ctx context.Context, n *node) error {
	ring, err := n.ring(true)
	if err != nil {
		return err
	}
	if ring, err = ring.Renewed(); err != nil {
		return err
	}
	if err := saveRing(n.ringPath, ring, os.Rename); err != nil { // with both keys, before anything needs the new one
		return ringError(n.ringPath, err)
	}
	which, err := n.rewrap(ctx, ring)
	if err != nil {
		return err
	}
	newest, err := ring.Newest()
	if err != nil {
		return err
	}
	if err := saveRing(n.ringPath, newest, os.Rename); err != nil {
		return ringError(n.ringPath, err)
	}
	if err := n.rewrapLate(ctx, ring, newest); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s has a new key, and only that. Rewrapped: %s.\n", n.ringPath, which)
	return nil
}

// rewrapLate wraps what a process wrapped that had read the ring before it was renewed,
// and stored after all others were wrapped anew.
func (n *node) rewrapLate(ctx context.Context, renewed, newest *secrets.Ring) error {
	all, err := n.store.KeyedWorkspaces(ctx)
	if err != nil {
		return err
	}
	v, err := n.vault(n.workspace, false)
	if err != nil {
		return err
	}
	for _, v.Workspace = range all {
		v.Ring = newest
		err := v.Opens(ctx)
		if mgx.IsCode(err, secrets.CodeRing) {
			v.Ring = renewed
			err = v.Rewrap(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rekeyInVault has Vault wrap everything with its newest key.
func (c *cli) rekeyInVault(ctx context.Context, n *node) error {
	ring, err := n.ring(false)
	if err != nil {
		return err
	}
	which, err := n.rewrap(ctx, ring)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "HashiCorp Vault wraps with the newest version of its key. Rewrapped: %s.\n", which)
	if _, err := os.Stat(n.ringPath); err == nil {
		fmt.Fprintf(c.err, "%s opens earlier backups only: once you need none of them, take it away.\n", n.ringPath)
	}
	return nil
}

// rekeyToFile wraps with the ring in the file, which is made if there is none.
func (c *cli) rekeyToFile(ctx context.Context, n *node) error {
	file, err := n.fileRing()
	if err == nil && file == nil {
		file, err = n.makeRing()
	}
	if err != nil {
		return err
	}
	which, err := n.rewrap(ctx, file.Inside(n.wrapper))
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s wraps the keys. Rewrapped: %s.\nLeave out --secrets-vault (MGX_SECRETS_VAULT) from now on; backups from before need HashiCorp Vault. Keep a copy of the file.\n", n.ringPath, which)
	return nil
}

// rewrap wraps the keys of all workspaces, and says of which.
func (n *node) rewrap(ctx context.Context, ring *secrets.Ring) (string, error) {
	v, err := n.vault(n.workspace, true)
	if err != nil {
		return "", err
	}
	v.Ring = ring
	all, err := n.store.KeyedWorkspaces(ctx)
	if err != nil {
		return "", err
	}
	names := make([]string, len(all))
	for i, ws := range all {
		v.Workspace, names[i] = ws, string(ws)
		if err := v.Rewrap(ctx); err != nil {
			return "", err
		}
	}
	return cmp.Or(strings.Join(names, ", "), "nothing yet"), nil
}
