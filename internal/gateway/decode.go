package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/lazy"
	"mgx/internal/llm"
)

// call is a request as a caller made it, read.
//
// Every field of a dialect is one of: said in req, so that any provider can be
// asked; of no consequence for the answer, and left out in translation; only
// sayable in its own dialect, which c.only records; or refused, because it would
// cost what nobody can bound beforehand, or reach what belongs to somebody else on
// the provider's side. Fields that are not known are taken to be harmless; a
// provider of the same dialect gets them all the same, which is why those of other
// servers of a dialect that cost are known here.
type call struct {
	dialect dialect
	id      string
	key     principal
	req     llm.Request
	body    []byte
	apart   []llm.Field // those of body
	stream  bool
	usage   bool   // Chat: the caller asked for usage in the stream
	forced  string // the one tool that must be called
	only    string // what only a provider of the same dialect can be asked
	turns   []json.RawMessage
	turnsIn string
	again   int // this and the next two are Again, Media and Extra of [llm.Pass]
	shown   int
	extra   int64
	foreign bool   // the history holds what another provider wants back, in our wrapping
	echo    fields // Responses: what the answer repeats
}

// Tokens that things other than text may count, at most.
const (
	tokensOfImage    = 64 << 10 // the largest that any provider documents is below
	tokensOfDocument = 1 << 20  // as much as there is room for
)

// rewritten are fields that providers write out in a form of their own.
var rewritten = []string{"tools", "functions", "response_format", "text", "output_config", "output_format"}

// field reads one field of a request.
type field func(c *call, name string, raw json.RawMessage) error

// harmless fields do not change what a model is asked.
func harmless(*call, string, json.RawMessage) error { return nil }

// refused fields make sense only with a provider alone. An empty object is no
// absence: it is how some are switched on.
func refused(why string) field {
	return func(_ *call, name string, raw json.RawMessage) error {
		if s := string(raw); empty(raw) && s[0] != '{' {
			return nil
		}
		return bad("unsupported_parameter", name+" is not supported: "+why)
	}
}

// native fields need a provider of the same dialect.
func native(c *call, name string, raw json.RawMessage) error {
	if !empty(raw) {
		c.needs(name)
		c.extra += int64(len(raw))
	}
	return nil
}

// needs records what only the caller's own dialect can say.
func (c *call) needs(what string) {
	if c.only == "" {
		c.only = what
	}
}

func readModel(c *call, name string, raw json.RawMessage) error {
	if err := into(raw, name, "a string", &c.req.Model); err != nil {
		return err
	}
	if len(c.req.Model) > 200 || !mgx.IsText(c.req.Model) {
		return bad("invalid_model", "model is no name of a model: it is too long, or not text")
	}
	return nil
}

func readStream(c *call, name string, raw json.RawMessage) error {
	return into(raw, name, "true or false", &c.stream)
}

func readTemperature(c *call, name string, raw json.RawMessage) error {
	return into(raw, name, "a number", &c.req.Temperature)
}

func readTopP(c *call, name string, raw json.RawMessage) error {
	return into(raw, name, "a number", &c.req.TopP)
}

func readSeed(c *call, name string, raw json.RawMessage) error {
	return into(raw, name, "an integer", &c.req.Seed)
}

// maxAnswer is more tokens than any model gives.
const maxAnswer = 10_000_000

func readMaxTokens(c *call, name string, raw json.RawMessage) error {
	n := 0
	if err := into(raw, name, "an integer", &n); err != nil {
		return err
	}
	if n < 1 || n > maxAnswer {
		return bad("invalid_value", fmt.Sprintf("%s must be between 1 and %d", name, maxAnswer))
	}
	c.req.MaxTokens = max(c.req.MaxTokens, n)
	return nil
}

func readStop(c *call, name string, raw json.RawMessage) error {
	if isString(raw) {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	return into(raw, name, "a string or an array of strings", &c.req.Stop)
}

// readTier refuses tiers with prices of their own.
func readTier(_ *call, name string, raw json.RawMessage) error {
	var tier string
	if err := into(raw, name, "a string", &tier); err != nil {
		return err
	}
	if !slices.Contains([]string{"auto", "default", "flex", "standard_only"}, tier) {
		return bad("unsupported_value", name+" "+tier+" is not supported: its price is not known here")
	}
	return nil
}

// effort makes of a dialect's efforts those that a request has.
func effort(s string) (string, error) {
	switch s {
	case "none", "low", "medium", "high":
		return s, nil
	case "minimal":
		return "low", nil
	case "xhigh", "max":
		return "high", nil
	}
	return "", bad("invalid_value", "the reasoning effort must be none, minimal, low, medium, high or xhigh")
}

// decode reads a request's body.
func decode(d dialect, body []byte) (*call, error) {
	c := &call{dialect: d, body: body}
	list, err := llm.Fields(body)
	if err != nil {
		return nil, bad("invalid_json", "the body cannot be read: "+err.Error())
	}
	c.apart = list
	all, known := make(fields, len(list)), d.fields()
	if err := spelled(list, maps.Keys(known)); err != nil {
		return nil, err
	}
	for _, f := range list {
		read := known[f.Name]
		switch {
		case string(f.Value) == "null":
			continue
		case read == nil:
			c.extra += int64(len(f.Value))
		default:
			if err := read(c, f.Name, f.Value); err != nil {
				return nil, err
			}
		}
		if slices.Contains(rewritten, f.Name) {
			c.again += len(f.Value)
		}
		all[f.Name] = f.Value
	}
	if c.req.Model == "" {
		return nil, bad("missing_model", "model is missing: name one of those that GET /v1/models lists")
	}
	c.echo = all
	if err := d.check(c, all); err != nil {
		return nil, err
	}
	if err := c.force(); err != nil {
		return nil, err
	}
	return c, c.whole()
}

// force keeps only the tool that must be called.
func (c *call) force() error {
	if c.forced == "" {
		return nil
	}
	i := slices.IndexFunc(c.req.Tools, func(t llm.ToolSpec) bool { return t.Name == c.forced })
	if i < 0 {
		return bad("invalid_value", "tool_choice names a tool that is not among the tools")
	}
	c.req.Tools, c.req.ToolChoice = c.req.Tools[i:i+1], "required"
	return nil
}

// whole refuses a conversation that no provider would take, in words for the
// caller. What cannot be translated is left to its provider.
func (c *call) whole() error {
	if c.only != "" {
		return nil
	}
	check := c.req
	check.MaxTokens = max(check.MaxTokens, 1)
	if err := llm.CheckRequest(&check); err != nil {
		_, why, _ := strings.Cut(err.Error(), "malformed: ")
		return bad("invalid_messages", "the conversation is not whole: "+why)
	}
	return nil
}

// add appends a part to the last message when that has the role, else to a new one.
func (c *call) add(role llm.Role, p llm.Part) {
	if n := len(c.req.Messages); n > 0 && c.req.Messages[n-1].Role == role {
		c.req.Messages[n-1].Parts = append(c.req.Messages[n-1].Parts, p)
		return
	}
	c.req.Messages = append(c.req.Messages, llm.Message{Role: role, Parts: []llm.Part{p}})
}

// open begins a new message even after one of the same role.
func (c *call) open(role llm.Role) {
	c.req.Messages = append(c.req.Messages, llm.Message{Role: role})
}

// trim drops messages without parts.
func (c *call) trim() {
	c.req.Messages = slices.DeleteFunc(c.req.Messages, func(m llm.Message) bool { return len(m.Parts) == 0 })
}

func (c *call) system(text string) {
	if text == "" {
		return
	}
	if c.req.System != "" {
		c.req.System += "\n\n"
	}
	c.req.System += text
}

// unread records a part of a conversation that is not read here. It may not name
// a file that lies with the provider.
func (c *call) unread(what string, raw json.RawMessage) error {
	var v any
	if json.Unmarshal(raw, &v) != nil || strings.Contains(string(llm.MarshalWire(v)), "file_id") {
		return stored("a file_id")
	}
	c.needs(what)
	c.extra += int64(len(raw)) + tokensOfDocument
	return nil
}

// image counts one of Chat or Responses, given by its address, which may hold it.
func (c *call) image(at json.RawMessage) {
	c.needs("an image")
	c.extra += tokensOfImage
	if f, err := fieldsOf(at, "image_url"); err == nil {
		at = f["url"]
	}
	c.data(at, "data:image/")
}

// data keeps the bytes of pictures and pages from counting as text. No character of
// them needs an escape, so what has one is something else.
func (c *call) data(raw json.RawMessage, prefix string) {
	if isString(raw) && bytes.HasPrefix(raw[1:], []byte(prefix)) && bytes.IndexByte(raw, '\\') < 0 {
		c.shown += len(raw)
	}
}

// stored refuses what lies with the provider: all workspaces share an account
// there, so it may be somebody else's.
func stored(what string) error {
	return bad("unsupported_value", what+" is not supported: it names something kept by the provider, where nobody can tell whose it is; send the content itself")
}

// maxTools bounds the tools of a request.
const maxTools = 1024

// toolName is what all providers take for one.
var toolName = lazy.Regexp(`^[A-Za-z0-9_.:-]{1,128}$`)

func (c *call) tool(name, description string, schema json.RawMessage) error {
	if !toolName().MatchString(name) {
		return bad("invalid_tool", "a tool's name must be 1 to 128 letters, digits, _, - , . or :")
	}
	if len(c.req.Tools) == maxTools {
		return bad("too_many_tools", fmt.Sprintf("there are more than %d tools", maxTools))
	}
	if len(schema) == 0 {
		schema = json.RawMessage(`{"type":"object","properties":{}}`)
	}
	c.req.Tools = append(c.req.Tools, llm.ToolSpec{Name: name, Description: description, Schema: schema})
	return nil
}

func hosted(kind string) error {
	return bad("unsupported_tool", fmt.Sprintf("tools of the type %q are run by the provider, at prices and with rights that are not known here, and so not supported", kind))
}

// wrapping marks a block that a provider wants back, on its way through a
// dialect that is not the provider's.
const wrapping = "mgx1."

// wrapped is a block in a wrapping, and where in its message it belongs: streams
// have it at their end.
type wrapped struct {
	*llm.Opaque
	First  bool   `json:"first,omitempty"`  // before all that is said
	Before string `json:"before,omitempty"` // id of a tool call
}

func (w wrapped) wrap() string {
	return wrapping + base64.RawURLEncoding.EncodeToString(llm.MarshalWire(w))
}

// unwrap returns the block in a wrapping. Callers could write one of their own,
// so only what thinking looks like is taken; ok says that it was a wrapping.
func unwrap(text string) (w wrapped, ok bool) {
	data, ok := strings.CutPrefix(text, wrapping)
	if !ok {
		return wrapped{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(data)
	if err != nil || json.Unmarshal(raw, &w) != nil || w.Opaque == nil || !thinking(w.Opaque) {
		return wrapped{}, true
	}
	return w, true
}

// thinking reports whether a block is one that models think in, or what belongs
// to the part after it.
func thinking(o *llm.Opaque) bool {
	if _, of := o.Rest(); of {
		return true
	}
	f, err := fieldsOf(o.Raw, "a block")
	if err != nil {
		return false
	}
	only := func(names ...string) bool {
		for name := range f {
			if !slices.Contains(names, name) {
				return false
			}
		}
		return true
	}
	switch {
	case strings.HasPrefix(o.Dialect, "chat/"):
		return only("reasoning_content", "reasoning_details", "extra_content")
	case o.Dialect == "gemini":
		return only("thought", "text", "thoughtSignature")
	}
	return slices.Contains([]string{"thinking", "redacted_thinking", "reasoning"}, f.text("type"))
}

// restore takes a wrapped block back into the conversation: to its place, where
// what comes behind it came already, else to the end.
func (c *call) restore(w wrapped) {
	c.foreign = true
	if w.Opaque == nil {
		return
	}
	part := llm.Part{Opaque: w.Opaque}
	if m, at := c.placeOf(w); at >= 0 {
		m.Parts = slices.Insert(m.Parts, at, part)
		return
	}
	c.add(llm.Assistant, part)
}

// placeOf is the message and the place in it that a block belongs to; negative
// when they cannot be told.
func (c *call) placeOf(w wrapped) (m *llm.Message, at int) {
	all := c.req.Messages
	isNext := func(p llm.Part) bool { return p.Call != nil && p.Call.ID == w.Before }
	i := len(all) - 1
	for i >= 0 && w.Before != "" && !slices.ContainsFunc(all[i].Parts, isNext) {
		i--
	}
	if i < 0 || all[i].Role != llm.Assistant {
		return nil, -1
	}
	m = &all[i]
	if w.First {
		return m, slices.IndexFunc(m.Parts, func(p llm.Part) bool { return p.Opaque == nil })
	}
	return m, slices.IndexFunc(m.Parts, isNext)
}
