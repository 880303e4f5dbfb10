package openai_test

import (
	"net/http"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest/suite"
	"mgx/internal/llm/openai"
)

func FuzzChat(f *testing.F) {
	suite.RunFuzz(f, func(c *http.Client) llm.Provider {
		return openai.New(openai.Options{Client: c, BaseURL: "https://openrouter.ai/api/v1"})
	}, "finish_reason",
		"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\",\"reasoning\":\"hm\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"hm\",\"index\":0}]},\"finish_reason\":null}]}\n\n"+
			"data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"add\",\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n"+
			"data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"2}\"},\"extra_content\":{\"google\":{\"thought_signature\":\"s\"}}}]}}]}\n\n"+
			"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"+
			"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\ndata: [DONE]\n\n",
		`{"model":"m","choices":[{"index":0,"message":{"content":"Hi","refusal":null,"tool_calls":[{"id":"a","function":{"name":"t","arguments":{"p":1}}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}`,
		": OPENROUTER PROCESSING\n\ndata: {\"error\":{\"code\":502,\"message\":\"Provider returned error\",\"metadata\":{\"provider_name\":\"x\"}},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n")
}

func FuzzResponses(f *testing.F) {
	suite.RunFuzz(f, func(c *http.Client) llm.Provider {
		return openai.NewResponses(openai.Options{Client: c, BaseURL: "http://x"})
	}, "status",
		"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\",\"status\":\"in_progress\",\"output\":[],\"usage\":null}}\n\n"+
			"data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"rs\",\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"g\"}}\n\n"+
			"data: {\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":0,\"summary_index\":0,\"delta\":\"hm\"}\n\n"+
			"data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"rs\",\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"}],\"encrypted_content\":\"g\"}}\n\n"+
			"data: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"id\":\"fc\",\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"add\",\"arguments\":\"\"}}\n\n"+
			"data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":1,\"delta\":\"{}\"}\n\n"+
			"data: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"id\":\"fc\",\"type\":\"function_call\",\"status\":\"completed\",\"call_id\":\"c\",\"name\":\"add\",\"arguments\":\"{}\"}}\n\n"+
			"data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":3,\"output_tokens_details\":{\"reasoning_tokens\":1}}}}\n\n",
		`{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":"message","id":"m","phase":"commentary","content":[{"type":"output_text","text":"Hi"},{"type":"refusal","refusal":"no"}]}],"usage":{"input_tokens":1}}`,
		"data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"x\"}}}\n\n")
}
