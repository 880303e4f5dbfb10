package openai_test

import (
	"encoding/json"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest/suite"
	"mgx/internal/llm/openai"
)

// TestRecordedRequests: for the same conversations we send what was recorded.
func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	azure := func(baseURL, key string) llm.Provider {
		return openai.NewAzure(openai.Options{Name: "tested", BaseURL: baseURL, APIKey: key}, "")
	}
	openRouter := func(baseURL, key string) llm.Provider {
		return openai.Connect(openai.Options{Name: "tested", BaseURL: baseURL, APIKey: key}, openai.QuirksOf("https://openrouter.ai/api/v1"))
	}
	own := func(baseURL, key string) llm.Provider {
		quirks := openai.QuirksOf(openai.DefaultBaseURL)
		return openai.Connect(openai.Options{Name: "tested", BaseURL: baseURL, APIKey: key}, quirks)
	}
	for pattern, connect := range map[string]suite.Connect{
		"TestOpenAICommon/*/*.yaml": own, "TestOpenAIObjectGeneration/*/*.yaml": own,
		"TestAzureCommon/*/*.yaml": azure, "TestAzureThinking/*/*.yaml": azure,
		"TestOpenAICompatible*/*/*.yaml": connect, "TestOpenRouterThinking/*/*.yaml": openRouter,
	} {
		t.Run(pattern, func(t *testing.T) { suite.CheckRequests(t, pattern, connect, completeChat, normalChat) })
	}
	for _, pattern := range []string{"TestOpenAIResponses*/*/*.yaml", "TestAzureResponsesCommon/*/*.yaml"} {
		t.Run(pattern, func(t *testing.T) {
			suite.CheckRequests(t, pattern, connectOwnResponses, completeResponses, normalResponses)
		})
	}
}

func connectOwnResponses(baseURL, key string) llm.Provider {
	quirks := openai.QuirksOf(openai.DefaultBaseURL)
	return openai.Connect(openai.Options{Name: "tested", BaseURL: baseURL, APIKey: key}, func(model string) openai.Quirks {
		q := quirks(model)
		q.Responses = true
		return q
	})
}

// completeChat adds how to think, the form, and the blocks that were kept.
func completeChat(req *llm.Request, recorded suite.Doc) {
	if effort, ok := recorded["reasoning_effort"].(string); ok {
		req.Effort = effort
	}
	if reasoning, ok := recorded["reasoning"].(suite.Doc); ok {
		req.Effort = reasoning["effort"].(string)
	}
	if format, ok := recorded["response_format"].(suite.Doc); ok {
		named := format["json_schema"].(suite.Doc)
		delete(named, "description") // a Format has none; the schema has
		req.Format = &llm.Format{Name: named["name"].(string), Schema: llm.MarshalWire(named["schema"])}
	}
	for i, m := range recorded["messages"].([]any) {
		kept := suite.Doc{}
		for _, name := range []string{"reasoning_details", "reasoning_content"} {
			if v := m.(suite.Doc)[name]; v != nil {
				kept[name] = v
			}
		}
		if len(kept) > 0 {
			if recorded["messages"].([]any)[0].(suite.Doc)["role"] == "system" {
				i--
			}
			at := &req.Messages[i]
			at.Parts = append(at.Parts, llm.Part{Opaque: &llm.Opaque{Dialect: "chat/tested", Raw: llm.MarshalWire(kept)}})
		}
	}
}

// normalChat: what we always say, or never need to.
func normalChat(d suite.Doc) {
	delete(d, "stream")
	delete(d, "stream_options")
	if d["max_tokens"] == nil && d["max_completion_tokens"] == nil {
		d["max_tokens"] = 1.0
	}
	if d["max_tokens"] == nil {
		d["max_tokens"] = d["max_completion_tokens"]
	}
	delete(d, "max_completion_tokens")
	if d["tool_choice"] == "auto" {
		delete(d, "tool_choice")
	}
	suite.Each(d, func(d suite.Doc) {
		if d["strict"] == false {
			delete(d, "strict")
		}
		for name, v := range d {
			if v == nil {
				delete(d, name)
			}
		}
		if d["reasoning_details"] != nil {
			delete(d, "reasoning") // the same once more
		}
		if d["role"] == "developer" {
			d["role"] = "system"
		}
		if args, ok := d["arguments"].(string); ok {
			d["arguments"] = compact(args)
		}
	})
}

func compact(args string) string {
	var v any
	if json.Unmarshal([]byte(args), &v) != nil {
		return args
	}
	return string(llm.MarshalWire(v))
}

func completeResponses(req *llm.Request, recorded suite.Doc) {
	if reasoning, ok := recorded["reasoning"].(suite.Doc); ok {
		req.Effort = reasoning["effort"].(string)
	}
}

// normalResponses: a system prompt is an item or the instructions; a text is a
// text or a list of one; whether to see a summary is not for us to ask.
func normalResponses(d suite.Doc) {
	delete(d, "stream")
	delete(d, "include") // recorded without it where no reasoning was asked for
	if d["max_output_tokens"] == nil {
		d["max_output_tokens"] = 1.0
	}
	if d["tool_choice"] == "auto" {
		delete(d, "tool_choice")
	}
	if reasoning, ok := d["reasoning"].(suite.Doc); ok {
		delete(reasoning, "summary")
	}
	var input []any
	for _, v := range d["input"].([]any) {
		item := v.(suite.Doc)
		if list, ok := item["content"].([]any); ok && len(list) == 1 {
			item["content"] = list[0].(suite.Doc)["text"]
		}
		if item["role"] == "system" || item["role"] == "developer" {
			d["instructions"] = item["content"]
			continue
		}
		if item["type"] == "message" {
			delete(item, "type")
			delete(item, "id")
			delete(item, "status")
		}
		input = append(input, item)
	}
	d["input"] = input
	suite.Each(d, func(d suite.Doc) {
		if args, ok := d["arguments"].(string); ok {
			d["arguments"] = compact(args)
		}
	})
}
