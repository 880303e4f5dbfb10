package store

import (
	"database/sql"
	"encoding/json"
	"time"

	"mgx"
)

// How Go values become columns: zero times and absent JSON are NULL.

func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func fromMicros(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}

func text(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	return string(raw)
}

func fromText(s sql.NullString) json.RawMessage {
	if !s.Valid {
		return nil
	}
	return json.RawMessage(s.String)
}

func failureText(f *mgx.Error) any {
	if f == nil {
		return nil
	}
	return mustJSON(f)
}

func fromFailure(s sql.NullString) (*mgx.Error, error) {
	if !s.Valid {
		return nil, nil
	}
	var f mgx.Error
	if err := json.Unmarshal([]byte(s.String), &f); err != nil {
		return nil, badRow("failure", err)
	}
	return &f, nil
}

func names(list []string) any {
	if len(list) == 0 {
		return nil
	}
	return mustJSON(list)
}

func fromNames(s sql.NullString) (list []string, err error) {
	if !s.Valid {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(s.String), &list); err != nil {
		return nil, badRow("awaits", err)
	}
	return list, nil
}

// mustJSON encodes our own types, which always can be.
func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("store: " + err.Error())
	}
	return string(b)
}

func badRow(what string, err error) error {
	return mgx.Errorf(mgx.KindInternal, "bad_row", "a stored %s does not decode: %w", what, err)
}
