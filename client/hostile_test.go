package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mgx"
	"mgx/client"
)

// at returns a client of a server that answers as f does, with what every answer of MGX
// has.
func at(t *testing.T, f http.HandlerFunc) *client.Client {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-API-Version", "1.0")
		f(w, r)
	}))
	t.Cleanup(web.Close)
	c, err := client.New(web.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What a server that means ill sends ends in an error, in bounded memory.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	many := `[` + strings.Repeat(`{"id":"whk_1"},`, 4999) + `{"id":"whk_1"}]`
	var page atomic.Int64
	for name, answer := range map[string]func(w http.ResponseWriter){
		"round in circles": func(w http.ResponseWriter) { fmt.Fprint(w, `{"webhooks":[],"next_page_token":"again"}`) },
		"without end": func(w http.ResponseWriter) {
			fmt.Fprintf(w, `{"webhooks":%s,"next_page_token":"%d"}`, many, page.Add(1))
		},
		"control sequences in a name":  func(w http.ResponseWriter) { fmt.Fprint(w, `{"webhooks":[{"id":"whk_\u001b]0;x\u0007"}]}`) },
		"a line end in a name":         func(w http.ResponseWriter) { fmt.Fprint(w, `{"webhooks":[{"id":"whk_\nwhk_2"}]}`) },
		"a name that turns text round": func(w http.ResponseWriter) { fmt.Fprint(w, `{"webhooks":[{"id":"whk_\u202e"}]}`) },
		"another kind of list":         func(w http.ResponseWriter) { fmt.Fprint(w, `{"webhooks":{"id":"whk_1"}}`) },
		"a token that is none":         func(w http.ResponseWriter) { fmt.Fprint(w, `{"webhooks":[],"next_page_token":7}`) },
		"no JSON":                      func(w http.ResponseWriter) { fmt.Fprint(w, `<html>`) },
		"a problem without a code": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, `{"detail":"no"}`)
		},
		"too much": func(w http.ResponseWriter) {
			for piece := make([]byte, 1<<20); ; {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		},
	} {
		c := at(t, func(w http.ResponseWriter, _ *http.Request) { answer(w) })
		if _, err := c.Webhooks().List(t.Context()); !mgx.IsCode(err, client.CodeBadServer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is made is made once although the answer was lost: the same key comes again.
func TestCreateAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var keys []string
	c := at(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if keys = append(keys, r.Header.Get("Idempotency-Key")); len(keys) == 1 {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(mgx.BudgetUse{Budget: mgx.Budget{ID: "bgt_1"}})
	})
	u, err := c.Budgets().Create(t.Context(), client.NewBudget{Limit: new(mgx.USD)})
	if err != nil || u.ID != "bgt_1" || len(keys) != 2 || keys[0] != keys[1] || len(keys[0]) < 20 {
		t.Errorf("%v %v %q", u, err, keys)
	}
}

// The kinds of errors, which are the exit codes of commands, cross the wire.
func TestErrorKinds(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]mgx.Kind{
		400: mgx.KindUsage, 401: mgx.KindRefused, 402: mgx.KindBudget, 403: mgx.KindRefused, 404: mgx.KindUsage, 409: mgx.KindUsage, 424: mgx.KindConfig,
		429: mgx.KindUsage, 500: mgx.KindInternal, 502: mgx.KindProvider, 503: mgx.KindConfig,
	} {
		c := at(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"status":%d,"code":"said","detail":"why"}`, status)
		})
		_, err := c.Budgets().Get(t.Context(), "bgt_1")
		if e := mgx.AsError(err); e.Kind != want || e.Code != "said" || e.Message != "why" {
			t.Errorf("%d: %+v", status, e)
		}
	}
}

// A server of another kind, which answers everything with some JSON, signs nobody in.
func TestSomeJSONIsNoSession(t *testing.T) {
	t.Parallel()
	c := at(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"object":"list","data":[]}`) })
	_, signIn := c.SignIn(t.Context(), "jo@example.com", "four words of theirs")
	_, accept := c.Accept(t.Context(), client.Acceptance{Token: "mgxi_x"})
	_, refresh := c.Refresh(t.Context(), "mgxr_x")
	_, me := c.Me(t.Context())
	for what, err := range map[string]error{"sign in": signIn, "accept": accept, "refresh": refresh, "me": me} {
		if !mgx.IsCode(err, client.CodeBadServer) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Of a server with TLS it is said what to do, with the wrong scheme and with a certificate
// that nobody trusts.
func TestServerWithTLS(t *testing.T) {
	t.Parallel()
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for url, want := range map[string]string{
		web.URL: "SSL_CERT_FILE",
		strings.Replace(web.URL, "https", "http", 1):   "begin its address with https://",
		strings.Replace(plain.URL, "http", "https", 1): "begin its address with http://",
	} {
		c, err := client.New(url, token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Me(t.Context()); mgx.AsError(err).Kind != mgx.KindConfig || !strings.Contains(mgx.AsError(err).Message, want) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
