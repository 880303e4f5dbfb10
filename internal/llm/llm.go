// Package llm is the contract between MGX and whatever serves a model, and the
// path of one call: choose a model, reserve money, call, retry or fall back,
// settle.
//
// A [Provider] speaks one wire dialect to one endpoint. It owns no retries, no
// time-outs and no budget: those are the [Router]'s, so that each has one owner.
// A stream either ends with exactly one finished [Response] or with an error; an
// answer that merely stops is never taken for a whole one.
package llm

import (
	"context"
	"encoding/json"
	"iter"

	"mgx"
)

// Role is who speaks in a message.
type Role string

const (
	User      Role = "user"
	Assistant Role = "assistant"
	Tool      Role = "tool" // results of the preceding assistant message's calls
)

// Message is one entry of a conversation. Its JSON form is what the journal keeps.
type Message struct {
	Role  Role   `json:"role"`
	Parts []Part `json:"parts"`
}

// Part is one piece of a message: exactly one of its fields is set, besides Label.
type Part struct {
	Text   string      `json:"text,omitempty"`
	Call   *ToolCall   `json:"call,omitempty"`   // in assistant messages
	Result *ToolResult `json:"result,omitempty"` // in tool messages
	Opaque *Opaque     `json:"opaque,omitempty"` // in assistant messages

	// Label says where the piece came from; nil: nobody knows. Never sent to a
	// provider, nor part of what a call is recorded or kept under.
	Label *mgx.Label `json:"-"`
}

// ToolCall is a model's request to run a tool.
type ToolCall struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Args is the text the model produced. It should be a JSON object, and it is
	// the caller's to check: models produce what they produce.
	Args string `json:"args"`
}

// ToolResult answers one ToolCall.
type ToolResult struct {
	CallID  string `json:"call_id"`
	Name    string `json:"name"`
	Text    string `json:"text"`
	IsError bool   `json:"is_error,omitempty"`
}

// Opaque is a block that must go back to the same dialect byte for byte, such
// as signed thinking, and is dropped for any other.
type Opaque struct {
	Dialect string          `json:"dialect"`
	Raw     json.RawMessage `json:"raw"`
	// Provider is whose it is: the Router sets it in answers, and sends the block
	// to no other. Empty: to any of the dialect.
	Provider string `json:"provider,omitempty"`
}

// ToolSpec describes a tool to a model.
type ToolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"` // JSON Schema of an object
}

// Request is one call to a model.
type Request struct {
	Model       string     `json:"model"` // to the Router: provider/model or a policy; to a Provider: as it names it
	System      string     `json:"system"`
	Messages    []Message  `json:"messages"`
	Tools       []ToolSpec `json:"tools,omitempty"`
	ToolChoice  string     `json:"tool_choice,omitempty"` // "" (auto), "none", "required"
	MaxTokens   int        `json:"max_tokens"`            // upper bound of the answer; required, > 0
	Temperature *float64   `json:"temperature,omitempty"`
	TopP        *float64   `json:"top_p,omitempty"`
	Stop        []string   `json:"stop,omitempty"`   // texts that end the answer
	Seed        *int64     `json:"seed,omitempty"`   // for dialects that have one
	Effort      string     `json:"effort,omitempty"` // of thinking: "" (the model's own), "none", "low", "medium", "high"
	Format      *Format    `json:"format,omitempty"` // of the answer's text; nil: free

	// What the call is for. Never sent to a provider.
	AgentRole    string          `json:"agent_role"`   // implementer, reviewer, …
	Conversation string          `json:"conversation"` // stable name of the agent's conversation, unique within Run
	Pass         *Pass           `json:"-"`            // the request as a client of the gateway wrote it; nil: it comes from within
	Workspace    mgx.WorkspaceID `json:"-"`            // whose limits count, and whose kept answers may be used
	Run          mgx.RunID       `json:"-"`
	Label        mgx.Label       `json:"-"` // join of all that the model is given
	TaskSize     string          `json:"-"` // XS to XL; empty: not known
	Prefer       string          `json:"-"` // provider/model that the conversation worked on before, see Response.Route
	// Final says that what was shown cannot be taken back: after the first
	// content, an attempt that fails ends the call.
	Final bool `json:"-"`
}

// Format demands that an answer's text is JSON of a schema.
type Format struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"` // JSON Schema of an object
}

// Finish is why a model stopped.
type Finish string

const (
	FinishStop    Finish = "stop"    // said all it wanted
	FinishTools   Finish = "tools"   // waits for tool results
	FinishLength  Finish = "length"  // cut at MaxTokens
	FinishFilter  Finish = "filter"  // the provider withheld content
	FinishRefusal Finish = "refusal" // the model declined
)

// Response is one whole answer.
type Response struct {
	Message  Message   `json:"message"` // role assistant
	Finish   Finish    `json:"finish"`
	Usage    mgx.Usage `json:"usage"`
	UsageOK  bool      `json:"usage_ok"` // the provider reported usage; else Usage is a bound we computed
	Provider string    `json:"provider"`
	Model    string    `json:"model"`           // as the provider reports it
	Route    string    `json:"route,omitempty"` // provider/model that the Router called; set by it
}

// Chunk is one thing a stream yields: a delta for watchers, or the end.
type Chunk struct {
	Text     string // delta of visible text
	Thinking string // delta of readable thinking
	// ToolName says that a tool call began, ToolID its id: both as the Response will
	// have them. ToolArgs is a delta of the arguments of the call of a ToolIndex:
	// calls count from 0 as they begin, and their pieces may be interleaved.
	ToolName, ToolID, ToolArgs string
	ToolIndex                  int

	Usage    *mgx.Usage
	Restart  bool      // from the Router only: forget what this call showed so far, it is tried again
	Failed   string    // from the Router only: why an attempt failed that another follows, maybe after a wait
	Response *Response // set on the last chunk only
	Wire     *Wire     // of a passed request only: the bytes that say it
	// More says that another chunk, maybe an empty one, or the end was read already
	// and follows at once: who writes chunks on may write both together.
	More bool
}

// IsContent reports whether the chunk carries part of an answer. A chunk without
// any says only that the provider is alive.
func (c Chunk) IsContent() bool {
	return c.Text != "" || c.Thinking != "" || c.ToolName != "" || c.ToolArgs != "" || c.Response != nil
}

// Provider serves models at one endpoint in one dialect.
type Provider interface {
	Name() string // "openai", "anthropic", "scripted", …: the P of a P/M model name
	// Stream makes one attempt at a call. The request is not modified. Errors are
	// *CallError where the provider or the network is the cause. Breaking off the
	// iteration or ending ctx closes the upstream at once.
	Stream(ctx context.Context, req *Request) iter.Seq2[Chunk, error]
	// Models lists what the endpoint serves.
	Models(ctx context.Context) ([]ModelInfo, error)
}

// ModelInfo describes a model. Zero numbers are unknown.
type ModelInfo struct {
	ID            string `json:"id"`
	ContextWindow int    `json:"context_window,omitempty"` // tokens
	MaxOutput     int    `json:"max_output,omitempty"`     // tokens
}

// Fault sorts what can go wrong with a call; the values are those of
// llm.provider.error.
type Fault string

const (
	FaultTimeout    Fault = "timeout"
	FaultRate       Fault = "rate_limit"
	FaultQuota      Fault = "quota_exceeded"
	FaultAuth       Fault = "authentication"
	FaultConnection Fault = "connection_error"
	FaultRequest    Fault = "invalid_request" // 400, 404 model, 413: repeating it cannot help
	FaultOverloaded Fault = "overloaded"      // 500, 502, 503, 529
	FaultBad        Fault = "bad_response"    // a stream that ends early or does not decode
	FaultTooLong    Fault = "context_length"  // the prompt does not fit the model
)

// says is the fault in words of our own.
func (f Fault) says() string {
	switch f {
	case FaultTimeout:
		return "it did not answer in time"
	case FaultQuota:
		return "the account of its key has nothing left"
	case FaultAuth:
		return "its key is refused"
	case FaultConnection:
		return "it cannot be reached"
	case FaultOverloaded:
		return "it failed or was overloaded"
	case FaultBad:
		return "its answer broke off or could not be read"
	}
	return string(f)
}
