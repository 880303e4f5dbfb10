package api

import (
	"context"

	"mgx"
	"mgx/internal/app"
)

// sealed are the codes of a server that cannot seal: what holds its keys is away, or is
// not what it was.
var sealed = codes{
	"no_key_ring": 503, "wrong_key_ring": 503, "vault_unreachable": 503, "vault_sealed": 503, "vault_answer": 503, "vault_token": 503, "vault_refused": 503, "vault_key": 503,
}

func (s *Server) secretRoutes() []route {
	const group = "Secrets"
	return []route{
		op("GET /api/v1/secrets", to("read", "secrets"), with(s.secrets, listSecrets), about{
			ID: "listSecrets", Group: group, Short: "List the secrets by name, without their values",
		}),
		op("GET /api/v1/secrets/{id}", to("read", "secrets"), with(s.secrets, getSecret), about{
			ID: "getSecret", Group: group, Short: "Show what is known of a secret, which is not its value", Kind: "secret",
		}),
		op("PUT /api/v1/secrets/{id}", to("update", "secrets"), with(s.secrets, setSecret), about{
			ID: "setSecret", Group: group, Short: "Keep a value, as the next version of a secret", Kind: "secret",
			Long:  "The value is in no answer, not in this one either. What used the secret before uses the new value from its next start on.",
			Codes: sealed.and(codes{"bad_secret_name": 400, "bad_secret_value": 400, "too_many_secrets": 400}),
		}),
		op("DELETE /api/v1/secrets/{id}", to("delete", "secrets"), with(s.secrets, removeSecret), about{
			ID: "removeSecret", Group: group, Short: "Forget a secret, in all its versions", Kind: "secret",
		}),
		op("POST /api/v1/secrets/rotation", to("manage", "secrets"), with(s.secrets, rotateSecrets), about{
			ID: "rotateSecrets", Group: group, Short: "Give the workspace a new key, and seal every secret anew",
			Long:  "Interrupted, it is asked for again. The key ring gets a new key only where the server runs: `mgx secrets rekey`.",
			Codes: sealed.and(codes{"secret_damaged": 503}),
		}),
	}
}

// secrets are those of whoever asks.
func (s *Server) secrets(ctx context.Context) (*app.Secrets, error) {
	if s.o.Secrets == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server keeps no secrets")
	}
	theirs := *s.o.Secrets
	theirs.By = actor(ctx).Doer()
	return &theirs, nil
}

type secretsOut struct {
	Body struct {
		Secrets []mgx.SecretInfo `json:"secrets"`
		Next    string           `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"SecretPage"`
}

func listSecrets(ctx context.Context, v *app.Secrets, in *Paged) (*secretsOut, error) {
	all, err := v.List(ctx, in.Page, in.Limit)
	out := &secretsOut{}
	out.Body.Secrets = every(all)
	out.Body.Next = following(all, *in, func(i mgx.SecretInfo) string { return i.Name })
	return out, err
}

type secretInfoOut struct {
	Body mgx.SecretInfo
}

func getSecret(ctx context.Context, v *app.Secrets, in *At[string]) (*secretInfoOut, error) {
	found, err := v.Get(ctx, in.ID)
	return &secretInfoOut{found}, err
}

type secretValue struct {
	Value string `json:"value" doc:"What is to be kept, as it is" minLength:"1" maxLength:"65536" writeOnly:"true"`
}

func setSecret(ctx context.Context, v *app.Secrets, in *struct {
	At[string]
	Body secretValue
},
) (*secretInfoOut, error) {
	kept, err := v.Set(ctx, in.ID, in.Body.Value)
	return &secretInfoOut{kept}, err
}

func removeSecret(ctx context.Context, v *app.Secrets, in *At[string]) (*none, error) {
	return &none{}, v.Remove(ctx, in.ID)
}

func rotateSecrets(ctx context.Context, v *app.Secrets, _ *none) (*none, error) {
	return &none{}, v.Rotate(ctx)
}
