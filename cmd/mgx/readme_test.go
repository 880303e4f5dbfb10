package main

import (
	"os"
	"regexp"
	"testing"
)

// The README names every command.
func TestReadmeNamesEveryCommand(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range (&cli{}).command().Commands() {
		if name := cmd.Name(); !regexp.MustCompile("`(mgx )?" + name + `\b`).Match(text) {
			t.Errorf("mgx %s is not in it", name)
		}
	}
}
