package llm

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"mgx"
)

// Cache keeps answers. Keys are digests; values are opaque. All methods may be
// called from many goroutines. A cache that is out of order finds nothing and
// keeps nothing; it never fails a call.
type Cache interface {
	Get(ctx context.Context, key string) ([]byte, bool)
	Put(ctx context.Context, key string, value []byte)
	// Forget removes every answer whose key begins so. An error says that some may be
	// left, until their time is over.
	Forget(ctx context.Context, prefix string) error
}

// Keep says which answers a Router keeps in its State's cache. The zero value:
// none.
type Keep struct {
	On bool
	// Sampled keeps answers also of requests that leave the model a choice: whose
	// temperature is not 0 and that fix no seed.
	Sampled bool
}

// keeps reports whether the answer to a request may be kept.
func (k Keep) keeps(req *Request) bool {
	fixed := req.Seed != nil || req.Temperature != nil && *req.Temperature == 0
	return k.On && req.Pass == nil && (fixed || k.Sampled)
}

// cachePrefix is what the keys of a workspace's answers begin with.
func cachePrefix(ws mgx.WorkspaceID) string {
	sum := sha256.Sum256([]byte(ws))
	return hex.EncodeToString(sum[:16]) + ":"
}

// ForgetAnswers removes the answers that are kept for a workspace. Those that other
// processes have in memory go when their time is over.
func (s *State) ForgetAnswers(ctx context.Context, ws mgx.WorkspaceID) error {
	if s.o.Cache == nil {
		return nil
	}
	return s.o.Cache.Forget(ctx, cachePrefix(ws))
}

// cacheKey is a digest of everything that decides an answer, and of whose it is:
// no workspace, role or model sees another's.
func cacheKey(req *Request, t *target) string {
	own := *req
	own.Model, own.Conversation = t.options.ID+"/"+t.model, ""
	text, err := json.Marshal(struct {
		Workspace mgx.WorkspaceID
		Request   *Request // with the role
	}{req.Workspace, &own})
	if err != nil {
		return "" // raw JSON that is none: not kept
	}
	sum := sha256.Sum256(text)
	return cachePrefix(req.Workspace) + hex.EncodeToString(sum[:])
}

// kept looks for an answer that was kept for the model that the call would go
// to first.
func (c *call) kept(ctx context.Context) bool {
	cache, t := c.router.State.o.Cache, c.queue[0]
	if cache == nil || !c.router.Keep.keeps(c.asked) {
		return false
	}
	c.cacheKey, c.cacheFor = cacheKey(c.asked, t), t
	if c.cacheKey == "" {
		return false
	}
	data, ok := cache.Get(ctx, c.cacheKey)
	var resp Response
	ok = ok && json.Unmarshal(data, &resp) == nil && resp.Message.Role == Assistant
	c.router.State.reports.looked(ctx, ok)
	if !ok {
		return false
	}
	resp.Usage, resp.UsageOK = mgx.Usage{}, true
	c.result.Response, c.result.Cached = &resp, true
	c.result.PriceKnown, c.result.PriceVersion = t.priced, t.price.Version
	calls := 0
	for _, p := range resp.Message.Parts {
		if p.Text != "" {
			c.watch(Chunk{Text: p.Text})
		} else if p.Call != nil {
			c.watch(Chunk{ToolIndex: calls, ToolName: p.Call.Name, ToolID: p.Call.ID, ToolArgs: p.Call.Args})
			calls++
		}
	}
	return true
}

// keep keeps a whole answer, as it would be given again. One that was cut or
// withheld is not worth it.
func (c *call) keep(ctx context.Context, t *target, resp *Response) {
	if c.cacheKey == "" || c.cacheFor != t || (resp.Finish != FinishStop && resp.Finish != FinishTools) {
		return
	}
	if data, err := json.Marshal(resp); err == nil {
		c.router.State.o.Cache.Put(ctx, c.cacheKey, data)
	}
}

// Tiered is a cache of two: near is asked first and gets what far had. Either may
// be nil.
func Tiered(near, far Cache) Cache {
	switch {
	case near == nil:
		return far
	case far == nil:
		return near
	}
	return tiers{near, far}
}

type tiers struct{ near, far Cache }

func (t tiers) Get(ctx context.Context, key string) ([]byte, bool) {
	if value, ok := t.near.Get(ctx, key); ok {
		return value, true
	}
	value, ok := t.far.Get(ctx, key)
	if ok {
		t.near.Put(ctx, key, value)
	}
	return value, ok
}

func (t tiers) Put(ctx context.Context, key string, value []byte) {
	t.near.Put(ctx, key, value)
	t.far.Put(ctx, key, value)
}

func (t tiers) Forget(ctx context.Context, prefix string) error {
	return errors.Join(t.far.Forget(ctx, prefix), t.near.Forget(ctx, prefix)) // what is far comes near again
}

// MemoryCache keeps answers in memory: those used last, as long as they are not
// too old. It is a [Cache].
type MemoryCache struct {
	most int64
	ttl  time.Duration
	now  func() time.Time

	mu    sync.Mutex
	size  int64
	order *list.List // of *keptAnswer, used last first
	byKey map[string]*list.Element
}

type keptAnswer struct {
	key   string
	value []byte
	until time.Time
}

// frameOfAnswer is what an entry takes besides key and value, in bytes.
const frameOfAnswer = 256

// NewMemoryCache returns a cache of at most so many bytes, each answer for at
// most ttl. A nil clock is time.Now.
func NewMemoryCache(bytes int64, ttl time.Duration, now func() time.Time) *MemoryCache {
	if now == nil {
		now = time.Now
	}
	return &MemoryCache{most: bytes, ttl: ttl, now: now, order: list.New(), byKey: map[string]*list.Element{}}
}

func (m *MemoryCache) Get(_ context.Context, key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.byKey[key]
	if e == nil {
		return nil, false
	}
	a := e.Value.(*keptAnswer)
	if !m.now().Before(a.until) {
		m.drop(e)
		return nil, false
	}
	m.order.MoveToFront(e)
	return a.value, true
}

func (m *MemoryCache) Put(_ context.Context, key string, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.byKey[key]; e != nil {
		m.drop(e)
	}
	a := &keptAnswer{key, value, m.now().Add(m.ttl)}
	if a.size() > m.most {
		return
	}
	m.byKey[key] = m.order.PushFront(a)
	for m.size += a.size(); m.size > m.most; {
		m.drop(m.order.Back())
	}
}

func (m *MemoryCache) Forget(_ context.Context, prefix string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, e := range m.byKey {
		if strings.HasPrefix(key, prefix) {
			m.drop(e)
		}
	}
	return nil
}

func (m *MemoryCache) drop(e *list.Element) {
	a := m.order.Remove(e).(*keptAnswer)
	delete(m.byKey, a.key)
	m.size -= a.size()
}

func (a *keptAnswer) size() int64 { return int64(len(a.key)+len(a.value)) + frameOfAnswer }
