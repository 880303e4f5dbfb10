package event

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"mgx"
)

// Codes of the errors about what a subscriber asks for.
const (
	CodeBadChannel     = "bad_channel"
	CodeBadFilter      = "bad_filter"
	CodeChannelRefused = "channel_refused" // of kind refused: the subscriber may not see it
)

const (
	maxChannels = 64  // in one subscription, before and after they are authorised
	maxTypes    = 32  // type globs in one subscription
	maxGlob     = 128 // characters of one
)

// Channel names a part of the log: all of it, or what belongs to one workspace,
// project, task, run, agent or workflow execution, or to any of a kind (ID "*").
type Channel struct {
	Kind string // all, workspace, project, task, run, agent, workflow
	ID   string // empty for all
	// Workspace is whose events the channel is limited to. Authorisation sets
	// it; a channel without one shows nothing.
	Workspace mgx.WorkspaceID
	NoAudit   bool // entries of the audit log are not shown; authorisation says so
}

// ids returns what a channel of each kind looks at in an event.
var channelIDs = map[string]func(*mgx.Event) string{
	"all":       func(*mgx.Event) string { return "" },
	"workspace": func(e *mgx.Event) string { return string(e.Workspace) },
	"project":   func(e *mgx.Event) string { return string(e.Project) },
	"task":      func(e *mgx.Event) string { return string(e.Task) },
	"run":       func(e *mgx.Event) string { return string(e.Run) },
	"agent":     func(e *mgx.Event) string { return string(e.Agent) },
	"workflow":  func(e *mgx.Event) string { return string(e.Execution) },
}

// ParseChannel reads "all", "run:ID" or "run:*".
func ParseChannel(s string) (Channel, error) {
	kind, id, _ := strings.Cut(s, ":")
	_, known := channelIDs[kind]
	whole := id == "*" || len(id) <= maxID && plainID().MatchString(id)
	if !known || (kind == "all") != (s == "all") || kind != "all" && !whole {
		return Channel{}, mgx.Errorf(mgx.KindUsage, CodeBadChannel,
			"there is no channel %q; channels are all and workspace, project, task, run, agent or workflow with an id or *, as in run:* or task:task_01J…", clip(s))
	}
	return Channel{Kind: kind, ID: id}, nil
}

// ParseChannels reads a list of channels.
func ParseChannels(list []string) ([]Channel, error) {
	if len(list) > maxChannels {
		return nil, mgx.Errorf(mgx.KindUsage, CodeBadChannel, "a subscription takes at most %d channels, not %d", maxChannels, len(list))
	}
	out := make([]Channel, len(list))
	for i, s := range list {
		var err error
		if out[i], err = ParseChannel(s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c Channel) String() string {
	if c.Kind == "all" {
		return c.Kind
	}
	return c.Kind + ":" + c.ID
}

// matcher is a channel made ready for looking at many events.
type matcher struct {
	workspace mgx.WorkspaceID
	noAudit   bool
	of        func(*mgx.Event) string // nil for all
	id        string                  // empty for any
}

func (c Channel) matcher() matcher {
	m := matcher{workspace: c.Workspace, noAudit: c.NoAudit}
	if c.Kind != "all" {
		m.of = channelIDs[c.Kind]
	}
	if c.ID != "*" {
		m.id = c.ID
	}
	return m
}

func (m *matcher) match(e *mgx.Event) bool {
	switch {
	case m.workspace == "" || e.Workspace != m.workspace, m.noAudit && e.Stream.IsAudit():
		return false
	case m.of == nil:
		return true
	case m.id == "":
		return m.of(e) != ""
	}
	return m.of(e) == m.id
}

// Authorize decides what an actor may subscribe to. It is asked before any
// wildcard means anything, and answers with the channels limited to workspaces
// of the actor's: a channel may become several, one for each workspace. It
// refuses with an error of kind refused.
type Authorize func(ctx context.Context, actor string, channels []Channel) ([]Channel, error)

// OneWorkspace lets every actor see one workspace and nothing else.
func OneWorkspace(ws mgx.WorkspaceID) Authorize {
	return func(_ context.Context, _ string, channels []Channel) ([]Channel, error) {
		granted := slices.Clone(channels)
		for i, c := range granted {
			if c.Kind == "workspace" && c.ID != "*" && c.ID != string(ws) {
				return nil, mgx.Errorf(mgx.KindRefused, CodeChannelRefused, "the channel %s is not yours to read", c)
			}
			granted[i].Workspace = ws
		}
		return granted, nil
	}
}

// filter is what one subscriber gets: events in any of its channels and, if
// types are given, of any of them.
type filter struct {
	channels []Channel
	matchers []matcher
	types    []string
	hash     [8]byte // of all of this

	workspace mgx.WorkspaceID // of all channels, if it is the same
	run       mgx.RunID       // if there is only one channel, of a run
}

func newFilter(granted []Channel, types []string) (*filter, error) {
	if len(granted) == 0 || len(granted) > maxChannels {
		return nil, mgx.Errorf(mgx.KindUsage, CodeBadChannel, "a subscription takes 1 to %d channels, not %d", maxChannels, len(granted))
	}
	if len(types) > maxTypes {
		return nil, mgx.Errorf(mgx.KindUsage, CodeBadFilter, "a subscription takes at most %d types, not %d", maxTypes, len(types))
	}
	for _, t := range types {
		if t == "" || len(t) > maxGlob || !mgx.IsText(t) {
			return nil, mgx.Errorf(mgx.KindUsage, CodeBadFilter, "a type is 1 to %d characters in which * stands for any text, not %q", maxGlob, clip(t))
		}
	}
	f := &filter{channels: granted, types: types, workspace: granted[0].Workspace}
	for _, c := range granted {
		f.matchers = append(f.matchers, c.matcher())
		if c.Workspace != f.workspace {
			f.workspace = ""
		}
	}
	if c := granted[0]; len(granted) == 1 && c.Kind == "run" && c.ID != "*" {
		f.run = mgx.RunID(c.ID)
	}
	f.hash = f.digest()
	return f, nil
}

// filters reports whether there may be events of the workspace that do not match.
func (f *filter) filters() bool {
	return len(f.types) > 0 || !slices.ContainsFunc(f.channels, func(c Channel) bool { return (c.Kind == "all" || c.Kind == "workspace") && !c.NoAudit })
}

// digest is the same for filters that let the same events through, whatever
// order they were written in.
func (f *filter) digest() [8]byte {
	var lines []string
	for _, c := range f.channels {
		line := fmt.Sprintf("channel %s %s", c.Workspace, c)
		if c.NoAudit {
			line += " without audit"
		}
		lines = append(lines, line)
	}
	for _, t := range f.types {
		lines = append(lines, "type "+t)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(lines), "\n")))
	return [8]byte(sum[:8])
}

func (f *filter) match(e *mgx.Event) bool {
	return f.inChannel(e) && (len(f.types) == 0 || slices.ContainsFunc(f.types, func(glob string) bool { return matchGlob(glob, string(e.Type)) }))
}

func (f *filter) inChannel(e *mgx.Event) bool {
	for i := range f.matchers {
		if f.matchers[i].match(e) {
			return true
		}
	}
	return false
}

// matchGlob reports whether text matches a pattern in which * stands for any
// text. It takes time proportional to the product of the lengths at most.
func matchGlob(glob, text string) bool {
	star, mark := -1, 0
	i := 0
	for j := 0; j < len(text); {
		switch {
		case i < len(glob) && glob[i] == '*':
			star, mark = i, j
			i++
		case i < len(glob) && glob[i] == text[j]:
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(glob[i:], "*") == ""
}
