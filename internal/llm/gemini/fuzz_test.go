package gemini_test

import (
	"net/http"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/gemini"
	"mgx/internal/llm/llmtest/suite"
)

func FuzzGenerateContent(f *testing.F) {
	suite.RunFuzz(f, func(c *http.Client) llm.Provider { return gemini.New(gemini.Options{Client: c}) }, "reason", // finishReason, or blockReason
		"data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"hm\",\"thought\": true}],\"role\": \"model\"},\"index\": 0}],\"modelVersion\": \"m\"}\r\n\r\n"+
			"data: {\"candidates\": [{\"content\": {\"parts\": [{\"functionCall\": {\"name\": \"add\",\"args\": {\"b\": 3}},\"thoughtSignature\": \"Cl/+=\"},{\"text\": \"Hi\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 9,\"candidatesTokenCount\": 3,\"totalTokenCount\": 20,\"thoughtsTokenCount\": 8}}\r\n\r\n",
		`[{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"x"},{"executableCode":{"code":"1"}}]},"finishReason":"MAX_TOKENS"}],"usageMetadata":{"promptTokenCount":1}}]`,
		"data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n",
		"data: {\"error\":{\"code\":503,\"message\":\"x\",\"status\":\"UNAVAILABLE\"}}\n\n")
}

// FuzzSchema: no schema makes a request that is not JSON, or endless.
func FuzzSchema(f *testing.F) {
	for _, seed := range []string{
		`{"type":"object","properties":{"a":{"type":["string","null"],"format":"uri"},"b":{"$ref":"#/$defs/d"}},"$defs":{"d":{"oneOf":[{"const":1},{"type":"array"}]}}}`,
		`{"allOf":[{"$ref":"#"}],"items":{"enum":["a",1]}}`, `{"$ref":"#/properties/a","properties":{"a":{"$ref":"#"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(gemini.TranslateAny)
}
