package gemini_test

import (
	"net/http/httptest"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/gemini"
	"mgx/internal/llm/llmtest"
	"mgx/internal/llm/llmtest/suite"
)

func TestMain(m *testing.M) { suite.Main(m) }

func connect(baseURL, key string) llm.Provider {
	return gemini.New(gemini.Options{Name: "tested", BaseURL: baseURL, APIKey: key, KeySetting: "TESTED_API_KEY"})
}

var wire = suite.Wire{Connect: connect, Refuses: llm.FinishFilter, Filters: llm.FinishFilter}

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
