package openai

import (
	"strings"

	"mgx/internal/llm"
)

// short reads a piece of an item, as nearly all events are, into what
// encoding/json would make of it; false: it is another, or maybe broken.
func (in *responseEvent) short(data []byte) bool {
	*in = responseEvent{}
	c := llm.NewCursor(data)
	var seen llm.Seen
	for c.Object(); c.Field(); {
		bit := uint(0)
		switch string(c.Name) {
		case "type":
			if in.Type = c.Text(); !strings.HasSuffix(in.Type, ".delta") {
				return false
			}
		case "output_index":
			in.OutputIndex, bit = c.Int(), 1
		case "summary_index":
			in.SummaryIndex, bit = c.Int(), 2
		case "delta":
			in.Delta, bit = deltaText(c.Text()), 3
		case "item", "response":
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
