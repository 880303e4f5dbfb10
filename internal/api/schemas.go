package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"mgx"
	"mgx/internal/event"
)

// contract describes an event type.
type contract struct {
	Type          mgx.EventType     `json:"type"`
	Version       string            `json:"version"`
	Versions      []string          `json:"versions"`
	Category      string            `json:"category"`
	Owner         string            `json:"owner"`
	Title         string            `json:"title"`
	Description   string            `json:"description"`
	RetentionDays int               `json:"retention_days"`
	Delivery      string            `json:"delivery"`
	SchemaURL     string            `json:"schema_url"`
	Schema        json.RawMessage   `json:"schema,omitempty"`
	Examples      []json.RawMessage `json:"examples,omitempty"`
}

func describe(t event.Type) contract {
	return contract{
		Type: t.Type, Version: t.Version, Versions: t.Versions, Category: t.Category, Owner: t.Owner,
		Title: t.Title, Description: t.Description, RetentionDays: int(t.Retention / (24 * time.Hour)), Delivery: t.Delivery,
		SchemaURL: "/api/v1/events/schemas/" + url.PathEscape(string(t.Type)) + "/" + t.Version,
	}
}

// getSchemas lists every type without its schema, and who has read a version that
// is not the latest since this process began.
func (s *Server) getSchemas(w http.ResponseWriter, _ *http.Request) error {
	types := s.o.Contracts.Types()
	all := make([]contract, len(types))
	for i, t := range types {
		all[i] = describe(t)
	}
	return writeJSON(w, map[string]any{"schemas": all, "old_reads": append([]event.OldRead{}, s.o.Contracts.Usage()...)})
}

// getSchema is all about one type.
func (s *Server) getSchema(w http.ResponseWriter, r *http.Request) error {
	t, found := s.o.Contracts.Type(mgx.EventType(r.PathValue("type")))
	if !found {
		return unknownType(r)
	}
	c := describe(t)
	c.Schema, c.Examples = t.Schema, t.Examples
	return writeJSON(w, c)
}

// getSchemaVersion is the JSON Schema of one version, and until when that
// version is served.
func (s *Server) getSchemaVersion(w http.ResponseWriter, r *http.Request) error {
	typ, version := mgx.EventType(r.PathValue("type")), r.PathValue("version")
	if _, found := s.o.Contracts.Type(typ); !found {
		return unknownType(r)
	}
	schema, found := s.o.Contracts.Schema(typ, version)
	if !found {
		return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "%s has no version %q; /api/v1/events/schemas/%s lists them", typ, clip(version), typ)
	}
	sunset(w.Header(), s.o.Contracts.Support(typ, version))
	w.Header().Set("Content-Type", "application/schema+json")
	_, err := w.Write(schema)
	return err
}

// sunset sets the headers of RFC 9745 and RFC 8594.
func sunset(h http.Header, s event.Support) {
	if !s.Deprecated.IsZero() {
		h.Set("Deprecation", fmt.Sprintf("@%d", s.Deprecated.Unix()))
	}
	if !s.Sunset.IsZero() {
		h.Set("Sunset", s.Sunset.UTC().Format(http.TimeFormat))
	}
}

func unknownType(r *http.Request) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there are no events of type %q; /api/v1/events/schemas lists all types", clip(r.PathValue("type")))
}
