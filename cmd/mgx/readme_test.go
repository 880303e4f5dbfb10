package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
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

// written is a command as texts have it: in Markdown as code or a line of a block, in the
// console as a string of Go, where several have line ends between them.
var written = map[string]*regexp.Regexp{
	".md": regexp.MustCompile("(?m)(?:`|^ *\\$? *)mgx ([a-z][^`\n#|]*)"),
	".go": regexp.MustCompile(`(?:"|\\n|\| )mgx ([a-z](?:[^"\\|]|\\")*)`),
}

// Every command that a document or a page of the console tells of is there, with its flags.
func TestCommandsThatAreToldOfAreThere(t *testing.T) {
	t.Parallel()
	root := (&cli{}).command()
	root.InitDefaultHelpCmd()
	seen := 0
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/runbooks/*.md", "../../docs/compliance/*.md", "../../internal/web/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range written[filepath.Ext(file)].FindAllStringSubmatch(string(text), -1) {
				seen++
				if wrong := notThere(root, strings.Fields(m[1])); wrong != "" {
					t.Errorf("%s: mgx %s: %s", filepath.Base(file), m[1], wrong)
				}
			}
		}
	}
	if seen < 300 {
		t.Errorf("only %d commands were found", seen)
	}
}

// notThere is what of a command there is not.
func notThere(cmd *cobra.Command, words []string) string {
	for len(words) > 0 {
		sub, _, err := cmd.Find(words[:1])
		if err != nil || sub == cmd {
			break
		}
		cmd, words = sub, words[1:]
	}
	if cmd.HasSubCommands() && len(words) > 0 && regexp.MustCompile(`^[a-z][a-z-]+$`).MatchString(words[0]) && cmd.Args(cmd, words[:1]) != nil {
		return fmt.Sprintf("%s has no %s", cmd.CommandPath(), words[0])
	}
	cmd.InitDefaultHelpFlag()
	for _, word := range words {
		name, is := strings.CutPrefix(strings.TrimLeft(word, "[("), "--")
		if name = regexp.MustCompile(`^[a-z-]*`).FindString(name); word == "--" {
			break
		}
		if is && name != "" && cmd.Flag(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
			return fmt.Sprintf("%s has no --%s", cmd.CommandPath(), name)
		}
	}
	return ""
}
