package api

import (
	"context"
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

type schemasOut struct {
	Body struct {
		Schemas  []contract      `json:"schemas"`
		OldReads []event.OldRead `json:"old_reads" doc:"Who has read a version that is not the latest since this process began"`
	} `nameHint:"SchemaList"`
}

// listSchemas lists every type without its schema.
func (s *Server) listSchemas(context.Context, *none) (*schemasOut, error) {
	out := &schemasOut{}
	for _, t := range s.o.Contracts.Types() {
		out.Body.Schemas = append(out.Body.Schemas, describe(t))
	}
	out.Body.OldReads = every(s.o.Contracts.Usage())
	return out, nil
}

// OfType is the path of an event type.
type OfType struct {
	Type mgx.EventType `path:"type" doc:"Of events" maxLength:"200" example:"task.created"`
}

type schemaOut struct {
	Body contract
}

// getSchema is all about one type.
func (s *Server) getSchema(_ context.Context, in *OfType) (*schemaOut, error) {
	t, found := s.o.Contracts.Type(in.Type)
	if !found {
		return nil, unknownType(in.Type)
	}
	c := describe(t)
	c.Schema, c.Examples = t.Schema, t.Examples
	return &schemaOut{c}, nil
}

type schemaVersionIn struct {
	OfType
	Version string `path:"version" doc:"Of the contract" maxLength:"50" example:"1.0.0"`
}

type schemaVersionOut struct {
	Deprecation string `header:"Deprecation" doc:"Since when the version is deprecated (RFC 9745), if it is"`
	Sunset      string `header:"Sunset" doc:"When it ends (RFC 8594), if it does"`
	Body        json.RawMessage
}

// getSchemaVersion is the JSON Schema of one version, and until when that
// version is served.
func (s *Server) getSchemaVersion(w http.ResponseWriter, r *http.Request) error {
	typ, version := mgx.EventType(r.PathValue("type")), r.PathValue("version")
	if _, found := s.o.Contracts.Type(typ); !found {
		return unknownType(typ)
	}
	schema, found := s.o.Contracts.Schema(typ, version)
	if !found {
		return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "%s has no version %q; /api/v1/events/schemas/%s lists them", typ, clip(version), typ)
	}
	sunset(w.Header(), s.o.Contracts.Support(typ, version))
	w.Header().Set("Content-Type", typeSchema)
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

func unknownType(t mgx.EventType) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there are no events of type %q; /api/v1/events/schemas lists all types", clip(string(t)))
}
