package mcp

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/tool"
)

func TestParse(t *testing.T) {
	t.Parallel()
	servers, err := Parse([]byte(`{"mcpServers": {
		"web": {"type": "http", "url": "https://example.org/mcp", "headers": {"Authorization": "Bearer ${WEB_TOKEN}"}, "effects": {"*": "read"}, "timeout": "90s"},
		"docs": {"command": "docs-server", "args": ["--stdio"], "env": {"TOKEN": "${T}"}, "tools": ["search"], "show": ["/opt/docs"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	expected := []mgx.MCPServer{
		{Name: "docs", Command: "docs-server", Args: []string{"--stdio"}, Env: map[string]string{"TOKEN": "${T}"}, Tools: []string{"search"}, Show: []string{"/opt/docs"}, Timeout: callTimeout},
		{Name: "web", URL: "https://example.org/mcp", Headers: map[string]string{"Authorization": "Bearer ${WEB_TOKEN}"}, Effects: map[string]string{"*": "read"}, Timeout: 90 * time.Second},
	}
	if !reflect.DeepEqual(servers, expected) {
		t.Errorf("got %+v", servers)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`{}`:                      "no servers",
		`[]`:                      "mcpServers",
		`{"mcpServers":{}} extra`: "follows",
		`{"mcpServers":{"a":{"command":"x","autoApprove":["*"]}}}`:                          "autoApprove",
		`{"mcpServers":{"A b":{"command":"x"}}}`:                                            "a name has",
		`{"mcpServers":{"a__b":{"command":"x"}}}`:                                           "a name has",
		`{"mcpServers":{"a_":{"command":"x"}}}`:                                             "a name has",
		`{"mcpServers":{"а":{"command":"x"}}}`:                                              "a name has", // Cyrillic
		`{"mcpServers":{"a":{}}}`:                                                           "server a: give a command or a url",
		`{"mcpServers":{"a":{"command":5}}}`:                                                "server a: command must be a text, not a number",
		`{"mcpServers":{"a":{"command":"x","args":"y"}}}`:                                   "server a: args must be a list, not a text",
		`{"mcpServers":[]}`:                                                                 "mcpServers must be an object, not a list",
		`{"mcpServers":{`:                                                                   "ends too early",
		`{"mcpServers":{"a":{"command":"x","url":"https://e"}}}`:                            "a command or a url, not both",
		`{"mcpServers":{"a":{"command":"./x"}}}`:                                            "absolute path",
		`{"mcpServers":{"a":{"command":"x","type":"sse"}}}`:                                 "type must be",
		`{"mcpServers":{"a":{"command":"x","show":["/"]}}}`:                                 "show takes",
		`{"mcpServers":{"a":{"command":"x","show":["rel"]}}}`:                               "show takes",
		`{"mcpServers":{"a":{"url":"ftp://e/x"}}}`:                                          "https://host",
		`{"mcpServers":{"a":{"url":"https://u:p@e/x"}}}`:                                    "password",
		`{"mcpServers":{"a":{"url":"https://e/${KEY}"}}}`:                                   "env and headers only",
		`{"mcpServers":{"a":{"url":"https://e","headers":{"Authorization":"Bearer abc"}}}}`: "looks like a secret",
		`{"mcpServers":{"a":{"url":"https://e","headers":{"X-Api-Key":"abc"}}}}`:            "looks like a secret",
		`{"mcpServers":{"a":{"command":"x","env":{"GITHUB_TOKEN":"ghp_abc"}}}}`:             "looks like a secret",
		`{"mcpServers":{"a":{"command":"x","args":["${KEY}"]}}}`:                            "env and headers only",
		`{"mcpServers":{"a":{"command":"x","env":{"A":"${B:-c}"}}}}`:                        "without a default",
		`{"mcpServers":{"a":{"command":"x","effects":{"*":"harmless"}}}}`:                   "effects are",
		`{"mcpServers":{"a":{"command":"x","pin":{"t":"sha256:00"}}}}`:                      "a pin reads",
		`{"mcpServers":{"a":{"command":"x","timeout":"1d"}}}`:                               "timeout must be",
		`{"mcpServers":{"a":{"url":"https://e","allow":["localhost"]}}}`:                    "address ranges",
		`{"mcpServers":{"a":{"command":"x","allow":["127.0.0.0/8"]}}}`:                      "with a url",
	} {
		if _, err := Parse([]byte(text)); !mgx.IsCode(err, CodeBadConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	pin := "sha256:" + strings.Repeat("0a", 32)
	lock := Lock{"docs": {"search": {Pin: pin, Description: "find\u200b it", Schema: json.RawMessage(`{}`)}}}
	file, err := lock.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseLock(file)
	if err != nil {
		t.Fatal(err)
	}
	got := back.Apply([]mgx.MCPServer{{Name: "docs"}, {Name: "web"}})
	if got[0].Pins["search"] != pin || got[1].Pins != nil {
		t.Errorf("applied: %+v", got)
	}
	for _, file := range []string{`{"pins":{"docs":{"search":{"pin":"md5:1"}}}}`, `{"pins":{},"more":1}`, `nonsense`} {
		if _, err := ParseLock([]byte(file)); !mgx.IsCode(err, CodeBadConfig) || !strings.Contains(err.Error(), "delete the file") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestToolNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range []string{
		"search", "Search", "se.arch", "se/arch", "se_arch", "sеarch" /* Cyrillic */, "se arch", "", "поиск", "ищи",
		strings.Repeat("long", 40), strings.Repeat("long", 40) + "er", "a__b", "_a", "\u202etxt",
	} {
		got := toolName("docs", name)
		if other, twice := seen[got]; twice {
			t.Errorf("%q and %q are both %s", name, other, got)
		}
		seen[got] = name
		if len(got) > maxName || strings.Trim(got, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			t.Errorf("%q becomes %q", name, got)
		}
	}
	if got := toolName("docs", "search"); got != "mcp__docs__search" {
		t.Errorf("a plain name becomes %s", got)
	}
}

// doubling has a definition that says the one below it twice, n deep.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString(`{"type":"object","$ref":"#/$defs/d0","$defs":{`)
	for i := range n {
		next := `{"$ref":"#/$defs/d` + string(rune('1'+i)) + `"}`
		b.WriteString(`"d` + string(rune('0'+i)) + `":{"allOf":[` + next + `,` + next + `]},`)
	}
	b.WriteString(`"d` + string(rune('0'+n)) + `":{}}}`)
	return b.String()
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/x"},"$ref":{"type":"string"}},"$defs":{"x":{"type":"string"}}}`: "",
		`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}`:                                              "",
		`{"type":"object","properties":{"a":{"enum":[{"$ref":"http://x"}]}}}`:                                                "",
		`{"type":"string"}`: "not that of an object",
		`null`:              "not that of an object",
		`{"type":"object","properties":{"a":{"$ref":"https://evil.example/s.json"}}}`:                            "other than its own",
		`{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`:                                     "other than its own",
		`{"type":"object","properties":{"a":{"$ref":"#/properties/a"}}}`:                                         "other than its own",
		`{"type":"object","properties":{"a":{"$ref":"#"}}}`:                                                      "other than its own",
		`{"type":"object","$id":"https://evil.example/"}`:                                                        "$id",
		`{"type":"object","allOf":[{"$dynamicRef":"#x"}]}`:                                                       "$dynamicRef",
		`{"type":"object","$schema":"https://evil.example/meta"}`:                                                "not known",
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"items":{"$ref":"#/$defs/x"}}}}`: "refers to itself",
		`{"type":"object","properties":{"a\u200b":{}}}`:                                                          "hidden characters",
		`{"type":"object","properties":{"a":{"pattern":"("}}}`:                                                   "not a valid",
		`{"type":"object","properties":{"a":{"type":"no such type"}}}`:                                           "not a valid",
		`{"type":"object","x":` + strings.Repeat(`{"x":`, 40) + `1` + strings.Repeat(`}`, 41):                    "too deep",
		`{"type":"object","description":"` + strings.Repeat("x", maxSchema) + `"}`:                               "more than",
		doubling(20): "too large",
	} {
		var schema any
		if err := json.Unmarshal([]byte(text), &schema); err != nil {
			t.Fatalf("%.100s: %v", text, err)
		}
		_, err := usable(schema)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%.200s: %v, want %q", text, err, says)
		}
	}
}

func TestSchemaIsCleaned(t *testing.T) {
	t.Parallel()
	raw, err := usable(map[string]any{"type": "object", "description": "a\u200bb\x1b[31m", "properties": map[string]any{"x": map[string]any{"title": "\U000e0041"}}})
	if err != nil || string(raw) != `{"description":"ab","properties":{"x":{"title":""}},"type":"object"}` {
		t.Errorf("%s, %v", raw, err)
	}
}

// Whatever passes can be used on whatever a model sends, without a panic.
func FuzzSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":["string","null"],"pattern":"^a"}}}`, `{"a":1}`)
	f.Add(doubling(3), `{}`)
	f.Fuzz(func(t *testing.T, text, args string) {
		var schema any
		if json.Unmarshal([]byte(text), &schema) != nil {
			return
		}
		raw, err := usable(schema)
		if err != nil {
			return
		}
		if tool.Clean(string(raw)) != string(raw) {
			t.Errorf("hidden characters in %q", raw)
		}
		_, _ = tool.ParseArgs(tool.Spec{Name: "x", Schema: raw}, args)
	})
}

// What passes is within the bounds and says nothing secret.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"mcpServers":{"a":{"command":"x","env":{"A_TOKEN":"${A}"},"effects":{"*":"read"}}}}`))
	f.Add([]byte(`{"mcpServers":{"a":{"url":"https://e/x","headers":{"A":"b${C}d"},"allow":["10.0.0.0/8"],"pin":{"t":"sha256:0"}}}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		servers, err := Parse(file)
		if err != nil {
			if !mgx.IsCode(err, CodeBadConfig) || tool.Clean(err.Error()) != err.Error() {
				t.Errorf("a bad error: %q", err)
			}
			return
		}
		for _, s := range servers {
			if (s.Command == "") == (s.URL == "") || strings.Contains(toolName(s.Name, "x"), "__"+"__") {
				t.Errorf("passed: %+v", s)
			}
			for name, v := range s.Env {
				if refs, err := references(v); err != nil || secretName(name) && len(refs) == 0 {
					t.Errorf("passed: %+v", s)
				}
			}
		}
	})
}

func FuzzLock(f *testing.F) {
	f.Add([]byte(`{"about":"","pins":{"a":{"b":{"pin":"sha256:","description":"","schema":{}}}}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		lock, err := ParseLock(file)
		if err != nil {
			return
		}
		again, err := lock.Encode()
		if err != nil {
			t.Skip("a schema that is no JSON was left out")
		}
		if back, err := ParseLock(again); err != nil || len(back) != len(lock) {
			t.Errorf("does not survive: %v", err)
		}
	})
}
