package gemini

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/llm"
)

// contentResponse is one event of a stream, or a whole answer.
type contentResponse struct {
	Candidates     []candidate     `json:"candidates"`
	PromptFeedback *promptFeedback `json:"promptFeedback"`
	UsageMetadata  *usageMetadata  `json:"usageMetadata"`
	ModelVersion   string          `json:"modelVersion"`
	Error          json.RawMessage `json:"error"`
}

type candidate struct {
	Index   int `json:"index"`
	Content struct {
		Parts []json.RawMessage `json:"parts"`
	} `json:"content"`
	FinishReason  string `json:"finishReason"`
	FinishMessage string `json:"finishMessage"`
}

type promptFeedback struct {
	BlockReason string `json:"blockReason"`
}

// usageMetadata: thoughts are counted beside the candidates, cached tokens within
// the prompt.
type usageMetadata struct {
	Prompt     float64 `json:"promptTokenCount"`
	ToolUse    float64 `json:"toolUsePromptTokenCount"`
	Candidates float64 `json:"candidatesTokenCount"`
	Thoughts   float64 `json:"thoughtsTokenCount"`
	Cached     float64 `json:"cachedContentTokenCount"`
	Total      float64 `json:"totalTokenCount"`
}

// inPart is what of a part we understand.
type inPart struct {
	Text             *string         `json:"text"`
	Thought          bool            `json:"thought"`
	ThoughtSignature json.RawMessage `json:"thoughtSignature"`
	FunctionCall     json.RawMessage `json:"functionCall"`
}

// decode reads a whole answer, yielding what can be shown. Without error and
// without response, the reader broke off.
func (p *provider) decode(answer *llm.Answer, req *llm.Request, yield func(llm.Chunk, error) bool) (*llm.Response, error) {
	d := newDecoder(p.name, req)
	if answer.IsDocument() {
		data, err := answer.ReadJSON()
		if err != nil {
			return nil, err
		}
		for _, doc := range documents(data) {
			show, _, err := d.event(doc)
			if err != nil || !llm.Show(yield, show) {
				return nil, err
			}
		}
		return d.finish()
	}
	if whole, err := answer.Each(yield, d.event); !whole {
		return nil, err
	}
	return d.finish()
}

// documents takes apart what a server sends that ignores alt=sse: a list.
func documents(data []byte) []json.RawMessage {
	var all []json.RawMessage
	if json.Unmarshal(data, &all) != nil {
		return []json.RawMessage{data}
	}
	return all
}

// decoder puts an answer together.
type decoder struct {
	provider string
	model    string
	calls    *llm.Calls
	parts    []llm.Part
	text     strings.Builder // of the text part under way
	finished string
	why      string
	blocked  bool
	usage    usageMetadata
	hasUsage bool
	size     int
	show     []llm.Chunk // what the latest event shows
}

func newDecoder(provider string, req *llm.Request) *decoder {
	return &decoder{provider: provider, model: req.Model, calls: llm.NewCalls(req)}
}

func (d *decoder) event(data []byte) ([]llm.Chunk, bool, error) {
	d.show = d.show[:0]
	var in contentResponse
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, false, llm.BadAnswer("an event of the answer is not what generateContent promises: %w", err)
	}
	if len(in.Error) > 0 && string(in.Error) != "null" {
		return nil, false, llm.StreamError(data)
	}
	d.model = cmp.Or(in.ModelVersion, d.model)
	d.blocked = d.blocked || (in.PromptFeedback != nil && in.PromptFeedback.BlockReason != "")
	for i := range in.Candidates {
		c := &in.Candidates[i]
		if c.Index != 0 {
			continue // we ask for one
		}
		for _, raw := range c.Content.Parts {
			if err := d.part(raw); err != nil {
				return nil, false, err
			}
		}
		d.finished, d.why = cmp.Or(c.FinishReason, d.finished), cmp.Or(c.FinishMessage, d.why)
	}
	if in.UsageMetadata != nil {
		d.count(in.UsageMetadata)
	}
	return d.show, false, nil
}

// part takes one part. Thoughts are shown and, as the API has it, not sent back,
// unless they are signed.
func (d *decoder) part(raw json.RawMessage) error {
	var in inPart
	if err := json.Unmarshal(raw, &in); err != nil {
		return llm.BadAnswer("a part of the answer is not one: %w", err)
	}
	if d.size += len(raw); d.size > llm.MaxContent {
		return llm.BadAnswer("an answer of more than %d bytes: %w", llm.MaxContent, llm.ErrTooLarge)
	}
	const most = 10_000
	if len(d.parts) >= most {
		return llm.BadAnswer("an answer of more than %d parts: %w", most, llm.ErrTooLarge)
	}
	switch signed := len(in.ThoughtSignature) > 0; {
	case len(in.FunctionCall) > 0:
		return d.call(raw, in.FunctionCall)
	case in.Thought:
		d.show = append(d.show, llm.Chunk{Thinking: deref(in.Text)})
		if signed {
			d.keep(&llm.Opaque{Dialect: dialect, Raw: raw})
		}
	case in.Text != nil && *in.Text != "":
		d.say(raw, *in.Text)
	case in.Text != nil && !signed: // nothing at all
	default:
		d.keep(&llm.Opaque{Dialect: dialect, Raw: raw})
	}
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// say adds text. Pieces join, except where one is signed, whose part stays apart.
func (d *decoder) say(raw json.RawMessage, text string) {
	d.show = append(d.show, llm.Chunk{Text: text})
	rest := llm.KeepRest(dialect, raw, "text", "thought")
	if rest == nil {
		d.text.WriteString(text)
		return
	}
	d.keep(rest)
	d.parts = append(d.parts, llm.Part{Text: text})
}

// keep ends the text under way and adds a block.
func (d *decoder) keep(o *llm.Opaque) {
	d.endText()
	d.parts = append(d.parts, llm.Part{Opaque: o})
}

func (d *decoder) endText() {
	if d.text.Len() > 0 {
		d.parts = append(d.parts, llm.Part{Text: d.text.String()})
		d.text.Reset()
	}
}

func (d *decoder) call(raw, call json.RawMessage) error {
	var in struct {
		ID   string          `json:"id"`
		Name string          `json:"name"`
		Args json.RawMessage `json:"args"`
	}
	if err := json.Unmarshal(call, &in); err != nil {
		return llm.BadAnswer("a function call of the answer is not one: %w", err)
	}
	var args bytes.Buffer
	if string(in.Args) == "null" || json.Compact(&args, in.Args) != nil || args.Len() == 0 {
		args.Reset()
		args.WriteString("{}")
	}
	_, show, err := d.calls.Piece(strconv.Itoa(d.calls.Len()), in.ID, in.Name, args.String())
	if err != nil {
		return llm.BadAnswer("%w", err)
	}
	d.show = append(d.show, show)
	d.endText()
	if rest := llm.KeepRest(dialect, raw, "functionCall"); rest != nil {
		d.keep(rest)
	}
	d.parts = append(d.parts, llm.Part{Call: &llm.ToolCall{}}) // filled in at the end
	return nil
}

// count takes a usage report; each replaces what the one before said, where it
// says anything.
func (d *decoder) count(u *usageMetadata) {
	for _, c := range []struct{ from, into *float64 }{
		{&u.Prompt, &d.usage.Prompt},
		{&u.ToolUse, &d.usage.ToolUse},
		{&u.Candidates, &d.usage.Candidates},
		{&u.Thoughts, &d.usage.Thoughts},
		{&u.Cached, &d.usage.Cached},
		{&u.Total, &d.usage.Total},
	} {
		if *c.from > 0 {
			*c.into = *c.from
		}
	}
	d.hasUsage = true
	usage := d.total()
	d.show = append(d.show, llm.Chunk{Usage: &usage})
}

// total takes the larger of what is stated and what the total leaves, so that
// nothing that is charged is missed.
func (d *decoder) total() mgx.Usage {
	u := mgx.Usage{
		Prompt: tokens(d.usage.Prompt + d.usage.ToolUse), Cached: tokens(d.usage.Cached), Reasoning: tokens(d.usage.Thoughts),
		Completion: tokens(d.usage.Candidates + d.usage.Thoughts),
	}
	u.Completion = max(u.Completion, tokens(d.usage.Total)-u.Prompt)
	return u
}

// tokens is a number of tokens as a server may write it, kept within reason.
func tokens(f float64) int64 {
	if !(f > 0) {
		return 0
	}
	return int64(min(f, 1e12))
}

// finish returns the whole answer, or says why it is none.
func (d *decoder) finish() (*llm.Response, error) {
	finish, err := d.finishReason()
	if err != nil {
		return nil, err
	}
	d.endText()
	calls := d.calls.Finish()
	next := 0
	for i := range d.parts {
		if d.parts[i].Call != nil {
			d.parts[i].Call = &calls[next]
			next++
		}
	}
	resp := &llm.Response{
		Message: llm.Message{Role: llm.Assistant, Parts: d.parts}, Finish: finish, Provider: d.provider, Model: d.model,
	}
	if usage := d.total(); d.hasUsage && usage.Prompt > 0 {
		resp.Usage, resp.UsageOK = usage, true
	}
	return resp, nil
}

func (d *decoder) finishReason() (llm.Finish, error) {
	switch d.finished {
	case "":
		if d.blocked {
			return llm.FinishFilter, nil
		}
		return "", llm.BadAnswer("the answer ended without a finish reason")
	case "STOP":
		if d.calls.Len() > 0 {
			return llm.FinishTools, nil
		}
		return llm.FinishStop, nil
	case "MAX_TOKENS":
		return llm.FinishLength, nil
	case "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
		"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION":
		return llm.FinishFilter, nil
	}
	// MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, OTHER and what may come: the
	// model did not get it right, and may the next time.
	return "", llm.BadAnswer("the answer was broken off: %s %s", d.finished, d.why)
}
