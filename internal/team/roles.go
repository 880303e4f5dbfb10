package team

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"mgx/internal/tool"
)

//go:embed roles/*.md
var roleFiles embed.FS

// Role is what an agent is told and given. Roles are data: a Markdown file with
// a few fields on top.
type Role struct {
	Name         string   `json:"name"`
	Purpose      string   `json:"purpose"`
	Tools        []string `json:"tools"` // besides finish
	Turns        int      `json:"turns"` // model turns of one conversation
	Instructions string   `json:"instructions"`
}

// Roles reads the registry of built-in roles.
func Roles() (map[string]Role, error) {
	files, err := fs.Glob(roleFiles, "roles/*.md")
	if err != nil {
		return nil, err
	}
	roles := map[string]Role{}
	for _, f := range files {
		text, err := roleFiles.ReadFile(f)
		if err != nil {
			return nil, err
		}
		r, err := parseRole(string(text))
		if err != nil {
			return nil, fmt.Errorf("role %s: %w", path.Base(f), err)
		}
		roles[r.Name] = r
	}
	return roles, nil
}

// parseRole reads "---", lines of "key: value", "---", instructions.
func parseRole(text string) (Role, error) {
	head, body, ok := strings.Cut(strings.TrimPrefix(text, "---\n"), "\n---\n")
	if !ok {
		return Role{}, fmt.Errorf("no closing --- after the fields")
	}
	r := Role{Instructions: strings.TrimSpace(body)}
	for line := range strings.Lines(head) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch {
		case !ok:
			return Role{}, fmt.Errorf("%q is not key: value", line)
		case key == "name":
			r.Name = value
		case key == "purpose":
			r.Purpose = value
		case key == "tools":
			for name := range strings.SplitSeq(value, ",") {
				if name = strings.TrimSpace(name); name != "" {
					r.Tools = append(r.Tools, name)
				}
			}
		case key == "turns":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return Role{}, fmt.Errorf("turns: %q is not a positive number", value)
			}
			r.Turns = n
		default:
			return Role{}, fmt.Errorf("unknown field %q", key)
		}
	}
	if r.Name == "" || r.Turns == 0 || r.Instructions == "" {
		return Role{}, fmt.Errorf("name, turns and instructions are required")
	}
	return r, nil
}

// gear is a role's tools: those that act, those of the loop, and those it may
// not use.
func (r Role) gear() (tools []tool.Tool, controls []tool.Spec, forbidden []string, err error) {
	var names []string
	for _, s := range tool.ControlSpecs() {
		if slices.Contains(r.Tools, s.Name) {
			controls = append(controls, s)
		}
	}
	for _, t := range tool.Builtins() {
		if name := t.Spec().Name; slices.Contains(r.Tools, name) {
			names = append(names, name)
		} else {
			forbidden = append(forbidden, name)
		}
	}
	if len(names)+len(controls) != len(r.Tools) {
		return nil, nil, nil, fmt.Errorf("role %s names a tool that does not exist: %v", r.Name, r.Tools)
	}
	tools, err = tool.ByName(names)
	return tools, controls, forbidden, err
}
