package llm

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mgx"
)

func TestKeptAnswers(t *testing.T) {
	t.Parallel()
	first := works("first").fake
	cache := NewMemoryCache(1<<20, time.Hour, nil)
	r := NewRouter(Options{
		Providers: []Provider{other{first, "first"}, works("second")}, Prices: (*Prices)(nil).WithUser(testRates),
		State: NewState(StateOptions{Cache: cache}), Keep: Keep{On: true},
	})
	zero := 0.0
	ask := func(change func(*Request)) (hit bool) {
		t.Helper()
		req := testRequest()
		req.Model, req.Temperature, req.Workspace = "first/m", &zero, "ws"
		if change != nil {
			change(req)
		}
		var shown string
		acct := newLedger(0)
		res, err := r.Call(t.Context(), req, acct, func(c Chunk) { shown += c.Text })
		if err != nil {
			t.Fatal(err)
		}
		if shown != res.Response.Message.Parts[0].Text {
			t.Errorf("watchers saw %q", shown)
		}
		if res.Cached && (res.Cost != 0 || res.Attempts != 0 || res.Settlement.ID != "" || res.Response.Usage != (mgx.Usage{}) || len(acct.open) > 0) {
			t.Errorf("a kept answer cost something: %+v", res)
		}
		return res.Cached
	}
	if ask(nil) || !ask(nil) || !ask(func(r *Request) { r.Conversation = "another" }) || first.attempts != 1 {
		t.Errorf("the same is not kept (%d attempts)", first.attempts)
	}
	one := 1.0
	for name, change := range map[string]func(*Request){
		"another workspace": func(r *Request) { r.Workspace = "other" },
		"another role":      func(r *Request) { r.AgentRole = "reviewer" },
		"another model":     func(r *Request) { r.Model = "second/m" },
		"another word":      func(r *Request) { r.Messages[0].Parts[0].Text = "hi!" },
		"another system":    func(r *Request) { r.System = "be nice" },
		"another bound":     func(r *Request) { r.MaxTokens++ },
		"another tool":      func(r *Request) { r.Tools = []ToolSpec{{Name: "x", Schema: []byte(`{}`)}} },
		"a choice":          func(r *Request) { r.Temperature = &one },
		"no temperature":    func(r *Request) { r.Temperature = nil },
		"passed through":    func(r *Request) { r.Pass = &Pass{} },
	} {
		if ask(change) {
			t.Errorf("%s: a kept answer was given", name)
		}
	}
	seed := int64(7)
	if seeded := func(r *Request) { r.Seed, r.Temperature = &seed, &one }; ask(seeded) || !ask(seeded) {
		t.Error("what a seed fixes is not kept")
	}
	elsewhere := func(r *Request) { r.Workspace = "other" }
	if err := r.State.ForgetAnswers(t.Context(), "ws"); err != nil || ask(nil) || !ask(elsewhere) {
		t.Errorf("forgotten is not what is of the workspace: %v", err)
	}
	r.Keep = Keep{}
	if ask(nil) {
		t.Error("it is off and gives kept answers")
	}
}

// TestMemoryCache holds the cache against a plain map that forgets nothing.
func TestMemoryCache(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_800_000_000, 0)
		most := int64(rapid.IntRange(300, 3000).Draw(t, "bytes"))
		m := NewMemoryCache(most, time.Minute, func() time.Time { return now })
		put := map[string][]byte{}
		at := map[string]time.Time{}
		ctx := context.Background()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			key := fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "key"))
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
			case 1:
				value := bytes.Repeat([]byte{'x'}, rapid.IntRange(0, 1500).Draw(t, "size"))
				m.Put(ctx, key, value)
				put[key], at[key] = value, now
				if got, ok := m.Get(ctx, key); ok != (int64(len(value))+1+frameOfAnswer <= most) || ok && len(got) != len(value) {
					t.Fatalf("just put, %d bytes of %d are %v", len(value), most, ok)
				}
			default:
				if got, ok := m.Get(ctx, key); ok && (!bytes.Equal(got, put[key]) || now.Sub(at[key]) >= time.Minute) {
					t.Fatalf("%s is %d bytes, put %v ago", key, len(got), now.Sub(at[key]))
				}
			}
			var size int64
			for e := m.order.Front(); e != nil; e = e.Next() {
				size += e.Value.(*keptAnswer).size()
			}
			if size != m.size || size > most || len(m.byKey) != m.order.Len() {
				t.Fatalf("%d bytes (it says %d) of %d", size, m.size, most)
			}
		}
	})
}
