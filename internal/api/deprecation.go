package api

import (
	"fmt"
	"net/http"
	"time"
)

// deprecation says that an operation will go, and what to use instead.
type deprecation struct {
	Since   time.Time // RFC 9745
	Gone    time.Time // RFC 8594; from then on it may be missing. Zero: nobody knows yet
	Instead string    // path of what to use
}

// header tells it with each answer.
func (d *deprecation) header(h http.Header) {
	h.Set("Deprecation", fmt.Sprintf("@%d", d.Since.Unix()))
	if !d.Gone.IsZero() {
		h.Set("Sunset", d.Gone.UTC().Format(http.TimeFormat))
	}
	h.Add("Link", fmt.Sprintf("<%s>; rel=\"successor-version\"", d.Instead))
}
