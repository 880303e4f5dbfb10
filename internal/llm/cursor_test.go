package llm

import (
	"encoding/json"
	"testing"
)

// seen is what both readers are asked for.
type seenJSON struct {
	Text  string   `json:"text"`
	N     int      `json:"n"`
	List  []string `json:"list"`
	Inner struct {
		Text string `json:"text"`
	} `json:"inner"`
}

func readSeen(data []byte) (out seenJSON, ok bool) {
	c := NewCursor(data)
	names := map[string]bool{}
	for c.Object(); c.Field(); {
		if names[string(c.Name)] {
			c.Fail()
		}
		names[string(c.Name)] = true
		switch string(c.Name) {
		case "text":
			out.Text = c.Text()
		case "n":
			out.N = c.Int()
		case "list":
			if c.Null() {
				continue
			}
			out.List = []string{}
			for c.List(); c.Element(); {
				out.List = append(out.List, c.Text())
			}
		case "inner":
			if c.Null() {
				continue
			}
			inner := false
			for c.Object(); c.Field(); {
				if string(c.Name) != "text" {
					c.Skip()
					continue
				}
				if inner {
					c.Fail()
				}
				out.Inner.Text, inner = c.Text(), true
			}
		default:
			c.Skip()
		}
	}
	return out, c.End()
}

// FuzzCursor: what the cursor accepts, encoding/json accepts and reads the same.
func FuzzCursor(f *testing.F) {
	for _, s := range cursorCases {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { holdCursor(t, data) })
}

var cursorCases = []string{
	`{"text":"a","n":1,"list":["b","c"],"inner":{"text":"d","more":[{},[],true,false,null,-1.5e+3]}}`,
	`{"text":"a\n\"\\\/\b\f\r\t\u00e9\ud83d\ude00é","x":{"A\u0041":"\u12"}}`,
	`{"text":null,"n":null,"list":null,"inner":null}`,
	`{"Text":"a"}`, `{"text":"a","text":"b"}`, `{"te\u0078t":"a"}`, `{"n":1.0}`, `{"n":-1}`, `{"n":01}`, `{"n":99999999999}`,
	`{"text":"a",}`, `{,}`, `{"text"}`, `{"text":}`, `[`, `{"x":tru}`, `{"x":nul`, `{"text":"a"} x`, ` { } `, `{"text":"` + "\xff" + `"}`,
	`{"text":"\`, `{"text":"\u12`, `{"x":"\q"}`, `{"list":["a" "b"]}`, `{"list":[,]}`, `{"inner":{"text":"x"}`, `{"x":.5}`, `{"x":1.}`, `{"x":1e}`, `{"x":-}`,
	`{"ſ":1}`, `{"list":[{}]}`, "{\"text\":\"a\tb\"}",
}

func holdCursor(t *testing.T, data []byte) bool {
	got, ok := readSeen(data)
	if !ok {
		return false
	}
	var want seenJSON
	if err := json.Unmarshal(data, &want); err != nil {
		t.Errorf("it accepts %q: %v", data, err)
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Errorf("%q is %s, and should be %s", data, a, b)
	}
	return true
}

// TestCursorIsAShortCut: ordinary events take it.
func TestCursorIsAShortCut(t *testing.T) {
	t.Parallel()
	for i, s := range append(cursorCases[:3:3], ` { } `, `{"n": 12 , "list" : [ ] }`, `{"text":"\ud83d"}`) {
		if !holdCursor(t, []byte(s)) && i != 1 {
			t.Errorf("%s goes the long way", s)
		}
	}
}
