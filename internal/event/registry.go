package event

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"mgx"
)

// Registry knows the contract of every event type, in every version. It is safe
// for use by many goroutines. A schema is compiled when the first event of its
// type is checked, so that a program which appends nothing pays nothing.
type Registry struct {
	contracts map[mgx.EventType]*contract
	order     []mgx.EventType
	steps     []step
	usage     usage
}

// Type describes a contract in the version that is written.
type Type struct {
	Type        mgx.EventType
	Version     string   // semver
	Versions    []string // every version that was ever written, oldest first; Version is the last
	Category    string   // task, run, agent, tool, llm, workflow, artifact, system, security, billing, webhook
	Owner       string   // the part of MGX that answers for the contract
	Title       string
	Description string
	Retention   time.Duration // how long events of the type are kept
	Delivery    string        // at_least_once
	Schema      json.RawMessage
	Examples    []json.RawMessage // of the data
}

// NewRegistry returns the registry of the embedded contracts.
func NewRegistry() (*Registry, error) {
	dir, err := fs.Sub(embedded, "schemas")
	if err != nil {
		return nil, err
	}
	return newRegistry(dir, steps())
}

func newRegistry(dir fs.FS, steps []step) (*Registry, error) {
	contracts, err := load(dir)
	if err != nil {
		return nil, err
	}
	return &Registry{contracts: contracts, order: slices.Sorted(maps.Keys(contracts)), steps: steps}, nil
}

// Types lists all contracts by name. It panics on an embedded file that cannot
// be read as a contract, which a test rules out.
func (r *Registry) Types() []Type {
	all := make([]Type, len(r.order))
	for i, typ := range r.order {
		t, err := r.contracts[typ].describe()
		if err != nil {
			panic(err)
		}
		all[i] = t
	}
	return all
}

// Type returns the contract of one type. The second result is false when there
// is none.
func (r *Registry) Type(typ mgx.EventType) (Type, bool) {
	c, known := r.contracts[typ]
	if !known {
		return Type{}, false
	}
	t, err := c.describe()
	return t, err == nil
}

func (c *contract) describe() (Type, error) {
	all, err := c.versions()
	if err != nil {
		return Type{}, err
	}
	t, err := c.current.read()
	for _, one := range all {
		t.Versions = append(t.Versions, one.version().String())
	}
	return t, err
}

// Schema returns the published schema of a version of a type, and whether there
// is one. The empty version is the one that is written now.
func (r *Registry) Schema(typ mgx.EventType, version string) ([]byte, bool) {
	one, err := r.find(typ, version)
	if err != nil {
		return nil, false
	}
	return one.raw, true
}

// find returns a release: the one of a version as 1.2.3, the last one of a major
// version as 1, and the one that is written for "".
func (r *Registry) find(typ mgx.EventType, version string) (*release, error) {
	c, known := r.contracts[typ]
	if !known {
		return nil, unknownType(typ)
	}
	all, err := c.versions()
	if err != nil || version == "" {
		return c.current, err
	}
	for _, one := range slices.Backward(all) {
		if v := one.version(); version == v.String() || version == fmt.Sprint(v.major) {
			return one, nil
		}
	}
	return nil, mgx.Errorf(mgx.KindUsage, CodeUnknownVersion, "%s has no version %q; its latest is %s, and a major version alone may be named too", typ, clip(version), c.current.version())
}
