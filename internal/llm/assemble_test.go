package llm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func history(ids ...string) *Request {
	req := &Request{}
	for _, id := range ids {
		req.Messages = append(req.Messages, Message{Role: Assistant, Parts: []Part{{Call: &ToolCall{ID: id}}}})
	}
	return req
}

func TestCallIDsArePresentAndUnique(t *testing.T) {
	t.Parallel()
	c := NewCalls(history("x", "call00001"))
	for i, id := range []string{"", "x", "y", "y", ""} {
		if _, show, err := c.Piece(fmt.Sprint(i), id, "t", "{}"); err != nil || show.ToolName != "t" || show.ToolArgs != "{}" {
			t.Fatal(show, err)
		}
	}
	seen := map[string]bool{"x": true, "call00001": true}
	for i, call := range c.Finish() {
		if call.ID == "" || seen[call.ID] {
			t.Errorf("call %d has id %q", i, call.ID)
		}
		seen[call.ID] = true
	}
	if !seen["y"] {
		t.Error("an id that was fine was replaced")
	}
}

func TestOneIndexForAllCalls(t *testing.T) {
	t.Parallel()
	c := NewCalls(nil)
	c.Piece("0", "a", "read", `{"p`)
	c.Piece("0", "a", "", `":1}`) // the id again, as some servers send it
	c.Piece("0", "b", "list", `{}`)
	got := c.Finish()
	if len(got) != 2 || got[0].Args != `{"p":1}` || got[1].Name != "list" || got[1].Args != `{}` {
		t.Errorf("got %+v", got)
	}
}

func TestTooManyCalls(t *testing.T) {
	t.Parallel()
	c := NewCalls(nil)
	var err error
	for i := 0; err == nil && i < 2000; i++ {
		_, _, err = c.Piece(fmt.Sprint(i), "", "t", "")
	}
	if !errors.Is(err, ErrTooLarge) || c.Len() != 1000 {
		t.Errorf("%d calls, %v", c.Len(), err)
	}
}

// FuzzCalls: however the arguments of two calls are cut and interleaved, they
// come out whole.
func FuzzCalls(f *testing.F) {
	f.Add(`{"path":"a"}`, `{"text":"\u00fc"}`, uint64(1))
	f.Add("", "x", uint64(2))
	f.Fuzz(func(t *testing.T, a, b string, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		c := NewCalls(nil)
		left := []string{a, b}
		for i := range left {
			c.Piece(fmt.Sprint(i), "", strings.Repeat("n", i+1), "")
		}
		for left[0]+left[1] != "" {
			i := rng.IntN(2)
			n := rng.IntN(len(left[i]) + 1)
			c.Piece(fmt.Sprint(i), "", "", left[i][:n])
			left[i] = left[i][n:]
		}
		got := c.Finish()
		if len(got) != 2 || got[0].Args != a || got[1].Args != b || got[0].ID == got[1].ID {
			t.Fatalf("got %+v from %q and %q", got, a, b)
		}
	})
}
