package mgx

import "time"

// KeyID names a key of the gateway: key_…
type KeyID string

func NewKeyID() KeyID { return NewID[KeyID]("key") }

// GatewayKey lets a program of somebody's call models through MGX. The key
// itself is shown once and never read back: what is kept is its digest.
type GatewayKey struct {
	ID        KeyID       `json:"id"`
	Workspace WorkspaceID `json:"workspace_id"`
	User      UserID      `json:"user_id"` // on whose behalf calls are made
	Name      string      `json:"name"`    // what it is for
	Digest    string      `json:"-"`       // SHA-256 of the key, in hexadecimal
	Models    []string    `json:"models,omitempty"`
	// Budget bounds what all calls of the key may cost together within Period,
	// which is "daily", "monthly" or "" for ever; nil: no bound of its own.
	Budget    *Money    `json:"budget_usd,omitempty"`
	Period    string    `json:"budget_period,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	RevokedAt time.Time `json:"revoked_at,omitzero"` // zero: not revoked
	// LastUsedAt is exact to a minute or so.
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}
