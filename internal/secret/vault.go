package secret

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"mgx"
)

// Vault holds the secrets of one workspace for one who acts.
type Vault struct {
	Store     Store
	Ring      *Ring
	Workspace mgx.WorkspaceID
	Actor     mgx.UserID
	From      string // where the actor is: for the audit log
	Agent     string // what the client calls itself
	Request   string // id of the request
}

// binding is what a box is bound to: each part after its length.
func binding(kind, name string, version int64, more ...string) []byte {
	out := binary.BigEndian.AppendUint64(nil, uint64(version))
	for _, part := range append([]string{kind, name}, more...) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}

// act is the audit entry of something done to a secret or to the keys.
func (v Vault) act(what, resource string, after any) mgx.Event {
	d := mgx.AuditData{Actor: string(v.Actor), Action: what, Resource: resource, Decision: mgx.AuditAllowed, Request: v.Request, Details: &mgx.AuditDetails{From: v.From, Agent: v.Agent}}
	if after != nil {
		d.Details.After, _ = json.Marshal(after)
	}
	return mgx.NewAudit(v.Workspace, d)
}

// Set stores a value as the next version of a secret.
func (v Vault) Set(ctx context.Context, name, value string) (mgx.SecretInfo, error) {
	if err := mgx.CheckSecretName(name); err != nil {
		return mgx.SecretInfo{}, err
	}
	if value == "" || len(value) > mgx.MaxSecret {
		return mgx.SecretInfo{}, mgx.Errorf(mgx.KindUsage, "bad_secret_value", "a secret's value has 1 to %d bytes, not %d", mgx.MaxSecret, len(value))
	}
	for tries := 0; ; tries++ {
		s, err := v.set(ctx, name, value)
		if !mgx.IsCode(err, mgx.CodeConflict) || tries == 5 {
			return s.SecretInfo, err
		}
	}
}

func (v Vault) set(ctx context.Context, name, value string) (mgx.SealedSecret, error) {
	key, version, err := v.key(ctx)
	if err != nil {
		return mgx.SealedSecret{}, err
	}
	last, err := v.Store.Secret(ctx, v.Workspace, name)
	if err != nil && !mgx.IsCode(err, mgx.CodeNotFound) {
		return last, err
	}
	s := mgx.SealedSecret{SecretInfo: mgx.SecretInfo{Workspace: v.Workspace, Name: name, Version: last.Version + 1, CreatedBy: v.Actor, CreatedAt: mgx.Now()}, Key: version}
	if s.Box, err = seal(key, s, value); err != nil {
		return s, err
	}
	return s, v.Store.AddSecret(ctx, s, v.act("secret.set", name, map[string]int64{"version": s.Version}))
}

// Use hands out the value of a secret, after the audit log has taken down what for.
func (v Vault) Use(ctx context.Context, name, purpose string) (string, error) {
	s, err := v.Store.Secret(ctx, v.Workspace, name)
	if err != nil {
		return "", err
	}
	keys, err := v.keys(ctx, s.Key)
	if err != nil {
		return "", err
	}
	value, err := unseal(keys, s)
	if err != nil {
		return "", err
	}
	_, err = v.Store.Commit(ctx, mgx.Change{Events: []mgx.Event{v.act("secret.use", name, map[string]any{"version": s.Version, "purpose": purpose})}})
	if err != nil {
		return "", err
	}
	return value, nil
}

// List lists the secrets by name, without their values.
func (v Vault) List(ctx context.Context) ([]mgx.SecretInfo, error) {
	sealed, err := v.Store.Secrets(ctx, v.Workspace)
	out := make([]mgx.SecretInfo, len(sealed))
	for i, s := range sealed {
		out[i] = s.SecretInfo
	}
	return out, err
}

// Remove removes a secret with all its versions.
func (v Vault) Remove(ctx context.Context, name string) error {
	return v.Store.RemoveSecret(ctx, v.Workspace, name, v.act("secret.remove", name, nil))
}

// key is the workspace's newest key, which is made when there is none.
func (v Vault) key(ctx context.Context) (*keyset.Handle, int64, error) {
	all, err := v.Store.WorkspaceKeys(ctx, v.Workspace)
	if err != nil {
		return nil, 0, err
	}
	if len(all) == 0 {
		if err := v.addKey(ctx, 1); err != nil {
			return nil, 0, err
		}
		if all, err = v.Store.WorkspaceKeys(ctx, v.Workspace); err != nil {
			return nil, 0, err
		}
	}
	last := all[len(all)-1]
	h, err := v.Ring.unwrap(ctx, last)
	return h, last.Version, err
}

func (v Vault) addKey(ctx context.Context, version int64) error {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	k := mgx.WorkspaceKey{Workspace: v.Workspace, Version: version, CreatedAt: mgx.Now()}
	if k.Wrapped, err = v.Ring.wrap(ctx, h, v.Workspace, version); err != nil {
		return err
	}
	return v.Store.AddWorkspaceKey(ctx, k, v.act("secret_key.create", string(v.Workspace), v.wrapped(version)))
}

// wrapped is what the audit log says of a key that was wrapped.
func (v Vault) wrapped(version int64) map[string]any {
	return map[string]any{"version": version, "ring": v.Ring.keeper().Name()}
}

// keys are keys of the workspace by version: those that are asked for, as far as they
// are there, or all. Each is unwrapped for this use alone and kept nowhere, so that who
// takes the key ring away ends every use from then on.
func (v Vault) keys(ctx context.Context, only ...int64) (map[int64]*keyset.Handle, error) {
	all, err := v.Store.WorkspaceKeys(ctx, v.Workspace)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]*keyset.Handle, len(all))
	for _, k := range all {
		if len(only) > 0 && !slices.Contains(only, k.Version) {
			continue
		}
		if out[k.Version], err = v.Ring.unwrap(ctx, k); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func seal(key *keyset.Handle, s mgx.SealedSecret, value string) ([]byte, error) {
	a, err := aead.New(key)
	if err != nil {
		return nil, err
	}
	return a.Encrypt([]byte(value), binding("secret", string(s.Workspace), s.Version, s.Name))
}

func unseal(keys map[int64]*keyset.Handle, s mgx.SealedSecret) (string, error) {
	damaged := mgx.Errorf(mgx.KindConfig, "secret_damaged", "secret %s cannot be opened: the database was tampered with, or its key was erased; set it anew: mgx secrets set %s", s.Name, s.Name)
	key := keys[s.Key]
	if key == nil {
		return "", damaged
	}
	a, err := aead.New(key)
	if err != nil {
		return "", err
	}
	value, err := a.Decrypt(s.Box, binding("secret", string(s.Workspace), s.Version, s.Name))
	if err != nil {
		return "", damaged
	}
	return string(value), nil
}
