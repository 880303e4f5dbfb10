package gateway

import (
	"encoding/json"
	"strings"

	"mgx/internal/llm"
)

// chat is OpenAI Chat Completions.
type chat struct{}

func (chat) name() string { return llm.DialectChat }

func (chat) fields() map[string]field { return chatFields }

var chatFields = map[string]field{
	"model": readModel, "messages": readChatMessages, "tools": readChatTools, "tool_choice": readChatChoice,
	"stream": readStream, "stream_options": readStreamOptions,
	"temperature": readTemperature, "top_p": readTopP, "stop": readStop, "seed": readSeed,
	"max_tokens": readMaxTokens, "max_completion_tokens": readMaxTokens,
	"reasoning_effort": readChatEffort, "response_format": readChatFormat, "service_tier": readTier,
	"n": readChatN,

	"parallel_tool_calls": readParallel,
	"logprobs":            native, "top_logprobs": native, "logit_bias": native,
	"frequency_penalty": native, "presence_penalty": native, "functions": native, "function_call": native,
	"modalities": readModalities,

	"audio":              refused("answers in sound have prices of their own"),
	"prediction":         refused("rejected predictions cost more than the bound on the answer"),
	"web_search_options": refused(searches), "search_parameters": refused(searches), "enable_search": refused(searches),
	"search_options": refused(searches), "web_search": refused(searches), "plugins": refused(searches),
	"best_of": refused("each answer that is thrown away costs; make several calls instead"),
	"models":  refused(elsewhere), "route": refused(elsewhere), "provider": refused(elsewhere), "preset": refused(elsewhere),
	"fallbacks": refused(elsewhere), "api_base": refused(elsewhere), "base_url": refused(elsewhere), "api_key": refused(elsewhere),

	"metadata": harmless, "store": harmless, "user": harmless, "safety_identifier": harmless,
	"prompt_cache_key": harmless, "prompt_cache_retention": harmless, "verbosity": harmless,
}

// Servers besides OpenAI's have fields of their own (openrouter.ai/docs, API
// reference; docs.litellm.ai; docs.x.ai, live search; Alibaba Model Studio).
const (
	searches  = "searches have prices of their own"
	elsewhere = "the call would go elsewhere than its key may, or at another price; name a policy as the model to have it fall back"
)

func (chat) check(c *call, _ fields) error {
	c.trim()
	if len(c.req.Messages) == 0 && c.only == "" {
		return bad("missing_messages", "messages holds no message besides the system prompt")
	}
	return nil
}

func readChatN(_ *call, _ string, raw json.RawMessage) error {
	if string(raw) != "1" {
		return bad("unsupported_value", "n other than 1 is not supported: each choice costs; make several calls instead")
	}
	return nil
}

// readParallel: that only one tool may be called at a time is for the provider
// to keep to.
func readParallel(c *call, name string, raw json.RawMessage) error {
	if string(raw) == "false" {
		c.needs(name + " false")
	}
	return nil
}

func readModalities(_ *call, name string, raw json.RawMessage) error {
	var all []string
	if err := into(raw, name, "an array of strings", &all); err != nil {
		return err
	}
	if len(all) > 1 || (len(all) == 1 && all[0] != "text") {
		return bad("unsupported_value", "modalities other than text are not supported")
	}
	return nil
}

func readStreamOptions(c *call, name string, raw json.RawMessage) error {
	f, err := fieldsOf(raw, name)
	c.usage = err == nil && isTrue(f["include_usage"])
	return err
}

func readChatEffort(c *call, name string, raw json.RawMessage) error {
	var s string
	if err := into(raw, name, "a string", &s); err != nil {
		return err
	}
	var err error
	c.req.Effort, err = effort(s)
	return err
}

func readChatFormat(c *call, name string, raw json.RawMessage) error {
	f, err := fieldsOf(raw, name)
	if err != nil {
		return err
	}
	switch kind := f.text("type"); kind {
	case "text":
		return nil
	case "json_schema":
		schema, err := fieldsOf(f["json_schema"], "json_schema")
		if err != nil {
			return err
		}
		return c.format(schema)
	default:
		c.needs(name + " " + kind)
	}
	return nil
}

// format demands an answer of a schema.
func (c *call) format(f fields) error {
	schema := f["schema"]
	if len(schema) == 0 || schema[0] != '{' {
		return bad("invalid_schema", "a JSON schema for the answer must be an object")
	}
	name := f.text("name")
	if name == "" {
		name = "answer"
	}
	c.req.Format = &llm.Format{Name: name, Schema: schema}
	return nil
}

func readChatTools(c *call, name string, raw json.RawMessage) error {
	var all []json.RawMessage
	if err := into(raw, name, "an array", &all); err != nil {
		return err
	}
	for _, raw := range all {
		f, err := fieldsOf(raw, "a tool")
		if err != nil {
			return err
		}
		switch kind := f.text("type"); kind {
		case "function":
			fn, err := fieldsOf(f["function"], "the function of a tool")
			if err != nil {
				return err
			}
			if err := c.tool(fn.text("name"), fn.text("description"), fn["parameters"]); err != nil {
				return err
			}
		case "custom":
			c.needs("a tool of the type custom")
		default:
			return hosted(kind)
		}
	}
	return nil
}

func readChatChoice(c *call, name string, raw json.RawMessage) error {
	if isString(raw) {
		return c.choose(name, raw)
	}
	f, err := fieldsOf(raw, name)
	if err != nil {
		return err
	}
	if f.text("type") != "function" {
		c.needs(name + " " + f.text("type"))
		return nil
	}
	fn, err := fieldsOf(f["function"], "the function of tool_choice")
	c.forced = fn.text("name")
	return err
}

// choose reads a tool_choice that is a word.
func (c *call) choose(name string, raw json.RawMessage) error {
	var word string
	if err := into(raw, name, "a string or an object", &word); err != nil {
		return err
	}
	switch word {
	case "auto":
	case "none", "required":
		c.req.ToolChoice = word
	default:
		return bad("invalid_value", "tool_choice must be auto, none, required or name a function")
	}
	return nil
}

func readChatMessages(c *call, name string, raw json.RawMessage) error {
	var all []json.RawMessage
	if err := into(raw, name, "an array", &all); err != nil {
		return err
	}
	c.turns, c.turnsIn = all, name
	for _, raw := range all {
		f, err := fieldsOf(raw, "a message")
		if err != nil {
			return err
		}
		if err := c.chatMessage(f); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) chatMessage(f fields) error {
	switch role := f.text("role"); role {
	case "system", "developer":
		text, err := c.chatText(f["content"])
		c.system(text)
		return err
	case "user":
		c.open(llm.User)
		return c.chatParts(llm.User, f["content"])
	case "assistant":
		return c.chatAssistant(f)
	case "tool":
		text, err := c.chatText(f["content"])
		c.add(llm.Tool, llm.Part{Result: &llm.ToolResult{CallID: f.text("tool_call_id"), Text: text}})
		return err
	case "function":
		c.needs("a message of the role function")
		return nil
	default:
		return bad("invalid_value", "a message's role must be system, developer, user, assistant or tool")
	}
}

// chatText reads content of which only text is allowed.
func (c *call) chatText(raw json.RawMessage) (string, error) {
	var text string
	if len(raw) == 0 || isString(raw) {
		json.Unmarshal(raw, &text)
		return text, nil
	}
	var parts []json.RawMessage
	if err := into(raw, "content", "a string or an array of parts", &parts); err != nil {
		return "", err
	}
	var all []string
	for _, raw := range parts {
		f, err := fieldsOf(raw, "a part of a message")
		if err != nil {
			return "", err
		}
		if kind := f.text("type"); kind == "text" {
			all = append(all, f.text("text"))
		} else if err := c.unread("a part of the type "+kind+" in a message that is not the user's", raw); err != nil {
			return "", err
		}
	}
	return strings.Join(all, "\n\n"), nil
}

func (c *call) chatParts(role llm.Role, raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil
	}
	if isString(raw) {
		var text string
		json.Unmarshal(raw, &text)
		c.text(role, text)
		return nil
	}
	var parts []json.RawMessage
	if err := into(raw, "content", "a string or an array of parts", &parts); err != nil {
		return err
	}
	for _, raw := range parts {
		f, err := fieldsOf(raw, "a part of a message")
		if err != nil {
			return err
		}
		if err := c.chatPart(role, f, raw); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) text(role llm.Role, text string) {
	if text != "" {
		c.add(role, llm.Part{Text: text})
	}
}

func (c *call) chatPart(role llm.Role, f fields, raw json.RawMessage) error {
	switch kind := f.text("type"); kind {
	case "text":
		c.text(role, f.text("text"))
	case "refusal":
		c.text(role, f.text("refusal"))
	case "image_url":
		c.image(f["image_url"])
	case "file":
		file, err := fieldsOf(f["file"], "a file")
		if err != nil || file["file_id"] != nil {
			return stored("a file_id")
		}
		c.needs("a file")
		c.extra += tokensOfDocument
		c.data(file["file_data"], "data:application/pdf;base64,")
	case "input_audio":
		return bad("unsupported_value", "sound is not supported: it has prices of its own")
	default:
		return c.unread("a part of the type "+kind, raw)
	}
	return nil
}

func (c *call) chatAssistant(f fields) error {
	c.open(llm.Assistant)
	if f["audio"] != nil {
		return stored("audio of an earlier answer")
	}
	if err := c.chatParts(llm.Assistant, f["content"]); err != nil {
		return err
	}
	c.text(llm.Assistant, f.text("refusal"))
	if f["function_call"] != nil {
		c.needs("function_call")
	}
	calls, err := f.list("tool_calls")
	if err != nil {
		return err
	}
	for _, raw := range calls {
		call, err := fieldsOf(raw, "a tool call")
		if err != nil {
			return err
		}
		fn, err := fieldsOf(call["function"], "the function of a tool call")
		if kind := call.text("type"); kind != "function" && kind != "" {
			c.needs("a tool call of the type " + kind)
			continue
		}
		if err != nil {
			return err
		}
		if extra, err := fieldsOf(call["extra_content"], "extra_content"); err == nil {
			if o, ok := unwrap(extra.text("mgx")); ok {
				c.restore(o)
			}
		}
		c.add(llm.Assistant, llm.Part{Call: &llm.ToolCall{ID: call.text("id"), Name: fn.text("name"), Args: fn.text("arguments")}})
	}
	details, err := f.list("reasoning_details")
	if err != nil {
		return err
	}
	for _, raw := range details {
		if d, err := fieldsOf(raw, "a detail"); err == nil {
			if o, ok := unwrap(d.text("data")); ok {
				c.restore(o)
			}
		}
	}
	return nil
}
