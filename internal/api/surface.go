package api

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"mgx"
)

// surface is where operations are registered: huma's API, which only collects
// them. What huma would write of errors it keeps for us.
type surface struct {
	huma.API
	caught func(huma.Context) // the operation just registered
	byPath map[string]*operation

	shared    map[int]string // codes of problems that most operations have with a status
	completed completed
	reference reference
}

// strictly sets the two rules of huma that hold for a whole process.
var strictly = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
})

func newSurface() *surface {
	strictly()
	s := &surface{byPath: map[string]*operation{}}
	schemas := huma.NewMapRegistry("#/components/schemas/", schemaName)
	schemas.RegisterTypeAlias(reflect.TypeFor[mgx.Money](), reflect.TypeFor[float64]())
	s.API = huma.NewAPI(huma.Config{
		OpenAPI:       document(schemas),
		Formats:       map[string]huma.Format{typeJSON: {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: decode}},
		DefaultFormat: typeJSON,
	}, s)
	return s
}

// Handle catches what huma makes of an operation (it is huma's adapter, too).
func (s *surface) Handle(_ *huma.Operation, handle func(huma.Context)) { s.caught = handle }

func (s *surface) ServeHTTP(http.ResponseWriter, *http.Request) {}

func (s *surface) Negotiate(string) (string, error) { return typeJSON, nil }

// Marshal writes an answer, and keeps from being written what is an error.
func (s *surface) Marshal(w io.Writer, _ string, v any) error {
	if m, wrong := v.(*huma.ErrorModel); wrong {
		w.(*exchange).refuse(m)
		return nil
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// schemaName is the name of a type in the document: that of the type, which is
// one of the words of MGX, or else begins with its package.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	at := t.PkgPath()
	if at == "" || at == "mgx" || strings.HasSuffix(at, "/api") || strings.HasSuffix(at, "/app") {
		return name
	}
	pkg := at[strings.LastIndexByte(at, '/')+1:]
	return strings.ToUpper(pkg[:1]) + pkg[1:] + name
}

// add registers a route.
func (s *surface) add(r route) *operation {
	method, path := split(strings.TrimSuffix(r.pattern, "{$}"))
	o := huma.Operation{
		Method: method, Path: path, OperationID: r.about.ID, Tags: []string{r.about.Group}, Summary: r.about.Short, Description: r.about.Long,
		MaxBodyBytes: -1, BodyReadTimeout: -1, Deprecated: r.about.Deprecated != nil,
	}
	if o.DefaultStatus = r.about.Status; r.about.Made {
		o.DefaultStatus = http.StatusCreated
	}
	r.call(s, o)
	registered := s.operation(method, path)
	made := &operation{
		Operation: registered, route: r, call: s.caught, once: map[string]bool{}, params: map[string]bool{}, bodied: registered.RequestBody != nil,
		fields: s.bodyFields(registered),
	}
	for _, p := range registered.Parameters {
		if p.In == "query" {
			made.params[p.Name] = true
			made.once[p.Name] = p.Schema == nil || p.Schema.Type != huma.TypeArray
		}
	}
	s.byPath[r.pattern] = made
	return made
}

// operation is the one of the document at a path.
func (s *surface) operation(method, path string) *huma.Operation {
	item := s.OpenAPI().Paths[path]
	return map[string]*huma.Operation{
		"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete,
	}[method]
}
