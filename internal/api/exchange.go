package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"mgx"
)

// exchange is one request and its answer as huma sees them. What huma finds wrong
// with a request ends up in err, like what a handler does, so that every problem
// is written in one place.
type exchange struct {
	humaContext
	o     *operation
	r     *http.Request
	w     http.ResponseWriter
	query url.Values
	body  []byte
	err   error
}

type humaContext = huma.Context

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// newExchange reads what there is to read of a request, and refuses what no
// operation understands.
func newExchange(o *operation, w http.ResponseWriter, r *http.Request) (*exchange, error) {
	x := &exchange{o: o, w: w}
	x.r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	x.humaContext = humago.NewContext(o.Operation, x.r, w)
	var err error
	if x.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return nil, badQuery("the query is not well formed")
	}
	for name, all := range x.query {
		switch {
		case !o.params[name]:
			return nil, badQuery("there is no parameter %q here%s", clip(name), orThese(o.params))
		case len(all) > 1 && o.once[name]:
			return nil, badQuery("%s is there more than once", name)
		}
	}
	if o.flags&bulky == 0 {
		x.body, err = readBody(o, r)
	}
	return x, err
}

// on goes on with the request in another context.
func (x *exchange) on(ctx context.Context) {
	x.r = x.r.WithContext(ctx)
	x.humaContext = humago.NewContext(x.Operation(), x.r, x.w)
}

func orThese(known map[string]bool) string {
	if len(known) == 0 {
		return ""
	}
	return "; there are " + strings.Join(sortedKeys(known), ", ")
}

// readBody reads the body of a request. What is compressed is refused before it
// is anything: a small body may be a huge one.
func readBody(o *operation, r *http.Request) ([]byte, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, mgx.Errorf(mgx.KindUsage, codeMediaType, "send the body as it is, not compressed")
	}
	body, err := io.ReadAll(r.Body)
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return nil, err
	}
	if err != nil {
		return nil, mgx.Errorf(mgx.KindUsage, codeBody, "the body broke off")
	}
	if len(body) == 0 || !o.bodied {
		return body, nil
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != typeJSON {
		return nil, mgx.Errorf(mgx.KindUsage, codeMediaType, "send the body as %s", typeJSON)
	}
	return body, strictJSON(body)
}

// Query returns a parameter. One that is a list may be there several times, or
// with commas.
func (x *exchange) Query(name string) string { return strings.Join(x.query[name], ",") }

func (x *exchange) BodyReader() io.Reader { return bytes.NewReader(x.body) }

func (x *exchange) BodyWriter() io.Writer { return x }

// Write is how huma answers.
func (x *exchange) Write(b []byte) (int, error) {
	if x.err != nil {
		return len(b), nil
	}
	return x.w.Write(b)
}

// SetStatus begins the answer, unless a problem will be the answer.
func (x *exchange) SetStatus(status int) {
	if x.err == nil && status < http.StatusBadRequest {
		x.w.WriteHeader(status)
	}
}

func (x *exchange) SetHeader(name, value string) {
	if x.err == nil {
		x.w.Header().Set(name, value)
	}
}

// refuse keeps what huma found wrong with the request.
func (x *exchange) refuse(m *huma.ErrorModel) {
	var all []fault
	code := codeBody
	for _, e := range m.Errors {
		if all = append(all, x.o.faultOf(e)); len(all) == mostFaults {
			break
		}
	}
	if len(all) > 0 && !strings.HasPrefix(all[0].Location, "body") {
		code = codeQuery
	}
	detail := "a body is required"
	if len(all) > 0 {
		detail = all[0].Location + " " + all[0].Message
	}
	x.err = &invalid{err: mgx.Errorf(mgx.KindUsage, code, "%s", detail), faults: all}
}

// mostFaults bounds what one answer says is wrong with a request.
const mostFaults = 20

// fault is one thing that is wrong with a request.
type fault struct {
	Location string `json:"location" doc:"Where it is: body.name, query.limit, path.id"`
	Message  string `json:"message" doc:"What is wrong there, as a sentence goes on behind its place: must not be empty"`
}

// invalid is a request that does not fit its operation.
type invalid struct {
	err    error
	faults []fault
}

func (e *invalid) Error() string { return e.err.Error() }
func (e *invalid) Unwrap() error { return e.err }
