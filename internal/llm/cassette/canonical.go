package cassette

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/llm"
)

// canonical is JSON with the fields of objects sorted and numbers as written.
func canonical(body []byte) (json.RawMessage, bool) {
	v, ok := parse(body)
	if !ok {
		return nil, false
	}
	return llm.MarshalWire(v), true
}

func parse(body []byte) (any, bool) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil, false
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, false
	}
	return v, true
}

// scrubber makes requests and answers fit to keep.
type scrubber struct {
	redact func([]byte) []byte
	secret func(string)
}

// read takes a request's body, leaving the request as it was, and returns the
// request as it is kept.
func (s scrubber) read(req *http.Request) (Request, error) {
	s.learn(req)
	kept := Request{Method: req.Method, URL: s.url(req.URL)}
	if req.Body == nil || req.Body == http.NoBody {
		return kept, nil
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, maxRequest+1))
	req.Body.Close()
	if err != nil {
		return kept, err
	}
	if len(body) > maxRequest {
		return kept, mgx.Errorf(mgx.KindProvider, "request_too_large", "a request to a model has more than %d MB, which a recording does not hold", maxRequest>>20)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	clean := s.redact(body)
	if raw, ok := canonical(clean); ok {
		kept.Body = raw
	} else {
		kept.Text = string(clean)
	}
	return kept, nil
}

// secretNames are headers and parameters of URLs that carry credentials.
var secretNames = regexp.MustCompile(`(?i)auth|key|token|secret|cookie|password|sig`)

// learn tells the redactor the credentials that a request carries.
func (s scrubber) learn(req *http.Request) {
	for name, values := range req.Header {
		if !secretNames.MatchString(name) {
			continue
		}
		for _, v := range values {
			_, rest, found := strings.Cut(v, " ") // Bearer …, Basic …
			if !found {
				rest = v
			}
			s.secret(rest)
		}
	}
	if password, ok := req.URL.User.Password(); ok {
		s.secret(password)
	}
	for name, values := range req.URL.Query() {
		if secretNames.MatchString(name) {
			for _, v := range values {
				s.secret(v)
			}
		}
	}
}

// url is an address without its credentials.
func (s scrubber) url(u *url.URL) string {
	clean := *u
	clean.User = nil
	q := clean.Query()
	for name := range q {
		if secretNames.MatchString(name) {
			q.Set(name, Placeholder)
		}
	}
	clean.RawQuery = q.Encode()
	return string(s.redact([]byte(clean.String())))
}

// answer hides secrets in a body, also one that two pieces share: then the whole
// body becomes one piece.
func (s scrubber) answer(a *Answer) {
	var whole []byte
	var after int64
	for _, c := range a.Chunks {
		whole = append(whole, c.data()...)
		after += c.AfterUS
	}
	if clean := s.redact(whole); !bytes.Equal(clean, whole) {
		a.Chunks = []Chunk{newChunk(0, clean)}
		a.Chunks[0].AfterUS = after
	}
	for name, v := range a.Header {
		a.Header[name] = string(s.redact([]byte(v)))
	}
	if a.End != nil {
		a.End.Text = string(s.redact([]byte(a.End.Text)))
	}
}

// key is what makes two requests the same.
func (r Request) key() string {
	return strings.Join([]string{r.place(), string(r.Body), r.Text}, "\x00")
}

// place is where a request goes.
func (r Request) place() string { return r.Method + " " + r.URL }

// readings are what differs from one run of a command to the next because time
// passes: durations with a fraction, such as 0.012s, and times of day with a date.
var readings = []*regexp.Regexp{
	regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z| ?[+-]\d\d:?\d\d)?`),
	regexp.MustCompile(`\b\d+[.,]\d+ ?(ns|µs|us|ms|s|sec|secs|seconds|m|min)\b`),
}

// mask replaces readings of a clock.
func mask(s string) string {
	for _, r := range readings {
		s = r.ReplaceAllString(s, "⧗")
	}
	return s
}

// maskedKey is key without readings of a clock.
func (r Request) maskedKey() string {
	if v, ok := parse(r.Body); ok {
		r.Body = llm.MarshalWire(maskAll(v))
	}
	r.Text = mask(r.Text)
	return r.key()
}

// maskAll masks every string of a JSON value, as it reads and not as it is
// escaped. It changes v.
func maskAll(v any) any {
	switch v := v.(type) {
	case string:
		return mask(v)
	case []any:
		for i := range v {
			v[i] = maskAll(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = maskAll(v[k])
		}
	}
	return v
}

// pathOf is an address as a message shows it.
func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Path
}

// sortedKeys of an object.
func sortedKeys(maps ...map[string]any) []string {
	var keys []string
	for _, m := range maps {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
