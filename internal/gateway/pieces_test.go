package gateway_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/gateway"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
)

// argumentPieces are what the arguments of a call come in; each has a mark of its own.
var argumentPieces = []string{`{"at": "alpha`, ` & beta", "n": [1, {}`, `], "gamma": tru`, `e}`}

var argumentMarks = []string{"alpha", "beta", "gamma", ""}

// inPieces is an upstream of every dialect that sends a call piece by piece, and
// each only when seen says that the one before has arrived.
func inPieces(seen <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		send := func(events ...string) {
			for _, e := range events {
				var of struct{ Type string }
				json.Unmarshal([]byte(e), &of)
				fmt.Fprintf(w, "event: %s\ndata: %s\n\n", of.Type, e)
			}
			http.NewResponseController(w).Flush()
		}
		before, piece, after := pieceEvents(r.URL.Path)
		send(before...)
		for _, args := range argumentPieces {
			quoted, _ := json.Marshal(args)
			send(strings.Replace(piece, "%", string(quoted), 1))
			if args == argumentPieces[len(argumentPieces)-1] {
				break
			}
			select {
			case <-seen:
			case <-r.Context().Done():
				return
			}
		}
		send(after...)
		if strings.HasSuffix(r.URL.Path, "/completions") {
			io.WriteString(w, "data: [DONE]\n\n")
		}
	})
}

func pieceEvents(path string) (before []string, piece string, after []string) {
	switch {
	case strings.HasSuffix(path, "/messages"):
		return []string{
			`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m1","content":[],"usage":{"input_tokens":5}}}`,
			`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"c1","name":"look","input":{}}}`,
		}, `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":%}}`, []string{
			`{"type":"content_block_stop","index":0}`,
			`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}`,
			`{"type":"message_stop"}`,
		}
	case strings.HasSuffix(path, "/responses"):
		whole, _ := json.Marshal(strings.Join(argumentPieces, ""))
		item := `{"type":"function_call","id":"fc","call_id":"c1","name":"look","status":"completed","arguments":` + string(whole) + `}`
		return []string{
			`{"type":"response.created","sequence_number":7,"response":{"model":"m1","status":"in_progress"}}`,
			`{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"fc","call_id":"c1","name":"look","status":"in_progress","arguments":""}}`,
		}, `{"type":"response.function_call_arguments.delta","output_index":0,"item_id":"fc","delta":%}`, []string{
			`{"type":"response.output_item.done","output_index":0,"item":` + item + `}`,
			`{"type":"response.completed","response":{"model":"m1","status":"completed","output":[` + item + `],"usage":{"input_tokens":5,"output_tokens":7,"total_tokens":12}}}`,
		}
	}
	chunk := `{"id":"c","object":"chat.completion.chunk","model":"m1","choices":[{"index":0,"delta":%,"finish_reason":null}]}`
	call := `{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":""}}]}`
	return []string{strings.Replace(chunk, "%", call, 1)}, strings.Replace(chunk, "%", `{"tool_calls":[{"index":0,"function":{"arguments":%}}]}`, 1), []string{
		`{"id":"c","object":"chat.completion.chunk","model":"m1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
		`{"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}`,
	}
}

// TestArgumentsPassAsTheyCome: each piece of a call's arguments reaches the caller
// before the provider has sent the next, from every dialect that has pieces to every other,
// and they add up to the call.
func TestArgumentsPassAsTheyCome(t *testing.T) {
	t.Parallel()
	for _, s := range speakers {
		for _, provider := range []string{"chat", "resp", "claude"} {
			t.Run(s.name+" to "+provider, func(t *testing.T) {
				t.Parallel()
				seen := make(chan struct{})
				r := newRig(t, settings{up: inPieces(seen)})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only a stream that waits for its end meets it
				defer cancel()
				resp, err := http.DefaultClient.Do(r.request(s.path, marshal(s.ask(provider+"/m1", true))).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				var body bytes.Buffer
				next := 0
				for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
					body.Write(append(lines.Bytes(), '\n'))
					if mark := argumentMarks[next]; mark != "" && strings.Contains(lines.Text(), mark) {
						next++
						select {
						case seen <- struct{}{}:
						case <-ctx.Done():
						}
					}
				}
				if ctx.Err() != nil || next != 3 {
					t.Fatalf("%d pieces came in time: %s", next, body.Bytes())
				}
				a := s.hear(t, body.Bytes())
				if len(a.calls) != 1 || a.calls[0].id != "c1" || a.calls[0].name != "look" || a.finish != finishes[s.name][0] ||
					!reflect.DeepEqual(parse(t, []byte(a.calls[0].args)), parse(t, []byte(strings.Join(argumentPieces, "")))) {
					t.Errorf("%+v of %s", a, body.Bytes())
				}
				r.books.idle(1)
			})
		}
	}
}

// Calls that a provider streams at the same time, or without ids, come one after
// the other where a dialect has it so, whole in every one.
func TestCallsAtTheSameTime(t *testing.T) {
	t.Parallel()
	for _, kind := range []llmtest.FaultKind{llmtest.Interleaved, llmtest.SplitArgs, llmtest.NoIDs, llmtest.SameIDs} {
		for _, s := range speakers {
			for _, provider := range []string{"chat", "claude", "gem"} {
				t.Run(fmt.Sprint(s.name, " to ", provider, kind), func(t *testing.T) {
					t.Parallel()
					if strings.HasPrefix(s.name, provider) || s.name == "messages" && provider == "claude" {
						t.Skip("it is passed on")
					}
					r := newRig(t, settings{turns: conversation()})
					r.up.Faults = func(int, *http.Request) *llmtest.Fault { return &llmtest.Fault{Kind: kind, After: -1} }
					got := r.post(s.path, marshal(s.ask(provider+"/m1", true)))
					a := s.hear(t, got.body)
					if len(a.calls) != 2 || a.calls[0].id == a.calls[1].id || at(parse(t, []byte(a.calls[0].args)), "at") != `<here> & "there"` ||
						at(parse(t, []byte(a.calls[1].args)), "at") != "2" || a.text != "I look — Ω.\n" {
						t.Errorf("%+v of %s", a, got.body)
					}
				})
			}
		}
	}
}

// thinker is a provider that wants its thinking back where it was: at the
// beginning, between, and with a call. It shows all else in pieces.
type thinker struct {
	parts []llm.Part
	back  []llm.Part // of its answer, as it came back
}

func newThinker() *thinker {
	opaque := func(raw string) llm.Part {
		return llm.Part{Opaque: &llm.Opaque{Dialect: "thinker", Raw: json.RawMessage(raw)}}
	}
	call := func(id string) llm.Part {
		return llm.Part{Call: &llm.ToolCall{ID: id, Name: "look", Args: `{"at":"` + id + `"}`}}
	}
	return &thinker{parts: []llm.Part{
		opaque(`{"type":"thinking","thinking":"1"}`), opaque(`{"type":"redacted_thinking","data":"2"}`),
		{Text: "I look."},
		opaque(`{"type":"thinking","thinking":"3"}`), call("a"), opaque(`{"mgx.rest":{"signature":"4"}}`), call("b"),
	}}
}

func (*thinker) Name() string { return "thinker" }

func (*thinker) Models(context.Context) ([]llm.ModelInfo, error) { return nil, nil }

func (th *thinker) Stream(_ context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		done := &llm.Response{
			Message: llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: "Done."}}}, Finish: llm.FinishStop,
			Usage: mgx.Usage{Prompt: 1, Completion: 1}, UsageOK: true, Provider: "thinker", Model: "m1",
		}
		if len(req.Messages) > 1 {
			th.back = req.Messages[1].Parts
			yield(llm.Chunk{Response: done}, nil)
			return
		}
		done.Message.Parts, done.Finish = th.parts, llm.FinishTools
		chunks := []llm.Chunk{
			{Thinking: "1"},
			{Text: "I "},
			{Text: "look."},
			{Thinking: "3"},
			{ToolName: "look", ToolID: "a"},
			{ToolArgs: `{"at":`},
			{ToolArgs: `"a"}`},
			{ToolName: "look", ToolID: "b", ToolIndex: 1, ToolArgs: `{"at":"b"}`},
			{Response: done},
		}
		for _, c := range chunks {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// TestThinkingComesBackToItsPlace: what a provider wants back comes back in the
// order in which it was, although callers see it in another, in every dialect.
func TestThinkingComesBackToItsPlace(t *testing.T) {
	t.Parallel()
	for _, s := range speakers {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %v", s.name, stream), func(t *testing.T) {
				t.Parallel()
				th := newThinker()
				r := newRig(t, settings{router: func(o *llm.Options) { o.Providers = []llm.Provider{th} }, options: func(*gateway.Options) {}})
				ask, read := s.ask("thinker/m1", stream), s.read
				if stream {
					read = s.hear
				}
				s.then(ask, read(t, r.post(s.path, marshal(ask)).body))
				if input := list(ask, "input"); input != nil { // some callers answer calls before they keep what follows them
					slices.SortStableFunc(input, func(a, b any) int {
						return cmp.Compare(min(1, len(text(a, "encrypted_content"))), min(1, len(text(b, "encrypted_content"))))
					})
				}
				if got := r.post(s.path, marshal(ask)); got.status != 200 {
					t.Fatalf("%d %s", got.status, got.body)
				}
				if got, want := marshal(th.back), marshal(th.parts); got != want {
					t.Errorf("came back as\n%s\nof\n%s", got, want)
				}
			})
		}
	}
}
