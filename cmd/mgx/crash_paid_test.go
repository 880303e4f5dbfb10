package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// crashModel has a price.
const crashModel = "gpt-4o-mini"

// crashScript is what the models of a crash town say: the job of the lab, and
// something to whoever else asks.
var crashScript = strings.NewReplacer(`"models": ["lab"]`, `"models": ["lab", "`+crashModel+`"], "match": {"any": ""}`,
	`"roles": {`, `"roles": {"any": [{"text": "Hello."}],`).Replace(labScript)

// crashPayer pays for the calls of models that are tried: somebody with a budget.
type crashPayer struct {
	user   mgx.UserID
	budget mgx.BudgetID
	routes map[string]bool // by their ids: each makes a call
}

// priced is the environment in which a provider at an address costs money: what the
// environment alone names on this machine is free.
func priced(t testing.TB, base string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "models.json")
	file := `{"providers": {"openai": {"dialect": "openai", "base_url": "` + base + `/v1", "key_env": "OPENAI_API_KEY"}}}`
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return "MGX_MODELS_FILE=" + path
}

// pay says by which requests the routes are tried that make calls of models.
func (c *crashTown) pay() {
	t := c.lab.t
	t.Helper()
	web := httptest.NewServer(c.lab)
	t.Cleanup(web.Close)
	c.lab.env = append(c.lab.env, priced(t, web.URL))
	s := c.start(t, c.data, c.place)
	defer s.end()
	do := func(path, token string, body, into any) {
		t.Helper()
		a := s.ask("POST", path, body, func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Mgx-Workspace", string(mgx.DefaultWorkspace))
		})
		if a.status/100 != 2 || json.Unmarshal([]byte(a.body), into) != nil {
			t.Fatalf("POST %s: %v", path, a)
		}
	}
	var invited struct{ Token string }
	do("/api/v1/invitations", s.token, map[string]string{"role": "developer"}, &invited)
	var hana struct {
		Access string `json:"access_token"`
		User   struct{ ID mgx.UserID }
	}
	do("/api/v1/auth/accept", s.token, map[string]string{"token": invited.Token, "email": "hana@example.com", "name": "Hana", "password": crashPassword}, &hana)
	var key struct{ Secret string }
	do("/api/v1/keys", hana.Access, map[string]any{"name": "editor", "scopes": []string{"models"}}, &key)
	var budget struct{ ID mgx.BudgetID }
	do("/api/v1/budgets", s.token, map[string]any{"limit_usd": 5, "scope": "user", "scope_id": hana.User.ID}, &budget)
	c.payer = crashPayer{hana.User.ID, budget.ID, map[string]bool{"testModel": true, "createChatCompletion": true, "createResponse": true, "createMessage": true}}

	model, said := "openai/"+crashModel, []map[string]string{{"role": "user", "content": "hello"}}
	c.samples["testModel"] = crashCall{token: hana.Access, body: map[string]string{"model": model}}
	c.samples["createChatCompletion"] = crashCall{token: key.Secret, body: map[string]any{"model": model, "max_tokens": 100, "messages": said}}
	c.samples["createResponse"] = crashCall{token: key.Secret, body: map[string]any{"model": model, "max_output_tokens": 100, "input": "hello"}}
	c.samples["createMessage"] = crashCall{token: key.Secret, body: map[string]any{"model": model, "max_tokens": 100, "messages": said}}
	c.samples["countTokens"] = crashCall{token: key.Secret, body: map[string]any{"model": model, "messages": said}}
}

// tryPaid kills a server while the provider has a call, and, where all moments are
// taken, at each commit and after the answer.
func (c *crashTown) tryPaid(t *testing.T, r crashRoute) {
	y := c.copy(t)
	s := y.start()
	t.Cleanup(s.kill)
	const many = 1_000_000
	y.fuse.light(many, false)
	first := r.send(t, s)
	commits := many - y.fuse.left()
	if first.status != http.StatusOK || commits < 2 {
		t.Fatalf("%s %s: %d commits, %v\n%s", r.Method, r.Path, commits, first, s.errs.String())
	}
	y.books(r).are(t, "undisturbed", mgx.OutcomeDone)
	if was := c.killPaying(t, r, "killed while the provider had the call", (*crashCopy).startOnEdge); len(was.calls) != 1 || was.calls[0].Outcome != mgx.OutcomeLost {
		t.Errorf("what was set aside when the server died came to %+v", was.calls)
	}
	for n := 1; killAll() && n <= commits+1; n++ {
		for _, after := range []bool{false, true} {
			if after && (c.cluster == nil || n > commits) {
				continue
			}
			was := c.killPaying(t, r, fmt.Sprintf("killed at commit %d of %d (after it: %v)", n, commits, after), func(y *crashCopy) *crashServer {
				s := y.start()
				if n <= commits {
					y.fuse.light(n, after)
				}
				return s
			})
			if n == 1 && !after && len(was.calls) > 0 {
				t.Errorf("nothing was committed, and there is %+v", was.calls)
			}
		}
	}
}

// startOnEdge starts a server that dies when the provider hears from it.
func (y *crashCopy) startOnEdge() *crashServer {
	y.t.Helper()
	started := make(chan *crashServer, 1)
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			y.c.lab.ServeHTTP(w, r)
			return
		}
		io.Copy(io.Discard, r.Body) // until then nobody looks whether the caller lives
		s := <-started
		s.cmd.Process.Kill()
		<-r.Context().Done()
	}))
	y.t.Cleanup(provider.Close)
	place, env, victim := y.fuse.server()
	s := y.c.start(y.t, y.data, place, env, priced(y.t, provider.URL))
	victim(s)
	started <- s
	return s
}

// killPaying makes a call of a server that is killed meanwhile, or when it has
// answered, and has the call made again by one that is started after it. Each is in
// the books at most once, settled for what it cost or lost. It returns how the books
// were before it was made again.
func (c *crashTown) killPaying(t *testing.T, r crashRoute, what string, start func(*crashCopy) *crashServer) crashBooks {
	t.Helper()
	y := c.copy(t)
	s := start(y)
	told := r.send(t, s)
	s.kill()
	y.fuse.light(0, false)
	s = y.start()
	defer s.kill()
	was := y.books(r)
	var outcomes []mgx.Outcome
	for _, call := range was.calls {
		outcomes = append(outcomes, call.Outcome)
	}
	if told.status == http.StatusOK {
		was.are(t, what, mgx.OutcomeDone)
	} else if was.are(t, what, outcomes...); told.status != 0 || len(outcomes) > 1 {
		t.Errorf("%s: answered with %v, and the books have %v", what, told, outcomes)
	}
	if again := r.send(t, s); again.status != http.StatusOK {
		t.Errorf("%s: again is answered with %v", what, again)
	}
	y.books(r).are(t, what+", and asked again", append(outcomes, mgx.OutcomeDone)...)
	y.picture() // everything else agrees with that
	return was
}

// crashBooks are what calls for somebody cost.
type crashBooks struct {
	calls []mgx.LedgerEntry // in their order
	use   mgx.BudgetUse
	told  int // events that tell of a call
	all   bool
}

// books reads those of the payer, once nothing is open in them.
func (y *crashCopy) books(r crashRoute) (b crashBooks) {
	y.t.Helper()
	s, err := store.Open(y.t.Context(), y.place, store.Options{ReadOnly: true})
	if err != nil {
		y.t.Fatal(err)
	}
	defer s.Close()
	ctx, payer := mgx.InWorkspace(y.t.Context(), mgx.DefaultWorkspace), y.c.payer
	open := func(call mgx.LedgerEntry) bool { return call.Settled == nil }
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if b.calls, err = s.Ledger(ctx, mgx.UsageQuery{Workspace: mgx.DefaultWorkspace, User: payer.user}); err != nil {
			y.t.Fatal(err)
		}
		if !slices.ContainsFunc(b.calls, open) {
			break
		}
		if time.Now().After(end) {
			y.t.Fatalf("nobody settles what is set aside: %+v", b.calls)
		}
	}
	if b.use, err = s.Budget(ctx, mgx.DefaultWorkspace, payer.budget); err != nil {
		y.t.Fatal(err)
	}
	told, err := s.Events(ctx, store.EventQuery{Workspace: mgx.DefaultWorkspace, Types: []string{string(mgx.LLMCallCompleted)}})
	if err != nil {
		y.t.Fatal(err)
	}
	for _, e := range told {
		if strings.HasPrefix(string(e.Stream), "key_") {
			b.told++
		}
	}
	b.all = r.ID != "testModel" // whose calls are in the ledger alone
	return b
}

// are holds the books against what came of each call.
func (b crashBooks) are(t testing.TB, what string, want ...mgx.Outcome) {
	t.Helper()
	var sum mgx.Money
	done := 0
	for i, call := range b.calls {
		switch {
		case len(b.calls) != len(want) || call.Outcome != want[i]:
			t.Errorf("%s: a call is %+v, want %d calls: %q", what, call, len(want), want)
		case call.Outcome == mgx.OutcomeLost && *call.Settled != call.Amount, call.Outcome == mgx.OutcomeDone && (*call.Settled <= 0 || *call.Settled >= call.Amount):
			t.Errorf("%s: %s is settled for %s, and %s was set aside", what, call.ID, *call.Settled, call.Amount)
		}
		sum += *call.Settled
		if call.Outcome == mgx.OutcomeDone {
			done++
		}
	}
	if len(b.calls) != len(want) || b.use.Settled != sum || b.use.Reserved != 0 || b.all && b.told != done {
		t.Errorf("%s: %d calls cost %s, the budget has %s and %s set aside, and %d events tell of %d", what, len(b.calls), sum, b.use.Settled, b.use.Reserved, b.told, done)
	}
}
