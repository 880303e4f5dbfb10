package api

import (
	"context"
	"time"

	"mgx"
	"mgx/internal/app"
)

func (s *Server) keyRoutes() []route {
	const group = "Keys"
	return []route{
		op("GET /api/v1/keys", to("read", "keys"), known(s, s.listKeys), about{
			ID: "listKeys", Group: group, Short: "List keys, by id", Long: "Who may read everybody's sees them; others see their own.",
		}, finer),
		op("POST /api/v1/keys", to("create", "keys"), known(s, s.createKey), about{
			ID: "createKey", Group: group, Short: "Make a key", Made: true, Kind: "key", Secret: true, Inside: "key",
			Long: "It may do at most what its scopes and the person it stands for allow. The key itself is in this answer and never again.",
			Codes: codes{
				"bad_key": 400, "bad_scope": 400, "bad_name": 400, "bad_budget": 400, "bad_period": 400, "bad_expiry": 400, "bad_models": 400, "too_many_keys": 400,
			},
		}, finer),
		op("GET /api/v1/keys/{id}", to("read", "keys"), known(s, s.getKey), about{ID: "getKey", Group: group, Short: "Show a key", Kind: "key"}, finer),
		op("DELETE /api/v1/keys/{id}", to("delete", "keys"), known(s, s.revokeKey), about{
			ID: "revokeKey", Group: group, Short: "End a key for good", Kind: "key",
		}, finer),
		op("POST /api/v1/keys/{id}/rotate", to("update", "keys"), known(s, s.rotateKey), about{
			ID: "rotateKey", Group: group, Short: "Replace the secret of a key", Once: true, Kind: "key", Secret: true,
			Long:  "The new one is in this answer and never again.",
			Codes: codes{"bad_overlap": 400},
		}, finer),
	}
}

type keysOut struct {
	Body struct {
		Keys []mgx.APIKey `json:"keys"`
		Next mgx.KeyID    `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"KeyPage"`
}

func (s *Server) listKeys(ctx context.Context, in *Paged) (*keysOut, error) {
	all, err := s.o.Access.Keys(ctx, actor(ctx), after[mgx.KeyID](*in), in.Limit)
	out := &keysOut{}
	out.Body.Keys = every(all)
	out.Body.Next = following(all, *in, func(k mgx.APIKey) mgx.KeyID { return k.ID })
	return out, err
}

type newKey struct {
	Name    string     `json:"name,omitempty" doc:"What it is for" maxLength:"1000" example:"nightly report"`
	Scopes  []string   `json:"scopes,omitempty" nullable:"true" doc:"What it may do: a resource (runs), a resource and an action (runs:read), or * for all" maxItems:"100" maxLength:"100" example:"[\"runs:read\",\"budgets:read\"]"`
	Service bool       `json:"service,omitempty" doc:"It stands for no member, and can only call models"`
	Models  []string   `json:"models,omitempty" doc:"That it may call; without any, all" maxItems:"100" maxLength:"300"`
	Budget  *mgx.Money `json:"budget_usd,omitempty" doc:"What all its calls may cost together; without it no bound of its own" minimum:"0" maximum:"1000000000"`
	Period  string     `json:"budget_period,omitempty" doc:"After which budget_usd begins anew; empty: never" enum:"daily,monthly,"`
	Expires int64      `json:"expires_in,omitempty" doc:"Seconds until it expires; 0: never" example:"2592000"`
	User    mgx.UserID `json:"-"`
}

type madeKey struct {
	Location string `header:"Location" doc:"Where it is"`
	Body     struct {
		Key    mgx.APIKey `json:"key"`
		Secret string     `json:"secret,omitempty" doc:"The key itself, shown only in the first answer"`
	} `nameHint:"MadeKey"`
}

func (s *Server) createKey(ctx context.Context, in *struct{ Body newKey }) (*madeKey, error) {
	k, secret, err := s.o.Access.CreateKey(ctx, actor(ctx), app.NewAPIKey(in.Body))
	out := &madeKey{Location: "/api/v1/keys/" + string(k.ID)}
	out.Body.Key, out.Body.Secret = k, secret
	return out, err
}

type keyOut struct {
	Body mgx.APIKey
}

func (s *Server) getKey(ctx context.Context, in *At[mgx.KeyID]) (*keyOut, error) {
	k, err := s.o.Access.Key(ctx, actor(ctx), in.ID)
	return &keyOut{k}, err
}

func (s *Server) revokeKey(ctx context.Context, in *At[mgx.KeyID]) (*none, error) {
	return &none{}, s.o.Access.RevokeKey(ctx, actor(ctx), in.ID)
}

// secretOut is a new secret, shown once.
type secretOut struct {
	Body struct {
		Secret string `json:"secret,omitempty" doc:"The new secret, shown only in the first answer"`
	} `nameHint:"NewSecret"`
}

type rotation struct {
	Overlap int64 `json:"overlap,omitempty" doc:"Seconds that the secret before is good for still" minimum:"-1" maximum:"2147483648"`
}

func (s *Server) rotateKey(ctx context.Context, in *struct {
	At[mgx.KeyID]
	Body *rotation
},
) (*secretOut, error) {
	how := rotation{}
	if in.Body != nil {
		how = *in.Body
	}
	secret, err := s.o.Access.RotateKey(ctx, actor(ctx), in.ID, time.Duration(how.Overlap)*time.Second)
	out := &secretOut{}
	out.Body.Secret = secret
	return out, err
}
