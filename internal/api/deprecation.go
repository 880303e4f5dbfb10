package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// deprecation says that an operation will go, and what to use instead.
type deprecation struct {
	Since   time.Time // RFC 9745
	Gone    time.Time // RFC 8594; from then on it may be missing. Zero: nobody knows yet
	Instead string    // pattern of the path of what to use
}

// versionHeader is the header of requests and answers that names the version.
const versionHeader = "X-API-Version"

// speaks refuses a request that wants another version of the API than there is:
// what a later one adds would be missing, and an earlier one may have been
// different.
func speaks(r *http.Request) error {
	wanted := r.Header.Get(versionHeader)
	if wanted == "" {
		return nil
	}
	major, minor, pointed := strings.Cut(wanted, ".")
	has, most, _ := strings.Cut(Version, ".")
	number, err := strconv.ParseUint(minor, 10, 16)
	last, _ := strconv.ParseUint(most, 10, 16) // a constant of ours
	if major != has || pointed && (err != nil || number > last) {
		return mgx.Errorf(mgx.KindUsage, codeVersion, "this server speaks version %s of the API, not %q", Version, clip(wanted))
	}
	return nil
}

// header tells it with each answer.
func (d *deprecation) header(h http.Header, r *http.Request) {
	h.Set("Deprecation", fmt.Sprintf("@%d", d.Since.Unix()))
	if !d.Gone.IsZero() {
		h.Set("Sunset", d.Gone.UTC().Format(http.TimeFormat))
	}
	parts := strings.Split(d.Instead, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			parts[i] = url.PathEscape(r.PathValue(strings.TrimSuffix(name, "}")))
		}
	}
	h.Add("Link", `</api/v1/docs>; rel="deprecation", <`+strings.Join(parts, "/")+`>; rel="successor-version"`)
}
