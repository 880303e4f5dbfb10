package redis

import (
	"bytes"
	"context"
	"crypto/sha256"
	"time"

	"mgx/internal/llm"
)

// MaxAnswer bounds an answer that is kept, in bytes.
const MaxAnswer = 4 << 20

// answers begin with a version, and with what proves that they are whole and are
// those of their key.
const (
	version   = "mgx1"
	proofSize = 16
	headSize  = len(version) + proofSize
)

// Cache keeps answers in this Redis, each for so long. Whoever can read that
// Redis can read them.
func (s *Server) Cache(ttl time.Duration) llm.Cache { return &cache{s, max(ttl, time.Millisecond)} }

type cache struct {
	server *Server
	ttl    time.Duration
}

func answerKey(key string) string { return "mgx:answer:" + key }

func (c *cache) Get(ctx context.Context, key string) ([]byte, bool) {
	var kept []byte
	err := c.server.exchange(ctx, "get", func(ctx context.Context) (err error) {
		// A part, which bounds what others put there.
		kept, err = c.server.client.GetRange(ctx, answerKey(key), 0, int64(headSize+MaxAnswer)).Bytes()
		return err
	})
	if err != nil || len(kept) == 0 {
		return nil, false
	}
	if len(kept) < headSize || len(kept) > headSize+MaxAnswer || !bytes.Equal(kept[:headSize], head(key, kept[headSize:])) {
		c.server.count(ctx, "get", "refused")
		c.server.lied()
		return nil, false
	}
	return kept[headSize:], true
}

func (c *cache) Put(ctx context.Context, key string, value []byte) {
	if len(value) > MaxAnswer {
		return
	}
	kept := append(head(key, value), value...)
	_ = c.server.exchange(ctx, "put", func(ctx context.Context) error { // it counts and logs what fails
		return c.server.client.Set(ctx, answerKey(key), kept, c.ttl).Err()
	})
}

// forgetBatch is how many keys Redis looks at, at a time.
const forgetBatch = 1000

// Forget looks through all keys, since Redis finds none by how they begin.
func (c *cache) Forget(ctx context.Context, prefix string) error {
	for cursor := uint64(0); ; {
		err := c.server.exchange(ctx, "forget", func(ctx context.Context) error {
			keys, next, err := c.server.client.Scan(ctx, cursor, answerKey(prefix)+"*", forgetBatch).Result()
			if err == nil && len(keys) > 0 {
				err = c.server.client.Unlink(ctx, keys...).Err()
			}
			cursor = next
			return err
		})
		if err != nil || cursor == 0 {
			return err
		}
	}
}

// head is what an answer begins with.
func head(key string, value []byte) []byte {
	h := sha256.New()
	h.Write([]byte(key))
	h.Write([]byte{0})
	h.Write(value)
	return append([]byte(version), h.Sum(nil)[:proofSize]...)
}
