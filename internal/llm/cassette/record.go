package cassette

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"mgx/internal/llm"
)

// Options say how a recording is made or played.
type Options struct {
	// Redact hides secrets in a text; it must give the same for the same text.
	Redact func([]byte) []byte
	// Secret is told each credential that a request carries, for Redact to know.
	Secret func(string)
	// Through does the work while recording; nil: a transport of its own.
	Through http.RoundTripper
}

func (o Options) scrubber() scrubber { return scrubber{redact: o.Redact, secret: o.Secret} }

// Recorder passes calls on and records them.
type Recorder struct {
	Clock *Clock

	file    *file
	scrub   scrubber
	through http.RoundTripper
}

// Record begins a recording in a file that must not exist.
func Record(name string, h Header, o Options) (*Recorder, error) {
	h.Version = Version
	for variable, value := range h.Environment {
		h.Environment[variable] = string(o.Redact([]byte(value)))
	}
	f, err := create(name, h)
	if err != nil {
		return nil, err
	}
	return newRecorder(f, h, o), nil
}

// Append goes on with a recording that another process began.
func Append(name string, o Options) (*Recorder, *Tape, error) {
	t, err := Load(name)
	if err != nil {
		return nil, nil, err
	}
	f, err := extend(name, t)
	if err != nil {
		return nil, nil, err
	}
	return newRecorder(f, t.Header, o), t, nil
}

func newRecorder(f *file, h Header, o Options) *Recorder {
	if o.Through == nil {
		o.Through = http.DefaultTransport.(*http.Transport).Clone()
	}
	return &Recorder{Clock: &Clock{real: true, at: h.Started}, file: f, scrub: o.scrubber(), through: o.Through}
}

// Begin records what the calls that follow are made for.
func (r *Recorder) Begin(run Run) error {
	run.Task = string(r.scrub.redact([]byte(run.Task)))
	r.file.write(line{Run: &run})
	return r.file.failed()
}

// Close ends the recording. It returns the first error that kept it from being
// whole.
func (r *Recorder) Close() error { return r.file.close() }

// RoundTrip implements [http.RoundTripper].
func (r *Recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := r.file.failed(); err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	kept, err := r.scrub.read(req)
	if err != nil {
		return nil, err
	}
	x := &Exchange{Request: kept}
	start := time.Now()
	resp, err := r.through.RoundTrip(req)
	x.WaitUS = time.Since(start).Microseconds()
	if err != nil {
		if end := endOf(req.Context(), err); end != nil {
			r.Clock.advanceUS(x.WaitUS)
			end.Text = string(r.scrub.redact([]byte(end.Text)))
			x.Failure = end
			r.file.write(line{Exchange: x})
		}
		return nil, err
	}
	r.Clock.advanceUS(x.WaitUS)
	return r.tap(req.Context(), x, resp)
}

// tap has the body of an answer recorded as it is read.
func (r *Recorder) tap(ctx context.Context, x *Exchange, resp *http.Response) (*http.Response, error) {
	x.Answer = &Answer{Status: resp.StatusCode, Header: keepHeaders(resp.Header)}
	if at, err := http.ParseTime(x.Answer.Header["Retry-After"]); err == nil {
		wait := max(0, time.Until(at)).Round(time.Second) // a date would be past when it is played
		x.Answer.Header["Retry-After"] = strconv.Itoa(int(wait.Seconds()))
	}
	body := io.Reader(resp.Body)
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		body = &unzipped{in: resp.Body}
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
		resp.ContentLength, resp.Uncompressed = -1, true
	}
	resp.Body = &tap{recorder: r, ctx: ctx, exchange: x, body: body, close: resp.Body.Close, last: time.Now()}
	return resp, nil
}

// unzipped opens the compression when something is read.
type unzipped struct {
	in  io.Reader
	zip *gzip.Reader
}

func (u *unzipped) Read(p []byte) (n int, err error) {
	if u.zip == nil {
		if u.zip, err = gzip.NewReader(u.in); err != nil {
			return 0, err
		}
	}
	return u.zip.Read(p)
}

// tap is a body that records what is read of it.
type tap struct {
	recorder *Recorder
	ctx      context.Context // of the request
	body     io.Reader
	close    func() error
	last     time.Time
	size     int

	once     sync.Once
	exchange *Exchange
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	now := time.Now()
	after := now.Sub(t.last).Truncate(time.Microsecond)
	if n > 0 && t.size < maxBody {
		t.size += n
		t.exchange.Answer.Chunks = append(t.exchange.Answer.Chunks, newChunk(after, p[:n]))
		t.recorder.Clock.advance(after)
		t.last, after = now, 0
	}
	if err == io.EOF {
		t.end(nil, false)
	} else if err != nil {
		t.broke(err, after)
	}
	return n, err
}

// broke records how a body ended too early.
func (t *tap) broke(err error, after time.Duration) {
	end := endOf(t.ctx, err)
	if end == nil {
		t.end(nil, true)
		return
	}
	end.AfterUS = after.Microseconds()
	t.recorder.Clock.advance(after)
	t.end(end, false)
}

func (t *tap) Close() error {
	if t.ctx.Err() != nil {
		t.broke(t.ctx.Err(), time.Since(t.last).Truncate(time.Microsecond))
	} else {
		t.end(nil, false) // its reader had enough
	}
	return t.close()
}

// end writes the exchange, once. One that the user broke off is forgotten: the
// call will be made again.
func (t *tap) end(end *End, forget bool) {
	t.once.Do(func() {
		if forget {
			return
		}
		t.exchange.Answer.End = end
		t.recorder.scrub.answer(t.exchange.Answer)
		t.recorder.file.write(line{Exchange: t.exchange})
	})
}

// endOf describes an error of the transport. It is nil when the user, and not
// what was called, is its cause.
func endOf(ctx context.Context, err error) *End {
	if ctx.Err() != nil {
		call, ok := errors.AsType[*llm.CallError](context.Cause(ctx))
		if !ok {
			return nil
		}
		return &End{Kind: Stalled, Text: call.Message}
	}
	end := &End{Kind: Other, Text: err.Error()}
	network, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		end.Kind = Broken
	case ok && network.Timeout():
		end.Kind = Timeout
	case ok:
		end.Kind = Network
	}
	return end
}
