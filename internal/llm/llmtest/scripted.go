package llmtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"mgx"
	"mgx/internal/llm"
)

// Name is the provider name of the scripted model.
const Name = "scripted"

// Scripted is a provider that answers from a script. Which turn it plays depends
// on the request alone, its conversation and how many answers it already holds,
// so a run that crashed goes on in another process where it was.
type Scripted struct {
	script Script

	mu     sync.Mutex
	failed map[string]int // by role and turn: how often Error struck
}

// NewScripted returns a provider that follows the script.
func NewScripted(script Script) *Scripted {
	return &Scripted{script: script, failed: map[string]int{}}
}

func (s *Scripted) Name() string { return Name }

// Models lists the names that the script states.
func (s *Scripted) Models(context.Context) ([]llm.ModelInfo, error) {
	var models []llm.ModelInfo
	for _, name := range s.names() {
		models = append(models, llm.ModelInfo{ID: name})
	}
	return models, nil
}

func (s *Scripted) names() []string {
	if len(s.script.Models) == 0 {
		return []string{"script"}
	}
	return s.script.Models
}

func (s *Scripted) Stream(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	return func(yield func(llm.Chunk, error) bool) {
		number := answers(req) + 1
		turn, err := s.turn(ctx, req, number)
		if err != nil {
			yield(llm.Chunk{}, err)
			return
		}
		resp := turn.response(req, number)
		for _, chunk := range turn.chunks(resp) {
			if err := ctx.Err(); err != nil {
				yield(llm.Chunk{}, err)
				return
			}
			if !yield(chunk, nil) {
				return
			}
		}
		yield(llm.Chunk{Response: resp}, nil)
	}
}

// answers counts the assistant's messages.
func answers(req *llm.Request) int {
	n := 0
	for _, m := range req.Messages {
		if m.Role == llm.Assistant {
			n++
		}
	}
	return n
}

// turn finds the turn to play and raises what stands in its way.
func (s *Scripted) turn(ctx context.Context, req *llm.Request, number int) (*Turn, error) {
	if err := llm.CheckRequest(req); err != nil {
		return nil, err
	}
	if !slices.Contains(s.names(), req.Model) {
		return nil, &llm.CallError{
			Provider: Name, Model: req.Model, Status: 404, Fault: llm.FaultRequest, NoModel: true,
			Message: fmt.Sprintf("model %q does not exist", req.Model),
		}
	}
	role, ok := s.role(req)
	if !ok {
		return nil, refuse(req, "the script has no turns for conversation %q of role %q", req.Conversation, req.AgentRole)
	}
	turns := s.script.Roles[role]
	if number > len(turns) {
		return nil, refuse(req, "the script for %q has %d turns, and turn %d was asked for after: %s",
			role, len(turns), number, excerpt(lastText(req)))
	}
	turn := &turns[number-1]
	if last := lastText(req); !strings.Contains(last, turn.Expect) {
		return nil, refuse(req, "turn %d of %q expects a message with %q, got: %s", number, role, turn.Expect, excerpt(last))
	}
	if err := wait(ctx, turn.delay()); err != nil {
		return nil, err
	}
	return turn, s.raise(turn, req, fmt.Sprintf("%s/%d", role, number))
}

func (s *Scripted) role(req *llm.Request) (string, bool) {
	for _, name := range []string{req.Conversation, req.AgentRole} {
		if _, ok := s.script.Roles[name]; ok && name != "" {
			return name, true
		}
	}
	if req.Conversation != "" || req.AgentRole != "" {
		return "", false
	}
	found, longest := "", -1
	for role, text := range s.script.Match {
		if strings.Contains(req.System, text) && len(text) > longest {
			found, longest = role, len(text)
		}
	}
	_, ok := s.script.Roles[found]
	return found, ok
}

// raise fails the call when the turn says so.
func (s *Scripted) raise(turn *Turn, req *llm.Request, key string) error {
	if turn.Error == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if turn.ErrorTimes > 0 && s.failed[key] >= turn.ErrorTimes {
		return nil
	}
	s.failed[key]++
	return &llm.CallError{Provider: Name, Model: req.Model, Fault: turn.Error, Message: "the script injects " + string(turn.Error)}
}

func refuse(req *llm.Request, format string, args ...any) error {
	return &llm.CallError{Provider: Name, Model: req.Model, Fault: llm.FaultRequest, Message: fmt.Sprintf(format, args...)}
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// lastText is all text of the message that is to be answered.
func lastText(req *llm.Request) string {
	var all []string
	for _, p := range req.Messages[len(req.Messages)-1].Parts {
		if p.Result != nil {
			all = append(all, p.Result.Text)
		} else if p.Text != "" {
			all = append(all, p.Text)
		}
	}
	return strings.Join(all, "\n")
}

func excerpt(text string) string {
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most/2], "") + " … " + strings.ToValidUTF8(text[len(text)-most/2:], "")
	}
	return fmt.Sprintf("%q", text)
}

// chunks are the deltas of a turn: text a few words at a time, then the tools
// and their arguments.
func (t *Turn) chunks(resp *llm.Response) []llm.Chunk {
	var chunks []llm.Chunk
	for _, piece := range pieces(t.Thinking, 24) {
		chunks = append(chunks, llm.Chunk{Thinking: piece})
	}
	for _, piece := range pieces(t.Text, 24) {
		chunks = append(chunks, llm.Chunk{Text: piece})
	}
	index := 0
	for _, p := range resp.Message.Parts {
		if p.Call == nil {
			continue
		}
		chunks = append(chunks, llm.Chunk{ToolIndex: index, ToolName: p.Call.Name, ToolID: p.Call.ID})
		for _, piece := range pieces(p.Call.Args, 24) {
			chunks = append(chunks, llm.Chunk{ToolIndex: index, ToolArgs: piece})
		}
		index++
	}
	return chunks
}

// pieces cuts text into pieces of about size bytes, between runes.
func pieces(text string, size int) []string {
	var out []string
	for len(text) > 0 {
		n := min(size, len(text))
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n++
		}
		out, text = append(out, text[:n]), text[n:]
	}
	return out
}

func (t *Turn) response(req *llm.Request, number int) *llm.Response {
	resp := &llm.Response{
		Message: llm.Message{Role: llm.Assistant}, Finish: t.finish(),
		Usage: t.usage(req), UsageOK: true, Provider: Name, Model: req.Model,
	}
	if t.Text != "" {
		resp.Message.Parts = append(resp.Message.Parts, llm.Part{Text: t.Text})
	}
	for i, call := range t.Calls {
		id := fmt.Sprintf("call%03d%02d", number%1000, i%100)
		resp.Message.Parts = append(resp.Message.Parts, llm.Part{Call: &llm.ToolCall{ID: id, Name: call.Name, Args: call.text()}})
	}
	return resp
}

func (t *Turn) usage(req *llm.Request) mgx.Usage {
	if t.Usage != nil {
		return *t.Usage
	}
	prompt := len(req.System)
	for _, m := range req.Messages {
		for _, p := range m.Parts {
			prompt += len(p.Text)
			if p.Call != nil {
				prompt += len(p.Call.Name) + len(p.Call.Args)
			}
			if p.Result != nil {
				prompt += len(p.Result.Text)
			}
		}
	}
	completion := len(t.Text) + len(t.Thinking)
	for _, call := range t.Calls {
		completion += len(call.Name) + len(call.text())
	}
	return mgx.Usage{Prompt: int64(cmp.Or(prompt/4, 1)), Completion: int64(cmp.Or(completion/4, 1))}
}

func strictJSON(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
