package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"mgx/internal/gateway"
)

// partVariable tells a child of the benchmark which server it is: an upstream, a
// proxy or a gateway. The two latter find their upstream in upstreamVariable.
const (
	partVariable     = "MGX_BENCH_PART"
	upstreamVariable = "MGX_BENCH_UPSTREAM"
)

// server is one that a child runs.
type server struct {
	part   string
	pid    int
	URL    string
	Secret string // of its callers
}

// spent is the processor time that a server has taken, as far as /proc tells.
func (s server) spent() time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // from the third of proc_pid_stat(5) on
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ
}

// resident is the memory that it has, in MB.
func (s server) resident() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseFloat(kb, 64)
	return n / 1024
}

// begin starts a part in a process of its own, which ends with the benchmark.
func begin(b *testing.B, part, upstream string) server {
	b.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkAdded$", "-test.benchtime=1x")
	child.Env = append(os.Environ(), partVariable+"="+part, upstreamVariable+"="+upstream)
	child.Stderr = os.Stderr
	told, tell, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	child.ExtraFiles = []*os.File{tell}
	living, err := child.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	tell.Close()
	b.Cleanup(func() {
		living.Close()
		child.Wait()
		told.Close()
	})
	s := server{part: part, pid: child.Process.Pid}
	if err := json.NewDecoder(told).Decode(&s); err != nil {
		b.Fatal(part, err)
	}
	return s
}

// serve is the child: it runs a part until its parent is done with it.
func serve(b *testing.B, part string) {
	s := server{}
	upstream := os.Getenv(upstreamVariable)
	switch part {
	case "upstream":
		s.URL = listen(b, http.HandlerFunc(quick))
	case "proxy":
		s.URL = listen(b, plain(b, upstream))
	case "gateway":
		r := newRig(b, settings{at: upstream, options: func(o *gateway.Options) { o.AtOnce, o.PerMinute = 5000, 60_000_000 }})
		r.books.contracts = nil
		s.URL, s.Secret = r.url, r.secret
	}
	if err := json.NewEncoder(os.NewFile(3, "told")).Encode(s); err != nil {
		b.Fatal(err)
	}
	io.Copy(io.Discard, os.Stdin)
}

func listen(b *testing.B, h http.Handler) string {
	s := httptest.NewServer(h)
	b.Cleanup(s.Close)
	return s.URL
}

// plain is the standard library's reverse proxy.
func plain(b *testing.B, upstream string) http.Handler {
	at, err := url.Parse(upstream)
	if err != nil {
		b.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(at)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 2000}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// net/http may close a body that it still sends on once the answer began;
		// then it closes the connection too, in the middle of the answer.
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	})
}
