package anthropic

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/llm"
)

// wireEvent is any event of a stream.
type wireEvent struct {
	Type         string          `json:"type"`
	Index        int             `json:"index"`
	Message      *wireMessage    `json:"message"`       // message_start
	ContentBlock json.RawMessage `json:"content_block"` // content_block_start
	Delta        wireDelta       `json:"delta"`
	Usage        *wireUsage      `json:"usage"` // message_delta
	Error        json.RawMessage `json:"error"`
}

type wireMessage struct {
	Type       string            `json:"type"`
	Model      string            `json:"model"`
	Content    []json.RawMessage `json:"content"`
	StopReason string            `json:"stop_reason"`
	Usage      *wireUsage        `json:"usage"`
}

type wireDelta struct {
	Type        string `json:"type"`
	Text        string `json:"text"`
	Thinking    string `json:"thinking"`
	Signature   string `json:"signature"`
	PartialJSON string `json:"partial_json"`
	StopReason  string `json:"stop_reason"` // message_delta
}

type wireBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	Signature string          `json:"signature"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
}

// wireUsage: the prompt is counted in three parts that do not overlap.
type wireUsage struct {
	Input         float64 `json:"input_tokens"`
	CacheCreation float64 `json:"cache_creation_input_tokens"`
	CacheRead     float64 `json:"cache_read_input_tokens"`
	// Created are the parts of CacheCreation, by how long they are kept.
	Created       *wireCreated `json:"cache_creation"`
	Output        float64      `json:"output_tokens"`
	OutputDetails struct {
		Thinking float64 `json:"thinking_tokens"`
	} `json:"output_tokens_details"`
}

type wireCreated struct {
	Short float64 `json:"ephemeral_5m_input_tokens"`
	Hour  float64 `json:"ephemeral_1h_input_tokens"`
}

// decode reads a whole answer, yielding what can be shown. Without error and
// without response, the reader broke off.
func (p *provider) decode(answer *llm.Answer, req *llm.Request, yield func(llm.Chunk, error) bool) (*llm.Response, error) {
	d := newDecoder(p.name, req)
	if answer.IsDocument() {
		return d.document(answer, yield)
	}
	if whole, err := answer.Each(yield, d.event); !whole {
		return nil, err
	}
	return d.finish()
}

// decoder puts an answer together.
type decoder struct {
	provider string
	model    string
	calls    *llm.Calls
	blocks   []*block // in order of appearance
	open     map[int]*block
	started  bool
	stopped  bool
	reason   string
	usage    wireUsage
	pass     *llm.Pass // of the request
	hasUsage bool
	size     int
	show     [1]llm.Chunk // what an event shows, used again by the next
	in       wireEvent    // the latest event
}

// block is one content block under way.
type block struct {
	wireBlock
	raw       json.RawMessage // as it began
	text      strings.Builder // of text or thinking
	signature strings.Builder
	call      int // position among the calls, for tool_use
	pieces    bool
}

func newDecoder(provider string, req *llm.Request) *decoder {
	return &decoder{provider: provider, model: req.Model, calls: llm.NewCalls(req), pass: req.Pass, open: map[int]*block{}}
}

func (d *decoder) event(data []byte) ([]llm.Chunk, bool, error) {
	chunk, err := d.add(data)
	if err != nil || d.stopped {
		return nil, d.stopped, err
	}
	d.show[0] = chunk
	return d.show[:], false, nil
}

// add takes one event and returns what of it can be shown.
func (d *decoder) add(data []byte) (llm.Chunk, error) {
	in := &d.in
	if !in.short(data) {
		*in = wireEvent{}
		if err := json.Unmarshal(data, in); err != nil {
			return llm.Chunk{}, llm.BadAnswer("an event of the answer is not what Messages promise: %w", err)
		}
	}
	if len(in.Error) > 0 && string(in.Error) != "null" { // whatever its type
		return llm.Chunk{}, llm.StreamError(data)
	}
	switch in.Type {
	case "message_start":
		return d.start(in.Message)
	case "content_block_start":
		return d.begin(in.Index, in.ContentBlock)
	case "content_block_delta":
		return d.delta(in.Index, &in.Delta)
	case "content_block_stop":
		return d.end(in.Index)
	case "message_delta":
		if in.Delta.StopReason != "" {
			d.reason = in.Delta.StopReason
		}
		return d.count(in.Usage), nil
	case "message_stop":
		d.stopped = true
	case "error":
		return llm.Chunk{}, llm.StreamError(data) // without saying more
	}
	return llm.Chunk{}, nil // ping, and events that are yet to be invented
}

// start takes message_start. A second one before any content replaces the first;
// after content, the stream is two answers in one and neither can be trusted.
func (d *decoder) start(m *wireMessage) (llm.Chunk, error) {
	if m == nil || len(d.blocks) > 0 {
		return llm.Chunk{}, llm.BadAnswer("the answer starts again in the middle")
	}
	d.started = true
	if m.Model != "" {
		d.model = m.Model
	}
	return d.count(m.Usage), nil
}

// count takes a usage report; each replaces what the one before said, where it
// says anything.
func (d *decoder) count(u *wireUsage) llm.Chunk {
	if u == nil {
		return llm.Chunk{}
	}
	if u.Input+u.CacheCreation+u.CacheRead > 0 {
		d.usage.Input, d.usage.CacheCreation, d.usage.CacheRead, d.usage.Created = u.Input, u.CacheCreation, u.CacheRead, cmp.Or(u.Created, d.usage.Created)
	}
	if u.Output > 0 {
		d.usage.Output = u.Output
	}
	d.usage.OutputDetails.Thinking = max(d.usage.OutputDetails.Thinking, u.OutputDetails.Thinking)
	d.hasUsage = true
	usage := d.total()
	return llm.Chunk{Usage: &usage}
}

func (d *decoder) total() mgx.Usage {
	u := mgx.Usage{
		Cached: tokens(d.usage.CacheRead), CacheWrite: tokens(d.usage.CacheCreation),
		Completion: tokens(d.usage.Output), Reasoning: tokens(d.usage.OutputDetails.Thinking),
	}
	u.Prompt = tokens(d.usage.Input) + u.Cached + u.CacheWrite
	u.CacheWriteLong = d.writtenLong(u.CacheWrite)
	return u
}

// writtenLong is what of the written tokens is kept for an hour. Where that was asked
// for, it is all that the server does not say to be kept for less.
func (d *decoder) writtenLong(written int64) int64 {
	var parts wireCreated
	if d.usage.Created != nil {
		parts = *d.usage.Created
	}
	if written > 0 && d.pass.LongCache() {
		return max(0, written-tokens(parts.Short))
	}
	return min(tokens(parts.Hour), written)
}

// tokens is a number of tokens as a server may write it, kept within reason.
func tokens(f float64) int64 {
	if !(f > 0) {
		return 0
	}
	return int64(min(f, 1e12))
}

func (d *decoder) begin(index int, raw json.RawMessage) (llm.Chunk, error) {
	b := &block{raw: raw}
	if !d.started || d.open[index] != nil || json.Unmarshal(raw, &b.wireBlock) != nil {
		return llm.Chunk{}, llm.BadAnswer("content block %d begins out of turn", index)
	}
	const most = 10_000
	if len(d.blocks) == most {
		return llm.Chunk{}, llm.BadAnswer("an answer of more than %d blocks: %w", most, llm.ErrTooLarge)
	}
	d.blocks, d.open[index] = append(d.blocks, b), b
	b.text.WriteString(b.Text + b.wireBlock.Thinking)
	b.signature.WriteString(b.Signature)
	chunk := llm.Chunk{Text: b.Text, Thinking: b.wireBlock.Thinking}
	if b.Type == "tool_use" {
		var err error
		if b.call, chunk, err = d.calls.Piece(strconv.Itoa(len(d.blocks)), b.ID, b.Name, ""); err != nil {
			return llm.Chunk{}, err
		}
	}
	return chunk, d.grow(len(raw))
}

func (d *decoder) delta(index int, in *wireDelta) (llm.Chunk, error) {
	b := d.open[index]
	if b == nil {
		return llm.Chunk{}, llm.BadAnswer("a piece of content block %d, which is not open", index)
	}
	b.text.WriteString(in.Text)
	b.text.WriteString(in.Thinking)
	b.signature.WriteString(in.Signature)
	var chunk llm.Chunk
	if in.PartialJSON != "" && b.Type == "tool_use" {
		b.pieces = true
		chunk = d.calls.Add(b.call, "", "", in.PartialJSON)
	}
	chunk.Text, chunk.Thinking = in.Text, in.Thinking
	return chunk, d.grow(len(in.Text) + len(in.Thinking) + len(in.Signature) + len(in.PartialJSON))
}

func (d *decoder) grow(n int) error {
	if d.size += n; d.size > llm.MaxContent {
		return llm.BadAnswer("an answer of more than %d bytes: %w", llm.MaxContent, llm.ErrTooLarge)
	}
	return nil
}

func (d *decoder) end(index int) (chunk llm.Chunk, err error) {
	b := d.open[index]
	if b == nil {
		return chunk, llm.BadAnswer("content block %d ends without having begun", index)
	}
	if b.Type == "tool_use" && !b.pieces && len(b.Input) > 0 {
		chunk = d.calls.Add(b.call, "", "", string(b.Input)) // whole from the start
	}
	delete(d.open, index)
	return chunk, nil
}

// document takes an answer that was not streamed.
func (d *decoder) document(answer *llm.Answer, yield func(llm.Chunk, error) bool) (*llm.Response, error) {
	data, err := answer.ReadJSON()
	if err != nil {
		return nil, err
	}
	var m wireMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, llm.BadAnswer("the answer is not a message: %w", err)
	}
	if m.Type == "error" {
		return nil, llm.StreamError(data)
	}
	if _, err := d.start(&m); err != nil {
		return nil, err
	}
	for i, raw := range m.Content {
		began, err := d.begin(i, raw)
		if err != nil {
			return nil, err
		}
		ended, err := d.end(i)
		if err != nil {
			return nil, err
		}
		if !llm.Show(yield, []llm.Chunk{began, ended}) {
			return nil, nil
		}
	}
	d.reason, d.stopped = m.StopReason, true
	return d.finish()
}

// finish returns the whole answer, or says why it is none.
func (d *decoder) finish() (*llm.Response, error) {
	switch {
	case !d.stopped:
		return nil, llm.BadAnswer("the answer ended without message_stop")
	case d.reason == "":
		return nil, llm.BadAnswer("the answer ended without a stop reason")
	case len(d.open) > 0:
		return nil, llm.BadAnswer("the answer ended within a content block")
	}
	resp := &llm.Response{
		Message: llm.Message{Role: llm.Assistant}, Finish: d.finishReason(), Provider: d.provider, Model: d.model,
	}
	calls := d.calls.Finish()
	for _, b := range d.blocks {
		resp.Message.Parts = append(resp.Message.Parts, b.parts(calls)...)
	}
	if usage := d.total(); d.hasUsage && usage.Prompt > 0 {
		resp.Usage, resp.UsageOK = usage, true
	}
	return resp, nil
}

func (d *decoder) finishReason() llm.Finish {
	switch d.reason {
	case "max_tokens", "model_context_window_exceeded":
		return llm.FinishLength
	case "refusal":
		return llm.FinishRefusal
	}
	if d.calls.Len() > 0 {
		return llm.FinishTools
	}
	return llm.FinishStop
}

// parts are the finished block: an Opaque with the fields that a Part cannot
// hold, if any, and the Part. Kinds that we do not know are kept as they began.
func (b *block) parts(calls []llm.ToolCall) []llm.Part {
	switch b.Type {
	case "text":
		if b.text.Len() == 0 {
			return nil
		}
		return withRest(llm.Part{Text: b.text.String()}, b.raw, "type", "text", "citations")
	case "tool_use":
		return withRest(llm.Part{Call: &calls[b.call]}, b.raw, "type", "id", "name", "input")
	case "thinking":
		return []llm.Part{{Opaque: &llm.Opaque{Dialect: dialect, Raw: b.thinking()}}}
	}
	if len(b.raw) == 0 {
		return nil
	}
	return []llm.Part{{Opaque: &llm.Opaque{Dialect: dialect, Raw: b.raw}}}
}

func withRest(p llm.Part, raw json.RawMessage, known ...string) []llm.Part {
	if rest := llm.KeepRest(dialect, raw, known...); rest != nil {
		return []llm.Part{{Opaque: rest}, p}
	}
	return []llm.Part{p}
}

// thinking is the block with the text and signature that came in pieces, and
// every field that it began with.
func (b *block) thinking() json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(b.raw, &fields) != nil || fields == nil {
		fields = map[string]json.RawMessage{"type": json.RawMessage(`"thinking"`)}
	}
	fields["thinking"] = llm.MarshalWire(b.text.String())
	fields["signature"] = llm.MarshalWire(b.signature.String())
	return llm.MarshalWire(fields)
}
