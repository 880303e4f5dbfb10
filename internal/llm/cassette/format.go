package cassette

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"
)

// Version is that of the file's form. A file of another is refused.
const Version = 1

// Bounds, in bytes.
const (
	maxFile    = 1 << 30  // of a recording
	maxLine    = 96 << 20 // of one exchange in it
	maxRequest = 32 << 20 // of a request's body
	maxBody    = 65 << 20 // of an answer, a little more than any reader of ours takes
)

// Header begins a file.
type Header struct {
	Version int       `json:"version"`
	Program string    `json:"program"` // that recorded it
	Started time.Time `json:"started"`
	// Seed is what the identifiers of the recorded run were made from.
	Seed string `json:"seed"`
	// Environment holds the variables that name the providers called: addresses
	// without credentials, and [Placeholder] where there was a key.
	Environment map[string]string `json:"environment"`
	// Server says that it holds the calls of a server, for many at once: to be
	// read, since nobody could make them again in their order.
	Server bool `json:"server,omitempty"`
}

// Placeholder stands for a key in [Header.Environment].
const Placeholder = "recorded"

// Session says that another process went on with a recording.
type Session struct {
	Started time.Time `json:"started"`
}

// Run says what the recorded calls were made for.
type Run struct {
	Task  string `json:"task"`
	Model string `json:"model"`
	Head  string `json:"head"` // commit that the run began on
	Seed  *int64 `json:"seed,omitempty"`
}

// Exchange is a request and what came of it.
type Exchange struct {
	Request Request `json:"request"`
	WaitUS  int64   `json:"wait_us"` // until the answer's head, or until there would be none
	Answer  *Answer `json:"answer,omitempty"`
	Failure *End    `json:"failure,omitempty"` // instead of an answer
}

// Request is what was asked.
type Request struct {
	Method string          `json:"method"`
	URL    string          `json:"url"` // without credentials
	Body   json.RawMessage `json:"body,omitempty"`
	Text   string          `json:"text,omitempty"` // a body that is not JSON
}

// Answer is what came back.
type Answer struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header,omitempty"`
	Chunks []Chunk           `json:"chunks,omitempty"`
	End    *End              `json:"end,omitempty"` // nil: it ended properly, or its reader had enough
}

// Chunk is one piece of a body, as it came.
type Chunk struct {
	AfterUS int64  `json:"after_us"` // since the piece before
	Text    string `json:"text,omitempty"`
	Bytes   []byte `json:"bytes,omitempty"` // of a piece that is not text
}

func newChunk(after time.Duration, b []byte) Chunk {
	c := Chunk{AfterUS: after.Microseconds()}
	if utf8.Valid(b) {
		c.Text = string(b)
	} else {
		c.Bytes = bytes.Clone(b)
	}
	return c
}

func (c Chunk) data() []byte {
	if c.Bytes != nil {
		return c.Bytes
	}
	return []byte(c.Text)
}

// End is how an answer ended otherwise than properly.
type End struct {
	Kind    EndKind `json:"kind"`
	Text    string  `json:"text"`
	AfterUS int64   `json:"after_us,omitempty"` // since the last piece
}

// EndKind says how the error looked to the reader.
type EndKind string

const (
	Stalled EndKind = "stalled" // silent until its reader gave it up
	Broken  EndKind = "broken"  // io.ErrUnexpectedEOF
	Timeout EndKind = "timeout" // a network error that calls itself a time-out
	Network EndKind = "network" // any other network error
	Other   EndKind = "other"
)

// line is one line of a file: one of its fields is set.
type line struct {
	Header   *Header   `json:"cassette,omitempty"`
	Session  *Session  `json:"session,omitempty"`
	Run      *Run      `json:"run,omitempty"`
	Exchange *Exchange `json:"exchange,omitempty"`
}

// keptHeaders are those of a response that decide how a call goes on. What a
// provider says of its limits is left out: a replay need not keep to them.
var keptHeaders = []string{"Content-Type", "Retry-After", "X-Request-Id", "Request-Id"}

func keepHeaders(h http.Header) map[string]string {
	kept := map[string]string{}
	for _, name := range keptHeaders {
		if v := h.Get(name); v != "" {
			kept[name] = v
		}
	}
	return kept
}
