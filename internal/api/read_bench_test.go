package api_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"mgx"
)

// BenchmarkReadRoute is a list of 20 budgets over loopback, beside a bare handler
// of net/http that writes the same bytes: "x bare" says how often as long it takes
// with who asks, what they may, the database, and everything else that a request
// goes through.
func BenchmarkReadRoute(b *testing.B) {
	w := newTown(b)
	admin := w.tokens["admin"]
	for i := range 20 {
		_, _, err := w.store.CreateBudget(b.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "user_local"}, mgx.Budget{
			ID: mgx.NewID[mgx.BudgetID]("bgt"), Workspace: mgx.DefaultWorkspace, Scope: mgx.ScopeUser, ScopeID: fmt.Sprint("user_", i), Period: mgx.PeriodMonth, Limit: 5 * mgx.USD,
		})
		must(b, err)
	}
	got := w.do(admin, "GET", "/api/v1/budgets", nil, nil)
	w.must(got, 200)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	bare := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(got.body))
	})}
	go bare.Serve(l)
	defer bare.Close()
	read := func(url string) time.Duration {
		r, err := http.NewRequest("GET", url+"/api/v1/budgets", nil)
		must(b, err)
		r.Header.Set("Authorization", "Bearer "+admin)
		r.Header.Set("Accept-Encoding", "identity")
		began := time.Now()
		resp, err := http.DefaultTransport.RoundTrip(r)
		must(b, err)
		n, err := resp.Body.Read(make([]byte, len(got.body)+1))
		for total := n; err == nil; total += n {
			n, err = resp.Body.Read(make([]byte, len(got.body)+1))
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			b.Fatal(resp.Status)
		}
		return time.Since(began)
	}
	var ours, theirs time.Duration
	for b.Loop() { // by turns, so that both meet the same weather
		ours += read(w.url)
		theirs += read("http://" + l.Addr().String())
	}
	b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "µs/read")
	b.ReportMetric(float64(ours)/float64(theirs), "x_bare")
}
