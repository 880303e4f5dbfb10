package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"mgx/internal/llm"
)

// wide are requests of each dialect that hold what providers charge for, known
// here or not. The data of pictures and pages is DATA.
var wide = map[dialect]string{
	chat{}: `{"model":"chat/m1","max_tokens":10,"messages":[
		{"role":"system","content":"s","name":"n"},
		{"role":"user","name":"n","content":[{"type":"text","text":"t","note":"x"},
			{"type":"image_url","image_url":{"url":"data:image/png;base64,DATA","detail":"low","note":"x"}},{"type":"image_url","image_url":{"url":"https://example.com/a"}},
			{"type":"file","file":{"filename":"f","file_data":"data:application/pdf;base64,DATA"}},{"type":"file","file":{"file_data":"data:text/plain;base64,eHg="}},{"type":"other","other":{"text":"t"}}]},
		{"role":"assistant","content":"c","refusal":"r","reasoning":"r","reasoning_content":"r","reasoning_details":[{"type":"reasoning.text","text":"t"}],
			"function_call":{"name":"f","arguments":"{}"},"tool_calls":[{"id":"i","type":"function","function":{"name":"f","arguments":"{}","note":"x"}},{"id":"j","type":"custom","custom":{"name":"c","input":"i"}}]},
		{"role":"tool","tool_call_id":"i","content":"c"},
		{"role":"function","name":"f","content":"c"},
		{"role":"user","content":"more","unheard":{"of":["x"]}}],
		"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"description":"d"}}},"note":"x"}},{"type":"custom","custom":{"name":"c","description":"d"}}],
		"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}},
		"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{"type":"object","description":"d"}}},
		"functions":[{"name":"g","description":"d"}],"unheard":{"of":"x"},"metadata":{"k":"v"}}`,
	messages{}: `{"model":"claude/m1","max_tokens":10,"system":[{"type":"text","text":"s","note":"x","cache_control":{"type":"ephemeral"}}],"messages":[
		{"role":"user","content":[{"type":"text","text":"t","citations":{"note":"x"}},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"DATA"},"note":"x"},
			{"type":"document","title":"t","context":"c","source":{"type":"text","media_type":"text/plain","data":"d"}},{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"DATA"}},
			{"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"t"}]}]},
		{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"tool_use","id":"i","name":"f","input":{"a":"b"},"note":"x"}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"i","content":[{"type":"text","text":"t","note":"x"}]}],"unheard":"x"}],
		"tools":[{"name":"f","description":"d","input_schema":{"type":"object","description":"d"},"input_examples":[{"a":"b"}]},{"type":"bash_20250124","name":"bash","note":"x"}],
		"tool_choice":{"type":"auto","note":"x"},"output_config":{"format":{"type":"json_schema","schema":{"type":"object","description":"d"}},"note":"x"},"unheard":"x"}`,
	responses{}: `{"model":"resp/m1","max_output_tokens":10,"instructions":"i","input":[
		{"role":"user","content":[{"type":"input_text","text":"t","note":"x"},{"type":"input_image","image_url":"data:image/png;base64,DATA","detail":"low"},{"type":"input_file","filename":"f","file_data":"d"}]},
		{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"e"},
		{"type":"function_call","call_id":"i","name":"f","arguments":"{}","note":"x"},{"type":"function_call_output","call_id":"i","output":"o"},
		{"type":"custom_tool_call","call_id":"k","name":"c","input":"i"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"t","annotations":[{"note":"x"}]}]}],
		"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"note":"x"},{"type":"custom","name":"c","description":"d","format":{"type":"grammar","definition":"d"}}],
		"tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"f"}]},"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","description":"d"}},"note":"x"},"unheard":["x"]}`,
}

// boundOf is the most that a request's prompt may count, as money is set aside for
// it.
func boundOf(d dialect, v any) (int64, error) {
	c, err := decode(d, llm.MarshalWire(v))
	if err != nil {
		return 0, err
	}
	c.aim(Model{Name: c.req.Model}, nil)
	return llm.PromptBound(&c.req), nil
}

// grown calls f for a value again and again, each time with another of its texts
// grown by n bytes. It goes through v and leaves it as it was.
func grown(v any, path string, n int, f func(path, text string)) {
	each := func(path, text string, set func(string)) {
		set(text + strings.Repeat("x", n))
		f(path, text)
		set(text)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if text, ok := v[k].(string); ok {
				each(path+"."+k, text, func(s string) { v[k] = s })
			} else {
				grown(v[k], path+"."+k, n, f)
			}
		}
	case []any:
		for i := range v {
			if text, ok := v[i].(string); ok {
				each(path, text, func(s string) { v[i] = s })
			} else {
				grown(v[i], fmt.Sprintf("%s[%d]", path, i), n, f)
			}
		}
	}
}

// Whatever text of a request grows, money is set aside for it, or it is refused;
// but for the data of pictures and pages, which count otherwise.
func TestEveryTextCounts(t *testing.T) {
	t.Parallel()
	const more = 10_000
	for d, body := range wide {
		t.Run(d.name(), func(t *testing.T) {
			t.Parallel()
			var v any
			if err := json.Unmarshal([]byte(body), &v); err != nil {
				t.Fatal(err)
			}
			before, err := boundOf(d, v)
			if err != nil {
				t.Fatal(err)
			}
			texts, data := 0, 0
			grown(v, "", more, func(path, text string) {
				after, err := boundOf(d, v)
				least := before + more
				if strings.HasSuffix(path, ".type") { // it was something else before
					least = more
				}
				switch {
				case strings.HasSuffix(text, "DATA") && after == before:
					data++
				case err == nil && after < least:
					t.Errorf("%s %q: %d more bytes count %d", path, text, more, after-before)
				case err == nil:
					texts++
				}
			})
			if texts < 20 || data == 0 {
				t.Errorf("%d texts and %d pictures were taken", texts, data)
			}
		})
	}
}
