package llm

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"mgx"
)

func TestParsePricesRefuses(t *testing.T) {
	t.Parallel()
	entry := func(s string) string { return `{"prices":[` + s + `]}` }
	for list, want := range map[string]string{
		`{}`:                                  "no prices",
		``:                                    "EOF",
		`{"prices":[]} x`:                     "follows",
		`{"what":1,"prices":[]}`:              "what",
		`{"unit":"EUR","prices":[{}]}`:        "unit",
		entry(`{"models":["a/b"],"input":1}`): "entry 1 (a/b): its price for input or output is missing",
		entry(`{"models":["a/b"],"input":-1,"output":1}`):                                        "-1",
		entry(`{"models":["a/b"],"input":"1","output":1}`):                                       "entry 1",
		entry(`{"models":["a/b"],"input":1e9,"output":1}`):                                       "above",
		entry(`{"models":["a/b"],"input":1,"output":1,"inputs":2}`):                              "inputs",
		entry(`{"models":["ab"],"input":1,"output":1}`):                                          "provider/model",
		entry(`{"models":["a/["],"input":1,"output":1}`):                                         "provider/model",
		entry(`{"models":[],"input":1,"output":1}`):                                              "names no models",
		entry(`{"models":["a/b","a/b"],"input":1,"output":1}`):                                   "twice",
		entry(`{"models":["a/b"],"input":2,"output":2,"long":{"above":5,"input":1,"output":2}}`): "not lower",
		entry(`{"models":["a/b"],"input":1,"output":1,"context":-1}`):                            "negative",
	} {
		if _, err := parseList([]byte(list)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", list, err)
		}
	}
}

func TestOperatorHasTheLastWord(t *testing.T) {
	t.Parallel()
	base := BuiltinPrices()
	p, err := base.WithOperator("own.json", []byte(`{"prices":[
		{"models":["openai/gpt-5"],"input":7,"output":8},
		{"models":["corp/*"],"input":1,"output":2,"context":9000},
		{"models":["corp/large-*"],"input":3,"output":4}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]mgx.Money{
		"openai/gpt-5": 7, "openai/gpt-5-2025-08-07": 7, "corp/x": 1, "corp/large-2": 3, "openai/gpt-4o": -1,
	} {
		provider, model, _ := strings.Cut(name, "/")
		got, known := p.Lookup(provider, model)
		if want < 0 {
			want, _ := base.Lookup(provider, model)
			if got.Rates != want.Rates || got.Version != base.Version {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		if !known || got.Input != want*mgx.USD || !strings.HasPrefix(got.Version, "operator-") {
			t.Errorf("%s: %+v, %v", name, got, known)
		}
	}
	if got, _ := p.Lookup("openai", "gpt-5"); got.ContextWindow != 400_000 || len(got.Capabilities) == 0 {
		t.Errorf("what the operator left out is lost: %+v", got)
	}
	if got, _ := base.Lookup("openai", "gpt-5"); got.Input == 7*mgx.USD {
		t.Error("the list below was changed")
	}
	if l := p.Layers(); len(l) != 2 || l[0].Name != LayerOperator || l[0].Source != "own.json" || l[1].Name != LayerEmbedded {
		t.Errorf("%+v", l)
	}
	if _, err := base.WithOperator("own.json", []byte("{")); !mgx.IsCode(err, "bad_prices") || !strings.Contains(err.Error(), "own.json") {
		t.Error(err)
	}
}

// TestTheTopListSpeaks: in any pile of lists a model has the price of the topmost
// that names it.
func TestTheTopListSpeaks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, want := (*Prices)(nil), map[string]mgx.Money{}
		for i := range rapid.IntRange(1, 4).Draw(t, "lists") {
			var entries []string
			for _, m := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"p/a", "p/b", "q/a"}), 1, 3, rapid.ID[string]).Draw(t, "models") {
				price := 10*i + len(entries)
				entries = append(entries, fmt.Sprintf(`{"models":[%q],"input":%d,"output":1}`, m, price))
				want[m] = mgx.Money(price) * mgx.USD
			}
			var err error
			if p, err = p.WithOperator("x", []byte(`{"prices":[`+strings.Join(entries, ",")+`]}`)); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range []string{"p/a", "p/b", "q/a"} {
			provider, model, _ := strings.Cut(m, "/")
			got, known := p.Lookup(provider, model)
			if amount, listed := want[m]; known != listed || got.Input != amount {
				t.Fatalf("%s: %s, %v; want %s, %v", m, got.Input, known, amount, listed)
			}
		}
	})
}

// publisher serves a list with an ETag and counts how often it was sent.
type publisher struct {
	list   atomic.Pointer[string]
	status int
	sent   atomic.Int32
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	list := *p.list.Load()
	tag := fmt.Sprintf("%q", digest([]byte(list))[:8])
	w.Header().Set("ETag", tag)
	switch {
	case p.status != 0:
		w.WriteHeader(p.status)
	case r.Header.Get("If-None-Match") == tag:
		w.WriteHeader(http.StatusNotModified)
	default:
		p.sent.Add(1)
		fmt.Fprint(w, list)
	}
}

func (p *publisher) publish(list string) { p.list.Store(&list) }

func gpt5(input, output string) string {
	return fmt.Sprintf(`{"version": "v1", "source": "corp", "prices": [{"models": ["openai/gpt-5"], "input": %s, "output": %s, "cached": 0.125}]}`, input, output)
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	server := httptest.NewServer(p)
	defer server.Close()
	base := BuiltinPrices()
	s := PriceSource{URL: server.URL + "/prices.json?token=very-secret-token", File: filepath.Join(t.TempDir(), "prices.json")}
	price := func() (mgx.Money, string) {
		t.Helper()
		now, err := s.Apply(base)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := now.Lookup("openai", "gpt-5")
		return got.Input, got.Version
	}
	if in, v := price(); in != mgx.USD*5/4 || v != base.Version {
		t.Fatalf("before any fetch: %s of %s", in, v)
	}

	p.publish(gpt5("2", "10"))
	if changed, err := s.Refresh(t.Context(), base); err != nil || !changed {
		t.Fatalf("%v, %v", changed, err)
	}
	in, version := price()
	if in != 2*mgx.USD || !strings.HasPrefix(version, "v1-") {
		t.Errorf("fetched: %s of %s", in, version)
	}
	first := s.FetchedAt()
	if changed, err := s.Refresh(t.Context(), base); err != nil || changed || p.sent.Load() != 1 {
		t.Errorf("an unchanged list: %v, %v, sent %d times", changed, err, p.sent.Load())
	}
	if s.FetchedAt().Before(first) || first.IsZero() {
		t.Errorf("confirmed at %s, fetched at %s", s.FetchedAt(), first)
	}

	// What is not plausible changes nothing and says why, with both figures.
	for list, want := range map[string][]string{
		gpt5("21", "10"):  {"openai/gpt-5", "input", "$21.00", "$2.00"},
		gpt5("0.1", "10"): {"$0.10", "$2.00"},
		gpt5("0", "10"):   {"$0.00", "$2.00"},
		gpt5("2", "101"):  {"output", "$101.00", "$10.00"},
		gpt5("-2", "10"):  {"openai/gpt-5", "-2"},
		`{"prices": [{"models": ["openai/gpt-5"], "input": 2}]}`: {"openai/gpt-5", "missing"},
		`{"prices": []}`: {"no prices"},
		`<html>`:         {"not JSON"},
	} {
		p.publish(list)
		_, err := s.Refresh(t.Context(), base)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q", list, err, w)
			}
		}
		if err != nil && strings.Contains(err.Error(), "very-secret") {
			t.Errorf("the address is shown: %v", err)
		}
		if in, v := price(); in != 2*mgx.USD || v != version {
			t.Errorf("%s changed the price to %s of %s", list, in, v)
		}
	}
	p.status = 503
	if _, err := s.Refresh(t.Context(), base); !mgx.IsCode(err, "prices_unreachable") {
		t.Errorf("503: %v", err)
	}
	if kept, _ := os.ReadFile(s.File); strings.Contains(string(kept), "very-secret") {
		t.Error("the address is kept in the file")
	}

	// Another address, and a file that is damaged: the embedded list.
	other := PriceSource{URL: server.URL + "/other", File: s.File}
	if now, err := other.Apply(base); err != nil || len(now.Layers()) != 1 {
		t.Errorf("another address: %v", err)
	}
	data, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{"", "{", strings.Replace(string(data), `"input":2`, `"input":3`, 1)} {
		if err := os.WriteFile(s.File, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		now, err := s.Apply(base)
		if !mgx.IsCode(err, "bad_prices_cache") || len(now.Layers()) != 1 {
			t.Errorf("%q: %v", damaged, err)
		}
	}
	p.status = 0
	p.publish(gpt5("3", "10"))
	if changed, err := s.Refresh(t.Context(), base); err != nil || !changed {
		t.Errorf("a damaged file is not fetched anew: %v, %v", changed, err)
	}
	if in, _ := price(); in != 3*mgx.USD {
		t.Errorf("after that: %s", in)
	}
}

func TestRefreshStaysWhereItMay(t *testing.T) {
	t.Parallel()
	for address, allowed := range map[string]bool{
		"https://example.com/p.json": true, "http://127.0.0.1:1/p": true, "http://localhost/p": true, "http://[::1]/p": true,
		"http://example.com/p.json": false, "file:///etc/passwd": false, "ftp://localhost/x": false, "prices.json": false, "https://": false,
	} {
		if err := CheckPriceURL(address); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http://example.com/p.json", http.StatusFound)
		case "/huge":
			for range maxPrices>>10 + 1 {
				w.Write(make([]byte, 1<<10))
			}
		}
	}))
	defer server.Close()
	for path, want := range map[string]string{"/away": "redirects", "/huge": "more than 8 MB"} {
		s := PriceSource{URL: server.URL + path, File: filepath.Join(t.TempDir(), "prices.json")}
		if _, err := s.Refresh(context.Background(), BuiltinPrices()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := os.Stat(s.File); err == nil {
			t.Errorf("%s: a file was written", path)
		}
	}
}
