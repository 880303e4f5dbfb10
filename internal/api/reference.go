package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// The reference is one page without a script, made of the document. Nothing in it
// comes from elsewhere.

//go:embed reference.html
var referencePage string

//go:embed reference.css
var referenceStyle string

// referencePolicy lets the page have its style, and nothing else.
const referencePolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// reference is the page once it was asked for.
type reference struct {
	once sync.Once
	page []byte
	err  error
}

func (s *Server) getReference(w http.ResponseWriter, _ *http.Request) error {
	if _, err := s.Document(); err != nil {
		return err
	}
	r := &s.surface.reference
	r.once.Do(func() {
		var page *template.Template
		if page, r.err = template.New("reference").Funcs(template.FuncMap{"coded": coded}).Parse(referencePage); r.err != nil {
			return
		}
		var out bytes.Buffer
		r.err = page.Execute(&out, s.surface.pageOf())
		r.page = out.Bytes()
	})
	if r.err != nil {
		return r.err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", referencePolicy)
	_, err := w.Write(r.page)
	return err
}

// coded is a text whose words between backquotes are code, all that the texts have of
// Markdown.
func coded(text string) template.HTML {
	parts := strings.Split(template.HTMLEscapeString(text), "`")
	var b strings.Builder
	for i, part := range parts {
		switch {
		case i%2 == 0:
			b.WriteString(part)
		case i == len(parts)-1: // it is never closed
			b.WriteString("`" + part)
		default:
			b.WriteString("<code>" + part + "</code>")
		}
	}
	return template.HTML(b.String())
}

func (s *Server) getReferenceStyle(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, err := w.Write([]byte(referenceStyle))
	return err
}

// What the page shows.
type (
	pageData struct {
		Title, Version, About string
		Groups                []*pageGroup
		Schemas               []pageSchema
	}
	pageGroup struct {
		Name       string
		Operations []pageOperation
	}
	pageOperation struct {
		ID, Method, Path, Short, Long string
		Deprecated                    bool
		Parameters, Body              []pageField
		Answers                       []pageAnswer
	}
	pageField struct {
		Name, In, Text string
		Required       bool
		Type           pageType
	}
	pageType struct {
		Words, Schema string
		List          bool
	}
	pageAnswer struct {
		Status, Text string
		Type         pageType
	}
	pageSchema struct {
		Name, Text string
		Fields     []pageField
	}
)

func (s *surface) pageOf() pageData {
	doc := s.OpenAPI()
	p := pageData{Title: doc.Info.Title, Version: doc.Info.Version, About: doc.Info.Description}
	groups := map[string]*pageGroup{}
	for _, path := range sortedKeys(doc.Paths) {
		for _, o := range operationsOf(doc.Paths[path]) {
			name := o.Tags[0]
			if groups[name] == nil {
				groups[name] = &pageGroup{Name: name}
			}
			groups[name].Operations = append(groups[name].Operations, s.pageOperation(o))
		}
	}
	for _, name := range sortedKeys(groups) {
		p.Groups = append(p.Groups, groups[name])
	}
	all := doc.Components.Schemas.Map()
	for _, name := range sortedKeys(all) {
		p.Schemas = append(p.Schemas, pageSchema{name, all[name].Description, fieldsOf(all[name])})
	}
	return p
}

// operationsOf are the operations of a path in the order of their methods.
func operationsOf(item *huma.PathItem) []*huma.Operation {
	all := []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete}
	return slices.DeleteFunc(all, func(o *huma.Operation) bool { return o == nil })
}

func (s *surface) pageOperation(o *huma.Operation) pageOperation {
	p := pageOperation{ID: o.OperationID, Method: o.Method, Path: o.Path, Short: o.Summary, Long: o.Description, Deprecated: o.Deprecated}
	for _, one := range o.Parameters {
		text := one.Description
		if text == "" {
			text = one.Schema.Description
		}
		p.Parameters = append(p.Parameters, pageField{one.Name, one.In, text, one.Required, typeOf(one.Schema)})
	}
	if o.RequestBody != nil {
		var schema *huma.Schema
		for _, typ := range sortedKeys(o.RequestBody.Content) { // there is one
			schema = o.RequestBody.Content[typ].Schema
		}
		if schema.Ref != "" {
			schema = s.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
		}
		p.Body = fieldsOf(schema)
	}
	for _, status := range sortedKeys(o.Responses) {
		r := o.Responses[status]
		if r.Ref != "" {
			r = s.OpenAPI().Components.Responses[r.Ref[strings.LastIndexByte(r.Ref, '/')+1:]]
		}
		a := pageAnswer{Status: status, Text: r.Description}
		for _, typ := range sortedKeys(r.Content) {
			if schema := r.Content[typ].Schema; schema != nil && typ != "application/problem+json" {
				a.Type = typeOf(schema)
			}
		}
		p.Answers = append(p.Answers, a)
	}
	return p
}

func fieldsOf(schema *huma.Schema) (all []pageField) {
	for _, name := range sortedKeys(schema.Properties) {
		f := schema.Properties[name]
		all = append(all, pageField{Name: name, Text: f.Description, Required: slices.Contains(schema.Required, name), Type: typeOf(f)})
	}
	return all
}

// typeOf says in words what a value is.
func typeOf(s *huma.Schema) pageType {
	if s.Ref != "" {
		return pageType{Schema: s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]}
	}
	if s.Type == huma.TypeArray && s.Items != nil {
		t := typeOf(s.Items)
		if t.List = true; t.Schema == "" {
			t.Words = "list of " + t.Words
		}
		return t
	}
	words := s.Type
	if words == "" {
		words = "any"
	}
	if s.Format != "" {
		words += ", " + s.Format
	}
	if len(s.Enum) > 0 {
		words += ": " + strings.Trim(fmt.Sprint(s.Enum), "[]")
	}
	if s.Minimum != nil || s.Maximum != nil {
		words += bounds(s)
	}
	if s.MaxLength != nil {
		words += fmt.Sprintf(", at most %d characters", *s.MaxLength)
	}
	if s.Default != nil {
		words += fmt.Sprintf(", without it %v", s.Default)
	}
	return pageType{Words: words}
}

func bounds(s *huma.Schema) string {
	switch {
	case s.Maximum == nil:
		return fmt.Sprintf(", at least %.15g", *s.Minimum)
	case s.Minimum == nil:
		return fmt.Sprintf(", at most %.15g", *s.Maximum)
	}
	return fmt.Sprintf(", %.15g to %.15g", *s.Minimum, *s.Maximum)
}
