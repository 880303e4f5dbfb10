package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Documents returns everything that is generated from the contracts, by path
// from the root of the repository; a test holds the files against it. The lock
// is among them: contracts that may not be released are an error.
func (r *Registry) Documents() (map[string][]byte, error) {
	lock, err := ReadLock()
	if err != nil {
		return nil, err
	}
	lock, problems := r.Release(lock)
	if len(problems) > 0 {
		return nil, fmt.Errorf("the contracts cannot be released:\n%s", strings.Join(problems, "\n"))
	}
	asyncAPI, err := r.AsyncAPI()
	if err != nil {
		return nil, err
	}
	typeScript, err := r.TypeScript()
	if err != nil {
		return nil, err
	}
	fixtures, err := r.Fixtures()
	if err != nil {
		return nil, err
	}
	migration, err := r.MigrationGuide()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"internal/event/schemas/" + lockFile:    lock.JSON(),
		"docs/reference/events.md":              r.Reference(),
		"docs/reference/consumer-migration.md":  migration,
		"docs/reference/asyncapi.json":          asyncAPI,
		"sdk/typescript/src/events.gen.ts":      typeScript,
		"sdk/typescript/test/fixtures.gen.json": fixtures,
	}, nil
}

const markdownNote = "<!-- " + generatedBy + " -->\n\n"

// categories is the order in which people read about events.
var categories = []string{"task", "run", "agent", "tool", "artifact", "workflow", "llm", "billing", "security", "webhook", "system"}

// Reference returns docs/reference/events.md: each type with its fields.
func (r *Registry) Reference() []byte {
	var b bytes.Buffer
	b.WriteString(markdownNote + referenceHead)
	b.WriteString("\n| field | type | | meaning |\n|---|---|---|---|\n")
	writeFields(&b, flat(Envelope()), "")
	b.WriteString("\n## Types\n\nThe class of a type says how long its events are kept; all of them are delivered at least once.\n\n| type | version | kept | owner | |\n|---|---|---|---|---|\n")
	for _, t := range r.byCategory() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %d days | %s | %s |\n", t.Type, strings.ReplaceAll(string(t.Type), ".", ""), t.Version, days(t), t.Owner, t.Title)
	}
	category := ""
	for _, t := range r.byCategory() {
		if t.Category != category {
			category = t.Category
			fmt.Fprintf(&b, "\n## %s\n", title(category))
		}
		writeType(&b, t)
	}
	b.WriteString(referenceDelivery)
	writeFrames(&b)
	b.WriteString(referenceCloudEvents)
	return b.Bytes()
}

func (r *Registry) byCategory() []Type {
	return slices.SortedStableFunc(slices.Values(r.Types()), func(a, b Type) int {
		return slices.Index(categories, a.Category) - slices.Index(categories, b.Category)
	})
}

func writeType(b *bytes.Buffer, t Type) {
	fmt.Fprintf(b, "\n### %s\n\n%s Version %s; kept %d days.\n\n| field | type | | meaning |\n|---|---|---|---|\n", t.Type, t.Description, t.Version, days(t))
	writeFields(b, flat(t.Schema), "")
	for _, example := range t.Examples {
		var plain bytes.Buffer
		if json.Indent(&plain, example, "", "  ") != nil {
			plain.Write(example)
		}
		fmt.Fprintf(b, "\n```json\n%s\n```\n", dedent(plain.String()))
	}
}

// dedent makes short objects one line, as people write them.
func dedent(s string) string {
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(s)) == nil && compact.Len() <= 120 {
		return compact.String()
	}
	return s
}

func writeFields(b *bytes.Buffer, schema object, path string) {
	props, _ := schema["properties"].(object)
	required := set(schema["required"])
	for _, name := range slices.Sorted(maps.Keys(props)) {
		prop := props[name].(object)
		need := "optional"
		if slices.Contains(required, shown(name)) {
			need = "required"
		}
		writeField(b, prop, path+name, need)
	}
}

func writeField(b *bytes.Buffer, prop object, path, need string) {
	words, _ := prop["description"].(string)
	fmt.Fprintf(b, "| `%s` | %s | %s | %s%s |\n", path, strings.ReplaceAll(strings.Join(set(prop["type"]), " or "), `"`, ""), need, cell(words), choices(prop))
	writeFields(b, prop, path+".")
	if items, ok := prop["items"].(object); ok {
		writeFields(b, items, path+"[].")
	}
}

func choices(prop object) string {
	list, ok := prop["enum"].([]any)
	if !ok {
		return ""
	}
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = fmt.Sprintf("`%v`", v)
		if v == "" {
			all[i] = "empty"
		}
	}
	return " One of " + strings.Join(all, ", ") + "."
}

func cell(s string) string {
	return strings.TrimSuffix(strings.NewReplacer("|", `\|`, "\n", " ").Replace(s), ".") + "."
}

func writeFrames(b *bytes.Buffer) {
	all := frames()
	for _, client := range []bool{true, false} {
		who := "server"
		if client {
			who = "client"
		}
		fmt.Fprintf(b, "\nWhat the %s says:\n\n| `type` | | fields |\n|---|---|---|\n", who)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if f := all[name]; f.client == client {
				fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, cell(f.summary), frameFields(f))
			}
		}
	}
}

func frameFields(f frame) string {
	var all []string
	for _, one := range f.fields {
		name := "`" + one.name + "`"
		if !one.required {
			name += " (optional)"
		}
		if words, _ := one.schema["description"].(string); words != "" {
			name += ": " + strings.TrimSuffix(words, ".")
		}
		all = append(all, name)
	}
	return strings.ReplaceAll(strings.Join(all, "; "), "|", `\|`)
}

// MigrationGuide returns docs/reference/consumer-migration.md: what consumers are
// promised, and what changed between versions.
func (r *Registry) MigrationGuide() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(markdownNote + migrationHead)
	b.WriteString("\n## Changes\n")
	quiet := 0
	for _, t := range r.byCategory() {
		if len(t.Versions) == 1 {
			quiet++
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n", t.Type)
		if err := r.writeChanges(&b, t); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(&b, "\nThe other %d types are in their first version.\n", quiet)
	return b.Bytes(), nil
}

func (r *Registry) writeChanges(b *bytes.Buffer, t Type) error {
	all, err := r.contracts[t.Type].versions()
	if err != nil {
		return err
	}
	for i := len(all) - 1; i > 0; i-- {
		found, err := Compare(all[i-1].raw, all[i].raw)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "- %s → %s (%s)\n", all[i-1].version(), all[i].version(), stepName(all[i-1].version(), all[i].version()))
		for _, d := range found {
			fmt.Fprintf(b, "  - `%s`: %s\n", d.Where, d.What)
		}
		if s := r.Support(t.Type, fmt.Sprint(all[i-1].version().major)); all[i-1].version().major != all[i].version().major && !s.Sunset.IsZero() {
			fmt.Fprintf(b, "  - version %d: deprecated on %s, no longer served from %s\n", all[i-1].version().major, s.Deprecated.Format("2006-01-02"), s.Sunset.Format("2006-01-02"))
		}
	}
	return nil
}

func stepName(v, w version) Change {
	switch {
	case v.major != w.major:
		return Major
	case v.minor != w.minor:
		return Minor
	}
	return Patch
}
