package api

import (
	_ "embed"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed descriptions.txt
var descriptions string

// words are what there is to say of fields, by name or by schema and name.
func words() map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(descriptions) {
		name, text, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if ok && !strings.HasPrefix(name, "#") {
			all[name] = text
		}
	}
	return all
}

// describeFields gives a description to the fields whose types are of other packages,
// which do not know of this document.
func describeFields(schemas map[string]*huma.Schema) {
	all := words()
	for name, s := range schemas {
		for field, f := range s.Properties {
			if f.Description != "" {
				continue
			}
			if f.Description = all[name+"."+field]; f.Description == "" {
				f.Description = all[field]
			}
		}
	}
}
