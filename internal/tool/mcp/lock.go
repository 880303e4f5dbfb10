package mcp

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"mgx"
)

// Lock is what the operator has seen: by server and tool, what it said of itself.
// It lies in a file beside the configuration and is made by mgx mcp pin.
type Lock map[string]map[string]Pinned

// Pinned is one tool as the operator has seen it. The hash decides; the words are
// there so that a person sees what has changed.
type Pinned struct {
	Pin         string          `json:"pin"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"`
	Hints       []string        `json:"hints,omitempty"` // what the server promised
}

// LockName is where the lock of a configuration lies.
func LockName(config string) string {
	return strings.TrimSuffix(config, ".json") + ".lock.json"
}

// lockFile is the file's shape.
type lockFile struct {
	About string `json:"about"`
	Pins  Lock   `json:"pins"`
}

const aboutLock = "MCP tools as they were seen and pinned. Written by mgx mcp pin; a tool that is described otherwise is refused."

// MaxLock bounds the file, in bytes.
const MaxLock = 8 << 20

// ParseLock reads a lock.
func ParseLock(file []byte) (Lock, error) {
	if len(file) > MaxLock {
		return nil, badLock("it has more than %d MB", MaxLock>>20)
	}
	var f lockFile
	if err := strict(file, &f); err != nil {
		return nil, badLock("%s", err)
	}
	for _, tools := range f.Pins {
		for _, p := range tools {
			if !isPin(p.Pin) {
				return nil, badLock("a pin reads sha256: and 64 hexadecimal digits")
			}
		}
	}
	if f.Pins == nil {
		f.Pins = Lock{}
	}
	return f.Pins, nil
}

func badLock(format string, args ...any) error {
	return mgx.Errorf(mgx.KindConfig, CodeBadConfig, "the pins of MCP tools cannot be read: "+format+"; delete the file and pin anew with mgx mcp pin", args...)
}

// Encode is the lock as a file.
func (l Lock) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(lockFile{About: aboutLock, Pins: l}, "", "  ")
	if err != nil {
		return nil, mgx.Errorf(mgx.KindInternal, "internal", "the pins are not JSON: %w", err)
	}
	return append(b, '\n'), nil
}

// Apply gives servers their pins. What the configuration itself pins wins.
func (l Lock) Apply(servers []mgx.MCPServer) []mgx.MCPServer {
	servers = slices.Clone(servers)
	for i, s := range servers {
		pins := map[string]string{}
		for name, p := range l[s.Name] {
			pins[name] = p.Pin
		}
		maps.Copy(pins, s.Pins)
		if servers[i].Pins = pins; len(pins) == 0 {
			servers[i].Pins = nil
		}
	}
	return servers
}

func isPin(s string) bool {
	digits, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(digits) == 64 && strings.Trim(digits, "0123456789abcdef") == ""
}
