package policy

import (
	"cmp"
	"iter"
	"path"
	"slices"
	"strings"

	"mgx"
)

// call is a call as the rules look at it.
type call struct {
	Facts
	effects []Effect // one, or two when it acts outside
	shape   Shape    // of the command
}

// newCall reads what the rules of a policy ask for.
func (p Policy) newCall(f Facts) call {
	c := call{Facts: f, effects: []Effect{f.Effect}}
	if (f.Outside && f.Effect != Read || c.asksHosts()) && f.Effect != Network {
		c.effects = append(c.effects, Network)
	}
	if f.Command != "" && slices.ContainsFunc(p.Rules, func(r Rule) bool { return len(r.Commands) > 0 }) {
		c.shape = ReadCommand(f.Command)
		if f.Sh && !AnyShell(f.Command) {
			c.shape.Unknown = cmp.Or(c.shape.Unknown, "sh may read it in another way than bash does")
		}
	}
	return c
}

// asksHosts reports whether a command is to reach hosts that the run does not.
func (c call) asksHosts() bool { return c.Command != "" && len(c.Hosts) > 0 }

// atom is one thing out of all that a call does.
type atom struct {
	effect  Effect
	path    string
	command *Command
	host    string
}

// maxAtoms bounds how many combinations are looked at.
const maxAtoms = 20_000

// atoms yields every combination of what the call does. It ends with false when
// there are too many.
func (c call) atoms() iter.Seq2[atom, bool] {
	paths, hosts := orNone(c.Paths), orNone(c.Hosts)
	commands := []*Command{nil}
	if len(c.shape.Commands) > 0 {
		commands = nil
		for i := range c.shape.Commands {
			commands = append(commands, &c.shape.Commands[i])
		}
	}
	return func(yield func(atom, bool) bool) {
		if len(c.effects)*len(paths)*len(hosts)*len(commands) > maxAtoms {
			yield(atom{}, false)
			return
		}
		for _, e := range c.effects {
			for _, p := range paths {
				for _, h := range hosts {
					for _, cmd := range commands {
						if !yield(atom{e, p, cmd, h}, true) {
							return
						}
					}
				}
			}
		}
	}
}

func orNone(list []string) []string {
	if len(list) == 0 {
		return []string{""}
	}
	return list
}

// dangerous reports whether all three came together.
func (c call) dangerous() bool {
	if !c.Label.Untrusted || c.Label.Secrecy == mgx.Public || c.Own {
		return false
	}
	return c.Outside || slices.ContainsFunc(c.effects, func(e Effect) bool { return e != Read && e != Write && e != Execute })
}

// what names the call in a sentence.
func (c call) what() string {
	switch {
	case c.asksHosts():
		return "this command, which is to reach " + shown(strings.Join(c.Hosts, ", "))
	case c.Command != "":
		return "this command"
	case len(c.Paths) > 0:
		return c.Tool + " on " + shown(c.Paths[0])
	case len(c.Hosts) > 0:
		return c.Tool + " to " + shown(c.Hosts[0])
	}
	return "a call of " + c.Tool
}

func shown(s string) string {
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// clean is a path as rules compare it.
func clean(p string) string { return path.Clean(p) }
