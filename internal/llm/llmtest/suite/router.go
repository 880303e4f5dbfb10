package suite

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
)

// RunRouter tries a router over the real wire: whatever can happen to a call, it
// is made again, made to another model or ended with an error that says what to
// do; watchers see one answer, every attempt is told and settled once, and
// nothing of it goes on.
func RunRouter(t *testing.T, w Wire) {
	for _, m := range mishaps(w) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			t.Run("with another model", func(t *testing.T) { m.beside(t, w) })
			if m.fault != llm.FaultBad || m.retry { // what is too large costs much to send, and goes no other way alone
				t.Run("alone", func(t *testing.T) { m.alone(t, w) })
			}
			if m.start == nil && m.repeats() && m.patience() == (llm.Timeouts{}) { // a busy machine may be silent for as long once more
				t.Run("once", func(t *testing.T) { m.once(t, w) })
			}
		})
	}
	t.Run("answers", func(t *testing.T) { t.Parallel(); testAnswers(t, w) })
	t.Run("limits", func(t *testing.T) { t.Parallel(); testLimits(t, w) })
}

// mishap is what befalls a call, and what it is for a router.
type mishap struct {
	name  string
	does  llmtest.Fault
	start func(http.Handler) *httptest.Server // nil: the server can be reached
	fault llm.Fault
	retry bool // the same may work a little later
	after time.Duration
	code  string // of the error that ends a call
}

func mishaps(w Wire) []mishap {
	all := []mishap{
		{name: "no server", start: gone, fault: llm.FaultConnection, retry: true},
		{name: "TLS failure", start: unknown, fault: llm.FaultConnection, retry: true},
		{name: "stalls at once", does: llmtest.Fault{Kind: llmtest.StallFirst}, fault: llm.FaultTimeout, retry: true},
		{name: "stalls after content", does: llmtest.Fault{Kind: llmtest.Stall, After: 4}, fault: llm.FaultTimeout, retry: true},
	}
	for _, r := range refusals() {
		all = append(all, mishap{name: r.name, does: r.strike(), fault: r.fault, retry: r.retry, after: r.after, code: r.code})
	}
	for _, b := range breakages(w) {
		all = append(all, mishap{name: b.name, does: b.fault, fault: b.want, retry: b.retry})
	}
	for i, m := range all {
		if m.code == "" {
			all[i].code = codes[m.fault]
		}
	}
	return all
}

var codes = map[llm.Fault]string{
	llm.FaultTimeout: "provider_timeout", llm.FaultRate: "provider_rate_limit", llm.FaultQuota: "provider_quota",
	llm.FaultAuth: "provider_auth", llm.FaultConnection: "provider_unreachable", llm.FaultRequest: "provider_rejected",
	llm.FaultOverloaded: "provider_overloaded", llm.FaultBad: "provider_bad_response", llm.FaultTooLong: "context_length",
}

// ends: the call is wrong everywhere.
func (m mishap) ends() bool {
	return m.fault == llm.FaultRequest && m.code != "model_not_found"
}

// repeats: the model is tried again where there is no other.
func (m mishap) repeats() bool { return m.retry && m.after <= time.Minute }

// repeatsFirst: it is tried again before another has its turn.
func (m mishap) repeatsFirst() bool {
	return m.repeats() && m.fault != llm.FaultTimeout && m.after <= 10*time.Second
}

// reason is why the next model is tried, as the event has it.
func (m mishap) reason() string {
	switch m.fault {
	case llm.FaultRate, llm.FaultQuota:
		return "rate_limit"
	case llm.FaultTimeout:
		return "performance"
	}
	return "error_rate"
}

// patience is short only where a server stalls: a busy machine is no fault.
func (m mishap) patience() llm.Timeouts {
	if m.does.Kind == llmtest.Stall || m.does.Kind == llmtest.StallFirst {
		return llm.Timeouts{FirstByte: 200 * time.Millisecond, Idle: 200 * time.Millisecond}
	}
	return llm.Timeouts{}
}

func (m mishap) beside(t *testing.T, w Wire) {
	r := newRouted(t, w, m, always)
	res, err := r.call(t, request("talker"), "pair")
	tries := 1
	if m.repeatsFirst() {
		tries = 2
	}
	if m.ends() {
		r.failed(t, res, err, tries)
		return
	}
	r.fell(t, res, tries, spare+"/"+Model)
	r.answered(t, res, err, spare+"/"+Model)
	if len(res.Fallbacks) != 1 {
		t.Fatalf("fallbacks %+v", res.Fallbacks)
	}
	want := mgx.ProviderFallbackData{
		From: r.first, To: spare + "/" + Model, Reason: m.reason(), AgentRole: "talker", Message: res.Errors[tries-1].Message,
	}
	if res.Fallbacks[0] != want {
		t.Errorf("fallback %+v, want %+v", res.Fallbacks[0], want)
	}
}

func (m mishap) alone(t *testing.T, w Wire) {
	r := newRouted(t, w, m, always)
	tries := 1
	if m.repeats() {
		tries = 2
	}
	res, err := r.call(t, request("talker"), r.first)
	r.failed(t, res, err, tries)
}

func (m mishap) once(t *testing.T, w Wire) {
	r := newRouted(t, w, m, 1)
	res, err := r.call(t, request("talker"), r.first)
	r.fell(t, res, 1, "")
	r.answered(t, res, err, r.first)
}

// spare is the provider that always works.
const spare = "spare"

// always is more often than any call is made.
const always = 1000

// routed is a router before two servers of a dialect. Its time passes when it
// waits, and then at once.
type routed struct {
	*llm.Router
	mishap         mishap
	first          string // the model that the mishap befalls
	server, second *llmtest.Server
	acct           *account // of the latest call
	time           *clock
}

func newRouted(t *testing.T, w Wire, m mishap, strikes int) *routed {
	r := &routed{mishap: m, time: &clock{now: time.Now()}}
	r.server = &llmtest.Server{Provider: llmtest.NewScripted(script()), Key: Key}
	r.server.Faults = func(n int, _ *http.Request) *llmtest.Fault {
		if n > strikes {
			return nil
		}
		return &m.does
	}
	r.second = &llmtest.Server{Provider: llmtest.NewScripted(script()), Key: Key}
	start := m.start
	if start == nil {
		start = httptest.NewServer
	}
	first, second := start(r.server), httptest.NewServer(r.second)
	t.Cleanup(func() {
		if !comes(func() bool { return r.server.Open()+r.second.Open() == 0 }) {
			t.Error("a call that is over is still open at a server")
			first.CloseClientConnections()
		}
		first.Close()
		second.Close()
	})
	p := w.Connect(first.URL, Key)
	r.first = p.Name() + "/" + Model
	r.Router = llm.NewRouter(llm.Options{
		Providers: []llm.Provider{p, named{w.Connect(second.URL, Key), spare}},
		Of:        map[string]llm.ProviderOptions{p.Name(): {Timeouts: m.patience()}},
		Policies: map[string]llm.Policy{"pair": {Rule: llm.Rule{
			Strategy: llm.Ordered, Candidates: []llm.Candidate{{Model: r.first}}, Fallback: []string{spare + "/" + Model},
		}}},
		Prices:  (*llm.Prices)(nil).WithUser(llm.Rates{Input: mgx.USD, Output: mgx.USD}),
		Retries: 1,
		Now:     r.time.Now, Sleep: r.time.Sleep, Jitter: func(time.Duration) time.Duration { return 0 },
	})
	return r
}

// named is a provider by another name.
type named struct {
	llm.Provider
	name string
}

func (n named) Name() string { return n.name }

// call makes a call, and checks what holds for each: watchers have seen what the
// answer says, and nothing else that they were not told to forget; what was set
// aside is settled, once, with every attempt.
func (r *routed) call(t *testing.T, req *llm.Request, model string) (*llm.Result, error) {
	t.Helper()
	req.Model, r.acct = model, newAccount(t)
	var shown strings.Builder
	res, err := r.Call(background, req, r.acct, func(chunk llm.Chunk) {
		if chunk.Restart {
			if shown.Len() == 0 {
				t.Error("watchers are told to forget what they have not seen")
			}
			shown.Reset()
		}
		shown.WriteString(chunk.Text)
	})
	if err == nil {
		if text(res.Response) != shown.String() {
			t.Errorf("answer %q, shown %q", text(res.Response), shown.String())
		}
		if res.Settlement.Amount != res.Cost || res.Cost <= 0 {
			t.Errorf("cost %s, settled %+v", res.Cost, res.Settlement)
		}
		r.acct.SettleNow(res.Settlement)
	}
	if len(r.acct.open) > 0 || len(r.acct.settled) != res.Attempts {
		t.Errorf("%d attempts, settled %+v, left open %v", res.Attempts, r.acct.settled, r.acct.open)
	}
	return res, err
}

// fell checks what is told of the attempts that failed. next is the other model
// that was tried after them, if any.
func (r *routed) fell(t *testing.T, res *llm.Result, tries int, next string) {
	t.Helper()
	if len(res.Errors) != tries || r.mishap.start == nil && r.server.Requests() < tries {
		t.Fatalf("failed %d times, want %d, in %d requests: %+v", len(res.Errors), tries, r.server.Requests(), res.Errors)
	}
	if len(r.acct.settled) < tries {
		t.Fatalf("settled %+v after %d attempts", r.acct.settled, tries)
	}
	provider, model, _ := strings.Cut(r.first, "/")
	for i, e := range res.Errors {
		settled := r.acct.settled[i]
		want := mgx.ProviderErrorData{
			Provider: provider, Model: model, ErrorType: string(r.mishap.fault), Message: e.Message, RetryCount: i,
			Retrying: i < tries-1 || res.Response != nil && next == "", CostUSD: settled.Amount,
		}
		if i == tries-1 {
			want.Fallback = next
		}
		if e != want || e.Message == "" || settled.Outcome != mgx.Outcome(r.mishap.fault) {
			t.Errorf("told %+v,\nwant %+v; settled %+v", e, want, settled)
		}
	}
	repeats := tries - 1
	if res.Response != nil && next == "" {
		repeats = tries
	}
	if want := time.Duration(repeats) * r.mishap.after; r.time.slept != want {
		t.Errorf("waited %s, want %s", r.time.slept, want)
	}
}

func (r *routed) answered(t *testing.T, res *llm.Result, err error, by string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if want := script().Roles["talker"][0].Text; text(res.Response) != want || res.Response.Route != by {
		t.Errorf("%s answered %q", res.Response.Route, text(res.Response))
	}
	if n := r.server.Requests() + r.second.Requests(); r.mishap.start == nil && n != res.Attempts {
		t.Errorf("%d requests for %d attempts", n, res.Attempts)
	}
}

func (r *routed) failed(t *testing.T, res *llm.Result, err error, tries int) {
	t.Helper()
	r.fell(t, res, tries, "")
	e, ok := errors.AsType[*mgx.Error](err)
	if !ok || e.Kind != mgx.KindProvider || e.Code != r.mishap.code || strings.Contains(e.Message, Key) {
		t.Errorf("got %v, want %s", err, r.mishap.code)
	}
	if res.Attempts != tries || len(res.Fallbacks) > 0 || r.second.Requests() > 0 {
		t.Errorf("%d attempts, fallbacks %+v, %d requests to the other model", res.Attempts, res.Fallbacks, r.second.Requests())
	}
}

// testAnswers: what only looks unusual is an answer at the first attempt, with
// the usage that it has without.
func testAnswers(t *testing.T, w Wire) {
	plain, _ := serve(t, w.Connect, nil)
	try := func(name, role string, fault llmtest.Fault, finish llm.Finish) {
		t.Run(name+", "+role, func(t *testing.T) {
			want := ask(t, plain, request(role))
			want.Finish = cmp.Or(finish, want.Finish)
			r := newRouted(t, w, mishap{does: fault}, always)
			res, err := r.call(t, request(role), "pair")
			if err != nil {
				t.Fatal(err)
			}
			r.untroubled(t, res, want)
		})
	}
	for name, fault := range unusual {
		try(name, "talker", fault, "")
		try(name, "several", fault, "")
	}
	for _, role := range []string{"talker", "several", "empty", "short"} {
		try("nothing wrong", role, llmtest.Fault{}, "")
		try("no usage", role, llmtest.Fault{Kind: llmtest.NoUsage, After: -1}, "")
	}
	try("refused", "talker", llmtest.Fault{Kind: llmtest.Refused, After: -1}, w.Refuses)
	try("filtered", "talker", llmtest.Fault{Kind: llmtest.Filtered, After: -1}, w.Filters)
	t.Run("broken arguments", func(t *testing.T) {
		r := newRouted(t, w, mishap{fault: llm.FaultBad, code: codes[llm.FaultBad], retry: true}, always)
		res, err := r.call(t, request("broken"), r.first)
		if err != nil && strings.Contains(err.Error(), "MALFORMED_FUNCTION_CALL") {
			r.failed(t, res, err, 2) // arguments are an object on the wire
			return
		}
		if err != nil || res.Attempts != 1 || calls(res.Response)[0].Args != `{"path": ` {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

// untroubled checks an answer at the first attempt.
func (r *routed) untroubled(t *testing.T, res *llm.Result, want *llm.Response) {
	t.Helper()
	got := res.Response
	if res.Attempts != 1 || len(res.Errors)+len(res.Fallbacks) > 0 || got.Route != r.first {
		t.Errorf("%d attempts, errors %+v, fallbacks %+v, by %s", res.Attempts, res.Errors, res.Fallbacks, got.Route)
	}
	same := func(a, b llm.ToolCall) bool { return a.Name == b.Name && a.Args == b.Args }
	if text(got) != text(want) || !slices.EqualFunc(calls(got), calls(want), same) || got.Finish != want.Finish {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if r.mishap.does.Kind == llmtest.NoUsage {
		if got.UsageOK || res.Cost != r.acct.reserved[res.Settlement.ID] {
			t.Errorf("nobody said what was used; settled %s of %v", res.Cost, r.acct.reserved)
		}
	} else if got.Usage != want.Usage || res.Settlement.Usage != want.Usage {
		t.Errorf("used %+v, settled %+v, want %+v", got.Usage, res.Settlement.Usage, want.Usage)
	}
}

// account remembers what is reserved and what is settled, and holds that each id
// is reserved once, settled once and at no more than was reserved.
type account struct {
	t        *testing.T
	reserved map[string]mgx.Money
	open     map[string]mgx.Money
	settled  []mgx.Settlement
}

func newAccount(t *testing.T) *account {
	return &account{t: t, reserved: map[string]mgx.Money{}, open: map[string]mgx.Money{}}
}

func (a *account) Capped() bool { return true }

func (a *account) Reserve(s llm.Spend) error {
	if _, used := a.reserved[s.ID]; used {
		a.t.Errorf("%s is reserved twice", s.ID)
	}
	a.reserved[s.ID], a.open[s.ID] = s.Amount, s.Amount
	return nil
}

func (a *account) SettleNow(s mgx.Settlement) error {
	if reserved, open := a.open[s.ID]; !open || s.Amount > reserved {
		a.t.Errorf("%s is settled at %s; open with %s: %v", s.ID, s.Amount, reserved, open)
	}
	delete(a.open, s.ID)
	a.settled = append(a.settled, s)
	return nil
}

// clock is a time that passes only while somebody sleeps, and then at once.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.slept = c.now.Add(d), c.slept+d
	return ctx.Err()
}
