package suite

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"testing"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
)

// Doc is a JSON object.
type Doc = map[string]any

// CheckRequests compares what a provider sends with the recorded requests of the
// same conversations, field by field. complete adds to a request what only the
// recorded one tells; normal writes in one way what may be said in several.
func CheckRequests(t *testing.T, pattern string, connect Connect, complete func(*llm.Request, Doc), normal func(Doc)) {
	seen := 0
	for name, exchanges := range Cassettes(t, pattern) {
		for _, e := range exchanges {
			u, err := url.Parse(e.URL)
			if err != nil {
				t.Fatal(err)
			}
			req, err := llmtest.ParseRequest(u.Path, []byte(e.Request))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := parse(t, e.Request)
			if req.MaxTokens == 0 { // some recordings leave it to the provider, we never do
				req.MaxTokens = 1
			}
			complete(req, want)
			got := parse(t, Sent(t, connect, req))
			normal(want)
			normal(got)
			seen++
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: sent\n%s\nrecorded\n%s", name, llm.MarshalWire(got), llm.MarshalWire(want))
			}
		}
	}
	if seen == 0 {
		t.Error("no request was compared")
	}
}

func parse(t *testing.T, text string) Doc {
	t.Helper()
	var out Doc
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return out
}

// Sent is the body that a provider sends for a request.
func Sent(t *testing.T, connect Connect, req *llm.Request) string {
	t.Helper()
	var sent []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	err := fail(t, connect(server.URL, Key), req)
	if sent == nil {
		t.Fatalf("nothing was sent: %v", err)
	}
	return string(sent)
}

// Each visits every object in a document, the outermost first.
func Each(v any, visit func(Doc)) {
	switch v := v.(type) {
	case Doc:
		visit(v)
		for _, sub := range v {
			Each(sub, visit)
		}
	case []any:
		for _, sub := range v {
			Each(sub, visit)
		}
	}
}
