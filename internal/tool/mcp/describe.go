package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"mgx"
	"mgx/internal/tool"
)

// Bounds on what a server says of itself.
const (
	maxListed      = 256      // tools of one server
	maxPages       = 32       // in which it lists them
	maxToolName    = 128      // bytes
	maxDescription = 16 << 10 // bytes
)

// Described is a tool as its server describes it now, and what that means.
type Described struct {
	Server      string          `json:"server"`
	Tool        string          `json:"tool"`
	Description string          `json:"description"`     // as it came: show it with tool.Visible
	Schema      json.RawMessage `json:"schema"`          // as it came
	Hints       []string        `json:"hints,omitempty"` // what the server promises of it, which decides nothing
	Effect      tool.Effect     `json:"effect"`
	Pin         string          `json:"pin"`
	State       State           `json:"state"`
	Why         string          `json:"why,omitempty"` // it cannot be used

	offered tool.Foreign // when it can
}

// State is how a description stands to what the operator has pinned.
type State string

const (
	IsPinned  State = "pinned"
	IsChanged State = "changed" // pinned otherwise
	IsNew     State = "new"     // not pinned
	IsBarred  State = "barred"  // not among the tools that the configuration allows
	IsUnfit   State = "unfit"   // cannot be used whatever is pinned
)

// pinOf is the hash of everything of a tool that a model is shown, and of what the
// server promises, by which a person may have judged it. A tool of which nothing is
// promised has the hash that it had before promises counted.
func pinOf(name, description string, schema json.RawMessage, hints []string) string {
	all := []any{name, description, schema}
	if len(hints) > 0 {
		all = append(all, hints)
	}
	whole, err := json.Marshal(all)
	if err != nil {
		return "" // fits no pin
	}
	sum := sha256.Sum256(whole)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// describe sorts what a server lists. A name that comes twice is fit in neither
// place, since nobody knows which is called.
func describe(s mgx.MCPServer, listed []*sdk.Tool) []Described {
	seen := map[string]int{}
	for _, t := range listed {
		seen[t.Name]++
	}
	var all []Described
	for _, t := range listed {
		d := describeOne(s, t)
		if seen[t.Name] > 1 {
			d.State, d.Why = IsUnfit, "the server lists it more than once"
		}
		all = append(all, d)
	}
	slices.SortStableFunc(all, func(a, b Described) int { return strings.Compare(a.Tool, b.Tool) })
	return all
}

func describeOne(s mgx.MCPServer, t *sdk.Tool) Described {
	d := Described{Server: s.Name, Tool: t.Name, Description: t.Description, Hints: hints(t.Annotations), Effect: effectOf(s, t.Name)}
	raw, err := json.Marshal(t.InputSchema)
	if err != nil {
		raw = json.RawMessage("null")
	}
	d.Schema, d.Pin = raw, pinOf(t.Name, t.Description, raw, d.Hints)
	pin, pinned := s.Pins[t.Name]
	switch {
	case len(s.Tools) > 0 && !slices.Contains(s.Tools, t.Name):
		d.State = IsBarred
	case d.unfit(t) != nil:
		d.State, d.Why = IsUnfit, d.unfit(t).Error()
	case !pinned:
		d.State = IsNew
	case pin != d.Pin:
		d.State = IsChanged
	default:
		d.State = IsPinned
	}
	return d
}

// unfit says why a description cannot be shown to a model; it prepares what is.
func (d *Described) unfit(t *sdk.Tool) error {
	switch {
	case t.Name == "" || len(t.Name) > maxToolName || tool.Clean(t.Name) != t.Name || strings.ContainsAny(t.Name, "\n\t"):
		return fmt.Errorf("its name is empty, has hidden characters or more than %d bytes", maxToolName)
	case len(t.Description) > maxDescription:
		return fmt.Errorf("its description has more than %d KB", maxDescription>>10)
	}
	schema, err := usable(t.InputSchema)
	if err != nil {
		return err
	}
	d.offered = tool.Foreign{
		Name: toolName(d.Server, t.Name), Server: d.Server, Tool: t.Name, Description: tool.Clean(t.Description),
		Schema: schema, Effect: d.Effect, Pin: d.Pin,
	}
	return nil
}

// hints are what a server promises of a tool, in words. They decide nothing.
func hints(a *sdk.ToolAnnotations) (words []string) {
	if a == nil {
		return nil
	}
	if a.ReadOnlyHint {
		words = append(words, "read-only")
	}
	if a.DestructiveHint != nil && *a.DestructiveHint {
		words = append(words, "destructive")
	}
	if a.DestructiveHint != nil && !*a.DestructiveHint {
		words = append(words, "not destructive")
	}
	if a.IdempotentHint {
		words = append(words, "idempotent")
	}
	if a.OpenWorldHint != nil && !*a.OpenWorldHint {
		words = append(words, "closed world")
	}
	return words
}

// list asks a server for all its tools.
func list(ctx context.Context, session *sdk.ClientSession) ([]*sdk.Tool, error) {
	var all []*sdk.Tool
	var params sdk.ListToolsParams
	for range maxPages {
		page, err := session.ListTools(ctx, &params)
		if err != nil {
			return nil, err
		}
		if all = append(all, page.Tools...); len(all) > maxListed {
			return nil, fmt.Errorf("it lists more than %d tools", maxListed)
		}
		if page.NextCursor == "" {
			return all, nil
		}
		params = sdk.ListToolsParams{Cursor: page.NextCursor}
	}
	return nil, fmt.Errorf("it lists its tools on more than %d pages", maxPages)
}
