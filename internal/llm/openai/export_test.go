package openai

import "mgx/internal/llm"

// Connect is New with quirks of choice.
func Connect(o Options, quirks func(model string) Quirks) llm.Provider {
	o.BaseURL = withVersion(o.BaseURL)
	return newProvider(o, quirks, "Authorization", "Bearer ", plainPath)
}
