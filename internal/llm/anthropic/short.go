package anthropic

import "mgx/internal/llm"

// short reads a piece of a content block, as nearly all events are, into what
// encoding/json would make of it; false: it is another, or maybe broken.
func (in *wireEvent) short(data []byte) bool {
	*in = wireEvent{}
	c := llm.NewCursor(data)
	var seen llm.Seen
	for c.Object(); c.Field(); {
		bit := uint(0)
		switch string(c.Name) {
		case "type":
			if in.Type = c.Text(); in.Type != "content_block_delta" {
				return false
			}
		case "index":
			in.Index, bit = c.Int(), 1
		case "delta":
			bit = 2
			in.Delta.short(&c)
		case "message", "content_block", "usage", "error":
			return false
		default:
			c.Skip()
			continue
		}
		if seen.Again(bit) {
			return false
		}
	}
	return c.End()
}

func (d *wireDelta) short(c *llm.Cursor) {
	var seen llm.Seen
	for c.Object(); c.Field(); {
		bit := uint(0)
		switch string(c.Name) {
		case "type":
			d.Type = c.Text()
		case "text":
			d.Text, bit = c.Text(), 1
		case "thinking":
			d.Thinking, bit = c.Text(), 2
		case "signature":
			d.Signature, bit = c.Text(), 3
		case "partial_json":
			d.PartialJSON, bit = c.Text(), 4
		case "stop_reason":
			d.StopReason, bit = c.Text(), 5
		default:
			c.Skip()
			continue
		}
		if seen.Again(bit) {
			c.Fail()
		}
	}
}
