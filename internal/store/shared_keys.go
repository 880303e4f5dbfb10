package store

import (
	"context"
	"database/sql"
	"time"

	"mgx"
)

// Keys that all processes on one database share, by name.
const ResumeKey = "resume" // signs the resume tokens of event streams

// How long a key signs, and how long what it has signed is still taken after
// that: anything that was ever signed is good for at least keyOverlap.
const (
	keySigns   = 90 * 24 * time.Hour
	keyOverlap = 90 * 24 * time.Hour
)

// SharedKeys returns the key of a name that signs, and after it those that signed
// before it and still count. Where there is none, or the one that signs has done
// so for long enough, fresh becomes it; of several processes that try at once
// one succeeds, and all return the same. They go to whoever signs and nowhere
// else: into no log, no export and no backup.
func (s *Store) SharedKeys(ctx context.Context, name, fresh string) ([]string, error) {
	ctx = mgx.ForInstallation(ctx)
	err := s.write(ctx, func(t *tx) error {
		last, made, err := t.lastKey(name)
		if err != nil || made.Valid && t.now.Before(fromMicros(made).Add(keySigns)) {
			return err
		}
		return t.renewKey(name, last+1, fresh)
	})
	if err != nil {
		return nil, err
	}
	return s.KnownKeys(ctx, name)
}

// KnownKeys is [Store.SharedKeys] without making one.
func (s *Store) KnownKeys(ctx context.Context, name string) ([]string, error) {
	ctx = mgx.ForInstallation(ctx)
	return list(ctx, s, func(row scanner) (secret string, err error) { return secret, row.Scan(&secret) },
		`SELECT secret FROM shared_keys WHERE name = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY expires_at IS NULL DESC, ord DESC`, name, micros(s.opts.Now()))
}

// AdoptKey has a key count that was kept elsewhere until now. It signs from now on
// if no key of that name does yet; else what it has signed is still taken.
func (s *Store) AdoptKey(ctx context.Context, name, secret string) error {
	ctx = mgx.ForInstallation(ctx)
	return s.write(ctx, func(t *tx) error {
		last, made, err := t.lastKey(name)
		if err != nil {
			return err
		}
		if !made.Valid {
			return t.renewKey(name, last+1, secret)
		}
		known, err := t.row(`SELECT 1 FROM shared_keys WHERE name = $1 AND secret = $2`, []any{name, secret}, new(int))
		if err != nil || known {
			return err
		}
		return t.addKey(name, last+1, secret, micros(t.now.Add(keyOverlap)))
	})
}

// lastKey returns the number of the last key of a name, and since when there is
// one that signs.
func (t *tx) lastKey(name string) (last int64, made sql.NullInt64, err error) {
	_, err = t.row(`SELECT COALESCE(MAX(ord), 0), MAX(CASE WHEN expires_at IS NULL THEN created_at END) FROM shared_keys WHERE name = $1`, []any{name}, &last, &made)
	return last, made, err
}

func (t *tx) renewKey(name string, ord int64, secret string) error {
	if _, err := t.exec(`DELETE FROM shared_keys WHERE name = $1 AND expires_at <= $2`, name, micros(t.now)); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE shared_keys SET expires_at = $2 WHERE name = $1 AND expires_at IS NULL`, name, micros(t.now.Add(keyOverlap))); err != nil {
		return err
	}
	return t.addKey(name, ord, secret, nil)
}

// addKey adds a key under the number after the last that was seen. When another
// process was first, this fails, and the whole is tried again.
func (t *tx) addKey(name string, ord int64, secret string, expires any) error {
	_, err := t.exec(`INSERT INTO shared_keys (name, ord, secret, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`, name, ord, secret, micros(t.now), expires)
	return err
}
