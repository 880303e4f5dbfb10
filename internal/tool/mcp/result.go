package mcp

import (
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"mgx/internal/tool"
)

// told is an answer as the model hears it: its texts, and by name what is no
// text.
func told(ws *tool.Workspace, res *sdk.CallToolResult) tool.Result {
	if res.NeedsInput() {
		return failed("The server asks for something that it is not given: an answer of a model or of a person. The call was not completed.")
	}
	var parts []string
	for _, c := range res.Content {
		parts = append(parts, contentText(c))
	}
	if len(parts) == 0 && res.StructuredContent != nil {
		if raw, err := json.Marshal(res.StructuredContent); err == nil {
			parts = append(parts, string(raw))
		}
	}
	text := strings.Join(parts, "\n")
	if strings.TrimSpace(text) == "" {
		text = "(no text)"
	}
	status := tool.Success
	if res.IsError {
		status = tool.Failure
	}
	return tool.Result{Status: status, Text: tool.Kept(ws, text)}
}

func contentText(c sdk.Content) string {
	switch c := c.(type) {
	case *sdk.TextContent:
		return c.Text
	case *sdk.ImageContent:
		return fmt.Sprintf("[an image, %s, %d bytes: not shown]", cut(c.MIMEType), len(c.Data))
	case *sdk.AudioContent:
		return fmt.Sprintf("[a sound, %s, %d bytes: not shown]", cut(c.MIMEType), len(c.Data))
	case *sdk.ResourceLink:
		return fmt.Sprintf("[a link to a resource, not followed: %s]", cut(c.URI))
	case *sdk.EmbeddedResource:
		return resourceText(c.Resource)
	}
	return fmt.Sprintf("[%T: not shown]", c)
}

func resourceText(r *sdk.ResourceContents) string {
	switch {
	case r == nil:
		return "[an empty resource]"
	case r.Text != "":
		return fmt.Sprintf("[a resource: %s]\n%s", cut(r.URI), r.Text)
	}
	return fmt.Sprintf("[a resource, %s, %d bytes: not shown: %s]", cut(r.MIMEType), len(r.Blob), cut(r.URI))
}
