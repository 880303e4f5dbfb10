package llmtest_test

import (
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
	"mgx/internal/llm/llmtest/suite"
)

func TestScriptedConforms(t *testing.T) {
	t.Parallel()
	suite.Run(t, func(_ *testing.T, s llmtest.Script) llm.Provider { return llmtest.NewScripted(s) })
}
