package event

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"mgx"
)

//go:embed schemas/*.json
var schemaFiles embed.FS

// Registry knows the contract of every event type. It is safe for use by many
// goroutines. A schema is compiled when the first event of its type is checked,
// so that a program which appends nothing pays nothing.
type Registry struct {
	contracts map[mgx.EventType]*contract
	order     []mgx.EventType
}

// Type describes a contract.
type Type struct {
	Type        mgx.EventType
	Version     string // semver
	Category    string // task, run, agent, tool, llm, workflow
	Title       string
	Description string
	Retention   time.Duration // how long events of the type are kept
	Delivery    string        // at_least_once
	Schema      json.RawMessage
	Examples    []json.RawMessage // of the data
}

// contract is one schema file, read and compiled when it is needed.
type contract struct {
	typ    mgx.EventType
	raw    []byte
	read   func() (Type, error)
	schema func() (*jsonschema.Schema, error)
}

// NewRegistry returns the registry of the embedded contracts.
func NewRegistry() (*Registry, error) {
	files, err := fs.ReadDir(schemaFiles, "schemas")
	if err != nil {
		return nil, err
	}
	r := &Registry{contracts: make(map[mgx.EventType]*contract, len(files))}
	for _, f := range files {
		raw, err := fs.ReadFile(schemaFiles, "schemas/"+f.Name())
		if err != nil {
			return nil, err
		}
		typ := mgx.EventType(strings.TrimSuffix(f.Name(), ".json"))
		r.contracts[typ] = newContract(typ, raw)
		r.order = append(r.order, typ)
	}
	return r, nil
}

// Types lists all contracts by name. It panics on an embedded file that cannot
// be read as a contract, which a test rules out.
func (r *Registry) Types() []Type {
	all := make([]Type, len(r.order))
	for i, typ := range r.order {
		t, err := r.contracts[typ].read()
		if err != nil {
			panic(err)
		}
		all[i] = t
	}
	return all
}

// Schema returns the published schema of a version of a type, and whether there
// is one. The empty version is the one that is written now.
func (r *Registry) Schema(typ mgx.EventType, version string) ([]byte, bool) {
	c, known := r.contracts[typ]
	if !known {
		return nil, false
	}
	t, err := c.read()
	if err != nil || version != "" && version != t.Version {
		return nil, false
	}
	return c.raw, true
}

func newContract(typ mgx.EventType, raw []byte) *contract {
	c := &contract{typ: typ, raw: raw}
	c.read = sync.OnceValues(c.describe)
	c.schema = sync.OnceValues(c.compile)
	return c
}

func (c *contract) describe() (Type, error) {
	var file struct {
		ID          string            `json:"$id"`
		Title       string            `json:"title"`
		Description string            `json:"description"`
		Examples    []json.RawMessage `json:"examples"`
		MGX         struct {
			Category      string `json:"category"`
			RetentionDays int    `json:"retention_days"`
			Delivery      string `json:"delivery"`
		} `json:"x-mgx"`
	}
	if err := json.Unmarshal(c.raw, &file); err != nil {
		return Type{}, fmt.Errorf("contract of %s: %w", c.typ, err)
	}
	version, ok := strings.CutPrefix(file.ID, "urn:mgx:event:"+string(c.typ)+":")
	if !ok {
		return Type{}, fmt.Errorf("contract of %s: $id %q does not name it", c.typ, file.ID)
	}
	return Type{
		Type: c.typ, Version: version, Category: file.MGX.Category, Title: file.Title, Description: file.Description,
		Retention: time.Duration(file.MGX.RetentionDays) * 24 * time.Hour, Delivery: file.MGX.Delivery,
		Schema: c.raw, Examples: file.Examples,
	}, nil
}

// compile builds the writer's form of the schema.
func (c *contract) compile() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.raw))
	if err != nil {
		return nil, err
	}
	closeObjects(doc)
	url := "urn:mgx:event:" + string(c.typ)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	delete(doc.(map[string]any), "$id") // the closed form is not what the $id names
	if err := compiler.AddResource(url, doc); err != nil {
		return nil, err
	}
	return compiler.Compile(url)
}

// closeObjects forbids unnamed fields wherever a schema names its fields and
// says nothing about others.
func closeObjects(schema any) {
	switch s := schema.(type) {
	case []any:
		for _, v := range s {
			closeObjects(v)
		}
	case map[string]any:
		if _, named := s["properties"].(map[string]any); named && s["additionalProperties"] == nil {
			s["additionalProperties"] = false
		}
		for key, v := range s {
			if key != "examples" {
				closeObjects(v)
			}
		}
	}
}
