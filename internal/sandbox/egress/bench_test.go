package egress_test

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"mgx/internal/sandbox/egress"
)

// BenchmarkProxy compares what goes through the gate with what goes directly, in
// turns: a request with a connection of its own, and a download of 64 MB, both over
// TLS to a server on this machine.
func BenchmarkProxy(b *testing.B) {
	large := make([]byte, 64<<20)
	s := newServer(b, true, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			w.Write(large)
		}
	})
	l := newLab(b, egress.Options{}, s.rule("example.com", "+private")).serve()
	direct, proxied := l.client(s), l.client(s)
	for _, c := range []*http.Client{direct, proxied} {
		c.Transport.(*http.Transport).DisableKeepAlives = true
	}
	tr := direct.Transport.(*http.Transport)
	tr.Proxy, tr.TLSClientConfig.ServerName = nil, "example.com"
	ways := map[string]func(path string) (*http.Response, error){
		"direct": func(path string) (*http.Response, error) { return direct.Get(s.URL + path) },
		"proxy": func(path string) (*http.Response, error) {
			return proxied.Get("https://" + s.rule("example.com", path))
		},
	}
	for name, path := range map[string]string{"request": "/", "download": "/large"} {
		b.Run(name, func(b *testing.B) {
			took := map[string][]time.Duration{}
			for b.Loop() {
				for way, get := range ways {
					start := time.Now()
					resp, err := get(path)
					if err != nil {
						b.Fatal(err)
					}
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if err != nil {
						b.Fatal(err)
					}
					took[way] = append(took[way], time.Since(start))
				}
			}
			b.ReportMetric(0, "ns/op")
			for way, list := range took {
				slices.Sort(list)
				b.ReportMetric(float64(list[len(list)/2].Microseconds()), way+"-p50-us")
			}
		})
	}
}
