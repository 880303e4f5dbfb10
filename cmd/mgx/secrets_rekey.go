package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"

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

Interrupted, it is done again; of several at once each waits for the one before. See
docs/secrets.md.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withNode(cmd.Context(), func(ctx context.Context, n *node) error {
				lock, err := lockFile(n.ringPath+".lock", syscall.LOCK_EX) // of two, one would drop the key with which the other wraps
				if err != nil {
					return ringError(n.ringPath, err)
				}
				defer lock.Close()
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
	ring, err := n.rekeyed()
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
	newest, err := n.drop(ring)
	if err != nil {
		return err
	}
	if err := n.rewrapLate(ctx, ring, newest); err != nil {
		return err
	}
	if err := os.Remove(n.earlierRing()); err != nil {
		return ringError(n.earlierRing(), err)
	}
	fmt.Fprintf(c.err, "%s has a new key, and only that. Rewrapped: %s.\n", n.ringPath, which)
	return nil
}

// rekeyed is the ring to renew: that in the file, or, where a rekey was interrupted when
// it had dropped keys and not yet looked for what came late, that from before.
func (n *node) rekeyed() (*secrets.Ring, error) {
	ring, err := n.ring(true)
	if err != nil {
		return nil, err
	}
	earlier, err := readRing(n.earlierRing())
	switch {
	case err != nil || earlier == nil:
		return ring, err
	case !earlier.Has(ring):
		return nil, n.twoRings()
	}
	return earlier, nil
}

// drop leaves in the file the key alone that wraps. The others are beside it until it is
// known that nothing needs them.
func (n *node) drop(ring *secrets.Ring) (*secrets.Ring, error) {
	newest, err := ring.Newest()
	if err != nil {
		return nil, err
	}
	if err := saveRing(n.earlierRing(), ring, os.Rename); err != nil {
		return nil, ringError(n.earlierRing(), err)
	}
	if now, err := n.ring(false); err != nil {
		return nil, err
	} else if !now.Has(ring) { // somebody put another in its place
		return nil, n.twoRings()
	}
	if err := saveRing(n.ringPath, newest, os.Rename); err != nil {
		return nil, ringError(n.ringPath, err)
	}
	return newest, nil
}

func (n *node) earlierRing() string { return n.ringPath + ".earlier" }

func (n *node) twoRings() error {
	return mgx.Errorf(mgx.KindConfig, "key_ring_changed", "the key ring %s was replaced while it was given a new key; what was wrapped until then opens with %s: put the right one of the two in the place of the first, move the other away, and run again: mgx secrets rekey", n.ringPath, n.earlierRing())
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
