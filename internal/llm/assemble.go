package llm

import (
	"cmp"
	"fmt"
	"strings"
)

// MaxContent bounds what one answer may hold, in bytes of text, thinking and
// tool arguments. No model's longest answer comes near it.
const MaxContent = 8 << 20

// Calls puts tool calls together from the pieces in which they are streamed.
// Pieces of several calls may be interleaved.
type Calls struct {
	list  []*callBuilder
	taken map[string]bool
}

type callBuilder struct {
	key, id, name string // as the provider has them
	args          strings.Builder
	final         string // its id in the answer, once that is settled
	begun         bool   // watchers know of it
	shown         int    // bytes of args that watchers have seen
}

// NewCalls starts an assembly whose ids will differ from each other and from
// those that req already uses.
func NewCalls(req *Request) *Calls {
	c := &Calls{taken: map[string]bool{}}
	if req == nil {
		return c
	}
	for _, m := range req.Messages {
		for _, p := range m.Parts {
			if p.Call != nil {
				c.taken[p.Call.ID] = true
			}
		}
	}
	return c
}

// Len is the number of calls begun.
func (c *Calls) Len() int { return len(c.list) }

// find returns the position of the latest call of a key, or -1.
func (c *Calls) find(key string) int {
	for i := len(c.list) - 1; i >= 0; i-- {
		if c.list[i].key == key {
			return i
		}
	}
	return -1
}

// Piece adds what one delta says about the call at key, beginning it when it is
// new: unknown key, or an id and a name where the call at key has another id
// (some servers give all calls one index). It returns the position of the call
// in what Finish will return, and what there is to show of it.
func (c *Calls) Piece(key, id, name, args string) (position int, show Chunk, err error) {
	i := c.find(key)
	if i < 0 || (id != "" && name != "" && c.list[i].id != "" && c.list[i].id != id) {
		if err := c.begin(key); err != nil {
			return 0, Chunk{}, err
		}
		i = len(c.list) - 1
	}
	return i, c.Add(i, id, name, args), nil
}

// Add is Piece for the call at a position that Piece returned.
func (c *Calls) Add(position int, id, name, args string) (show Chunk) {
	call := c.list[position]
	call.id = cmp.Or(call.id, id)
	call.name = cmp.Or(call.name, name)
	call.args.WriteString(args)
	return c.show(position)
}

// show is what watchers have not seen of a call. It begins for them when its name
// is known, and its id: the provider's, or, when arguments come without any, the
// one that is made here.
func (c *Calls) show(position int) Chunk {
	call := c.list[position]
	if !call.begun && (call.name == "" || (call.id == "" && call.args.Len() == 0)) {
		return Chunk{}
	}
	if call.begun && call.shown == call.args.Len() {
		return Chunk{}
	}
	show := Chunk{ToolIndex: position, ToolArgs: call.args.String()[call.shown:]}
	if !call.begun {
		call.begun = true
		show.ToolName, show.ToolID = call.name, c.settle(call)
	}
	call.shown = call.args.Len()
	return show
}

// settle gives a call an id that is present and unique. One made here is nine
// letters and digits, the only form that Mistral takes and every other provider
// takes too.
func (c *Calls) settle(call *callBuilder) string {
	if call.final != "" {
		return call.final
	}
	id := call.id
	for n := len(c.taken); id == "" || c.taken[id]; n++ {
		id = fmt.Sprintf("call%05d", n%100000)
	}
	c.taken[id] = true
	call.final = id
	return id
}

func (c *Calls) begin(key string) error {
	const most = 1000
	if len(c.list) == most {
		return fmt.Errorf("more than %d tool calls in one answer: %w", most, ErrTooLarge)
	}
	c.list = append(c.list, &callBuilder{key: key})
	return nil
}

// Last is the key of the call begun last; empty when there is none.
func (c *Calls) Last() string {
	if len(c.list) == 0 {
		return ""
	}
	return c.list[len(c.list)-1].key
}

// Finish returns the calls in the order in which they began, with ids that are
// present and unique.
func (c *Calls) Finish() []ToolCall {
	calls := make([]ToolCall, 0, len(c.list))
	for _, b := range c.list {
		calls = append(calls, ToolCall{ID: c.settle(b), Name: b.name, Args: b.args.String()})
	}
	return calls
}
