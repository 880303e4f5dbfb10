package app

import (
	"context"

	"mgx"
	"mgx/internal/guard"
	"mgx/internal/secret"
)

// Secrets are what a person may do with the secrets of one workspace. A value goes
// in and never comes out here: what uses it reads it by itself.
type Secrets struct {
	By mgx.Doer // who acts, in whose workspace
	// Vault opens the sealed secrets; make: also when there is no key ring yet.
	Vault func(make bool) (secret.Vault, error)
	// Hide has the process hide a value wherever it writes what is a workspace's; nil:
	// nothing does.
	Hide func(of mgx.WorkspaceID, value string)
}

func (s *Secrets) vault(make bool) (secret.Vault, error) {
	v, err := s.Vault(make)
	v.Workspace, v.Actor, v.From, v.Agent, v.Request = s.By.Workspace, mgx.UserID(s.By.Actor), s.By.From, s.By.Agent, s.By.Request
	return v, err
}

// List lists the secrets by name, after one.
func (s *Secrets) List(ctx context.Context, after string, limit int) ([]mgx.SecretInfo, error) {
	v, err := s.Vault(false)
	if err != nil && !mgx.IsCode(err, "no_key_ring") { // names need no key
		return nil, err
	}
	v.Workspace = s.By.Workspace
	all, err := v.List(ctx)
	if err != nil {
		return nil, err
	}
	for len(all) > 0 && all[0].Name <= after {
		all = all[1:]
	}
	return all[:min(len(all), limit)], nil
}

// Get returns what is known of a secret (CodeNotFound).
func (s *Secrets) Get(ctx context.Context, name string) (mgx.SecretInfo, error) {
	v, err := s.Vault(false)
	if err != nil && !mgx.IsCode(err, "no_key_ring") {
		return mgx.SecretInfo{}, err
	}
	found, err := v.Store.Secret(ctx, s.By.Workspace, name)
	return found.SecretInfo, err
}

// Set keeps a value as the next version of a secret. One that texts have anyway is
// refused, since hiding it would take them apart.
func (s *Secrets) Set(ctx context.Context, name, value string) (mgx.SecretInfo, error) {
	if err := mgx.CheckSecretName(name); err != nil {
		return mgx.SecretInfo{}, err
	}
	if len(value) >= guard.MinSecret && guard.Commonplace(value) {
		return mgx.SecretInfo{}, mgx.Errorf(mgx.KindUsage, "bad_secret_value", "this value is a word, a name, an id, a time or a short number, which cannot be hidden where texts have it anyway; use one that nobody can guess, with digits and letters")
	}
	v, err := s.vault(true)
	if err != nil {
		return mgx.SecretInfo{}, err
	}
	kept, err := v.Set(ctx, name, value)
	if err == nil && s.Hide != nil && value != "" { // what is not kept is no secret of anybody
		s.Hide(s.By.Workspace, value)
	}
	return kept, err
}

// Remove forgets a secret, in all its versions.
func (s *Secrets) Remove(ctx context.Context, name string) error {
	v, err := s.vault(false)
	if err != nil && !mgx.IsCode(err, "no_key_ring") { // what is gone needs no key
		return err
	}
	return v.Remove(ctx, name)
}

// Rotate gives the workspace a new key and seals every secret anew.
func (s *Secrets) Rotate(ctx context.Context) error {
	v, err := s.vault(true)
	if err != nil {
		return err
	}
	return v.Rotate(ctx)
}
