package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/limit"
)

// Version is the version of the API, as X-API-Version and the document have it.
// The number before the point is that of the path; the other one grows when
// something is added. Nothing is taken away from a version: see docs/api.md.
const Version = "1.0"

const problemSchema = "#/components/schemas/Problem"

// document is the frame of the OpenAPI document.
func document(schemas huma.Registry) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "MGX", Version: Version, License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			Description: "What MGX does, over HTTP.\n\n" +
				"Requests prove who makes them with a key or a token (`Authorization: Bearer …`). Lists come in pages: send `next_page_token` as `page_token` for the next one. " +
				"Failures are problems (RFC 9457) with a stable `code`. What makes something is done once for one `Idempotency-Key`. A change with `If-Match` is made only to what was read.",
		},
		Servers:  []*huma.Server{{URL: "/", Description: "The server that has this document"}},
		Security: []map[string][]string{{"bearer": {}}},
		Components: &huma.Components{
			Schemas: schemas,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"bearer": {Type: "http", Scheme: "bearer", Description: "A key (`mgx keys`), an access token of a sign-in, or from the same machine the token of the data directory."},
				"browser": {
					Type: "apiKey", In: "cookie", Name: "__Host-mgx_session",
					Description: "The cookie of a browser that signed in. It counts only for what pages of the server itself ask for.",
				},
			},
		},
	}
}

// completed is the document with everything that follows from the routes, as JSON
// and as YAML. It is made when it is first asked for.
type completed struct {
	once       sync.Once
	json, yaml []byte
	err        error
}

// Document is the OpenAPI document of the API as JSON.
func (s *Server) Document() ([]byte, error) {
	c := &s.surface.completed
	c.once.Do(func() {
		doc := s.surface.OpenAPI()
		s.surface.complete()
		s.surface.describeGateway()
		if c.json, c.err = json.Marshal(doc); c.err != nil {
			return
		}
		var pretty bytes.Buffer
		c.err = json.Indent(&pretty, c.json, "", " ")
		c.json = append(pretty.Bytes(), '\n')
		if c.err == nil {
			c.yaml, c.err = doc.YAML()
		}
	})
	return c.json, c.err
}

// complete adds to every operation what follows from its route.
func (s *surface) complete() {
	doc := s.OpenAPI()
	schemas := doc.Components.Schemas
	schemas.Schema(reflect.TypeFor[problem](), true, "Problem")
	frame := schemas.Map()["Problem"]
	frame.Required = []string{"type", "title", "status", "detail", "code"} // what embeds a pointer is there for codes that have it
	s.share()
	for _, o := range s.byPath {
		s.describe(o)
	}
	delete(schemas.Map(), "V2ErrorModel") // huma's own, which are never sent
	delete(schemas.Map(), "V2ErrorDetail")
	describeFields(schemas.Map())
	groups := map[string]string{}
	for _, o := range s.byPath {
		if groups[o.about.Group] = abouts[o.about.Group]; groups[o.about.Group] == "" {
			groups[o.about.Group] = "Operations on " + strings.ToLower(o.about.Group) + "."
		}
	}
	for _, name := range sortedKeys(groups) {
		doc.Tags = append(doc.Tags, &huma.Tag{Name: name, Description: groups[name]})
	}
}

// abouts are what there is to say of the groups of operations.
var abouts = map[string]string{
	"Agents":          "Who works on runs: roles with their instructions, tools and models.",
	"Approvals":       "Decisions that people are asked for, each bound to what exactly is proposed.",
	"Artifacts":       "What runs leave behind, named by digest.",
	"Audit":           "Who did what, tamper-evident.",
	"Budgets":         "What may be spent, and what was.",
	"Consumers":       "Readers of the log inside MGX, for those who run it.",
	"Event contracts": "What events look like, version by version.",
	"Events":          "The log: in pages and as streams.",
	"Executions":      "Durable workflows behind runs.",
	"Health":          "Whether the server works, for people, balancers and Prometheus.",
	"Keys":            "What programs prove with on whose behalf they act.",
	"Members":         "Who is in the workspace, and as what.",
	"Catalogue":       "The models that agents think with.",
	"Policies":        "What agents may do, and what they have to ask for.",
	"Projects":        "Repositories that are worked on.",
	"Reference":       "This document.",
	"Roles":           "What members may do.",
	"Runs":            "Attempts at tasks.",
	"Secrets":         "Values that are used by name and never shown again.",
	"Sign-in":         "Tokens for people, and their sessions.",
	"Tasks":           "What people want done.",
	"Webhooks":        "Addresses that events are sent to.",
	"Workspaces":      "Tenants.",
}

func (s *surface) describe(o *operation) {
	delete(o.Responses, "default")
	if o.needs == anybody {
		o.Security = []map[string][]string{}
	} else {
		o.Security = []map[string][]string{{"bearer": {}}, {"browser": {}}}
	}
	if o.needs.kind != "" {
		o.Description = strings.TrimSpace(o.Description + "\n\nIt takes the scope `" + o.needs.kind + ":" + o.needs.action + "`.")
	}
	o.Extensions = map[string]any{"x-needs": o.needs.String()}
	for name, f := range map[string]flags{"x-installation": installation, "x-own": finer, "x-socket": socks} {
		if o.flags&f != 0 {
			o.Extensions[name] = true
		}
	}
	s.describeAnswers(o)
	o.Parameters = append(o.Parameters, o.headers()...)
	for status, all := range o.byStatus() {
		text := strconv.Itoa(status)
		if o.Responses[text] == nil && s.shared[status] == strings.Join(all, " ") {
			o.Responses[text] = &huma.Response{Ref: "#/components/responses/" + sharedName(status)}
			continue
		}
		o.Responses[text] = s.problems(status, all, o.Responses[text])
	}
}

// byStatus are the codes of an operation's problems, in order.
func (o *operation) byStatus() map[int][]string {
	all := map[int][]string{}
	for code, status := range o.problems() {
		all[status] = append(all[status], code)
	}
	for _, list := range all {
		slices.Sort(list)
	}
	return all
}

// share makes of each status the problems that most operations have with it one
// that they name.
func (s *surface) share() {
	counts := map[int]map[string]int{}
	for _, o := range s.byPath {
		for status, all := range o.byStatus() {
			if counts[status] == nil {
				counts[status] = map[string]int{}
			}
			counts[status][strings.Join(all, " ")]++
		}
	}
	s.shared = map[int]string{}
	responses := map[string]*huma.Response{}
	for status, sets := range counts {
		most := 2 // fewer are not worth it
		for _, set := range sortedKeys(sets) {
			if sets[set] > most {
				most, s.shared[status] = sets[set], set
			}
		}
		if set, some := s.shared[status]; some {
			responses[sharedName(status)] = s.problems(status, strings.Fields(set), nil)
		}
	}
	s.OpenAPI().Components.Responses = responses
}

func sharedName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }

// String says what an actor must be permitted: an action and a kind of resource,
// or anybody or somebody.
func (n need) String() string { return strings.TrimSpace(n.action + " " + n.kind) }

// problems is the answer of a status with the problems that there can be; before
// is what else is answered with it.
func (s *surface) problems(status int, all []string, before *huma.Response) *huma.Response {
	r := &huma.Response{
		Description: http.StatusText(status) + ": `" + strings.Join(all, "`, `") + "`",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{Ref: problemSchema}}},
		Extensions:  map[string]any{"x-codes": all},
	}
	if before != nil {
		maps.Copy(r.Content, before.Content)
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		r.Headers = map[string]*huma.Param{"Retry-After": {Description: "Seconds to wait", Schema: &huma.Schema{Type: huma.TypeInteger}}}
	}
	return r
}

// describeAnswers says what is answered besides the body of the output.
func (s *surface) describeAnswers(o *operation) {
	ok := o.Responses[strconv.Itoa(o.DefaultStatus)]
	if typ := o.about.Type; typ != "" {
		body := ok.Content[typeJSON]
		if body == nil {
			body = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		}
		ok.Content = map[string]*huma.MediaType{typ: body}
	}
	for _, typ := range o.about.Types {
		ok.Content[typ] = &huma.MediaType{Schema: &huma.Schema{}}
	}
	for status, example := range o.about.Also {
		r := &huma.Response{Description: http.StatusText(status)}
		if example != nil {
			schema := s.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(example), true, "")
			r.Content = map[string]*huma.MediaType{typeJSON: {Schema: schema}}
		}
		o.Responses[strconv.Itoa(status)] = r
	}
	if o.about.Parts {
		o.Responses["206"] = &huma.Response{Description: "The part that was asked for", Content: ok.Content}
	}
	if o.showsThing() || o.about.Parts {
		if ok.Headers == nil {
			ok.Headers = map[string]*huma.Param{}
		}
		ok.Headers["ETag"] = &huma.Param{Description: "Names the state, for If-None-Match and If-Match", Schema: &huma.Schema{Type: huma.TypeString}}
		o.Responses["304"] = &huma.Response{Description: "It is as If-None-Match says"}
	}
	if o.about.Deprecated != nil {
		if ok.Headers == nil {
			ok.Headers = map[string]*huma.Param{}
		}
		ok.Headers["Deprecation"] = &huma.Param{Description: "Since when (RFC 9745)", Schema: &huma.Schema{Type: huma.TypeString}}
		ok.Headers["Sunset"] = &huma.Param{Description: "When it goes (RFC 8594)", Schema: &huma.Schema{Type: huma.TypeString}}
	}
}

// showsThing reports whether an operation answers with one thing, with its ETag.
func (o *operation) showsThing() bool {
	return o.Method == http.MethodGet && o.about.Kind != "" && o.flags&stream == 0 && o.handle == nil
}

// changesThing reports whether it takes an If-Match.
func (o *operation) changesThing() bool {
	return o.Method != http.MethodGet && o.about.Kind != "" && !o.about.Made && o.handle == nil
}

// headers are those that are read of every request of its kind.
func (o *operation) headers() (all []*huma.Param) {
	add := func(name, description string, most int) {
		all = append(all, &huma.Param{Name: name, In: "header", Description: description, Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &most}})
	}
	if o.needs != anybody && !strings.Contains(o.Path, "{workspace}") {
		add("Mgx-Workspace", "In which of several workspaces", longestName)
	}
	if o.keyed() {
		add(keyHeader, "Any text; what is sent again with the same one within 24 hours is done once and answered alike", longestKey)
	}
	if o.showsThing() || o.about.Parts {
		add("If-None-Match", "ETags of what is known already", 1000)
	}
	if o.changesThing() {
		add("If-Match", "ETags of the states, one of which it must have", 1000)
	}
	return all
}

// problems are the codes that an operation can answer with, and their status.
func (o *operation) problems() codes {
	all := codes{
		codeQuery: 400, codeOrigin: 403, codeProxy: 403, codeHost: 421, "internal": 500, "timed_out": 503, "restarting": 503,
		"database_unavailable": 503, "database_busy": 503, "database_refused": 503, "database_corrupt": 503, "disk_full": 503, "disk_error": 503, "data_read_only": 503,
		codeRateLimited: 429, codeVersion: 400, "bad_text": 400,
	}
	if strings.HasPrefix(o.Path, "/api/") {
		all[mgx.CodeNotFound] = 404 // what is in the path, or what the server does not have
	}
	if o.params["page_token"] {
		all["bad_page_token"] = 400
	}
	if o.needs != anybody {
		maps.Copy(all, codes{
			codeUnauthenticated: 401, access.CodeKeyExpired: 401, access.CodeTokenExpired: 401, access.CodeNotMember: 403, access.CodeWorkspace: 400,
		})
	}
	if o.needs != anybody && o.needs != somebody || o.flags&finer != 0 {
		maps.Copy(all, codes{access.CodeForbidden: 403, access.CodeOutOfScope: 403})
	}
	if o.bodied || o.Method != http.MethodGet {
		if o.needs != anybody && strings.HasPrefix(o.Path, "/api/") {
			all[mgx.CodeErased] = 410 // the workspace, or what is in it
		}
		maps.Copy(all, codes{codeBody: 400, codeMediaType: 415, "body_too_large": 413, codeBodyLate: 408, limit.CodeTooManyBytes: 429})
	}
	if cost := costOf(o.route); cost > 0 && o.flags&stream == 0 {
		all[limit.CodeOverloaded] = 503
		if cost >= costHeavy && o.needs != anybody {
			all[limit.CodeTooManyAtOnce] = 429
		}
	}
	if o.keyed() {
		maps.Copy(all, codes{codeKeyReused: 422, mgx.CodeKeyInUse: 409, codeDone: 409})
	}
	if o.changesThing() {
		all[mgx.CodeChanged] = 412
	}
	maps.Copy(all, o.about.Codes)
	return all
}
