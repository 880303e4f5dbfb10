package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"mgx"
)

// Params are the costs of argon2id (RFC 9106). They are kept with each digest.
type Params struct {
	Memory  uint32 // KiB
	Time    uint32
	Threads uint8
}

// DefaultParams are what OWASP's cheat sheet on password storage asks for.
var DefaultParams = Params{Memory: 19 << 10, Time: 2, Threads: 1}

// CodeTooBusy refuses a password while too many others are checked.
const CodeTooBusy = "too_busy"

// Bounds of digests that are read, so that nobody who can write one can have us
// spend what we have not.
const (
	maxMemory  = 1 << 20 // KiB
	maxTime    = 16
	saltLen    = 16
	sumLen     = 32
	maxHashing = 2  // at once
	maxWaiting = 32 // for their turn
)

// Hasher makes and checks digests of passwords, a few at a time.
type Hasher struct {
	params  Params
	slots   chan struct{}
	waiting atomic.Int64
}

// NewHasher returns a hasher. Zero costs are the default ones.
func NewHasher(p Params) *Hasher {
	if p == (Params{}) {
		p = DefaultParams
	}
	return &Hasher{params: p, slots: make(chan struct{}, maxHashing)}
}

// Hash makes the digest of a password, in PHC form.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltLen)
	rand.Read(salt)
	sum, err := h.sum(ctx, h.params, salt, password)
	if err != nil {
		return "", err
	}
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.params.Memory, h.params.Time, h.params.Threads, enc.EncodeToString(salt), enc.EncodeToString(sum)), nil
}

// Check reports whether a password has a digest, and whether the digest is to be
// made anew, since it was made at other costs. An empty digest fits no password,
// and takes as long to say so.
func (h *Hasher) Check(ctx context.Context, digest, password string) (ok, stale bool, err error) {
	p, salt, want, known := readDigest(digest)
	if !known {
		p, salt, want = h.params, make([]byte, saltLen), make([]byte, sumLen)
	}
	got, err := h.sum(ctx, p, salt, password)
	if err != nil {
		return false, false, err
	}
	same := subtle.ConstantTimeCompare(got, want) == 1
	return same && known, same && known && p != h.params, nil
}

func (h *Hasher) sum(ctx context.Context, p Params, salt []byte, password string) ([]byte, error) {
	if h.waiting.Add(1) > maxWaiting+maxHashing {
		h.waiting.Add(-1)
		return nil, mgx.Errorf(mgx.KindConfig, CodeTooBusy, "too many people are signing in at once; try again in a moment")
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, sumLen), nil
}

func readDigest(digest string) (p Params, salt, sum []byte, ok bool) {
	parts := strings.Split(digest, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, false
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); n != 3 || err != nil {
		return p, nil, nil, false
	}
	salt, e1 := base64.RawStdEncoding.DecodeString(parts[4])
	sum, e2 := base64.RawStdEncoding.DecodeString(parts[5])
	ok = e1 == nil && e2 == nil && len(salt) >= 8 && len(sum) == sumLen &&
		p.Memory >= 8 && p.Memory <= maxMemory && p.Time >= 1 && p.Time <= maxTime && p.Threads >= 1
	return p, salt, sum, ok
}
