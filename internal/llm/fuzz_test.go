package llm

import "testing"

// FuzzClassify: no body of an error makes more of it than one clean line.
func FuzzClassify(f *testing.F) {
	f.Add(429, []byte(`{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"1s"}]}}`))
	f.Add(400, []byte(`[{"error":"text"}]`))
	f.Add(0, []byte(`{"type":"error","error":{"type":"overloaded_error","message":"x"}}`))
	f.Add(404, []byte("plain"))
	f.Fuzz(func(t *testing.T, status int, raw []byte) {
		body := ParseError(raw)
		fault, noModel := Classify(status, body)
		if fault == "" || (noModel && fault != FaultRequest) || body.retryDelay() < 0 {
			t.Fatalf("fault %q, no model %v, wait %s", fault, noModel, body.retryDelay())
		}
		if said := Clean(body.Message); len(said) > maxMessage {
			t.Fatalf("%d bytes", len(said))
		}
	})
}
