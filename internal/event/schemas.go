package event

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"mgx"
	"mgx/internal/lazy"
)

//go:generate go run ./cmd/contracts ../..

//go:embed schemas
var embedded embed.FS

// Where things are within schemas/.
const (
	lockFile = "contracts.lock.json"
	earlier  = "earlier" // folder of <type>@<version>.json
)

// version is the semver of a schema.
type version struct{ major, minor, patch int }

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

func (v version) compare(w version) int {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor), cmp.Compare(v.patch, w.patch))
}

var semver = lazy.Regexp(`^([1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})$`)

func parseVersion(s string) (version, bool) {
	m := semver().FindStringSubmatch(s)
	if m == nil {
		return version{}, false
	}
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // digits, by the pattern
	}
	return version{n[0], n[1], n[2]}, true
}

// contract is all versions of one type.
type contract struct {
	typ      mgx.EventType
	current  *release   // the one that is written
	earlier  []*release // oldest first
	versions func() ([]*release, error)
}

// release is one version of a contract: a schema file, read and compiled when
// it is needed.
type release struct {
	typ    mgx.EventType
	raw    []byte
	v      version // once read
	read   func() (Type, error)
	schema func() (*jsonschema.Schema, error)
}

func newRelease(typ mgx.EventType, raw []byte) *release {
	c := &release{typ: typ, raw: raw}
	c.read = sync.OnceValues(c.describe)
	c.schema = sync.OnceValues(c.compile)
	return c
}

// load reads the folder of contracts. It looks at names only.
func load(dir fs.FS) (map[mgx.EventType]*contract, error) {
	names, err := fs.Glob(dir, "*.json")
	if err != nil {
		return nil, err
	}
	all := make(map[mgx.EventType]*contract, len(names))
	for _, name := range names {
		if name == lockFile {
			continue
		}
		raw, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		typ := mgx.EventType(strings.TrimSuffix(name, ".json"))
		all[typ] = &contract{typ: typ, current: newRelease(typ, raw)}
	}
	if err := loadEarlier(dir, all); err != nil {
		return nil, err
	}
	for _, c := range all {
		c.versions = sync.OnceValues(c.ordered)
	}
	return all, nil
}

func loadEarlier(dir fs.FS, all map[mgx.EventType]*contract) error {
	names, err := fs.Glob(dir, earlier+"/*.json")
	if err != nil {
		return err
	}
	for _, name := range names {
		typ, _, _ := strings.Cut(strings.TrimPrefix(name, earlier+"/"), "@")
		c, known := all[mgx.EventType(typ)]
		if !known {
			return fmt.Errorf("%s: there is no schemas/%s.json that came after it", name, typ)
		}
		raw, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		c.earlier = append(c.earlier, newRelease(c.typ, raw))
	}
	return nil
}

// ordered lists every version, oldest first; the last is the one that is written.
func (c *contract) ordered() ([]*release, error) {
	all := append(slices.Clone(c.earlier), c.current)
	for _, one := range all {
		if _, err := one.read(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b *release) int { return a.version().compare(b.version()) })
	for i := 1; i < len(all); i++ {
		if all[i-1].version() == all[i].version() {
			return nil, fmt.Errorf("contract of %s: version %s is there twice", c.typ, all[i].version())
		}
	}
	if last := all[len(all)-1]; last != c.current {
		return nil, fmt.Errorf("contract of %s: version %s of schemas/%s.json is not later than %s of schemas/%s", c.typ, c.current.version(), c.typ, last.version(), earlier)
	}
	return all, nil
}

// version is only for releases that can be read.
func (c *release) version() version {
	c.read()
	return c.v
}

func (c *release) describe() (Type, error) {
	var file struct {
		ID          string            `json:"$id"`
		Title       string            `json:"title"`
		Description string            `json:"description"`
		Examples    []json.RawMessage `json:"examples"`
		MGX         struct {
			Category      string `json:"category"`
			Owner         string `json:"owner"`
			RetentionDays int    `json:"retention_days"`
			Delivery      string `json:"delivery"`
		} `json:"x-mgx"`
	}
	if err := json.Unmarshal(c.raw, &file); err != nil {
		return Type{}, fmt.Errorf("contract of %s: %w", c.typ, err)
	}
	var valid bool
	version, ok := strings.CutPrefix(file.ID, "urn:mgx:event:"+string(c.typ)+":")
	if c.v, valid = parseVersion(version); !ok || !valid {
		return Type{}, fmt.Errorf("contract of %s: $id %q does not name it and its version", c.typ, file.ID)
	}
	return Type{
		Type: c.typ, Version: version, Category: file.MGX.Category, Title: file.Title, Description: file.Description,
		Owner: file.MGX.Owner, Retention: time.Duration(file.MGX.RetentionDays) * 24 * time.Hour, Delivery: file.MGX.Delivery,
		Schema: c.raw, Examples: file.Examples,
	}, nil
}

// compile builds the writer's form of the schema.
func (c *release) compile() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.raw))
	if err != nil {
		return nil, err
	}
	closeObjects(doc)
	return compile(c.typ, doc)
}

func compile(typ mgx.EventType, doc any) (*jsonschema.Schema, error) {
	url := "urn:mgx:event:" + string(typ)
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
