package gateway_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/event"
	"mgx/internal/gateway"
	"mgx/internal/llm"
	"mgx/internal/llm/anthropic"
	"mgx/internal/llm/gemini"
	"mgx/internal/llm/llmtest"
	"mgx/internal/llm/llmtest/suite"
	"mgx/internal/llm/openai"
)

func TestMain(m *testing.M) { suite.Main(m, "mgx/internal/gateway") }

// rig is a gateway over real HTTP, before one upstream server that is a provider
// in each dialect.
type rig struct {
	t       testing.TB
	up      *llmtest.Server
	url     string
	gateway *gateway.Server
	keys    *keys
	books   *books
	secret  string
	key     mgx.APIKey
	router  *llm.Router
}

const upstreamKey = "sk-upstream-secret-key"

// The providers of a rig by the dialect they speak, and the models they serve.
var providers = []string{"chat", "resp", "claude", "gem"}

type settings struct {
	turns   []llmtest.Turn
	key     mgx.APIKey
	options func(*gateway.Options)
	router  func(*llm.Options)
	up      http.Handler // instead of a scripted model
	at      string       // the address of another upstream
	cap     mgx.Money    // 0: none
}

func newRig(t testing.TB, s settings) *rig {
	t.Helper()
	r := &rig{t: t, keys: &keys{all: map[mgx.KeyID]mgx.APIKey{}}, books: newBooks(t, s.cap)}
	r.up = &llmtest.Server{Key: upstreamKey, Provider: llmtest.NewScripted(llmtest.Script{
		Models: []string{"m1", "only-here"}, Roles: map[string][]llmtest.Turn{"any": s.turns}, Match: map[string]string{"any": ""},
	})}
	var handler http.Handler = r.up
	if s.up != nil {
		handler = s.up
	}
	up := httptest.NewServer(handler)
	t.Cleanup(up.Close)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000}}
	t.Cleanup(client.CloseIdleConnections)
	c := func(name string) llm.Connection {
		return llm.Connection{Name: name, BaseURL: cmp.Or(s.at, up.URL), APIKey: upstreamKey, Client: client}
	}
	all := []llm.Provider{openai.New(c("chat")), openai.NewResponses(c("resp")), anthropic.New(c("claude")), gemini.New(c("gem"))}
	o := llm.Options{
		Providers: all, Prices: llm.BuiltinPrices().WithUser(llm.Rates{Input: mgx.USD, Output: 2 * mgx.USD}),
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
	if s.router != nil {
		s.router(&o)
	}
	r.router = llm.NewRouter(o)
	models := &gateway.Routed{Router: func(context.Context, mgx.WorkspaceID) (*llm.Router, error) { return r.router, nil }}
	g := gateway.Options{Models: models, Books: r.books}
	if s.options != nil {
		s.options(&g)
	}
	g.Keys = access.NewKeyring(r.keys, g.Now)
	r.gateway = gateway.New(g)
	t.Cleanup(r.gateway.Close)
	server := httptest.NewServer(r.gateway)
	t.Cleanup(server.Close)
	r.url = server.URL
	r.key, r.secret = r.keys.make(s.key)
	return r
}

// keys are keys in memory.
type keys struct {
	mu      sync.Mutex
	all     map[mgx.KeyID]mgx.APIKey
	looked  int
	touched int
}

func (k *keys) make(settings mgx.APIKey) (mgx.APIKey, string) {
	if settings.Workspace == "" {
		settings.Workspace, settings.User = "ws_a", "user_1"
	}
	key, secret := access.NewKey(settings)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all[key.ID] = key
	return key, secret
}

func (k *keys) Key(_ context.Context, id mgx.KeyID) (mgx.APIKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looked++
	key, ok := k.all[id]
	if !ok {
		return key, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "no key")
	}
	return key, nil
}

func (k *keys) TouchKey(_ context.Context, id mgx.KeyID, at time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.all[id]
	key.LastUsedAt = at
	k.all[id], k.touched = key, k.touched+1
	return nil
}

// books are a ledger in memory that tells when something is settled twice.
type books struct {
	t         testing.TB
	cap       mgx.Money
	contracts *event.Registry // nil: events are not checked

	mu      sync.Mutex
	changed *sync.Cond
	taken   mgx.Money // settled, or open
	open    map[string]mgx.Money
	settled map[string]mgx.Settlement
	events  []mgx.Event
	keys    []mgx.KeyID
	fail    error // of Close
}

func newBooks(t testing.TB, limit mgx.Money) *books {
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	b := &books{t: t, cap: limit, contracts: contracts, open: map[string]mgx.Money{}, settled: map[string]mgx.Settlement{}}
	b.changed = sync.NewCond(&b.mu)
	return b
}

func (b *books) Open(_ context.Context, key mgx.APIKey, call string) gateway.Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys = append(b.keys, key.ID)
	return &account{b, call}
}

type account struct {
	*books
	call string
}

func (a *account) Capped() bool { return a.cap > 0 }

func (a *account) Reserve(s llm.Spend) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cap > 0 && a.taken+s.Amount > a.cap {
		return mgx.Errorf(mgx.KindBudget, mgx.CodeBudgetExceeded, "the budget does not allow it")
	}
	a.taken += s.Amount
	a.open[a.call+"/"+s.ID] = s.Amount
	return nil
}

func (a *account) SettleNow(s mgx.Settlement) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.settle(s)
}

func (a *account) settle(s mgx.Settlement) error {
	id := a.call + "/" + s.ID
	reserved, ok := a.open[id]
	if !ok {
		a.t.Errorf("%s is settled without being open", id)
		return errors.New("not open")
	}
	if s.Amount > reserved {
		a.t.Errorf("%s cost %s, more than the %s set aside", id, s.Amount, reserved)
	}
	a.taken += s.Amount - reserved
	delete(a.open, id)
	a.settled[id] = s
	a.changed.Broadcast()
	return nil
}

func (a *account) Close(s mgx.Settlement, events []mgx.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		return a.fail
	}
	for i := range events {
		if a.contracts == nil {
			break
		}
		if err := a.contracts.Check(&events[i]); err != nil {
			a.t.Errorf("event %s: %v", events[i].Type, err)
		}
	}
	a.events = append(a.events, events...)
	if s.ID != "" {
		return a.settle(s)
	}
	return nil
}

// idle waits until n attempts are settled and none is open.
func (b *books) idle(n int) []mgx.Settlement {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.settled) < n || len(b.open) > 0 {
		b.changed.Wait()
	}
	if len(b.settled) != n {
		b.t.Errorf("%d attempts are settled, want %d", len(b.settled), n)
	}
	return slices.Collect(maps.Values(b.settled))
}

func (b *books) types() (all []mgx.EventType) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		all = append(all, e.Type)
	}
	return all
}

// completed is what was recorded last of a call that succeeded.
func (b *books) completed(t *testing.T) (d mgx.LLMCallData) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Type == mgx.LLMCallCompleted {
			d = mgx.LLMCallData{}
			if err := e.Decode(&d); err != nil {
				t.Fatal(err)
			}
		}
	}
	return d
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // of reading it
	trail  http.Header
}

func (r *rig) request(path, body string) *http.Request {
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.secret)
	return req
}

func (r *rig) do(req *http.Request) reply {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, body, err, resp.Trailer}
}

func (r *rig) post(path, body string) reply {
	r.t.Helper()
	return r.do(r.request(path, body))
}

// sse are the events of a stream: their names, or "data", and their data.
func sse(t testing.TB, body []byte) (all []llm.SSE) {
	t.Helper()
	for e, err := range llm.ReadSSE(bufio.NewReader(bytes.NewReader(body)), 1<<20) {
		if err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if !e.Comment {
			e.Data = bytes.Clone(e.Data)
			all = append(all, e)
		}
	}
	return all
}

type (
	keyID      = mgx.KeyID
	gatewayKey = mgx.APIKey
)

// endless is a model that says something again and again.
type endless struct{}

func (endless) Resolve(_ context.Context, _ mgx.WorkspaceID, name string, _ func(string) bool) (gateway.Model, error) {
	return gateway.Model{Name: name}, nil
}

func (endless) List(context.Context, mgx.WorkspaceID) ([]gateway.Model, error) { return nil, nil }

func (endless) Count(context.Context, mgx.WorkspaceID, *llm.Request) (int64, bool, error) {
	return 0, false, nil
}

func (endless) Call(ctx context.Context, _ mgx.WorkspaceID, _ *llm.Request, _ llm.Account, watch func(llm.Chunk)) (*llm.Result, error) {
	for ctx.Err() == nil {
		watch(llm.Chunk{Text: "again and again "})
	}
	return &llm.Result{}, ctx.Err()
}
