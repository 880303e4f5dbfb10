package team

import (
	"context"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/git"
)

// Whoever works next on a branch that a run delivered, here or elsewhere, has its
// commits and nothing else. So a commit says itself what kind of text from elsewhere
// went into the files, in a line of its message:
//
//	Read-From: mcp, web
//
// and a run begins with what the commits before it say. It names no host and no
// server, since a message goes where nobody is to learn of those; a source without a
// name counts as any of its kind. Anybody who commits can write such a line, which
// makes labels stricter and nothing else. Who takes one out says that the files are
// the repository's own.

const (
	readFromKey     = "Read-From"
	readFromCommits = 1000 // latest, that are looked at
)

// readFrom is the line for a commit of the files as they are now; empty when nothing
// from elsewhere went into them.
func (r *run) readFrom() string {
	var kinds []string
	for _, s := range elsewhere(r.inFiles().Sources) {
		kind, _, _ := strings.Cut(s, ":")
		kinds = append(kinds, kind)
	}
	if kinds = slices.Compact(kinds); len(kinds) == 0 { // sources are sorted
		return ""
	}
	return readFromKey + ": " + strings.Join(kinds, ", ") + "\n"
}

// history is the label of what earlier runs wrote into the files, as the commits say.
// When not all of them can be read, that is anything.
func history(ctx context.Context, clone *git.Clone) (mgx.Label, error) {
	values, whole, err := clone.Trailers(ctx, readFromKey, readFromCommits)
	if err != nil {
		return mgx.Label{}, err
	}
	kinds := []string{mgx.SourceAttachment, mgx.SourceMCP, mgx.SourceWeb}
	if !whole {
		values = kinds
	}
	var l mgx.Label
	for _, v := range values {
		for kind := range strings.SplitSeq(v, ",") {
			if kind = strings.TrimSpace(kind); slices.Contains(kinds, kind) {
				l = l.Join(mgx.Label{Untrusted: true, Secrecy: mgx.Private, Sources: []string{kind}})
			}
		}
	}
	return l, nil
}

// inRepository is the label of what the repository said when the run began.
func (r *run) inRepository() mgx.Label { return fromRepository.Join(r.prep.Files) }
