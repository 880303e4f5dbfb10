package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest/suite"
	"mgx/internal/llm/redis/redistest"
)

// patient has an address wait as long as no load of the machine makes it.
const patient = "?timeout=1m"

func open(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestCache(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	suite.Caches(t, suite.CacheStore{
		Open: func(t *testing.T, ttl time.Duration) llm.Cache {
			s := open(t, Options{URL: real.URL() + patient})
			if err := s.client.FlushDB(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			return s.Cache(ttl)
		},
		Most: MaxAnswer,
	})
}

// TestWhatIsNotOursIsNotTaken: whatever is under an answer's key, it is found
// only if it is the answer, whole.
func TestWhatIsNotOursIsNotTaken(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	var log lines
	s := open(t, Options{URL: real.URL() + patient, Log: slog.New(slog.NewTextHandler(&log, nil))})
	c, ctx := s.Cache(time.Hour), t.Context()
	c.Put(ctx, "k", []byte("an answer"))
	good, err := s.client.Get(ctx, answerKey("k")).Result()
	if err != nil {
		t.Fatal(err)
	}
	if ttl := s.client.PTTL(ctx, answerKey("k")).Val(); ttl <= 0 || ttl > time.Hour {
		t.Errorf("it stays for %v", ttl)
	}
	bad := map[string]string{
		"the answer of another key":  string(head("other", []byte("an answer"))) + "an answer",
		"another version":            "mgx0" + good[4:],
		"more":                       good + "!",
		"only a head":                good[:headSize],
		"another word":               strings.Replace(good, "answer", "Answer", 1),
		"text":                       "hello",
		"an answer that is too long": string(head("k", make([]byte, MaxAnswer+1))) + string(make([]byte, MaxAnswer+1)),
	}
	for i := range len(good) {
		bad[fmt.Sprintf("%d bytes", i)] = good[:i]
	}
	for name, value := range bad {
		s.client.Set(ctx, answerKey("k"), value, 0)
		if got, ok := c.Get(ctx, "k"); ok {
			t.Errorf("%s is taken for %.20q", name, got)
		}
	}
	s.client.Del(ctx, answerKey("k"))
	s.client.LPush(ctx, answerKey("k"), "a list")
	if _, ok := c.Get(ctx, "k"); ok {
		t.Error("a list is taken for an answer")
	}
	c.Put(ctx, "k", []byte("an answer"))
	if got, ok := c.Get(ctx, "k"); !ok || string(got) != "an answer" {
		t.Errorf("afterwards it is %q, %v", got, ok)
	}
	if n := strings.Count(log.String(), "ignored"); n != 1 {
		t.Errorf("the log says it %d times: %s", n, &log)
	}
}

// TestRedisGoesAndComes: without Redis nothing fails and nothing waits beyond
// the bound; when it is back, so is what it is for.
func TestRedisGoesAndComes(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	var log lines
	s := open(t, Options{URL: real.URL(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	c, l, ctx := s.Cache(time.Hour), s.Limits(), t.Context()
	works := func() bool {
		c.Put(ctx, "k", []byte("v"))
		_, ok := c.Get(ctx, "k")
		return ok
	}
	until := func(what string, cond func() bool) {
		t.Helper()
		for !cond() {
			time.Sleep(20 * time.Millisecond)
			if t.Context().Err() != nil {
				t.Fatal(what)
			}
		}
	}
	isAway := func() bool {
		_, err := l.Take(ctx, "x", llm.Limits{Requests: 1000}, 1, 0)
		return errors.Is(err, errAway)
	}
	until("it never works", works)
	for _, how := range []string{"dead", "silent"} {
		if how == "dead" {
			real.Stop()
		} else {
			real.Signal(syscall.SIGSTOP)
		}
		until(how+" is not noticed", isAway)
		l.Give(ctx, "x", llm.Limits{Requests: 1}, 1, 0)
		if how == "dead" {
			real.Start()
		} else {
			real.Signal(syscall.SIGCONT)
		}
		until(how+" for ever", works)
	}
	text := log.String()
	if away, back := strings.Count(text, "Redis is away"), strings.Count(text, "Redis is back"); away < 2 || away != back {
		t.Errorf("it went %d times and came %d times:\n%s", away, back, text)
	}
}

// TestHealth: three failures in a row, then ever longer pauses with one probe.
func TestHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := health{log: slog.New(slog.DiscardHandler)}
		try := func(err error) bool {
			ok, probe := h.mayTry(time.Now())
			if ok {
				h.tried(time.Now(), probe, err)
			}
			return ok
		}
		bad := errors.New("bad")
		for _, err := range []error{bad, bad, nil, bad, bad, bad} {
			if !try(err) {
				t.Fatal("it is left alone too early")
			}
		}
		for _, pause := range []int{1, 2, 4, 8, 16, 30, 30} {
			time.Sleep(time.Duration(pause)*time.Second - 1)
			if try(nil) {
				t.Errorf("it is tried again within %d s", pause)
			}
			time.Sleep(time.Nanosecond)
			ok, probe := h.mayTry(time.Now())
			if second, _ := h.mayTry(time.Now()); !ok || !probe || second {
				t.Errorf("after %d s: %v, %v, and a second %v", pause, ok, probe, second)
			}
			h.tried(time.Now(), false, bad) // of one that began long before
			h.tried(time.Now(), true, bad)
		}
		time.Sleep(time.Minute)
		if !try(nil) || !try(bad) || !try(bad) || !try(nil) {
			t.Error("it works again and is left alone")
		}
	})
}

// TestLiars: a server that says anything at all, or nothing, costs a bounded
// time and memory, and is never believed.
func TestLiars(t *testing.T) {
	t.Parallel()
	junk := make([]byte, 64<<10)
	rand.Read(junk)
	for name, reply := range map[string]string{
		"nothing":          "",
		"a huge text":      "$99999999999\r\nx",
		"a long text":      "$8000000\r\n" + strings.Repeat("x", 1000),
		"half a text":      "$100\r\nhalf",
		"a huge list":      "*2000000000\r\n:1\r\n",
		"nested lists":     strings.Repeat("*1\r\n", 10_000),
		"a huge number":    ":99999999999999999999999\r\n",
		"a negative wait":  ":-5\r\n",
		"a wait of ages":   ":999999999999999\r\n",
		"an endless line":  "+" + strings.Repeat("x", 100_000),
		"an error":         "-OOM command not allowed\r\n",
		"a text for a map": "%1\r\n+a\r\n+b\r\n",
		"not Redis":        "HTTP/1.1 400 Bad Request\r\n\r\n",
		"junk":             string(junk),
		"a wrong text":     "$5\r\nhello\r\n",
		"no such script":   "-NOSCRIPT no\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, Options{URL: "redis://" + liar(t, reply) + "/0?timeout=50ms"})
			c, l := s.Cache(time.Hour), s.Limits()
			for range 4 {
				if got, ok := c.Get(t.Context(), "k"); ok {
					t.Errorf("an answer: %.40q", got)
				}
				c.Put(t.Context(), "k", []byte("v"))
				if wait, err := l.Take(t.Context(), "x", llm.Limits{Requests: 10}, 1, time.Second); err == nil {
					t.Errorf("a wait of %v", wait)
				}
				l.Give(t.Context(), "x", llm.Limits{Requests: 10}, 1, 0)
			}
		})
	}
}

// liar is a server that gives one reply, again and again.
func liar(t *testing.T, reply string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 4096)
				for {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					if _, err := io.WriteString(conn, reply); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// FuzzGuard: what passes the guard asks the client for a bounded room only,
// however the bytes come.
func FuzzGuard(f *testing.F) {
	f.Add([]byte("$5\r\nhello\r\n*2\r\n:1\r\n+x\r\n"), 3)
	f.Add([]byte("$-1\r\n$99999999\r\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		whole, parts := guarded{}, guarded{}
		wholeErr := whole.follow(data)
		at = min(max(at, 0), len(data))
		partsErr := parts.follow(data[:at])
		if partsErr == nil {
			partsErr = parts.follow(data[at:])
		}
		if (wholeErr == nil) != (partsErr == nil) || whole.skip != parts.skip && wholeErr == nil {
			t.Errorf("in parts: %v, whole: %v", partsErr, wholeErr)
		}
		if len(whole.line) > mostLine+1 || whole.skip > mostBytes+2 {
			t.Errorf("%d bytes of a line, %d to skip", len(whole.line), whole.skip)
		}
	})
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "http://x", "redis://u:secret@h:port/0", "redis://:secret@h/x", "redis://:secret@h/0?timeout=soon"} {
		_, err := Open(Options{URL: url})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
	s := open(t, Options{URL: "rediss://u:secret@127.0.0.1:1/3?timeout=2s"})
	o := s.client.Options()
	if o.TLSConfig == nil || s.timeout != 2*time.Second || o.Username != "u" || o.DB != 3 {
		t.Errorf("got %+v", o)
	}
	if err := s.Ping(context.Background()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
}

// lines are what a log says.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
