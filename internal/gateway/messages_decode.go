package gateway

import (
	"encoding/json"
	"fmt"
	"strings"

	"mgx/internal/llm"

	"mgx/internal/lazy"
)

// messages is Anthropic Messages.
type messages struct{}

// opaqueMessages is how the provider of this dialect names its blocks.
const opaqueMessages = "anthropic"

func (messages) name() string { return llm.DialectMessages }

func (messages) fields() map[string]field { return messagesFields }

var messagesFields = map[string]field{
	"model": readModel, "messages": readMessages, "system": readMessagesSystem,
	"tools": readMessagesTools, "tool_choice": readMessagesChoice, "stream": readStream,
	"max_tokens": readMaxTokens, "temperature": readTemperature, "top_p": readTopP, "stop_sequences": readStop,
	"thinking": readThinking, "output_config": readOutputConfig, "output_format": readOutputFormat, "service_tier": readTier,

	"top_k": native, "context_management": readContextManagement, "compaction": refused(compacting),

	"container":     refused("code that the provider runs has prices of its own"),
	"mcp_servers":   refused("the provider would connect to them from outside"),
	"inference_geo": refused("it has prices of its own"),
	"speed":         refused("it has prices of its own"),

	"metadata": harmless, "cache_control": harmless,
}

// compacting is what some servers do to a conversation that grew long: the model
// writes a summary of it (platform.claude.com/docs, compaction).
const compacting = "the provider would read the conversation once more to sum it up, and charge for that; send a shorter one"

// readContextManagement lets a provider leave out what is old, which costs nothing.
func readContextManagement(c *call, name string, raw json.RawMessage) error {
	f, err := fieldsOf(raw, name)
	if err != nil {
		return err
	}
	edits, err := f.list("edits")
	if err != nil {
		return err
	}
	for _, raw := range edits {
		edit, err := fieldsOf(raw, "an edit of "+name)
		if err != nil {
			return err
		}
		if kind := edit.text("type"); !strings.HasPrefix(kind, "clear_") {
			return bad("unsupported_value", fmt.Sprintf("%s %q is not supported: %s", name, kind, compacting))
		}
	}
	return native(c, name, raw)
}

func (messages) check(c *call, all fields) error {
	c.trim()
	switch n := len(c.req.Messages); {
	case all["max_tokens"] == nil:
		return bad("missing_max_tokens", "max_tokens: Field required")
	case n == 0 && c.only == "":
		return bad("missing_messages", "messages: at least one message with content is required")
	case n > 0 && c.req.Messages[n-1].Role == llm.Assistant:
		c.needs("the beginning of an answer as the last message")
	}
	return nil
}

// readThinking: a budget of tokens becomes the effort that is nearest.
func readThinking(c *call, name string, raw json.RawMessage) error {
	f, err := fieldsOf(raw, name)
	if err != nil {
		return err
	}
	budget := 0
	switch kind := f.text("type"); kind {
	case "disabled":
		c.req.Effort = "none"
		return nil
	case "adaptive":
		return nil
	case "enabled":
		if err := into(f["budget_tokens"], "thinking.budget_tokens", "an integer", &budget); err != nil {
			return err
		}
	default:
		return bad("invalid_value", "thinking.type must be enabled, adaptive or disabled")
	}
	switch {
	case c.req.Effort != "": // said more exactly
	case budget <= 4096:
		c.req.Effort = "low"
	case budget <= 16384:
		c.req.Effort = "medium"
	default:
		c.req.Effort = "high"
	}
	return nil
}

func readOutputConfig(c *call, name string, raw json.RawMessage) error {
	f, err := fieldsOf(raw, name)
	if err != nil {
		return err
	}
	if f["effort"] != nil {
		if c.req.Effort, err = effort(f.text("effort")); err != nil {
			return err
		}
	}
	if f["format"] != nil {
		return readOutputFormat(c, "output_config.format", f["format"])
	}
	return nil
}

func readOutputFormat(c *call, name string, raw json.RawMessage) error {
	f, err := fieldsOf(raw, name)
	if err != nil {
		return err
	}
	if f.text("type") != "json_schema" {
		return bad("invalid_value", name+".type must be json_schema")
	}
	return c.format(f)
}

func readMessagesSystem(c *call, name string, raw json.RawMessage) error {
	if isString(raw) {
		var text string
		json.Unmarshal(raw, &text)
		c.system(text)
		return nil
	}
	blocks, err := blocksOf(raw, name)
	for _, b := range blocks {
		if b.text("type") != "text" {
			return bad("invalid_value", "system may hold text only")
		}
		c.system(b.text("text"))
	}
	return err
}

// blocksOf reads a list of content blocks.
func blocksOf(raw json.RawMessage, name string) ([]fields, error) {
	var all []json.RawMessage
	if err := into(raw, name, "a string or an array of blocks", &all); err != nil {
		return nil, err
	}
	blocks := make([]fields, len(all))
	for i, raw := range all {
		var err error
		if blocks[i], err = fieldsOf(raw, "a block"); err != nil {
			return nil, err
		}
		blocks[i][""] = raw // the block itself, under a name that nothing reads
	}
	return blocks, nil
}

// ownTools are types of tools that the provider defines and the caller runs.
var ownTools = lazy.Regexp(`^(bash|text_editor|computer|memory)_\d+$`)

func readMessagesTools(c *call, name string, raw json.RawMessage) error {
	tools, err := blocksOf(raw, name)
	if err != nil {
		return err
	}
	for _, t := range tools {
		switch kind := t.text("type"); {
		case kind == "" || kind == "custom":
			if err := c.tool(t.text("name"), t.text("description"), t["input_schema"]); err != nil {
				return err
			}
		case ownTools().MatchString(kind):
			c.needs("a tool of the type " + kind)
			c.extra += tokensOfImage // what the provider writes about it
		default:
			return hosted(kind)
		}
	}
	return nil
}

func readMessagesChoice(c *call, name string, raw json.RawMessage) error {
	f, err := fieldsOf(raw, name)
	if err != nil {
		return err
	}
	if isTrue(f["disable_parallel_tool_use"]) {
		c.needs("disable_parallel_tool_use")
	}
	switch f.text("type") {
	case "auto":
	case "any":
		c.req.ToolChoice = "required"
	case "none":
		c.req.ToolChoice = "none"
	case "tool":
		c.forced = f.text("name")
	default:
		return bad("invalid_value", "tool_choice.type must be auto, any, none or tool")
	}
	return nil
}

func readMessages(c *call, name string, raw json.RawMessage) error {
	all, err := blocksOf(raw, name)
	if err != nil {
		return err
	}
	c.turnsIn = name
	for _, m := range all {
		c.turns = append(c.turns, m[""])
		if err := c.message(m); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) message(m fields) error {
	role := llm.Role(m.text("role"))
	switch role {
	case llm.User, llm.Assistant:
	case "system":
		return readMessagesSystem(c, "content", m["content"])
	default:
		return bad("invalid_value", "a message's role must be user or assistant")
	}
	if len(m["content"]) == 0 {
		return bad("invalid_value", "a message has no content")
	}
	if isString(m["content"]) {
		var text string
		json.Unmarshal(m["content"], &text)
		c.text(role, text)
		return nil
	}
	blocks, err := blocksOf(m["content"], "content")
	for _, b := range blocks {
		if err := c.block(role, b); err != nil {
			return err
		}
	}
	return err
}

func (c *call) block(role llm.Role, b fields) error {
	switch kind := b.text("type"); kind {
	case "text":
		if text := b.text("text"); strings.TrimSpace(text) != "" {
			c.add(role, llm.Part{Text: text})
		}
	case "tool_use":
		c.add(llm.Assistant, llm.Part{Call: &llm.ToolCall{ID: b.text("id"), Name: b.text("name"), Args: string(b["input"])}})
	case "tool_result":
		return c.toolResult(b)
	case "thinking", "redacted_thinking":
		c.thought(b)
	case "image", "document":
		return c.media(kind, b)
	default:
		return c.unread("a block of the type "+kind, b[""])
	}
	return nil
}

// thought takes a block of thinking: the provider's own as it is, or one that
// came from elsewhere and travelled in this dialect.
func (c *call) thought(b fields) {
	for _, name := range []string{"signature", "data"} {
		if o, ok := unwrap(b.text(name)); ok {
			c.restore(o)
			return
		}
	}
	c.add(llm.Assistant, llm.Part{Opaque: &llm.Opaque{Dialect: opaqueMessages, Raw: b[""]}})
}

func (c *call) media(kind string, b fields) error {
	source, err := fieldsOf(b["source"], "the source of "+kind)
	if err != nil {
		return err
	}
	if source.text("type") == "file" {
		return stored("a file_id")
	}
	c.needs("a block of the type " + kind)
	if c.extra += tokensOfImage; kind != "image" {
		c.extra += tokensOfDocument
	}
	if of := source.text("media_type"); source.text("type") == "base64" && (strings.HasPrefix(of, "image/") || of == "application/pdf") {
		c.data(source["data"], "")
	}
	return nil
}

func (c *call) toolResult(b fields) error {
	r := &llm.ToolResult{CallID: b.text("tool_use_id"), IsError: isTrue(b["is_error"])}
	if raw := b["content"]; isString(raw) {
		json.Unmarshal(raw, &r.Text)
	} else if len(raw) > 0 {
		parts, err := blocksOf(raw, "content")
		if err != nil {
			return err
		}
		var texts []string
		for _, p := range parts {
			switch kind := p.text("type"); kind {
			case "text":
				texts = append(texts, p.text("text"))
			case "image", "document":
				if err := c.media(kind, p); err != nil {
					return err
				}
			default:
				if err := c.unread("a block of the type "+kind, p[""]); err != nil {
					return err
				}
			}
		}
		r.Text = strings.Join(texts, "\n\n")
	}
	c.add(llm.Tool, llm.Part{Result: r})
	return nil
}
