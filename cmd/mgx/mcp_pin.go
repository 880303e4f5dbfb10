package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/guard"
	"mgx/internal/tool"
	"mgx/internal/tool/mcp"
)

// showPins shows a person what pinning would let models read, and returns how
// many tools there are to decide on.
func (c *cli) showPins(all []mcp.Described, seen map[string]mcp.Pinned) int {
	asked := 0
	for _, d := range all {
		switch d.State {
		case mcp.IsUnfit:
			c.tell("%s cannot be used: %s.\n", toolTitle(d), d.Why)
		case mcp.IsNew:
			asked++
			c.tell("%s is new.\n%s\n", toolTitle(d), saying(d.Description, d.Schema))
		case mcp.IsChanged:
			asked++
			if old, ok := seen[d.Tool]; ok {
				c.tell("%s HAS CHANGED. It was pinned as:\n%s\n", toolTitle(d), saying(old.Description, old.Schema)+promised(old.Hints, d.Hints))
			} else {
				c.tell("%s HAS CHANGED since it was pinned.\n", toolTitle(d))
			}
			c.tell("It says now:\n%s\n", saying(d.Description, d.Schema))
		}
	}
	return asked
}

func toolTitle(d mcp.Described) string {
	title := fmt.Sprintf("%s/%s (effect %s", d.Server, d.Tool, d.Effect)
	if len(d.Hints) > 0 {
		title += "; the server promises: " + strings.Join(d.Hints, ", ")
	}
	return tool.Visible(title + ")")
}

// promised says what the server promised before, where it promises something else now.
func promised(before, now []string) string {
	if slices.Equal(before, now) {
		return ""
	}
	return "\n  | (the server promised: " + tool.Visible(cmp.Or(strings.Join(before, ", "), "nothing")) + ")"
}

// saying is what models would read, between bars, with everything hidden in sight.
func saying(description string, schema json.RawMessage) string {
	var b strings.Builder
	if tool.Clean(description) != description {
		b.WriteString("  | (it has hidden characters, shown as <U+…>; models are given it without them)\n")
	}
	if found := guard.Suspect(description); len(found) > 0 {
		b.WriteString("  | (LOOK TWICE: it " + strings.Join(found, ", it ") + ")\n")
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, schema, "", "  ") != nil {
		pretty.Reset()
		pretty.Write(schema)
	}
	for _, text := range []string{description, pretty.String()} {
		for line := range strings.Lines(tool.Visible(text) + "\n") {
			b.WriteString("  | " + line)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (c *cli) confirmPins(ctx context.Context, n int) error {
	if !c.terminal() {
		return mgx.Errorf(mgx.KindRefused, "not_confirmed", "%d tools wait to be pinned, and nobody is there to be asked; say --yes if what stands above is right", n)
	}
	c.tell("Pin these %d tools as they are described above? Type yes: ", n)
	line, err := c.readLine(ctx)
	if err != nil || strings.TrimSpace(line) != "yes" {
		return mgx.Errorf(mgx.KindRefused, "not_confirmed", "nothing was pinned")
	}
	return nil
}

// writeLock replaces the lock whole or not at all.
func writeLock(name string, lock mcp.Lock) error {
	text, err := lock.Encode()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".mgx-mcp-")
	if err == nil {
		_, err = f.Write(text)
		if e := f.Close(); err == nil {
			err = e
		}
		if err == nil {
			err = os.Rename(f.Name(), name)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}
	if err != nil {
		return mgx.Errorf(mgx.KindConfig, "lock_unwritten", "%s cannot be written: %w", name, err)
	}
	return nil
}
