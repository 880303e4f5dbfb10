package tool

import (
	"encoding/json"

	"mgx"
	"mgx/internal/guard"
)

// Foreign is a tool that lives outside of MGX, as its server described it when
// the run was prepared. What it says was seen and pinned by the operator; what it
// returns is the word of somebody outside.
type Foreign struct {
	Name        string          `json:"name"`   // as models call it
	Server      string          `json:"server"` // of the run's settings
	Tool        string          `json:"tool"`   // as the server calls it
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"`
	Effect      Effect          `json:"effect"` // the operator's word, never the server's
	Pin         string          `json:"pin"`    // of the description and the schema: sha256:…
}

// Spec describes it to the loop.
func (f Foreign) Spec() Spec {
	return Spec{
		Name: f.Name, Description: f.Description, Schema: f.Schema, Effect: f.Effect,
		Source: mgx.SourceMCP + ":" + f.Server,
	}
}

// Offer is what servers outside have for a run.
type Offer struct {
	Tools   []Foreign
	Refused []Refusal
}

// Refusal says why something is not offered.
type Refusal struct {
	Server, Tool string // Tool is empty when it is about several, or the whole server
	Why          string // a sentence
	Changed      bool   // it is described otherwise than it was pinned
}

// Usable reports, as an error, why a schema from outside cannot be used for a
// tool's arguments.
func Usable(schema json.RawMessage) error {
	_, err := compile(schema)
	return err
}

// Kept is a text as a result carries it: cleaned, and cut in its middle when it
// is long; then all of it is among the kept outputs.
func Kept(ws *Workspace, text string) string {
	quiet := *ws
	quiet.Watch = nil
	c := newCapture(&quiet)
	_, _ = c.Write([]byte(text)) // never fails
	return c.close().text
}

// Visible shows a text to a person so that nothing in it acts or is missed: what
// Clean would take away appears as <U+XXXX>. Its line feeds stay.
func Visible(text string) string { return guard.VisibleLines(text) }
