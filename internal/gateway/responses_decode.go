package gateway

import (
	"encoding/json"
	"slices"
	"strings"

	"mgx/internal/llm"
)

// responses is OpenAI Responses. Nothing is stored here: a conversation is sent
// whole each time.
type responses struct{}

// opaqueResponses is how providers of this dialect name their blocks.
const opaqueResponses = "responses"

func (responses) name() string { return llm.DialectResponses }

func (responses) fields() map[string]field { return responsesFields }

var responsesFields = map[string]field{
	"model": readModel, "input": readInput, "instructions": readInstructions,
	"tools": readResponsesTools, "tool_choice": readResponsesChoice, "stream": readStream,
	"max_output_tokens": readMaxTokens, "temperature": readTemperature, "top_p": readTopP,
	"reasoning": readReasoning, "text": readTextFormat, "service_tier": readTier, "include": readInclude,

	"parallel_tool_calls": readParallel, "top_logprobs": native, "truncation": readTruncation,

	"context_management": refused(compacting), "compaction": refused(compacting),

	"previous_response_id": refused("conversations are not stored here; send the earlier items in input"),
	"conversation":         refused("conversations are not stored here; send the earlier items in input"),
	"background":           refused("answers are not stored here; use stream to wait for a long one"),
	"prompt":               refused("it names something kept by the provider; send instructions and input"),

	"metadata": harmless, "store": harmless, "user": harmless, "safety_identifier": harmless, "max_tool_calls": harmless,
	"prompt_cache_key": harmless, "prompt_cache_retention": harmless, "stream_options": harmless,
}

func (responses) check(c *call, _ fields) error {
	c.trim()
	if len(c.req.Messages) == 0 && c.only == "" {
		return bad("missing_input", "input holds no message")
	}
	return nil
}

func readInstructions(c *call, name string, raw json.RawMessage) error {
	var text string
	if err := into(raw, name, "a string", &text); err != nil {
		return err
	}
	// They come before what input says as the system, whichever was read first.
	rest := c.req.System
	c.req.System = ""
	c.system(text)
	c.system(rest)
	return nil
}

func readReasoning(c *call, name string, raw json.RawMessage) error {
	f, err := fieldsOf(raw, name)
	if err == nil && f["effort"] != nil {
		c.req.Effort, err = effort(f.text("effort"))
	}
	return err
}

func readTextFormat(c *call, name string, raw json.RawMessage) error {
	f, err := fieldsOf(raw, name)
	if err != nil || f["format"] == nil {
		return err
	}
	format, err := fieldsOf(f["format"], "text.format")
	if err != nil {
		return err
	}
	switch kind := format.text("type"); kind {
	case "text":
		return nil
	case "json_schema":
		return c.format(format)
	default:
		c.needs("text.format " + kind)
	}
	return nil
}

// readInclude: what a provider is asked to add to its reasoning comes anyway.
func readInclude(c *call, name string, raw json.RawMessage) error {
	var all []string
	if err := into(raw, name, "an array of strings", &all); err != nil {
		return err
	}
	for _, what := range all {
		if what != "reasoning.encrypted_content" {
			c.needs(name + " " + what)
		}
	}
	return nil
}

func readTruncation(c *call, name string, raw json.RawMessage) error {
	if string(raw) != `"disabled"` {
		c.needs(name)
	}
	return nil
}

func readResponsesTools(c *call, name string, raw json.RawMessage) error {
	tools, err := blocksOf(raw, name)
	if err != nil {
		return err
	}
	for _, t := range tools {
		switch kind := t.text("type"); kind {
		case "function":
			if err := c.tool(t.text("name"), t.text("description"), t["parameters"]); err != nil {
				return err
			}
		case "custom", "local_shell", "apply_patch": // run by the caller
			c.needs("a tool of the type " + kind)
			c.extra += tokensOfImage
		default:
			return hosted(kind)
		}
	}
	return nil
}

func readResponsesChoice(c *call, name string, raw json.RawMessage) error {
	if isString(raw) {
		return c.choose(name, raw)
	}
	f, err := fieldsOf(raw, name)
	if err != nil {
		return err
	}
	if kind := f.text("type"); kind != "function" {
		c.needs(name + " " + kind)
		return nil
	}
	c.forced = f.text("name")
	return nil
}

func readInput(c *call, name string, raw json.RawMessage) error {
	if isString(raw) {
		var text string
		json.Unmarshal(raw, &text)
		c.text(llm.User, text)
		return nil
	}
	items, err := blocksOf(raw, name)
	if err != nil {
		return err
	}
	c.turnsIn = name
	for _, item := range items {
		c.turns = append(c.turns, item[""])
		if err := c.item(item); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) item(item fields) error {
	switch kind := item.text("type"); kind {
	case "", "message":
		return c.inputMessage(item)
	case "function_call":
		c.add(llm.Assistant, llm.Part{Call: &llm.ToolCall{ID: item.text("call_id"), Name: item.text("name"), Args: item.text("arguments")}})
	case "function_call_output":
		text, err := c.inputText(item["output"])
		c.add(llm.Tool, llm.Part{Result: &llm.ToolResult{CallID: item.text("call_id"), Text: text}})
		return err
	case "reasoning":
		c.reasoned(item)
	case "item_reference":
		return stored("an item_reference")
	default:
		return c.unread("an item of the type "+kind, item[""])
	}
	return nil
}

// reasoned takes an item of reasoning back as it is, or what travelled in it.
func (c *call) reasoned(item fields) {
	if o, ok := unwrap(item.text("encrypted_content")); ok {
		c.restore(o)
		return
	}
	if strings.HasPrefix(item.text("id"), "rs_mgx") { // readable thinking that we made an item of
		c.foreign = true
		return
	}
	c.add(llm.Assistant, llm.Part{Opaque: &llm.Opaque{Dialect: opaqueResponses, Raw: item[""]}})
}

func (c *call) inputMessage(item fields) error {
	role := llm.User
	switch item.text("role") {
	case "system", "developer":
		text, err := c.inputText(item["content"])
		c.system(text)
		return err
	case "assistant":
		role = llm.Assistant
	case "user":
		c.open(role)
	default:
		return bad("invalid_value", "a message's role must be system, developer, user or assistant")
	}
	if isString(item["content"]) {
		text := item.text("content")
		c.text(role, text)
		return nil
	}
	parts, err := blocksOf(item["content"], "content")
	for _, p := range parts {
		if err := c.inputPart(role, p); err != nil {
			return err
		}
	}
	return err
}

func (c *call) inputPart(role llm.Role, p fields) error {
	switch kind := p.text("type"); kind {
	case "input_text", "output_text", "text":
		c.text(role, p.text("text"))
	case "refusal":
		c.text(role, p.text("refusal"))
	case "input_audio":
		return bad("unsupported_value", "sound is not supported: it has prices of its own")
	case "input_image":
		if p["file_id"] != nil {
			return stored("a file_id")
		}
		c.image(p["image_url"])
	default:
		return c.unread("a part of the type "+kind, p[""])
	}
	return nil
}

// inputText reads content that is text; other parts are for a provider of the
// dialect.
func (c *call) inputText(raw json.RawMessage) (string, error) {
	var text string
	if len(raw) == 0 || isString(raw) {
		json.Unmarshal(raw, &text)
		return text, nil
	}
	parts, err := blocksOf(raw, "content")
	var texts []string
	for _, p := range parts {
		if slices.Contains([]string{"input_text", "output_text", "text"}, p.text("type")) {
			texts = append(texts, p.text("text"))
		} else if err := c.inputPart(llm.Tool, p); err != nil {
			return "", err
		}
	}
	return strings.Join(texts, "\n\n"), err
}
