package llm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
)

// Dialects in which a request can pass through.
const (
	DialectChat      = "chat"      // OpenAI Chat Completions
	DialectResponses = "responses" // OpenAI Responses
	DialectMessages  = "messages"  // Anthropic Messages
)

// Pass is a request as a client wrote it, in a wire dialect. A provider that
// speaks that dialect sends it on as it is, with only what must be set set, and
// hands out the answer as it came; others make one of their own from the
// Request that carries it. Nothing in it is modified.
type Pass struct {
	Dialect string
	Body    []byte      // one JSON object, without duplicate fields
	Fields  []Field     // those of Body, as Fields has them; nil: not known
	Stream  bool        // the client wants a stream; else one document, which comes all at once
	Header  http.Header // to send along; never credentials
	// Only says what of Body the Request does not say, so that no other dialect
	// will do; empty: nothing.
	Only string
	// Turns are the messages in Body as they are written there, and TurnsIn is the
	// field that they are in; nil: not known.
	Turns   []json.RawMessage
	TurnsIn string

	// What of the prompt the bytes of Body do not tell: those of them that describe
	// tools and forms of answers, which providers write out in another form; those
	// that are pictures and the like, and count otherwise; and the tokens at most of
	// such, and of what the provider adds.
	Again, Media int
	Extra        int64
}

// PassThrough is what a Provider implements that sends requests of some dialect
// on as they are.
type PassThrough interface {
	Passes(dialect, model string) bool
}

// Set is the body with some fields set, as SetFields does. A field that is set to
// nil is left out.
func (p *Pass) Set(set ...Field) ([]byte, error) {
	fields, err := p.Apart()
	if err != nil {
		return nil, err
	}
	body, unwanted := p.Body, []string(nil)
	set = slices.DeleteFunc(slices.Clone(set), func(s Field) bool {
		if s.Value == nil && slices.ContainsFunc(fields, func(f Field) bool { return f.Name == s.Name }) {
			unwanted = append(unwanted, s.Name)
		}
		return s.Value == nil
	})
	if unwanted != nil {
		body, fields = without(fields, unwanted...)
	}
	return setFields(body, fields, set...), nil
}

// Apart are the fields of the body.
func (p *Pass) Apart() ([]Field, error) {
	if p.Fields != nil {
		return p.Fields, nil
	}
	return Fields(p.Body)
}

// Wire is a piece of an answer to a passed request, as the provider sent it:
// whole events of a stream with their blank lines, or one document.
type Wire struct {
	First bool // it begins an attempt; what came of attempts before is void
	Last  bool // it ends the answer, if the answer turns out to be whole
	Data  []byte
}

// Suits says whether a provider can take a request, or else why not: what of a
// passed request cannot be translated needs a provider that speaks its dialect.
func Suits(p Provider, model string, req *Request) error {
	if req.Pass == nil || req.Pass.Only == "" {
		return nil
	}
	if own, ok := p.(PassThrough); ok && own.Passes(req.Pass.Dialect, model) {
		return nil
	}
	return untranslatable(p.Name(), model, req.Pass)
}

func untranslatable(provider, model string, p *Pass) *CallError {
	return &CallError{
		Provider: provider, Model: model, Fault: FaultRequest,
		Message: fmt.Sprintf("%s needs a provider that speaks the %s dialect, and this one does not", p.Only, p.Dialect),
	}
}

// inOnePiece reports whether the answer will come as one document, of which
// nothing is to be seen until it is whole.
func (y *try) inOnePiece() bool {
	p, ok := y.target.provider.(PassThrough)
	return ok && y.req.Pass != nil && !y.req.Pass.Stream && p.Passes(y.req.Pass.Dialect, y.target.model)
}

// PassStream sends req's Pass on with another body and yields what decode makes
// of the answer, each chunk with the bytes that it came in. The last bytes come
// in a chunk of their own, before the one with the response.
func (e *Endpoint) PassStream(ctx context.Context, path string, req *Request, body []byte,
	decode func(*Answer, func(Chunk, error) bool) (*Response, error),
) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		answer, err := e.postPass(ctx, path, req, body)
		if err != nil {
			yield(Chunk{}, err)
			return
		}
		defer answer.Close()
		answer.kept = &kept{}
		first, broke := true, false
		wired := func(c Chunk, err error) bool {
			if !answer.kept.last {
				c.Wire = answer.kept.take()
			}
			if c.Wire != nil {
				c.Wire.First, first = first, false
			}
			broke = broke || !yield(c, err)
			return !broke
		}
		resp, err := decode(answer, wired)
		if broke {
			return
		}
		if err != nil {
			yield(Chunk{}, answer.Fail(ctx, err))
			return
		}
		if w := answer.kept.take(); w != nil {
			w.First, w.Last = first, true
			if !yield(Chunk{Wire: w}, nil) {
				return
			}
		}
		yield(Chunk{Response: resp}, nil)
	}
}

// PassDocument sends req's Pass on with another body and returns the document that
// answers it.
func (e *Endpoint) PassDocument(ctx context.Context, path string, req *Request, body []byte, v any) error {
	answer, err := e.postPass(ctx, path, req, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	data, err := answer.ReadJSON()
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return answer.Fail(ctx, err)
	}
	return nil
}

func (e *Endpoint) postPass(ctx context.Context, path string, req *Request, body []byte) (*Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, e.badURL(req.Model)
	}
	r.Header = e.Header.Clone()
	maps.Copy(r.Header, req.Pass.Header)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if req.Pass.Stream {
		r.Header.Set("Accept", "text/event-stream")
	}
	return e.do(r, req.Model)
}

// kept are the bytes of an answer that were read and not handed out yet.
type kept struct {
	data []byte
	last bool // they end the answer
}

func (k *kept) take() *Wire {
	if len(k.data) == 0 {
		return nil
	}
	w := &Wire{Data: k.data}
	k.data = nil
	return w
}

// events is ReadSSE that keeps the bytes of each event until they are taken.
func (k *kept) events(in *bufio.Reader, max int) iter.Seq2[SSE, error] {
	return func(yield func(SSE, error) bool) {
		s := sseReader{max: max}
		for size := 0; ; {
			line, err := in.ReadSlice('\n')
			k.data = append(k.data, line...)
			if size += len(line); size > max {
				yield(SSE{}, s.tooLarge())
				return
			}
			if err == bufio.ErrBufferFull {
				continue
			}
			if err != nil {
				k.end(&s, size, err, yield)
				return
			}
			line = k.data[len(k.data)-size:]
			size = 0
			event, ready := s.add(s.trim(line))
			if len(k.data)+len(s.data) > 2*max {
				yield(SSE{}, s.tooLarge())
				return
			}
			if ready && !yield(event, nil) {
				return
			}
		}
	}
}

// trim takes a line's end off, and a byte order mark before the first.
func (s *sseReader) trim(line []byte) []byte {
	if !s.begun {
		line, s.begun = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF")), true
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// end ends the reading of events with what the last read returned.
func (k *kept) end(s *sseReader, rest int, err error, yield func(SSE, error) bool) {
	switch {
	case err == io.EOF && rest > 0:
		yield(SSE{}, io.ErrUnexpectedEOF)
	case err != io.EOF:
		yield(SSE{}, err)
	case s.pending:
		yield(s.take(), nil)
	}
}
