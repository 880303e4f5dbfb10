package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"mgx/internal/llm"
)

// output gives the answer of one call: a document at the end, or a stream that
// begins with the first content, so that until then a failure still has a status.
type output struct {
	s      *Server
	w      http.ResponseWriter
	call   *call
	model  Model
	stream *answer      // nil: a document
	enc    encoder      // nil until a translated stream begins
	buf    bytes.Buffer // of a stream: what is to be sent

	passed   bool // the answer comes as bytes
	held     []byte
	last     []byte // what ends a passed stream, until it is known to be whole
	content  bool
	thinking strings.Builder
}

func (s *Server) output(w http.ResponseWriter, c *call, m Model, gone func()) *output {
	o := &output{s: s, w: w, call: c, model: m}
	if !m.Policy {
		w.Header().Set("X-Mgx-Model", m.Name)
	}
	if !c.stream {
		return o
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Trailer", "X-Mgx-Cost, X-Mgx-Model")
	o.stream = &answer{
		w: w, rc: http.NewResponseController(w), beat: c.dialect.beat(), every: s.o.Beat, wait: s.o.WriteWait,
	}
	o.stream.start(gone)
	return o
}

// watch shows a chunk as it comes. Chunks that were read together are sent
// together.
func (o *output) watch(c llm.Chunk) {
	switch {
	case o.stream == nil:
		o.keep(c)
		return
	case c.Wire != nil:
		o.pass(c)
	case !o.passed && c.IsContent():
		o.content = true
		o.encoder().chunk(&o.buf, c)
	}
	if !c.More {
		o.flush()
	}
}

// encoder is that of the stream, which it begins.
func (o *output) encoder() encoder {
	if o.enc == nil {
		o.enc = o.call.dialect.encoder(o.call)
		o.enc.start(&o.buf, o.model.Name)
	}
	return o.enc
}

// flush sends what there is of a stream.
func (o *output) flush() {
	if o.stream != nil && o.buf.Len() > 0 {
		o.stream.write(o.buf.Bytes())
		o.buf.Reset()
	}
}

// keep gathers what a document will need beside the response.
func (o *output) keep(c llm.Chunk) {
	if c.Restart || (c.Wire != nil && c.Wire.First) {
		o.held, o.passed = nil, false
		o.thinking.Reset()
	}
	if c.Wire != nil {
		o.passed = true
		o.held = append(o.held, c.Wire.Data...)
	}
	if o.thinking.Len() < llm.MaxContent {
		o.thinking.WriteString(c.Thinking)
	}
}

// pass hands bytes on. Those before the first content are held, since another
// attempt may make them void; those that end the answer until it is known to be
// whole and paid for.
func (o *output) pass(c llm.Chunk) {
	if c.Wire.First {
		o.held, o.last, o.passed = nil, nil, true
	}
	data := c.Wire.Data
	switch {
	case c.Wire.Last:
		o.last = data
		return
	case c.Usage != nil && !c.IsContent() && o.call.dialect.name() == llm.DialectChat && !o.call.usage && usageOnly(data):
		return
	case !o.content && !c.IsContent():
		o.held = append(o.held, data...)
		return
	}
	o.content = true
	o.buf.Write(o.held)
	o.buf.Write(data)
	o.held = nil
}

// end gives the end of a whole answer.
func (o *output) end(res *llm.Result) {
	o.close()
	cost := fmt.Sprintf("%.9f", res.Cost.Dollars())
	h := o.w.Header()
	h.Set("X-Mgx-Model", res.Response.Route)
	h.Set("X-Mgx-Cost", cost)
	if o.stream == nil {
		var body any = o.held
		if !o.passed {
			body = o.call.dialect.whole(o.call, &said{Response: res.Response, thinking: o.thinking.String(), at: o.s.o.Now()})
		}
		write(http.NewResponseController(o.w), o.w, o.s.o.WriteWait, http.StatusOK, body)
		return
	}
	if o.passed {
		o.buf.Write(o.held)
		o.buf.Write(o.last)
	} else {
		o.encoder().end(&o.buf, res.Response)
	}
	o.stream.last(o.buf.Bytes())
}

// fail ends an answer that will not be whole: by an error that gets a status, if
// none has begun, else by the dialect's own event and a broken connection.
func (o *output) fail(err error) error {
	if o.stream == nil {
		return err
	}
	if o.passed {
		o.buf.WriteString("\n\n") // the last event may lack its end
	}
	if o.enc == nil {
		o.enc = o.call.dialect.encoder(o.call)
	}
	o.enc.fail(&o.buf, failed(err))
	if o.stream.stop() {
		o.stream.last(o.buf.Bytes())
		panic(http.ErrAbortHandler)
	}
	for _, name := range []string{"Content-Type", "X-Accel-Buffering", "Trailer"} {
		o.w.Header().Del(name)
	}
	return err
}

// close ends the signs of life.
func (o *output) close() {
	if o.stream != nil {
		o.stream.stop()
	}
}
