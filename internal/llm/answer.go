package llm

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"

	"mgx"
)

// Answer is an accepted call: status 200 and a body to read.
type Answer struct {
	Close func() error

	body *bufio.Reader // bounded; reading past the bound is ErrTooLarge
	kept *kept         // of a passed request: what was read; else nil

	endpoint  *Endpoint
	model     string
	requestID string
}

// Deliver reads an answer with decode, which yields what can be shown, and ends
// the stream with the whole response or with why there is none. decode returns
// neither when the reader broke off.
func (a *Answer) Deliver(ctx context.Context, yield func(Chunk, error) bool, decode func() (*Response, error)) {
	defer a.Close()
	resp, err := decode()
	switch {
	case err != nil:
		yield(Chunk{}, a.Fail(ctx, err))
	case resp != nil:
		yield(Chunk{Response: resp}, nil)
	}
}

// Each reads the answer as an event stream: add takes the data of each event and
// returns what of it can be shown, and whether it was the last. An event with
// nothing to show, or a comment, yields an empty chunk: the server lives. The
// data "[DONE]" ends a stream in every dialect that has it. Each returns false
// without an error when the reader broke off. add may use its slice again.
func (a *Answer) Each(yield func(Chunk, error) bool, add func(data []byte) (show []Chunk, last bool, err error)) (bool, error) {
	for event, err := range a.events() {
		if err != nil {
			return false, err
		}
		var show []Chunk
		last := false
		if !event.Comment {
			if string(event.Data) == "[DONE]" {
				return true, nil
			}
			if show, last, err = add(event.Data); err != nil {
				return false, err
			}
		}
		if a.kept != nil {
			a.kept.last = last
		}
		if len(show) == 0 && !last {
			show = append(show, Chunk{})
		}
		more := a.more()
		for i := range show {
			show[i].More = more || i < len(show)-1
		}
		if !Show(yield, show) {
			return false, nil
		}
		if last {
			return true, nil
		}
	}
	return true, nil
}

// more reports whether another event was read already, to its end.
func (a *Answer) more() bool {
	ahead, _ := a.body.Peek(a.body.Buffered())
	return bytes.Contains(ahead, []byte("\n\n")) || bytes.Contains(ahead, []byte("\n\r\n"))
}

func (a *Answer) events() iter.Seq2[SSE, error] {
	if a.kept != nil {
		return a.kept.events(a.body, maxEvent)
	}
	return ReadSSE(a.body, maxEvent)
}

// Show yields chunks and reports whether the reader wants more.
func Show(yield func(Chunk, error) bool, chunks []Chunk) bool {
	for _, c := range chunks {
		if !yield(c, nil) {
			return false
		}
	}
	return true
}

// IsDocument waits for the answer to begin and reports whether it is one JSON
// document instead of an event stream, whatever the headers call it: some
// servers ignore that a stream was asked for.
func (a *Answer) IsDocument() bool {
	for {
		next, err := a.body.Peek(1)
		if err != nil {
			return false // reading will say why
		}
		if next[0] > ' ' {
			return next[0] == '{' || next[0] == '['
		}
		a.body.ReadByte() // space that neither form minds
	}
}

// ReadJSON reads the answer as one document.
func (a *Answer) ReadJSON() ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(a.body, maxJSON+1))
	if err == nil && len(data) > maxJSON {
		err = fmt.Errorf("an answer of more than %d bytes: %w", maxJSON, ErrTooLarge)
	}
	if a.kept != nil {
		a.kept.data = data
	}
	return data, err
}

// Fail makes a *CallError of what went wrong while the answer was read: it
// broke off, was too large or did not decode. Errors that are one already get
// what only the endpoint knows, and an ended ctx speaks for itself.
func (a *Answer) Fail(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if internal, ok := errors.AsType[*mgx.Error](err); ok {
		return internal
	}
	e, ok := errors.AsType[*CallError](err)
	if !ok {
		e = &CallError{Fault: FaultBad, Message: breakage(err), Err: err}
		if _, network := errors.AsType[net.Error](err); network {
			e.Fault = FaultConnection
		}
	}
	e.Provider, e.Model, e.Status, e.InStream = a.endpoint.Provider, a.model, http.StatusOK, true
	e.RequestID, e.KeySetting = a.requestID, a.endpoint.KeySetting
	e.Message = Clean(e.Message, a.endpoint.Secrets...)
	return e
}

func breakage(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "the answer broke off in the middle"
	}
	return "the answer could not be read: " + err.Error()
}

// StreamError is an error that the provider reports within its answer.
func StreamError(raw []byte) *CallError {
	body := ParseError(raw)
	fault, noModel := Classify(0, body)
	return &CallError{
		Fault: fault, NoModel: noModel, Filtered: fault == FaultRequest && body.filtered(), RetryAfter: body.retryDelay(),
		Message: cmp.Or(body.Message, body.Type, "no explanation"),
	}
}

// BadAnswer is a *CallError for an answer that is not what the dialect promises.
func BadAnswer(format string, args ...any) *CallError {
	err := fmt.Errorf(format, args...)
	return &CallError{Fault: FaultBad, Message: err.Error(), Err: errors.Unwrap(err)}
}

// boundedReader reads up to left bytes and fails then, where io.LimitReader
// would pretend that the stream had ended.
type boundedReader struct {
	in   io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("an answer of more than %d bytes: %w", maxWire, ErrTooLarge)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.in.Read(p)
	b.left -= int64(n)
	return n, err
}
