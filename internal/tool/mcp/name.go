package mcp

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxName is the longest name of a function that every provider takes.
const maxName = 64

// toolName is the name by which models call a tool: mcp__server__tool. Names that
// providers would not take are written with what they do take and told apart by a
// hash, so that two tools never share one.
func toolName(server, tool string) string {
	full := "mcp__" + server + "__" + tool
	plain := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, full)
	if plain == full && len(full) <= maxName {
		return full
	}
	sum := sha256.Sum256([]byte(full))
	mark := "_" + hex.EncodeToString(sum[:4])
	return plain[:min(len(plain), maxName-len(mark))] + mark
}
