package llm

import (
	"encoding/json"
	"testing"
)

func TestRest(t *testing.T) {
	t.Parallel()
	block := `{"type":"x","text":"hi","sig":"a<&>b","n":1.50,"gone":null,"deep":{"b":1,"a":[null]}}`
	kept := KeepRest("d", json.RawMessage(block), "type", "text")
	rest, ok := kept.Rest()
	if !ok {
		t.Fatalf("%s is not one", kept.Raw)
	}
	type own struct {
		Type string `json:"type"`
		Sig  string `json:"sig,omitempty"`
	}
	if got, want := string(WithRest(own{Type: "x"}, rest)), `{"type":"x","deep":{"b":1,"a":[null]},"n":1.50,"sig":"a<&>b"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := string(WithRest(own{"x", "own"}, rest)), `{"type":"x","sig":"own","deep":{"b":1,"a":[null]},"n":1.50}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := string(WithRest(struct{}{}, rest)), `{"deep":{"b":1,"a":[null]},"n":1.50,"sig":"a<&>b"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// As the journal keeps it, written and read again, it means the same.
	again, err := json.Marshal(kept)
	var back Opaque
	if err != nil || json.Unmarshal(again, &back) != nil {
		t.Fatal(err)
	}
	if rest, ok := back.Rest(); !ok || len(rest) != 3 {
		t.Errorf("after the journal: %s", back.Raw)
	}
	for _, nothing := range []string{`{"type":"x"}`, `[]`, `7`, `{"sig":null}`} {
		if KeepRest("d", json.RawMessage(nothing), "type") != nil {
			t.Errorf("something was kept of %s", nothing)
		}
	}
	if _, ok := (&Opaque{Raw: json.RawMessage(`{"type":"thinking"}`)}).Rest(); ok {
		t.Error("a block is taken for a rest")
	}
}
