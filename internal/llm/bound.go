package llm

import (
	"encoding/binary"
	"hash/maphash"
	"sync"

	"mgx"
)

// Tokens that providers add around what we send, above any seen in recordings:
// the frame of a chat template, of each message or part, of each tool, and the
// hidden instructions on how to call tools.
const (
	frameOfRequest = 1024
	frameOfPart    = 64
	frameOfTool    = 256
)

// PromptBound is an upper bound on the tokens of a request's prompt. Tokenizers
// work on bytes, and every token covers at least one, so what we send can never
// count more tokens than bytes. Schemas count twice, since providers write them
// out in another form.
func PromptBound(req *Request) int64 {
	bound := frameOfRequest + headBound(req) + messagesBound(req.Messages)
	if req.Pass != nil {
		bound += req.Pass.Extra
	}
	return bound
}

func headBound(req *Request) int64 {
	n := len(req.System)
	for _, t := range req.Tools {
		n += frameOfTool + 2*(len(t.Name)+len(t.Description)+len(t.Schema))
	}
	if req.Format != nil {
		n += frameOfTool + 2*(len(req.Format.Name)+len(req.Format.Schema))
	}
	return int64(n)
}

func messagesBound(messages []Message) int64 {
	n := 0
	for _, m := range messages {
		n += frameOfPart
		for _, p := range m.Parts {
			n += frameOfPart + len(p.Text)
			if p.Call != nil {
				n += len(p.Call.ID) + len(p.Call.Name) + len(p.Call.Args)
			}
			if p.Result != nil {
				n += len(p.Result.CallID) + len(p.Result.Name) + len(p.Result.Text)
			}
			if p.Opaque != nil {
				n += len(p.Opaque.Raw)
			}
		}
	}
	return int64(n)
}

// promptMemory tightens the bound for a conversation that goes on: what the
// provider counted for its last prompt, plus the bytes of what was added since.
//
// That is still a bound. It is used only when system prompt, tools and the first
// messages are the very same (by a keyed hash of all of them), so their tokens
// are those counted; special tokens separate messages, so added ones cannot
// change how earlier ones split; and the added ones, the model's own last
// answer among them, count by the byte.
type promptMemory struct {
	mu   sync.Mutex
	seed maphash.Seed
	last map[string]promptSeen // by model and conversation
}

type promptSeen struct {
	hash     uint64 // of the head and the first messages
	messages int    // how many those are
	tokens   int64  // as the provider counted them
}

// maxConversations bounds the memory. What is forgotten only loosens a bound.
const maxConversations = 1024

func newPromptMemory() *promptMemory {
	return &promptMemory{seed: maphash.MakeSeed(), last: map[string]promptSeen{}}
}

func (m *promptMemory) bound(name string, req *Request) int64 {
	loose := PromptBound(req)
	if req.Pass != nil && req.Pass.Extra > 0 {
		return loose // the messages do not tell all that it sends
	}
	m.mu.Lock()
	seen, ok := m.last[name]
	m.mu.Unlock()
	if !ok || seen.messages > len(req.Messages) || m.hash(req, seen.messages) != seen.hash {
		return loose
	}
	return min(loose, seen.tokens+frameOfPart+messagesBound(req.Messages[seen.messages:]))
}

func (m *promptMemory) learn(name string, req *Request, usage mgx.Usage) {
	if usage.Prompt <= 0 || (req.Pass != nil && req.Pass.Extra > 0) {
		return
	}
	seen := promptSeen{hash: m.hash(req, len(req.Messages)), messages: len(req.Messages), tokens: usage.Prompt}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.last[name]; !known && len(m.last) >= maxConversations {
		for other := range m.last {
			delete(m.last, other)
			break
		}
	}
	m.last[name] = seen
}

// hash covers all that the first n messages of a request send.
func (m *promptMemory) hash(req *Request, n int) uint64 {
	h := &fieldHash{}
	h.SetSeed(m.seed)
	h.add(req.System, req.ToolChoice, req.Effort)
	if req.Format != nil {
		h.add("format", req.Format.Name, string(req.Format.Schema))
	}
	for _, t := range req.Tools {
		h.add("tool", t.Name, t.Description, string(t.Schema))
	}
	for _, msg := range req.Messages[:n] {
		h.add("message", string(msg.Role))
		for _, p := range msg.Parts {
			h.add("part", p.Text)
			if p.Call != nil {
				h.add("call", p.Call.ID, p.Call.Name, p.Call.Args)
			}
			if p.Result != nil {
				h.add("result", p.Result.CallID, p.Result.Name, p.Result.Text)
			}
			if p.Opaque != nil {
				h.add("opaque", p.Opaque.Dialect, string(p.Opaque.Raw))
			}
		}
	}
	return h.Sum64()
}

// fieldHash hashes texts with their lengths, so that none can run into the next.
type fieldHash struct{ maphash.Hash }

func (h *fieldHash) add(fields ...string) {
	var size [8]byte
	for _, f := range fields {
		binary.LittleEndian.PutUint64(size[:], uint64(len(f)))
		h.Write(size[:])
		h.WriteString(f)
	}
}
