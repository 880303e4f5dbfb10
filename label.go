package mgx

import (
	"slices"
	"strings"
)

// Label says what is known of where a text came from. Every text that reaches a
// model carries one; what is made from several texts carries their join, so that
// nothing becomes more trusted or less confidential by being summarised, planned
// upon or handed to another agent. The zero label is that of text of our own.
type Label struct {
	Untrusted bool            `json:"untrusted,omitempty"` // someone other than the person who gave the task may have written it
	Secrecy   Confidentiality `json:"confidentiality,omitempty"`
	Sources   []string        `json:"sources,omitempty"` // sorted, each once: "user", "repository", "program", "web:HOST", "mcp:SERVER", "attachment"
}

// Confidentiality says who may see a text.
type Confidentiality string

const (
	Public  Confidentiality = ""        // anyone
	Private Confidentiality = "private" // members of the workspace: the content of a repository
	Secret  Confidentiality = "secret"  // nobody outside the run: it was read where secrets are
)

// Kinds of sources. Those of one kind stand behind its name: "web:example.org".
const (
	SourceUser       = "user"
	SourceRepository = "repository"
	SourceProgram    = "program" // what a command printed, which runs what the repository says
	SourceWeb        = "web"
	SourceMCP        = "mcp"
	SourceAttachment = "attachment" // a file that the run was given, whoever wrote it
)

// maxSources bounds a label; of more only the kinds are kept.
const maxSources = 32

// Join is the label of what was made from texts with both labels: untrusted when
// one is, as confidential as the stricter, from the sources of either.
func (l Label) Join(o Label) Label {
	out := Label{Untrusted: l.Untrusted || o.Untrusted, Secrecy: l.Secrecy.stricter(o.Secrecy)}
	out.Sources = slices.Concat(l.Sources, o.Sources)
	slices.Sort(out.Sources)
	out.Sources = slices.Compact(out.Sources)
	if len(out.Sources) > maxSources {
		out.Sources = kinds(out.Sources)
	}
	if len(out.Sources) == 0 {
		out.Sources = nil
	}
	return out
}

// kinds keeps of each source its kind alone.
func kinds(sources []string) []string {
	var out []string
	for _, s := range sources {
		kind, _, _ := strings.Cut(s, ":")
		out = append(out, kind)
	}
	return slices.Compact(out)
}

func (c Confidentiality) stricter(o Confidentiality) Confidentiality {
	if c.rank() >= o.rank() {
		return c
	}
	return o
}

// rank orders confidentialities; one that is not known is the strictest.
func (c Confidentiality) rank() int {
	if i := slices.Index([]Confidentiality{Public, Private, Secret}, c); i >= 0 {
		return i
	}
	return 3
}
