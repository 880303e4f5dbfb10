package tool

import (
	"encoding/json"
	"os"
	"path"
	"slices"

	"mgx"
	"mgx/internal/sandbox/egress"
)

// Reach is what a call would touch, as far as it can be told before it is made.
type Reach struct {
	// Paths in the workspace, clean: as they were named, and as links lead from
	// there, when that is elsewhere. Those of kept outputs and of
	// attachments begin with OutputsDir and AttachmentsDir.
	Paths   []string
	Command string   // a line of shell that it runs
	Hosts   []string // HOST:PORT that it reaches
	Vague   bool     // it may touch paths or hosts that are not listed
	Bad     string   // why it asks for what nobody may allow; empty: it does not
}

// Reacher is a tool that can tell what a call would touch. It only looks.
type Reacher interface {
	Reach(ws *Workspace, args json.RawMessage) Reach
}

// ReachOf tells what a call would touch. A tool that cannot tell is vague.
func ReachOf(t Tool, ws *Workspace, args json.RawMessage) Reach {
	if r, ok := t.(Reacher); ok {
		return r.Reach(ws, args)
	}
	return Reach{Vague: true}
}

// Reach is that of built-in tools.
func (b builtin[A]) Reach(ws *Workspace, raw json.RawMessage) Reach {
	var args A
	if json.Unmarshal(raw, &args) != nil {
		return Reach{Vague: true} // and the call will fail
	}
	switch a := any(args).(type) {
	case listArgs:
		return ws.reach(a.Path)
	case globArgs:
		p, _, err := globbed(ws, a)
		if err != nil {
			return Reach{Vague: true}
		}
		var r Reach
		r.lead(p)
		return r
	case grepArgs:
		return ws.reach(a.Path)
	case readArgs:
		return ws.reach(a.Path)
	case editArgs:
		return ws.reach(a.Path)
	case writeArgs:
		return ws.reach(a.Path)
	case patchArgs:
		return ws.reachPatch(a.Patch)
	case shellArgs:
		hosts, err := egress.ParseAsked(a.Hosts)
		if err != nil {
			return Reach{Command: a.Command, Vague: true, Bad: mgx.AsError(err).Message}
		}
		return Reach{Command: a.Command, Hosts: hosts}
	}
	return Reach{Vague: true}
}

func (ws *Workspace) reachPatch(patch string) Reach {
	changes, err := parsePatch(patch)
	if err != nil {
		return Reach{Vague: true}
	}
	var named []string
	for _, c := range changes {
		if named = append(named, c.path); c.moveTo != "" {
			named = append(named, c.moveTo)
		}
	}
	return ws.reach(named...)
}

// reach resolves names as the tools for files do. Where that fails, what a tool
// would touch is not known; it will fail too, unless something changes.
func (ws *Workspace) reach(named ...string) Reach {
	var r Reach
	for _, n := range named {
		p, err := ws.at(n)
		if err != nil {
			r.add(path.Clean(unquoted(n)))
			r.Vague = true
			continue
		}
		r.lead(p)
	}
	return r
}

// lead adds a place, and where links lead from there.
func (r *Reach) lead(p place) {
	real := p.name
	if p.root != nil { // else only what is written is known
		var err error
		real, err = Resolve(p.root, p.name)
		r.Vague = r.Vague || err != nil
	}
	for _, name := range []string{p.name, real} {
		switch {
		case name == "":
		case p.kept != "":
			r.add(path.Join(p.kept, name))
		default:
			r.add(name)
		}
	}
}

func (r *Reach) add(path string) {
	if !slices.Contains(r.Paths, path) {
		r.Paths = append(r.Paths, path)
	}
}

// Resolve follows the links of a path within root by their text. A path whose end
// does not exist is resolved as far as it does; one that leads out is an error.
func Resolve(root *os.Root, name string) (string, error) { return follow(root, name) }
