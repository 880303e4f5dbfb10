package llm

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"sync"

	"mgx"
)

// promptMemory tightens the bound for a conversation that goes on: what the
// provider counted for its last prompt, plus the bytes of what was added since.
//
// That is still a bound. It is used only when all that comes before the added
// messages is the very same (by a keyed hash of what is sent), so its tokens are
// those counted; special tokens separate messages, so added ones cannot change
// how earlier ones split; and the added ones, the model's own last answer among
// them, count by the byte.
type promptMemory struct {
	mu   sync.Mutex
	seed maphash.Seed
	last map[string]promptSeen // by model and conversation
}

type promptSeen struct {
	hash   uint64 // of the head and the first turns
	turns  int    // how many those are
	tokens int64  // as the provider counted them
}

// maxConversations bounds the memory. What is forgotten only loosens a bound.
const maxConversations = 1024

func newPromptMemory() *promptMemory {
	return &promptMemory{seed: maphash.MakeSeed(), last: map[string]promptSeen{}}
}

func (m *promptMemory) bound(name string, req *Request) int64 {
	loose := PromptBound(req)
	turns, ok := turnsOf(req)
	if !ok {
		return loose
	}
	m.mu.Lock()
	seen, ok := m.last[name]
	m.mu.Unlock()
	if !ok || seen.turns > turns || m.hash(req, seen.turns) != seen.hash {
		return loose
	}
	return min(loose, seen.tokens+frameOfPart+addedBound(req, seen.turns))
}

func (m *promptMemory) learn(name string, req *Request, usage mgx.Usage) {
	turns, ok := turnsOf(req)
	if !ok || usage.Prompt <= 0 {
		return
	}
	seen := promptSeen{hash: m.hash(req, turns), turns: turns, tokens: usage.Prompt}
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

// turnsOf are the messages that a request sends, when bytes tell what each of
// them can count.
func turnsOf(req *Request) (n int, ok bool) {
	if p := req.Pass; p != nil {
		return len(p.Turns), len(p.Turns) > 0 && len(p.Fields) > 0 && p.Extra == 0
	}
	return len(req.Messages), true
}

// addedBound bounds what the messages after the first n count.
func addedBound(req *Request, n int) int64 {
	if req.Pass == nil {
		return messagesBound(req.Messages[n:])
	}
	bound := 0
	for _, turn := range req.Pass.Turns[n:] {
		bound += frameOfPart + len(turn)
	}
	return int64(bound)
}

// hash covers all that the first n messages of a request send, and all that is
// sent besides messages.
func (m *promptMemory) hash(req *Request, n int) uint64 {
	h := &fieldHash{}
	h.SetSeed(m.seed)
	if req.Pass != nil {
		h.addPass(req.Pass, n)
		return h.Sum64()
	}
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
	for _, f := range fields {
		h.size(len(f))
		h.WriteString(f)
	}
}

func (h *fieldHash) size(n int) {
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(n))
	h.Write(size[:])
}

// addPass adds what a passed request sends, with its first n turns. Cache marks
// are left out of those: clients move them on with each turn, and they count
// nothing.
func (h *fieldHash) addPass(p *Pass, n int) {
	h.add("pass", p.Dialect)
	h.size(n)
	for _, f := range p.Fields {
		if f.Name != p.TurnsIn {
			h.add(f.Name, string(f.Value))
		}
	}
	for _, turn := range p.Turns[:n] {
		h.size(-1) // begins a turn
		for {
			before, after, marked := cutCacheMark(turn)
			h.Write(before)
			if !marked {
				break
			}
			turn = after
		}
	}
}

var cacheMark = []byte(`"cache_control":{`)

// maxCacheMark is longer than any cache mark; what is longer is none.
const maxCacheMark = 64

// cutCacheMark cuts JSON around its first cache mark, which is a field of some
// object in it: within a string its quotes would be escaped. Only the compact form
// that SDKs write is found.
func cutCacheMark(raw []byte) (before, after []byte, found bool) {
	before, after, found = bytes.Cut(raw, cacheMark)
	end := bytes.IndexByte(after[:min(len(after), maxCacheMark)], '}')
	if !found || end < 0 {
		return raw, nil, false
	}
	after = after[end+1:]
	if trimmed, ok := bytes.CutSuffix(before, []byte(",")); ok {
		return trimmed, after, true
	}
	return before, bytes.TrimPrefix(after, []byte(",")), true
}
