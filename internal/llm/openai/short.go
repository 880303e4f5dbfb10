package openai

import "mgx/internal/llm"

// short reads a chunk of text, thinking or arguments, as nearly all are, into
// what encoding/json would make of it; false: it is another, or maybe broken.
func (in *chatChunk) short(data []byte) bool {
	*in = chatChunk{Choices: in.Choices[:0]}
	c := llm.NewCursor(data)
	var seen llm.Seen
	for c.Object(); c.Field(); {
		switch string(c.Name) {
		case "model":
			in.Model = c.Text()
			if seen.Again(0) {
				c.Fail()
			}
		case "choices":
			if seen.Again(1) {
				c.Fail()
			}
			in.shortChoices(&c)
		case "usage":
			if seen.Again(2) {
				c.Fail()
			}
			if !c.Null() {
				in.Usage = &chatUsage{}
				in.Usage.short(&c)
			}
		case "error":
			if !c.Null() {
				c.Fail()
			}
		default:
			c.Skip()
		}
	}
	return c.End()
}

func (in *chatChunk) shortChoices(c *llm.Cursor) {
	for c.List(); c.Element(); {
		in.Choices = append(in.Choices, chatChoice{})
		choice := &in.Choices[len(in.Choices)-1]
		var seen llm.Seen
		for c.Object(); c.Field(); {
			switch string(c.Name) {
			case "index":
				choice.Index = c.Int()
				if seen.Again(0) {
					c.Fail()
				}
			case "delta":
				if seen.Again(1) {
					c.Fail()
				}
				choice.Delta.short(c)
			case "finish_reason":
				choice.FinishReason = c.Text()
				if seen.Again(2) {
					c.Fail()
				}
			case "message":
				if !c.Null() {
					c.Fail()
				}
			default:
				c.Skip()
			}
		}
	}
}

func (d *chatDelta) short(c *llm.Cursor) {
	var seen llm.Seen
	for c.Object(); c.Field(); {
		bit := uint(0)
		switch string(c.Name) {
		case "content":
			d.Content.text = c.Text()
		case "refusal":
			d.Refusal, bit = c.Text(), 1
		case "reasoning":
			d.Reasoning, bit = c.Text(), 2
		case "reasoning_content":
			d.ReasoningContent, bit = c.Text(), 3
		case "tool_calls":
			bit = 4
			d.shortCalls(c)
		case "reasoning_details":
			c.Fail()
			return
		default:
			c.Skip()
			continue
		}
		if seen.Again(bit) {
			c.Fail()
		}
	}
}

func (d *chatDelta) shortCalls(c *llm.Cursor) {
	if c.Null() {
		return
	}
	for c.List(); c.Element(); {
		d.ToolCalls = append(d.ToolCalls, callDelta{})
		call := &d.ToolCalls[len(d.ToolCalls)-1]
		var seen llm.Seen
		for c.Object(); c.Field(); {
			bit := uint(0)
			switch string(c.Name) {
			case "index":
				if !c.Null() {
					call.Index = new(c.Int())
				}
			case "id":
				call.ID, bit = c.Text(), 1
			case "function":
				bit = 2
				call.shortFunction(c)
			case "extra_content":
				if bit = 3; !c.Null() {
					c.Fail()
				}
			default:
				c.Skip()
				continue
			}
			if seen.Again(bit) {
				c.Fail()
			}
		}
	}
}

func (d *callDelta) shortFunction(c *llm.Cursor) {
	var seen llm.Seen
	for c.Object(); c.Field(); {
		bit := uint(0)
		switch string(c.Name) {
		case "name":
			d.Function.Name = c.Text()
		case "arguments":
			d.Function.Arguments, bit = arguments(c.Text()), 1
		default:
			c.Skip()
			continue
		}
		if seen.Again(bit) {
			c.Fail()
		}
	}
}

func (u *chatUsage) short(c *llm.Cursor) {
	var seen llm.Seen
	for c.Object(); c.Field(); {
		bit := uint(0)
		switch string(c.Name) {
		case "prompt_tokens":
			u.PromptTokens = float64(c.Int())
		case "completion_tokens":
			u.CompletionTokens, bit = float64(c.Int()), 1
		case "total_tokens":
			u.TotalTokens, bit = float64(c.Int()), 2
		case "prompt_cache_hit_tokens":
			u.PromptCacheHitTokens, bit = float64(c.Int()), 3
		case "prompt_tokens_details":
			bit = 4
			shortDetails(c, "cached_tokens", &u.PromptDetails.CachedTokens, "cache_write_tokens", &u.PromptDetails.CacheWriteTokens)
		case "completion_tokens_details":
			bit = 5
			shortDetails(c, "reasoning_tokens", &u.CompletionDetails.ReasoningTokens, "", nil)
		default:
			c.Skip()
			continue
		}
		if seen.Again(bit) {
			c.Fail()
		}
	}
}

// shortDetails reads two counts of an object, or one.
func shortDetails(c *llm.Cursor, one string, first *float64, other string, second *float64) {
	if c.Null() {
		return
	}
	var seen llm.Seen
	for c.Object(); c.Field(); {
		bit := uint(0)
		switch name := string(c.Name); {
		case name == one:
			*first = float64(c.Int())
		case name == other && second != nil:
			*second, bit = float64(c.Int()), 1
		default:
			c.Skip()
			continue
		}
		if seen.Again(bit) {
			c.Fail()
		}
	}
}
