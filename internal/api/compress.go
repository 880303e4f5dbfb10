package api

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
)

// leastGzip is from which size on an answer is compressed, in bytes.
const leastGzip = 1 << 10

var gzips = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // a level that there is
	return z
}}

// compressible reports whether an answer may be sent compressed. One with a secret
// in it may not: how well a text compresses tells what is in it to who can have
// something of their own put beside it (https://www.breachattack.com). Nor may one
// with an ETag, which names its very bytes.
func (l *late) compressible(r *http.Request) bool {
	h := l.header
	switch {
	case l.secret, l.body.Len() < leastGzip, h.Get("ETag") != "", h.Get("Content-Encoding") != "", h.Get("Content-Disposition") != "":
		return false
	}
	h.Add("Vary", "Accept-Encoding")
	return textual(h.Get("Content-Type")) && acceptsGzip(list(r.Header.Values("Accept-Encoding")))
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3). Who does not name gzip does
// not get it.
func acceptsGzip(codings []string) bool {
	for _, one := range codings {
		name, weight, weighed := strings.Cut(one, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, _ := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
		return !weighed || strings.Trim(q, "0.") != ""
	}
	return false
}

func zip(w io.Writer, body []byte) {
	z := gzips.Get().(*gzip.Writer)
	defer gzips.Put(z)
	z.Reset(w)
	z.Write(body)
	z.Close()
}
