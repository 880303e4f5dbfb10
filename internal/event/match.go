package event

import (
	"context"

	"mgx"
)

// Matcher returns what tells whether an event of a workspace is in any of these
// channels and of any of these types; no channels or no types means all. It
// refuses what a subscription would refuse.
func Matcher(ws mgx.WorkspaceID, channels, types []string) (func(*mgx.Event) bool, error) {
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
	f, err := newFilter(granted, types)
	if err != nil {
		return nil, err
	}
	return f.match, nil
}
