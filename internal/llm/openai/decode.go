package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"mgx"
	"mgx/internal/llm"
)

// chatChunk is one event of a stream, or, with Message for Delta, a whole answer.
type chatChunk struct {
	Model   string       `json:"model"`
	Choices []chatChoice `json:"choices"`
	Usage   *chatUsage   `json:"usage"`
	Error   jsonValue    `json:"error"`
}

type chatChoice struct {
	Index        int        `json:"index"`
	Delta        chatDelta  `json:"delta"`
	Message      *chatDelta `json:"message"`
	FinishReason string     `json:"finish_reason"`
}

type chatDelta struct {
	Content          content           `json:"content"`
	Refusal          string            `json:"refusal"`
	Reasoning        string            `json:"reasoning"`         // OpenRouter, Groq
	ReasoningContent string            `json:"reasoning_content"` // DeepSeek, llama.cpp, xAI …
	ReasoningDetails []json.RawMessage `json:"reasoning_details"`
	ToolCalls        []callDelta       `json:"tool_calls"`
}

type callDelta struct {
	Index    *int   `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string    `json:"name"`
		Arguments arguments `json:"arguments"`
	} `json:"function"`
	ExtraContent jsonValue `json:"extra_content"`
}

// jsonValue is a raw value in which null counts as absent.
type jsonValue []byte

func (v *jsonValue) UnmarshalJSON(b []byte) error {
	if string(b) != "null" {
		*v = bytes.Clone(b)
	}
	return nil
}

// content is a text, or Mistral's list of text and thinking blocks.
type content struct{ text, thinking string }

func (c *content) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		return unquote(b, &c.text)
	}
	var blocks []struct {
		Text     string  `json:"text"`
		Thinking content `json:"thinking"`
	}
	if err := json.Unmarshal(b, &blocks); err != nil {
		return err
	}
	for _, block := range blocks {
		c.text += block.Text
		c.thinking += block.Thinking.text
	}
	return nil
}

// arguments are a text that holds JSON, or, from careless servers, the JSON itself.
type arguments string

func (a *arguments) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		*a = arguments(b)
		return nil
	}
	return unquote(b, (*string)(a))
}

// unquote is json.Unmarshal into a string, without its cost for a text that
// needs no unescaping, as most pieces of a stream.
func unquote(b []byte, into *string) error {
	if n := len(b); n >= 2 && b[0] == '"' && bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b) {
		*into = string(b[1 : n-1])
		return nil
	}
	return json.Unmarshal(b, into)
}

type chatUsage struct {
	PromptTokens     float64 `json:"prompt_tokens"`
	CompletionTokens float64 `json:"completion_tokens"`
	TotalTokens      float64 `json:"total_tokens"`
	PromptDetails    struct {
		CachedTokens     float64 `json:"cached_tokens"`
		CacheWriteTokens float64 `json:"cache_write_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		ReasoningTokens float64 `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
	PromptCacheHitTokens float64 `json:"prompt_cache_hit_tokens"` // DeepSeek
}

func (u *chatUsage) usage() mgx.Usage {
	out := mgx.Usage{
		Prompt: count(u.PromptTokens), Completion: count(u.CompletionTokens),
		Cached:     count(max(u.PromptDetails.CachedTokens, u.PromptCacheHitTokens)),
		CacheWrite: count(u.PromptDetails.CacheWriteTokens),
		Reasoning:  count(u.CompletionDetails.ReasoningTokens),
	}
	// xAI leaves reasoning out of completion_tokens, and only the total tells.
	if out.Reasoning > 0 && count(u.TotalTokens) == out.Prompt+out.Completion+out.Reasoning {
		out.Completion += out.Reasoning
	}
	return out
}

// count is a number of tokens as a server may write it, kept within reason.
func count(f float64) int64 {
	if !(f > 0) {
		return 0
	}
	return int64(min(f, 1e12))
}

// decodeChat reads a whole answer, yielding what can be shown. Without error and
// without response, the reader broke off.
func (p *provider) decodeChat(answer *llm.Answer, req *llm.Request, yield func(llm.Chunk, error) bool) (*llm.Response, error) {
	d := newDecoder(p, req)
	if answer.IsDocument() {
		data, err := answer.ReadJSON()
		if err != nil {
			return nil, err
		}
		show, _, err := d.event(data)
		if err != nil || !llm.Show(yield, show) {
			return nil, err
		}
		return d.finish()
	}
	if whole, err := answer.Each(yield, d.event); !whole {
		return nil, err
	}
	return d.finish()
}

// event takes one event and returns what it shows: text and thinking first, then
// the pieces of calls.
func (d *decoder) event(data []byte) ([]llm.Chunk, bool, error) {
	d.show = append(d.show[:0], llm.Chunk{})
	chunk, err := d.add(data)
	if err != nil {
		return nil, false, err
	}
	if d.show[0] = chunk; chunk == (llm.Chunk{}) && len(d.show) > 1 {
		return d.show[1:], false, nil
	}
	return d.show, false, nil
}

// decoder puts an answer together.
type decoder struct {
	provider *provider
	req      *llm.Request
	calls    *llm.Calls
	model    string
	finished string // the finish reason
	text     strings.Builder
	refusal  strings.Builder
	thinking strings.Builder
	details  []*detail
	extra    map[int]json.RawMessage // by position of the call
	usage    *mgx.Usage
	size     int

	in   chatChunk   // the latest event
	show []llm.Chunk // what the latest event shows
}

func newDecoder(p *provider, req *llm.Request) *decoder {
	return &decoder{provider: p, req: req, calls: llm.NewCalls(req), model: req.Model}
}

// add takes one event and returns what of it can be shown.
func (d *decoder) add(data []byte) (llm.Chunk, error) {
	in := &d.in
	if !in.short(data) {
		*in = chatChunk{}
		if err := json.Unmarshal(data, in); err != nil {
			return llm.Chunk{}, llm.BadAnswer("an event of the answer is not what Chat Completions promise: %w", err)
		}
	}
	if len(in.Error) > 0 {
		return llm.Chunk{}, llm.StreamError(data)
	}
	if in.Model != "" {
		d.model = in.Model
	}
	var out llm.Chunk
	for i := range in.Choices {
		choice := &in.Choices[i]
		if choice.Index != 0 {
			continue // we ask for one
		}
		delta := &choice.Delta
		if choice.Message != nil {
			delta = choice.Message
		}
		if err := d.delta(delta, &out); err != nil {
			return llm.Chunk{}, err
		}
		if choice.FinishReason != "" {
			d.finished = choice.FinishReason
		}
	}
	if in.Usage != nil {
		usage := in.Usage.usage()
		if usage.CacheWrite > 0 && d.req.Pass.LongCache() { // passed on to Anthropic, and not told apart
			usage.CacheWriteLong = usage.CacheWrite
		}
		d.usage, out.Usage = &usage, &usage
	}
	return out, nil
}

func (d *decoder) delta(in *chatDelta, out *llm.Chunk) error {
	thinking := in.ReasoningContent
	if thinking == "" {
		thinking = in.Reasoning
	}
	thinking += in.Content.thinking
	d.text.WriteString(in.Content.text)
	d.refusal.WriteString(in.Refusal)
	d.thinking.WriteString(thinking)
	out.Text += in.Content.text + in.Refusal
	out.Thinking += thinking
	d.size += len(in.Content.text) + len(in.Refusal) + len(thinking)
	for _, detail := range in.ReasoningDetails {
		d.size += len(detail)
		d.addDetail(detail)
	}
	for i := range in.ToolCalls {
		if err := d.call(&in.ToolCalls[i]); err != nil {
			return err
		}
	}
	if d.size > llm.MaxContent {
		return llm.BadAnswer("an answer of more than %d bytes: %w", llm.MaxContent, llm.ErrTooLarge)
	}
	return nil
}

// call takes a piece of a tool call. A piece without an index continues the
// last call, unless it has an id and a name of its own.
func (d *decoder) call(in *callDelta) error {
	key := d.calls.Last()
	if in.Index != nil {
		key = strconv.Itoa(*in.Index)
	} else if key == "" || (in.Function.Name != "" && in.ID == "") {
		key = fmt.Sprintf("+%d", d.calls.Len())
	}
	d.size += len(in.ID) + len(in.Function.Name) + len(in.Function.Arguments) + len(in.ExtraContent)
	position, show, err := d.calls.Piece(key, in.ID, in.Function.Name, string(in.Function.Arguments))
	if err != nil {
		return err
	}
	if show != (llm.Chunk{}) {
		d.show = append(d.show, show)
	}
	if len(in.ExtraContent) > 0 {
		if d.extra == nil {
			d.extra = map[int]json.RawMessage{}
		}
		d.extra[position] = json.RawMessage(in.ExtraContent)
	}
	return nil
}

// detail is one reasoning block. Its texts come in pieces and add up; of other
// fields the last one that is not null counts.
type detail struct {
	fields map[string]json.RawMessage
	texts  map[string]*strings.Builder
}

func (d *decoder) addDetail(raw json.RawMessage) {
	var piece map[string]json.RawMessage
	if json.Unmarshal(raw, &piece) != nil || piece == nil {
		return
	}
	if n := len(d.details); n == 0 || !d.details[n-1].continues(piece) {
		d.details = append(d.details, &detail{map[string]json.RawMessage{}, map[string]*strings.Builder{}})
	}
	d.details[len(d.details)-1].add(piece)
}

func (d *detail) continues(piece map[string]json.RawMessage) bool {
	return piece["index"] != nil && bytes.Equal(d.fields["index"], piece["index"]) && bytes.Equal(d.fields["type"], piece["type"])
}

func (d *detail) add(piece map[string]json.RawMessage) {
	for k, v := range piece {
		var text string
		isText := (k == "text" || k == "summary" || k == "data") && json.Unmarshal(v, &text) == nil
		switch {
		case string(v) == "null" && d.fields[k] != nil:
		case isText && d.texts[k] == nil:
			d.texts[k] = &strings.Builder{}
			fallthrough
		case isText:
			d.texts[k].WriteString(text)
		default:
			d.fields[k] = v
		}
	}
}

// whole is the block as it goes back.
func (d *detail) whole() map[string]json.RawMessage {
	for k, text := range d.texts {
		d.fields[k] = llm.MarshalWire(text.String())
	}
	return d.fields
}

// finish returns the whole answer, or says why it is none.
func (d *decoder) finish() (*llm.Response, error) {
	finish, err := d.finishReason()
	if err != nil {
		return nil, err
	}
	resp := &llm.Response{
		Message: llm.Message{Role: llm.Assistant}, Finish: finish, Provider: d.provider.name, Model: d.model,
	}
	calls := d.calls.Finish()
	parts := &resp.Message.Parts
	if raw := d.keep(calls); raw != nil {
		*parts = append(*parts, llm.Part{Opaque: &llm.Opaque{Dialect: d.provider.dialect(), Raw: raw}})
	}
	if text := d.text.String() + d.refusal.String(); text != "" {
		*parts = append(*parts, llm.Part{Text: text})
	}
	for i := range calls {
		*parts = append(*parts, llm.Part{Call: &calls[i]})
	}
	if d.usage != nil && d.usage.Prompt > 0 {
		resp.Usage, resp.UsageOK = *d.usage, true
	}
	return resp, nil
}

func (d *decoder) finishReason() (llm.Finish, error) {
	switch d.finished {
	case "":
		return "", llm.BadAnswer("the answer ended without a finish reason")
	case "error", "network_error", "insufficient_system_resource":
		return "", &llm.CallError{Fault: llm.FaultOverloaded, Message: "the provider broke the answer off: " + d.finished}
	case "length", "max_tokens", "model_length":
		return llm.FinishLength, nil
	case "content_filter", "sensitive":
		return llm.FinishFilter, nil
	}
	switch {
	case d.refusal.Len() > 0:
		return llm.FinishRefusal, nil
	case d.calls.Len() > 0:
		return llm.FinishTools, nil
	}
	return llm.FinishStop, nil
}

// keep is what must come back with this message, as an Opaque; nil: nothing.
func (d *decoder) keep(calls []llm.ToolCall) json.RawMessage {
	var k kept
	if len(d.details) > 0 {
		blocks := make([]map[string]json.RawMessage, len(d.details))
		for i, block := range d.details {
			blocks[i] = block.whole()
		}
		k.ReasoningDetails = llm.MarshalWire(blocks)
	}
	if d.provider.quirks(d.req.Model).EchoReasoning {
		k.ReasoningContent = d.thinking.String()
	}
	for i, call := range calls {
		if extra, ok := d.extra[i]; ok {
			if k.ExtraContent == nil {
				k.ExtraContent = map[string]json.RawMessage{}
			}
			k.ExtraContent[call.ID] = extra
		}
	}
	if k.ReasoningContent == "" && k.ReasoningDetails == nil && k.ExtraContent == nil {
		return nil
	}
	return llm.MarshalWire(k)
}
