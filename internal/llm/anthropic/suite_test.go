package anthropic_test

import (
	"net/http/httptest"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/anthropic"
	"mgx/internal/llm/llmtest"
	"mgx/internal/llm/llmtest/suite"
)

const testKey = "sk-test-0123456789"

func serve(t *testing.T, s *llmtest.Server) llm.Provider {
	s.Key = testKey
	http := httptest.NewServer(s)
	t.Cleanup(http.Close)
	return anthropic.New(anthropic.Options{Name: "compat", BaseURL: http.URL, APIKey: testKey, KeySetting: "COMPAT_API_KEY"})
}

func TestConforms(t *testing.T) {
	t.Parallel()
	suite.Run(t, func(t *testing.T, script llmtest.Script) llm.Provider {
		return serve(t, &llmtest.Server{Provider: llmtest.NewScripted(script)})
	})
}
