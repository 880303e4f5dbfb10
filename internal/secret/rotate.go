package secret

import (
	"context"
	"maps"
	"slices"

	"github.com/tink-crypto/tink-go/v2/keyset"

	"mgx"
)

// Rotate gives the workspace a new key and seals everything with it anew. When it
// is interrupted, calling it again finishes it.
func (v Vault) Rotate(ctx context.Context) error {
	all, err := v.Store.WorkspaceKeys(ctx, v.Workspace)
	if err != nil {
		return err
	}
	next := int64(1)
	if len(all) > 0 {
		next = all[len(all)-1].Version + 1
	}
	if len(all) < 2 { // else a rotation was interrupted, and goes on
		if err := v.addKey(ctx, next); err != nil {
			return err
		}
	}
	return v.reseal(ctx)
}

// reseal seals everything with the newest key, then removes the others. What is
// set or removed meanwhile makes it look again.
func (v Vault) reseal(ctx context.Context) error {
	for tries := 0; ; tries++ {
		err := v.resealOnce(ctx)
		if !mgx.IsCode(err, mgx.CodeConflict) || tries == 5 {
			return err
		}
	}
}

func (v Vault) resealOnce(ctx context.Context) error {
	keys, err := v.keys(ctx)
	if err != nil {
		return err
	}
	newest := slices.Max(slices.Collect(maps.Keys(keys)))
	sealed, err := v.Store.AllSecrets(ctx, v.Workspace)
	if err != nil {
		return err
	}
	for _, s := range sealed {
		if s.Key == newest {
			continue
		}
		if err := v.move(ctx, s, keys, newest); err != nil {
			return err
		}
	}
	return v.Store.DropWorkspaceKeys(ctx, v.Workspace, newest, v.act("secret_key.rotate", string(v.Workspace), map[string]int64{"version": newest}))
}

// move seals one version with another key.
func (v Vault) move(ctx context.Context, s mgx.SealedSecret, keys map[int64]*keyset.Handle, to int64) error {
	value, err := unseal(keys, s)
	if err != nil {
		return err
	}
	was := s.Key
	s.Key = to
	if s.Box, err = seal(keys[to], s, value); err != nil {
		return err
	}
	return v.Store.ResealSecret(ctx, s, was)
}

// Opens tries whether the ring unwraps all keys of the workspace; CodeRing when not.
func (v Vault) Opens(ctx context.Context) error {
	_, err := v.keys(ctx)
	return err
}

// Rewrap wraps the workspace's keys with what wraps in the ring now. A key that a
// rotation drops or adds meanwhile makes it look again.
func (v Vault) Rewrap(ctx context.Context) error {
	for tries := 0; ; tries++ {
		err := v.rewrapOnce(ctx)
		if !mgx.IsCode(err, mgx.CodeConflict) || tries == 5 {
			return err
		}
	}
}

func (v Vault) rewrapOnce(ctx context.Context) error {
	all, err := v.Store.WorkspaceKeys(ctx, v.Workspace)
	if err != nil {
		return err
	}
	for _, k := range all {
		h, err := v.Ring.unwrap(ctx, k)
		if err != nil {
			return err
		}
		if k.Wrapped, err = v.Ring.wrap(ctx, h, v.Workspace, k.Version); err != nil {
			return err
		}
		if err := v.Store.RewrapWorkspaceKey(ctx, k, v.act("secret_key.rewrap", string(v.Workspace), v.wrapped(k.Version))); err != nil {
			return err
		}
	}
	return nil
}
