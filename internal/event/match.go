package event

import (
	"context"
	"slices"
	"strings"

	"mgx"
)

// Matcher returns what tells whether an event of a workspace is in any of these
// channels and of any of these types; no channels or no types means all, but for
// entries of the audit log, which somebody has to ask for by type. It refuses what
// a subscription would refuse.
func Matcher(ws mgx.WorkspaceID, channels, types []string) (func(*mgx.Event) bool, error) {
	return matching(ws, channels, types, !AskForAudit(types))
}

// InChannels returns what tells whether an event of a workspace is in any of these
// channels, entries of the audit log too; no channels means all.
func InChannels(ws mgx.WorkspaceID, channels []string) (func(*mgx.Event) bool, error) {
	return matching(ws, channels, nil, false)
}

func matching(ws mgx.WorkspaceID, channels, types []string, noAudit bool) (func(*mgx.Event) bool, error) {
	if len(channels) == 0 {
		channels = []string{"all"}
	}
	parsed, err := ParseChannels(channels)
	if err != nil {
		return nil, err
	}
	granted, err := OneWorkspace(ws)(context.Background(), "", parsed)
	if err != nil {
		return nil, err
	}
	for i := range granted {
		granted[i].NoAudit = noAudit
	}
	f, err := newFilter(granted, types)
	if err != nil {
		return nil, err
	}
	return f.match, nil
}

// AskForAudit reports whether patterns of types ask for entries of the audit log.
func AskForAudit(types []string) bool {
	return slices.ContainsFunc(types, func(t string) bool { return strings.HasPrefix(t, "audit.") })
}
