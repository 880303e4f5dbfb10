package transit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func replies(status int, text string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

// keeps runs Keep over a Vault that is the function, for as long as is said, and
// returns what it logged.
func keeps(t *testing.T, length time.Duration, o Options, vault roundTripper) string {
	t.Helper()
	var log bytes.Buffer
	o.Address, o.Timeout, o.Log, o.Getenv = "https://vault", defaultTimeout, slog.New(slog.NewTextHandler(&log, nil)), func(string) string { return "a-token" }
	c := New(o)
	c.http.Transport = vault
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	c.Keep(ctx)
	return log.String()
}

// A token is renewed when half of its life is over; while Vault is away it is tried
// again and again, and not less in the end.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		expires := start.Add(time.Hour)
		var renewed []string
		away := func() bool { at := time.Since(start); return at > 85*time.Minute && at < 95*time.Minute }
		log := keeps(t, 4*time.Hour, Options{TokenEnv: "T"}, func(r *http.Request) (*http.Response, error) {
			switch {
			case time.Now().After(expires):
				t.Errorf("the token expired after %v", time.Since(start))
				return replies(403, `{}`)
			case away():
				return replies(503, `{"errors":["Vault is sealed"]}`)
			case strings.HasSuffix(r.URL.Path, "/renew-self"):
				renewed = append(renewed, time.Since(start).Round(time.Minute).String())
				expires = time.Now().Add(time.Hour)
			}
			return replies(200, fmt.Sprintf(`{"data":{"ttl":%d,"renewable":true}}`, int(time.Until(expires).Seconds())))
		})
		want := []string{"0s", "30m0s", "1h0m0s", "1h35m0s", "2h5m0s", "2h35m0s", "3h5m0s", "3h35m0s"}
		if !slices.Equal(renewed, want) {
			t.Errorf("renewed at %v, want %v", renewed, want)
		}
		if strings.Count(log, "could not be renewed") != 1 || strings.Count(log, "renewed again") != 1 {
			t.Errorf("logged %s", log)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		log := keeps(t, 65*time.Second, Options{TokenEnv: "T"}, func(*http.Request) (*http.Response, error) {
			asked++
			return replies(503, `{"errors":["Vault is sealed"]}`)
		})
		if asked != 7 || strings.Count(log, "could not be renewed") != 1 || strings.Contains(log, "a-token") {
			t.Errorf("asked %d times, and logged %s", asked, log)
		}
	})
	synctest.Test(t, func(t *testing.T) { // one that lives as long as it may is not asked about all the time
		asked := 0
		log := keeps(t, 24*time.Hour, Options{TokenEnv: "T"}, func(*http.Request) (*http.Response, error) {
			asked++
			return replies(200, `{"data":{"ttl":0,"renewable":false}}`)
		})
		if asked > 25 || log != "" {
			t.Errorf("asked %d times, and logged %s", asked, log)
		}
	})
}

// Tries are few and further apart, and end with the time of the call.
func TestTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Address: "https://vault", Mount: "transit", Key: "mgx", Timeout: 250 * time.Millisecond, TokenEnv: "T", Getenv: func(string) string { return "a-token" }})
		asked, start := 0, time.Now()
		c.http.Transport = roundTripper(func(*http.Request) (*http.Response, error) { asked++; return replies(502, "") })
		if _, err := c.Unwrap(t.Context(), []byte("vault:v1:AAAA"), nil); err == nil || asked != 2 || time.Since(start) != 250*time.Millisecond {
			t.Errorf("asked %d times in %v: %v", asked, time.Since(start), err)
		}
	})
}
