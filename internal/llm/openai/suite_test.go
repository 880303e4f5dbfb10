package openai_test

import (
	"net/http/httptest"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
	"mgx/internal/llm/llmtest/suite"
	"mgx/internal/llm/openai"
)

func TestMain(m *testing.M) { suite.Main(m) }

func connect(baseURL, key string) llm.Provider {
	return openai.New(openai.Options{Name: "tested", BaseURL: baseURL, APIKey: key, KeySetting: "TESTED_API_KEY"})
}

var wire = suite.Wire{Connect: connect, Refuses: llm.FinishRefusal, Filters: llm.FinishFilter}

func TestConforms(t *testing.T) {
	t.Parallel()
	suite.Run(t, func(t *testing.T, script llmtest.Script) llm.Provider {
		server := httptest.NewServer(&llmtest.Server{Provider: llmtest.NewScripted(script), Key: suite.Key})
		t.Cleanup(server.Close)
		return connect(server.URL, suite.Key)
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	suite.RunFaults(t, wire)
}

func TestRouter(t *testing.T) {
	t.Parallel()
	suite.RunRouter(t, wire)
}

// The same for Responses.

func connectResponses(baseURL, key string) llm.Provider {
	return openai.NewResponses(openai.Options{Name: "tested", BaseURL: baseURL, APIKey: key, KeySetting: "TESTED_API_KEY"})
}

var wireResponses = suite.Wire{Connect: connectResponses, Starts: true, Refuses: llm.FinishRefusal, Filters: llm.FinishFilter}

func TestResponsesConforms(t *testing.T) {
	t.Parallel()
	suite.Run(t, func(t *testing.T, script llmtest.Script) llm.Provider {
		server := httptest.NewServer(&llmtest.Server{Provider: llmtest.NewScripted(script), Key: suite.Key})
		t.Cleanup(server.Close)
		return connectResponses(server.URL, suite.Key)
	})
}

func TestResponsesFaults(t *testing.T) {
	t.Parallel()
	suite.RunFaults(t, wireResponses)
}

func TestResponsesRouter(t *testing.T) {
	t.Parallel()
	suite.RunRouter(t, wireResponses)
}
