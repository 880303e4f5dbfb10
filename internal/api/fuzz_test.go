package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"mgx/internal/api"
)

// fuzzed are the requests of one run of the fuzzer; MGX_SOAK makes it long.
func fuzzed() int {
	if os.Getenv("MGX_SOAK") != "" {
		return 100_000
	}
	return 1_500
}

// timeBudget is how long an answer may take, also with the race detector on a machine
// that does much else. Nearly all take milliseconds.
const timeBudget = 10 * time.Second

// notFuzzed are operations that reach beyond the server, or stay.
var notFuzzed = map[string]string{
	"testWebhook":  "sends to an address outside",
	"streamEvents": "stays; TestServerSentEvents and TestProblems have it",
	"getMetrics":   "is not the API's own answer",
}

// readsAll are operations that read everything there is, and so take longer with each
// request before: a long run has as many of them as a short one, or it takes the square
// of its length.
var readsAll = map[string]bool{"exportAudit": true, "verifyAudit": true, "exportPerson": true, "exportWorkspace": true, "planWorkspaceErasure": true, "planPersonErasure": true}

// Whatever is sent to whichever operation of the document: the server does not
// fail, it answers within the time budget, what it answers is in the document, and each
// problem has a code that the operation is known to have.
func TestAnythingIsAnswered(t *testing.T) {
	t.Parallel()
	seed(t)
	w := newTown(t)
	f := newFuzzer(t, w)
	each := max(1, fuzzed()/len(f.operations)/20)
	seen, told := map[int]int{}, map[string]bool{}
	n, slowest, slow := 0, time.Duration(0), ""
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > 20 {
			return
		}
		for _, o := range f.operations {
			times := each
			if readsAll[o.ID] {
				times = 1
			}
			for range times {
				r := f.request(rt, o)
				out, began := httptest.NewRecorder(), time.Now()
				w.web.ServeHTTP(out, r.WithContext(t.Context()))
				took := time.Since(began)
				seen[out.Code/100]++
				why := f.wrong(o, out)
				if took > timeBudget {
					why = "late"
				}
				if took > slowest {
					slowest, slow = took, o.ID
				}
				if key := o.ID + why; why != "" && !told[key] { // each once: one run shows all there is
					told[key] = true
					t.Errorf("%s %s %s\n%s\nis answered with %d %.400s\n%s", o.ID, r.Method, r.URL, f.sent, out.Code, out.Body, why)
				}
			}
		}
	})
	t.Logf("the slowest answer took %s, of %s", slowest, slow)
	if seen[2] < fuzzed()/50 || seen[4] < fuzzed()/10 {
		t.Errorf("answers by their class: %v: that is not the mixture it should be", seen)
	}
}

// Each parameter of each operation is tried with what something may choke on while all
// else is right, by who may do everything, an admin of another workspace and a viewer.
func TestEveryParameterIsBounded(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	f := newFuzzer(t, w)
	bodies := samples(f.things)
	long := strings.Repeat("a", 5000)
	values := map[string][]string{
		"path":   {strings.Repeat("a", 201), strings.Repeat("é", 301), long, "-1", "%", "' OR 1=1 --"},
		"query":  {long, strings.Repeat("9", 40), "-1", "\u202e", "9999-12-31T23:59:59.999999999Z"},
		"header": {long, "-1"},
	}
	tried := 0
	for _, o := range f.operations {
		pattern := strings.ToUpper(o.method) + " " + o.path
		var body []byte
		if o.RequestBody != nil {
			text, err := json.Marshal(bodies[pattern])
			must(t, err)
			body = text
		}
		for _, p := range o.Parameters {
			for _, value := range values[p.In] {
				for _, reader := range f.readers[1:] {
					_, at := path(t, pattern, f.things)
					if p.In == "path" {
						at = strings.Replace(o.path, "{"+p.Name+"}", url.PathEscape(value), 1)
						_, at = path(t, strings.ToUpper(o.method)+" "+at, f.things)
					}
					r := httptest.NewRequest(strings.ToUpper(o.method), "http://localhost"+at, bytes.NewReader(body))
					switch p.In {
					case "query":
						r.URL.RawQuery = url.Values{p.Name: {value}}.Encode()
					case "header":
						r.Header.Set(p.Name, value)
					}
					r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
					r.Header.Set("Authorization", "Bearer "+reader)
					r.Header.Set("Content-Type", "application/json")
					out := httptest.NewRecorder()
					w.web.ServeHTTP(out, r.WithContext(t.Context()))
					tried++
					why := f.wrong(o, out)
					if most := p.Schema.MaxLength; p.In == "header" && most > 0 && len(value) > most && !strings.Contains(out.Body.String(), `"code":"bad_query"`) {
						why = "the header is longer than it may be"
					}
					if why != "" {
						t.Errorf("%s with %s %.30q: %d %.400s\n%s", pattern, p.Name, value, out.Code, out.Body, why)
					}
				}
			}
		}
	}
	if tried < 2000 {
		t.Errorf("only %d tries", tried)
	}
	t.Logf("%d tries", tried)
}

// seed has the same requests made each time; make soak sends others.
var seed = func() func(testing.TB) {
	var once sync.Once
	return func(t testing.TB) {
		if os.Getenv("MGX_SOAK") == "" {
			once.Do(func() { must(t, flag.Set("rapid.seed", "1")) })
		}
	}
}()

// fuzzer makes requests of a document.
type fuzzer struct {
	t          testing.TB
	doc        contractOf
	operations []fuzzedOperation
	schemas    *jsonschema.Compiler
	things     map[string]string
	readers    []string // secrets of who asks: the owner mostly
	sent       string   // body of the last request
}

type fuzzedOperation struct {
	operation
	method, path string
}

func newFuzzer(t testing.TB, w *town) *fuzzer {
	t.Helper()
	f := &fuzzer{t: t, doc: parseDocument(t, w.web), things: w.things(), readers: []string{token, token, w.tokens["other"], w.tokens["viewer"]}, schemas: jsonschema.NewCompiler()}
	text, err := w.web.Document()
	must(t, err)
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	must(t, err)
	must(t, f.schemas.AddResource("mem:///openapi.json", whole))
	for path, methods := range f.doc.Paths {
		for method, o := range methods {
			if notFuzzed[o.ID] == "" && !o.Dialect {
				f.operations = append(f.operations, fuzzedOperation{o, method, path})
			}
		}
	}
	slices.SortFunc(f.operations, func(a, b fuzzedOperation) int { return strings.Compare(a.ID, b.ID) })
	return f
}

// How far a value is from what is expected.
const (
	good = iota
	near
	hostile
)

func (f *fuzzer) request(rt *rapid.T, o fuzzedOperation) *http.Request {
	how := rapid.SampledFrom([]int{good, good, near, hostile}).Draw(rt, "how")
	path := o.path
	query := url.Values{}
	header := http.Header{}
	for _, p := range o.Parameters {
		text := f.text(rt, p.Schema, p.Name, how)
		switch p.In {
		case "path":
			if id := f.idAt(o.path, p.Name); id != "" && how != hostile {
				text = id
			}
			path = strings.Replace(path, "{"+p.Name+"}", strings.ReplaceAll(url.PathEscape(text), ".", "%2e"), 1)
		case "query":
			if p.Required || rapid.IntRange(0, 2).Draw(rt, p.Name) == 0 {
				query.Set(p.Name, text)
			}
		case "header":
			if p.Name != "Mgx-Workspace" && rapid.IntRange(0, 3).Draw(rt, p.Name) == 0 {
				if how != hostile {
					text = strings.Map(printable, text)
				}
				header.Set(p.Name, text)
			}
		}
	}
	if how == hostile && rapid.IntRange(0, 3).Draw(rt, "more") == 0 {
		query.Set(rapid.SampledFrom([]string{"a", "limit", "page_token", "workspace"}).Draw(rt, "name"), f.nasty(rt))
	}
	target := "http://localhost" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	body := f.body(rt, o, how)
	f.sent = fmt.Sprintf("%.300s", body)
	r, err := http.NewRequest(strings.ToUpper(o.method), target, bytes.NewReader(body))
	if err != nil {
		rt.Skip(err)
	}
	r.Host, r.RemoteAddr, r.Header = "localhost", "127.0.0.1:1", header
	r.Header.Set("Authorization", "Bearer "+rapid.SampledFrom(f.readers).Draw(rt, "reader"))
	r.Header.Set("Content-Type", "application/json")
	if how == hostile {
		r.Header.Set("User-Agent", f.nasty(rt))
		r.Header.Set("Content-Type", rapid.SampledFrom([]string{"application/json", "application/json; charset=utf-16", "text/plain", "multipart/form-data", ""}).Draw(rt, "type"))
	}
	return r
}

func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return '?'
	}
	return c
}

// idAt is what there is at a place of a path.
func (f *fuzzer) idAt(path, name string) string {
	before, _, _ := strings.Cut(path, "/{"+name+"}")
	return f.things[before[strings.LastIndexByte(before, '/')+1:]]
}

func (f *fuzzer) body(rt *rapid.T, o fuzzedOperation, how int) []byte {
	if o.RequestBody == nil {
		if how == hostile {
			return []byte(rapid.SampledFrom([]string{"", "{}", "x"}).Draw(rt, "body"))
		}
		return nil
	}
	if how == hostile && rapid.Bool().Draw(rt, "broken") {
		return []byte(rapid.SampledFrom([]string{
			"", "null", "[]", "{", `{"a":1,"a":2}`, `{"name":"a","NAME":"b"}`, `{}{}`, "\x00", `{"name":"\ud800"}`, `"x"`, `1e999`, "\xff\xfe{}", `{"name":` + strings.Repeat("[", 2000),
		}).Draw(rt, "text"))
	}
	text, err := json.Marshal(f.value(rt, o.RequestBody.Content["application/json"].Schema, "body", how, 0))
	must(f.t, err)
	return text
}

// nasty is a text that something may choke on.
func (f *fuzzer) nasty(rt *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"", " ", "\x00", "../../etc/passwd", "%00", "a\x00b", "\xff\xfe", "' OR 1=1 --", `"; DROP TABLE users; --`, "<script>", "{{.}}", "\r\nX: y", "-1", "0", "9223372036854775808", "1e400", "NaN",
			"null", "true", "*", "ws_default", "\u202e", "𝒳", strings.Repeat("a", 5000), strings.Repeat(",", 1000), "2026-13-45", "0001-01-01", "9999-12-31T23:59:59Z", "%", "_", `\`,
		}),
		rapid.String(),
	).Draw(rt, "nasty")
}

// text is a value of a parameter.
func (f *fuzzer) text(rt *rapid.T, s schema, name string, how int) string {
	switch v := f.value(rt, s, name, how, 0).(type) {
	case string:
		return v
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, fmt.Sprint(one))
		}
		return strings.Join(all, ",")
	default:
		return fmt.Sprint(v)
	}
}

// value is one for a schema, or not quite.
func (f *fuzzer) value(rt *rapid.T, s schema, name string, how, depth int) any {
	if how == hostile && rapid.IntRange(0, 2).Draw(rt, name+"?") == 0 {
		return f.nasty(rt)
	}
	if how != good && rapid.IntRange(0, 5).Draw(rt, name+"!") == 0 {
		return rapid.SampledFrom([]any{nil, true, -1, 1.5, 1e18, "x", []any{}, map[string]any{"x": 1}}).Draw(rt, name)
	}
	if s.Ref != "" {
		s = f.doc.Components.Schemas[s.name()]
	}
	if len(s.Enum) > 0 {
		return rapid.SampledFrom(s.Enum).Draw(rt, name)
	}
	kind := fmt.Sprint(s.Type)
	switch {
	case s.Items != nil:
		var all []any
		for range rapid.IntRange(0, 2).Draw(rt, name) {
			all = append(all, f.value(rt, *s.Items, name, how, depth+1))
		}
		return all
	case strings.Contains(kind, "object") || s.Properties != nil:
		object := map[string]any{}
		for _, field := range sorted(s.Properties) {
			if depth < 4 && (slices.Contains(s.Required, field) && how == good || rapid.Bool().Draw(rt, field)) {
				object[field] = f.value(rt, s.Properties[field], field, how, depth+1)
			}
		}
		return object
	case strings.Contains(kind, "integer"):
		return rapid.IntRange(0, 200).Draw(rt, name)
	case strings.Contains(kind, "number"):
		return rapid.SampledFrom([]any{0, 1, 0.5, 25, 1e9}).Draw(rt, name)
	case strings.Contains(kind, "boolean"):
		return rapid.Bool().Draw(rt, name)
	}
	if id := f.things[name+"s"]; id != "" && rapid.Bool().Draw(rt, name+"#") {
		return id
	}
	return rapid.SampledFrom([]string{"a", "ab-c", "viewer", "runs:read", "https://example.com/x", "ada@example.com", "2026-11-01", "task.*", "all", "user_local", "permit (principal, action, resource is Runs);"}).Draw(rt, name)
}

func sorted[V any](m map[string]V) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// wrong says what of an answer is not as the document has it.
func (f *fuzzer) wrong(o fuzzedOperation, out *httptest.ResponseRecorder) string {
	status := fmt.Sprint(out.Code)
	r, described := o.Responses[status]
	if r.Ref != "" {
		r = f.doc.Components.Responses[r.Ref[strings.LastIndexByte(r.Ref, '/')+1:]]
	}
	typ, _, _ := strings.Cut(out.Header().Get("Content-Type"), ";")
	switch {
	case out.Code == http.StatusInternalServerError:
		return "the server failed"
	case !described:
		return "the operation has no answer of this status"
	case out.Header().Get("X-Request-Id") == "" || out.Header().Get("X-API-Version") != api.Version || out.Header().Get("Content-Security-Policy") == "":
		return "without its headers"
	case typ == "application/problem+json":
		var p struct{ Code, Detail, Title string }
		if err := json.Unmarshal(out.Body.Bytes(), &p); err != nil || p.Detail == "" || p.Title == "" {
			return "that is no problem"
		}
		if !slices.Contains(r.Codes, p.Code) {
			return "the operation is not known to have the code " + p.Code
		}
		return f.invalid("mem:///openapi.json#/components/schemas/Problem", out.Body.Bytes())
	case r.Content == nil:
		if out.Body.Len() > 0 {
			return "a body where there is none"
		}
		return ""
	}
	if _, known := r.Content[typ]; !known {
		return "the operation has no answer of this type"
	}
	if typ != "application/json" {
		return ""
	}
	return f.invalid("mem:///openapi.json#/paths/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(o.path)+"/"+o.method+"/responses/"+status+"/content/application~1json/schema", out.Body.Bytes())
}

func (f *fuzzer) invalid(at string, body []byte) string {
	schema, err := f.schemas.Compile(strings.NewReplacer("{", "%7B", "}", "%7D").Replace(at))
	if err != nil {
		return err.Error()
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
