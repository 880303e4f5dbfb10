package anthropic

import (
	"encoding/json"
	"reflect"
	"testing"
)

var shortEvents = []string{
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello\n\u00e9"}}`,
	`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\": 1"},"more":[{"x":null}]}`,
	`{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"hm"}}`,
	`{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"s","text":null,"stop_reason":null}}`,
}

var longEvents = []string{
	`{"type":"ping"}`, `{"type":"message_stop"}`, `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"},"error":{"message":"x"}}`,
	`{"type":"content_block_delta","type":"content_block_delta"}`, `{"type":"content_block_delta","delta":{"text":"a","text":null}}`,
	`{"type":"content_block_delta","delta":null}`, `{"type":"content_block_delta","index":1.5}`, `{"type":"content_block_delta","Delta":{}}`,
	`{"type":"content_block_delta"`, `{"type":"content_block_delta"} x`, `[]`, ``,
}

// FuzzShort: what the short way takes, encoding/json takes for the same.
func FuzzShort(f *testing.F) {
	for _, s := range append(shortEvents, longEvents...) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want wireEvent
		got.short([]byte(shortEvents[1])) // whatever came before
		if !got.short(data) {
			return
		}
		if err := json.Unmarshal(data, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, and should be %+v, %v", data, got, want, err)
		}
	})
}

// TestWhatGoesTheShortWay: pieces of blocks do, and only they.
func TestWhatGoesTheShortWay(t *testing.T) {
	t.Parallel()
	var in wireEvent
	for _, s := range shortEvents {
		if !in.short([]byte(s)) {
			t.Errorf("%s goes the long way", s)
		}
	}
	for _, s := range longEvents {
		if in.short([]byte(s)) {
			t.Errorf("%s goes the short way", s)
		}
	}
}
