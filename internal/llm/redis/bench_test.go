package redis

import (
	"testing"
	"time"

	"mgx/internal/llm"
	"mgx/internal/llm/redis/redistest"
)

// BenchmarkExchange is what one exchange with a Redis on this machine takes.
func BenchmarkExchange(b *testing.B) {
	real := redistest.New(b)
	s, err := Open(Options{URL: real.URL() + patient})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	c, l, ctx := s.Cache(time.Hour), s.Limits(), b.Context()
	c.Put(ctx, "k", make([]byte, 2000))
	of := llm.Limits{Requests: 1 << 40, Tokens: 1 << 40}
	for name, do := range map[string]func(){
		"get":  func() { c.Get(ctx, "k") },
		"put":  func() { c.Put(ctx, "k", make([]byte, 2000)) },
		"take": func() { l.Take(ctx, "x", of, 100, time.Second) },
		"give": func() { l.Give(ctx, "x", of, 1, 100) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				do()
			}
		})
	}
}
