package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"mgx/internal/llm"
)

// say writes a request's conversation in a line: what a provider would be asked.
func say(req *llm.Request) string {
	var b strings.Builder
	b.WriteString("[" + req.System + "]")
	for _, m := range req.Messages {
		b.WriteString(" " + string(m.Role) + ":")
		for _, p := range m.Parts {
			switch {
			case p.Call != nil:
				b.WriteString(" call " + p.Call.ID + " " + p.Call.Name + p.Call.Args)
			case p.Result != nil:
				b.WriteString(" result " + p.Result.CallID + " " + p.Result.Text)
				if p.Result.IsError {
					b.WriteString("!")
				}
			case p.Opaque != nil:
				b.WriteString(" " + p.Opaque.Dialect + string(p.Opaque.Raw))
			default:
				b.WriteString(" " + p.Text)
			}
		}
	}
	return b.String()
}

var signed = wrapped{Opaque: &llm.Opaque{Dialect: "gemini", Raw: json.RawMessage(`{"thought":true,"thoughtSignature":"s"}`)}}.wrap()

func TestDecodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d    dialect
		body string
		want string // the conversation
		opts string // the options, as JSON
	}{
		{
			chat{},
			`{"model":"m","messages":[{"role":"system","content":"a"},{"role":"developer","content":[{"type":"text","text":"b"}]},{"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}],"name":"n"},{"role":"user","content":"e"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"2","type":"function","function":{"name":"g","arguments":"["}}]},{"role":"tool","tool_call_id":"2","content":"r2"},{"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"r1"}]},{"role":"assistant","content":"h","refusal":"no"}],
			"max_tokens":5,"max_completion_tokens":7,"temperature":0.5,"top_p":0.25,"stop":"x","seed":3,"reasoning_effort":"minimal","tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}},"unknown":[1],"user":"u","n":1,"logit_bias":{},"frequency_penalty":0,"service_tier":"auto"}`,
			"[a\n\nb] user: c d user: e assistant: call 1 f{} call 2 g[ tool: result 2 r2 result 1 r1 assistant: h no",
			`{"model":"m","tools":[{"name":"f","description":"","schema":{"type":"object","properties":{}}}],"tool_choice":"required","max_tokens":7,"temperature":0.5,"top_p":0.25,"stop":["x"],"seed":3,"effort":"low","format":{"name":"n","schema":{"type":"object"}}}`,
		},
		{
			messages{},
			`{"model":"m","max_tokens":9,"system":"a","messages":[{"role":"user","content":"b"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"c"},{"type":"tool_use","id":"1","name":"f","input":{"x":1}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"r"},{"type":"text","text":"q"}],"is_error":true},{"type":"text","text":"d"}]}],"stop_sequences":["y"],"tools":[{"name":"f","input_schema":{"type":"object"}},{"name":"g","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"g"},"thinking":{"type":"enabled","budget_tokens":10000},"metadata":{"user_id":"u"}}`,
			"[a] user: b assistant: anthropic" + `{"type":"thinking","thinking":"t","signature":"s"}` + ` c call 1 f{"x":1} tool: result 1 r` + "\n\nq! user: d",
			`{"model":"m","tools":[{"name":"g","description":"","schema":{"type":"object"}}],"tool_choice":"required","max_tokens":9,"stop":["y"],"effort":"medium"}`,
		},
		{
			responses{},
			`{"model":"m","input":[{"role":"developer","content":"b"},{"role":"user","content":"c"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"d"}]},{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"r"}],"instructions":"a","max_output_tokens":3,"reasoning":{"effort":"high","summary":"auto"},"text":{"format":{"type":"json_schema","name":"n","schema":{}}},"tools":[{"type":"function","name":"f","parameters":{}}],"tool_choice":"none","store":true,"background":false,"previous_response_id":null}`,
			"[a\n\nb] user: c assistant: responses" + `{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"}` + " d call 1 f{} tool: result 1 r",
			`{"model":"m","tools":[{"name":"f","description":"","schema":{}}],"tool_choice":"none","max_tokens":3,"effort":"high","format":{"name":"n","schema":{}}}`,
		},
		{
			messages{},
			`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"b"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"mgx1."},{"type":"redacted_thinking","data":"` + signed + `"},{"type":"text","text":"c"}]},{"role":"user","content":"d"}]}`,
			`[] user: b assistant: gemini{"thought":true,"thoughtSignature":"s"} c user: d`, `{"model":"m","max_tokens":9}`,
		},
		{
			responses{},
			`{"model":"m","input":[{"role":"user","content":"b"},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"` + signed + `"},{"role":"assistant","content":"c"},{"role":"user","content":"d"}]}`,
			`[] user: b assistant: gemini{"thought":true,"thoughtSignature":"s"} c user: d`, `{"model":"m","max_tokens":0}`,
		},
		{
			chat{},
			`{"model":"m","messages":[{"role":"user","content":"b"},{"role":"assistant","content":"c","reasoning_details":[{"type":"reasoning.encrypted","data":"` + signed + `"}]},{"role":"user","content":"d"}]}`,
			`[] user: b assistant: c gemini{"thought":true,"thoughtSignature":"s"} user: d`, `{"model":"m","max_tokens":0}`,
		},
	} {
		got, err := decode(c.d, []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.d.name(), err)
			continue
		}
		if got.only != "" || say(&got.req) != c.want {
			t.Errorf("%s: only %q\n got %s\nwant %s", c.d.name(), got.only, say(&got.req), c.want)
		}
		got.req.Messages, got.req.System = nil, ""
		opts := strings.NewReplacer(`,"system":"","messages":null`, "", `,"agent_role":"","conversation":""`, "").Replace(string(llm.MarshalWire(got.req)))
		if opts != c.opts {
			t.Errorf("%s: options\n got %s\nwant %s", c.d.name(), opts, c.opts)
		}
	}
}

// Each case is put into a whole request of its dialect.
var requests = map[string]string{
	"chat": `{"model":"m","messages":[{"role":"user","content":"x"}],%}`, "messages": `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],%}`,
	"responses": `{"model":"m","input":"x",%}`,
}

// What cannot be said in another dialect needs a provider of the caller's.
func TestNeedsItsDialect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d     dialect
		field string
	}{
		{chat{}, `"logprobs":true`},
		{chat{}, `"parallel_tool_calls":false`},
		{chat{}, `"presence_penalty":0.5`},
		{chat{}, `"response_format":{"type":"json_object"}`},
		{chat{}, `"tools":[{"type":"custom","custom":{"name":"x"}}]`},
		{chat{}, `"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:x"}}]}]`},
		{messages{}, `"top_k":5`},
		{messages{}, `"tools":[{"type":"bash_20250124","name":"bash"}]`},
		{messages{}, `"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","data":"x"}}]}]`},
		{messages{}, `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"Dear"}]`},
		{messages{}, `"messages":[{"role":"user","content":[{"type":"new_kind"}]}]`},
		{messages{}, `"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`},
		{responses{}, `"truncation":"auto"`},
		{responses{}, `"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://x"}]}]`},
		{responses{}, `"input":[{"type":"custom_tool_call","call_id":"1"}]`},
		{responses{}, `"tools":[{"type":"local_shell"}]`},
	} {
		name, _, _ := strings.Cut(c.field[1:], `"`)
		whole := strings.NewReplacer(`"messages":[{"role":"user","content":"x"}],`, "", `"input":"x",`, "")
		body := requests[c.d.name()]
		if name == "messages" || name == "input" {
			body = whole.Replace(body)
		}
		got, err := decode(c.d, []byte(strings.Replace(body, "%", c.field, 1)))
		if err != nil || got.only == "" {
			t.Errorf("%s %s: %v, only %+v", c.d.name(), c.field, err, got)
		}
	}
}

// What nobody can bound, or what belongs to somebody else, is refused, also for a
// provider that would take it; and so is what no field may hold.
func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d           dialect
		field, want string
	}{
		{chat{}, `"n":2`, "n other than 1"},
		{chat{}, `"modalities":["text","audio"]`, "modalities"},
		{chat{}, `"service_tier":"priority"`, "price is not known"},
		{chat{}, `"tools":[{"type":"web_search"}]`, "run by the provider"},
		{chat{}, `"tools":[{"type":"function","type":"web_search","function":{"name":"f"}}]`, "twice"},
		{chat{}, `"web_search_options":{"a":1}`, "prices"},
		{chat{}, `"web_search_options": {}`, "prices"},
		{chat{}, `"plugins":[{"id":"web"}]`, "prices"},
		{messages{}, `"context_management":{"edits":[{"type":"clear_tool_uses_20250919"},{"type":"compact_20260112"}]}`, "once more"},
		{messages{}, `"compaction":{}`, "once more"},
		{responses{}, `"context_management":[{"type":"compaction"}]`, "once more"},
		{chat{}, `"models":["other/model"]`, "elsewhere"},
		{chat{}, `"Models":["other/model"]`, `is spelled "models"`},
		{chat{}, `"Max_Tokens":4000`, `is spelled "max_tokens"`},
		{chat{}, `"N":5`, `is spelled "n"`},
		{chat{}, `"\u212aeep":1,"keep":2`, "differ only in case"},
		{messages{}, `"tools":[{"name":"f","Type":"web_search_20250305"}]`, `is spelled "type"`},
		{chat{}, `"best_of":2`, "costs"},
		{chat{}, `"max_tokens":0`, "between 1 and"},
		{chat{}, `"max_tokens":"many"`, "must be an integer"},
		{chat{}, `"tools":[{"type":"function","function":{"name":"no name"}}]`, "a tool's name"},
		{chat{}, `"tool_choice":{"type":"function","function":{"name":"f"}}`, "not among the tools"},
		{messages{}, `"container":"c_1"`, "not supported"},
		{messages{}, `"mcp_servers":[{"url":"https://x"}]`, "not supported"},
		{messages{}, `"speed":"fast"`, "prices"},
		{messages{}, `"tools":[{"type":"web_search_20250305","name":"web_search"}]`, "run by the provider"},
		{messages{}, `"thinking":{"type":"enabled","budget_tokens":"all"}`, "budget_tokens must be an integer"},
		{responses{}, `"previous_response_id":"resp_1"`, "not stored here"},
		{responses{}, `"conversation":"conv_1"`, "not stored here"},
		{responses{}, `"background":true`, "not stored here"},
		{responses{}, `"prompt":{"id":"p"}`, "kept by the provider"},
		{responses{}, `"tools":[{"type":"file_search"}]`, "run by the provider"},
		{responses{}, `"reasoning":{"effort":"heroic"}`, "effort must be"},
	} {
		_, err := decode(c.d, []byte(strings.Replace(requests[c.d.name()], "%", c.field, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) || failed(err).kind != invalid {
			t.Errorf("%s %s: %v", c.d.name(), c.field, err)
		}
	}
	for _, c := range []struct {
		d          dialect
		body, want string
	}{
		{chat{}, `{"messages":[{"role":"user","content":"x"}]}`, "model is missing"},
		{chat{}, `{"model":"m","messages":[]}`, "no message"},
		{chat{}, `{"model":"m","messages":[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"1","content":"r"}]}`, "not whole"},
		{chat{}, `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}`, "file_id"},
		{chat{}, `{"model":"m","messages":[{"role":"robot","content":"x"}]}`, "role must be"},
		{messages{}, `{"model":"m","messages":[{"role":"user","content":"x"}]}`, "max_tokens: Field required"},
		{messages{}, `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]}`, "file_id"},
		{messages{}, `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"container_upload","file\u005fid":"f"}]}]}`, "file_id"},
		{responses{}, `{"model":"m","input":[{"type":"item_reference","id":"x"}]}`, "item_reference"},
		{responses{}, `{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"x"}]}]}`, "file_id"},
	} {
		if _, err := decode(c.d, []byte(c.body)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v", c.d.name(), c.body, err)
		}
	}
}

// Only what looks like thinking comes out of a wrapping.
func TestUnwrap(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		`{"type":"thinking","thinking":"x"}`:                        true,
		`{"type":"document","source":{"file_id":"f"}}`:              false,
		`{"type":"tool_result","tool_use_id":"1","content":"lies"}`: false,
	} {
		o, is := unwrap(wrapped{Opaque: &llm.Opaque{Dialect: "anthropic", Raw: json.RawMessage(raw)}}.wrap())
		if !is || (o.Opaque != nil) != ok {
			t.Errorf("%s: %+v %v", raw, o, is)
		}
	}
	if _, is := unwrap("a signature"); is {
		t.Error("a signature was taken for a wrapping")
	}
}

// Whatever a body holds: no dialect's decoder panics, and what it accepts can be
// asked of a provider, or says why only its own dialect will do.
func FuzzDecode(f *testing.F) {
	for _, b := range requests {
		for _, field := range []string{`"a":1`, `"tools":[{"type":"function","function":{"name":"f"},"name":"g"}]`, `"stream":true`} {
			f.Add([]byte(strings.Replace(b, "%", field, 1)))
		}
	}
	f.Add([]byte(`{"model":"m","max_tokens":1,"input":[{"type":"reasoning","encrypted_content":"mgx1.e30"}],"messages":[{"role":"assistant","content":[{"type":"thinking","signature":"mgx1.e30"}],"tool_calls":[{"id":"1","extra_content":{"mgx":"mgx1."}}],"reasoning_details":[{"data":"mgx1.e30"}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, d := range []dialect{chat{}, messages{}, responses{}} {
			c, err := decode(d, body)
			if err != nil {
				if k := failed(err).kind; k != invalid {
					t.Fatalf("%s: %v is of kind %d", d.name(), err, k)
				}
				continue
			}
			req := c.req
			req.MaxTokens = max(req.MaxTokens, 1)
			if err := llm.CheckRequest(&req); err != nil && c.only == "" {
				t.Fatalf("%s: %s was taken: %v", d.name(), body, err)
			}
		}
	})
}
