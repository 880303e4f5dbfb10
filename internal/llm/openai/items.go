package openai

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/llm"
)

// responseEvent is any event of a stream.
type responseEvent struct {
	Type         string          `json:"type"`
	OutputIndex  int             `json:"output_index"`
	SummaryIndex int             `json:"summary_index"`
	Delta        deltaText       `json:"delta"`
	Item         json.RawMessage `json:"item"`
	Response     *response       `json:"response"`
}

// deltaText is a delta that is a text; those of events that we do not know may
// be anything.
type deltaText string

func (d *deltaText) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		return nil
	}
	return unquote(b, (*string)(d))
}

// response is the whole of an answer as far as it is known.
type response struct {
	Status     string            `json:"status"`
	Model      string            `json:"model"`
	Output     []json.RawMessage `json:"output"`
	Usage      *responseUsage    `json:"usage"`
	Error      jsonValue         `json:"error"`
	Incomplete *struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
}

type responseUsage struct {
	InputTokens  float64 `json:"input_tokens"`
	InputDetails struct {
		CachedTokens     float64 `json:"cached_tokens"`
		CacheWriteTokens float64 `json:"cache_write_tokens"`
	} `json:"input_tokens_details"`
	OutputTokens  float64 `json:"output_tokens"`
	OutputDetails struct {
		ReasoningTokens float64 `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
}

func (u *responseUsage) usage() mgx.Usage {
	return mgx.Usage{
		Prompt: count(u.InputTokens), Completion: count(u.OutputTokens),
		Cached: count(u.InputDetails.CachedTokens), CacheWrite: count(u.InputDetails.CacheWriteTokens),
		Reasoning: count(u.OutputDetails.ReasoningTokens),
	}
}

// outputItem is one item of an answer: reasoning, a message or a call.
type outputItem struct {
	Type      string `json:"type"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
	Content   []struct {
		Type    string `json:"type"`
		Text    string `json:"text"`
		Refusal string `json:"refusal"`
	} `json:"content"`
	Summary []struct {
		Text string `json:"text"`
	} `json:"summary"`
}

func (i *outputItem) text() (text string, refused bool) {
	var all strings.Builder
	for _, c := range i.Content {
		if c.Type == "output_text" || c.Type == "refusal" {
			all.WriteString(c.Text + c.Refusal)
			refused = refused || c.Refusal != ""
		}
	}
	return all.String(), refused
}

func (i *outputItem) thinking() string {
	var all []string
	for _, s := range i.Summary {
		all = append(all, s.Text)
	}
	return strings.Join(all, "\n\n")
}

// decodeResponses reads a whole answer, yielding what can be shown. Without error
// and without response, the reader broke off.
func (p *provider) decodeResponses(answer *llm.Answer, req *llm.Request, yield func(llm.Chunk, error) bool) (*llm.Response, error) {
	d := &itemDecoder{provider: p, req: req, model: req.Model, items: map[int]*item{}, calls: llm.NewCalls(req)}
	if answer.IsDocument() {
		data, err := answer.ReadJSON()
		if err != nil {
			return nil, err
		}
		var whole response
		if err := json.Unmarshal(data, &whole); err != nil {
			return nil, llm.BadAnswer("the answer is not a response: %w", err)
		}
		if err := d.end(&whole); err != nil || !llm.Show(yield, d.show) {
			return nil, err
		}
		return d.finish()
	}
	if whole, err := answer.Each(yield, d.event); !whole {
		return nil, err
	}
	return d.finish()
}

// itemDecoder puts an answer together. What goes into it are the items as the
// provider states them when they are done; the deltas before that are for
// watchers, and for an answer that was cut off.
type itemDecoder struct {
	provider *provider
	req      *llm.Request
	model    string
	items    map[int]*item // by output index
	calls    *llm.Calls    // as watchers see them
	ended    bool
	finished llm.Finish // length or filter; empty: it said all it wanted
	refused  bool
	usage    *mgx.Usage
	pieces   int           // bytes of deltas
	whole    int           // bytes of items as they began and as they are
	show     []llm.Chunk   // what the latest event shows
	in       responseEvent // the latest event
}

// item is one under way.
type item struct {
	outputItem
	raw   json.RawMessage // when it is done
	shown strings.Builder // of its text or thinking
	args  strings.Builder
	call  int // position among the calls
}

func (d *itemDecoder) event(data []byte) ([]llm.Chunk, bool, error) {
	d.show = d.show[:0]
	in := &d.in
	if !in.short(data) {
		*in = responseEvent{}
		if err := json.Unmarshal(data, in); err != nil {
			return nil, false, llm.BadAnswer("an event of the answer is not what Responses promise: %w", err)
		}
	}
	err := d.add(in, data)
	return d.show, d.ended, err
}

func (d *itemDecoder) add(in *responseEvent, data []byte) error {
	switch in.Type {
	case "response.created", "response.in_progress", "response.queued":
		return d.begin(in)
	case "response.output_item.added":
		return d.open(in.OutputIndex, in.Item)
	case "response.output_item.done":
		return d.done(in.OutputIndex, in.Item)
	case "response.output_text.delta", "response.refusal.delta":
		return d.delta(in, llm.Chunk{Text: string(in.Delta)})
	case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
		return d.delta(in, llm.Chunk{Thinking: string(in.Delta)})
	case "response.reasoning_summary_part.added":
		if in.SummaryIndex > 0 {
			return d.delta(in, llm.Chunk{Thinking: "\n\n"})
		}
	case "response.function_call_arguments.delta":
		return d.arguments(in)
	case "response.completed", "response.incomplete":
		if in.Response == nil {
			return llm.BadAnswer("the answer ended without a response")
		}
		return d.end(in.Response)
	case "response.failed":
		if in.Response != nil && len(in.Response.Error) > 0 {
			data = llm.MarshalWire(map[string]json.RawMessage{"error": json.RawMessage(in.Response.Error)})
		}
		return llm.StreamError(data)
	case "error", "":
		return llm.StreamError(data)
	}
	return nil // events that repeat what was said, and those yet to be invented
}

// begin takes response.created and what repeats it. One after content is two
// answers in one, and neither can be trusted.
func (d *itemDecoder) begin(in *responseEvent) error {
	if len(d.items) > 0 {
		return llm.BadAnswer("the answer starts again in the middle")
	}
	if in.Response != nil {
		d.head(in.Response)
	}
	return nil
}

func (d *itemDecoder) head(r *response) {
	d.model = cmp.Or(r.Model, d.model)
	if r.Usage != nil {
		usage := r.Usage.usage()
		d.usage = &usage
		d.show = append(d.show, llm.Chunk{Usage: &usage})
	}
}

func (d *itemDecoder) open(index int, raw json.RawMessage) error {
	it := &item{}
	if d.items[index] != nil || json.Unmarshal(raw, &it.outputItem) != nil {
		return llm.BadAnswer("output item %d begins out of turn", index)
	}
	const most = 10_000
	if len(d.items) == most {
		return llm.BadAnswer("an answer of more than %d items: %w", most, llm.ErrTooLarge)
	}
	d.items[index] = it
	if it.Type == "function_call" {
		position, show, err := d.calls.Piece(strconv.Itoa(index), it.CallID, it.Name, "")
		if err != nil {
			return llm.BadAnswer("%w", err)
		}
		it.call = position
		d.show = append(d.show, show)
	}
	return d.grow(&d.whole, len(raw))
}

func (d *itemDecoder) delta(in *responseEvent, c llm.Chunk) error {
	it := d.items[in.OutputIndex]
	if it == nil || it.raw != nil {
		return llm.BadAnswer("a piece of output item %d, which is not open", in.OutputIndex)
	}
	it.shown.WriteString(c.Text + c.Thinking)
	d.refused = d.refused || (in.Type == "response.refusal.delta" && c.Text != "")
	d.show = append(d.show, c)
	return d.grow(&d.pieces, len(in.Delta))
}

func (d *itemDecoder) arguments(in *responseEvent) error {
	it := d.items[in.OutputIndex]
	if it == nil || it.raw != nil || it.Type != "function_call" {
		return llm.BadAnswer("a piece of call %d, which is not open", in.OutputIndex)
	}
	it.args.WriteString(string(in.Delta))
	d.show = append(d.show, d.calls.Add(it.call, "", "", string(in.Delta)))
	return d.grow(&d.pieces, len(in.Delta))
}

// done takes a whole item, which may be the first that is heard of it, and shows
// what was not shown of it.
func (d *itemDecoder) done(index int, raw json.RawMessage) error {
	if d.items[index] == nil {
		if err := d.open(index, raw); err != nil {
			return err
		}
	}
	it := d.items[index]
	var whole outputItem
	if it.raw != nil || json.Unmarshal(raw, &whole) != nil || whole.Type != it.Type {
		return llm.BadAnswer("output item %d ends out of turn", index)
	}
	text, refused := whole.text()
	d.refused = d.refused || refused
	if it.shown.Len() == 0 {
		d.showWhole(text, whole.thinking())
	}
	if whole.Type == "function_call" {
		rest := ""
		if it.args.Len() == 0 {
			rest = whole.Arguments
		}
		d.show = append(d.show, d.calls.Add(it.call, whole.CallID, whole.Name, rest))
	}
	whole.Arguments = cmp.Or(whole.Arguments, it.args.String())
	it.outputItem, it.raw = whole, raw
	return d.grow(&d.whole, len(raw))
}

func (d *itemDecoder) showWhole(text, thinking string) {
	if thinking != "" {
		d.show = append(d.show, llm.Chunk{Thinking: thinking})
	}
	if text != "" {
		d.show = append(d.show, llm.Chunk{Text: text})
	}
}

func (d *itemDecoder) grow(size *int, n int) error {
	if *size += n; *size > llm.MaxContent {
		return llm.BadAnswer("an answer of more than %d bytes: %w", llm.MaxContent, llm.ErrTooLarge)
	}
	return nil
}

// end takes the whole answer. Items that were not streamed are taken from it.
func (d *itemDecoder) end(r *response) error {
	if len(r.Error) > 0 {
		return llm.StreamError(llm.MarshalWire(map[string]json.RawMessage{"error": json.RawMessage(r.Error)}))
	}
	d.head(r)
	switch reason := d.cutOff(r); {
	case r.Status == "completed":
	case r.Status == "incomplete" && reason == "content_filter":
		d.finished = llm.FinishFilter
	case r.Status == "incomplete" && (reason == "max_output_tokens" || reason == "max_tokens"):
		d.finished = llm.FinishLength
	default:
		return llm.BadAnswer("the answer ended as %q %s", r.Status, reason)
	}
	for i, raw := range r.Output {
		if it := d.items[i]; it == nil || it.raw == nil {
			if err := d.done(i, raw); err != nil {
				return err
			}
		}
	}
	d.ended = true
	return nil
}

func (d *itemDecoder) cutOff(r *response) string {
	if r.Incomplete == nil {
		return ""
	}
	return r.Incomplete.Reason
}

// finish returns the whole answer, or says why it is none.
func (d *itemDecoder) finish() (*llm.Response, error) {
	if !d.ended {
		return nil, llm.BadAnswer("the answer ended without response.completed")
	}
	resp := &llm.Response{Message: llm.Message{Role: llm.Assistant}, Provider: d.provider.name, Model: d.model}
	order := make([]int, 0, len(d.items))
	for i := range d.items {
		order = append(order, i)
	}
	slices.Sort(order)
	calls, err := d.finishCalls(order)
	if err != nil {
		return nil, err
	}
	for _, i := range order {
		resp.Message.Parts = append(resp.Message.Parts, d.parts(d.items[i], calls)...)
	}
	resp.Finish = d.ending(len(calls))
	if d.usage != nil && d.usage.Prompt > 0 {
		resp.Usage, resp.UsageOK = *d.usage, true
	}
	return resp, nil
}

// finishCalls are the answer's calls as their items state them. An answer that was
// not cut off has all its items done.
func (d *itemDecoder) finishCalls(order []int) ([]llm.ToolCall, error) {
	calls := d.calls.Finish()
	for _, i := range order {
		it := d.items[i]
		if it.raw == nil && d.finished == "" {
			return nil, llm.BadAnswer("the answer ended within output item %d", i)
		}
		if it.Type == "function_call" && it.raw != nil {
			calls[it.call].Name, calls[it.call].Args = it.Name, it.Arguments
		}
	}
	return calls, nil
}

func (d *itemDecoder) ending(calls int) llm.Finish {
	switch {
	case d.finished != "":
		return d.finished
	case d.refused:
		return llm.FinishRefusal
	case calls > 0:
		return llm.FinishTools
	}
	return llm.FinishStop
}

// parts is an item as a message holds it: with the fields that a Part cannot hold
// before it, or, of kinds that no Part is for, as it came.
func (d *itemDecoder) parts(it *item, calls []llm.ToolCall) []llm.Part {
	var part llm.Part
	known := []string{"type", "role", "content"}
	switch it.Type {
	case "message":
		if part.Text, _ = it.text(); it.raw == nil {
			part.Text = it.shown.String()
		}
		if part.Text == "" {
			return nil
		}
	case "function_call":
		part.Call, known = &calls[it.call], []string{"type", "call_id", "name", "arguments"}
	default:
		if it.raw == nil {
			return nil
		}
		return []llm.Part{{Opaque: &llm.Opaque{Dialect: d.provider.responsesDialect(), Raw: it.raw}}}
	}
	if rest := llm.KeepRest(d.provider.responsesDialect(), it.raw, known...); it.raw != nil && rest != nil {
		return []llm.Part{{Opaque: rest}, part}
	}
	return []llm.Part{part}
}
