package event

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"mgx"
)

// Reasons of a Reset.
const (
	ResetToken  = "invalid_token" // not ours, or changed
	ResetFilter = "other_filter"  // given out for other channels or types
	ResetEpoch  = "other_epoch"   // of another log: the database was replaced
	ResetTooOld = "too_old"       // events after it have been removed
	ResetAhead  = "ahead_of_log"  // after the end of the log
)

// Reset is the error that says a position cannot be resumed from: the reader has
// to choose where to begin anew, at Earliest for everything that is left or at
// Head for only what is new.
type Reset struct {
	Reason   string `json:"reason"`
	Earliest int64  `json:"earliest"` // position of the first event that can be read
	Head     int64  `json:"head"`     // position of the last
}

func (r *Reset) Error() string {
	return fmt.Sprintf("the position cannot be resumed from (%s); events %d to %d can be read", r.Reason, r.Earliest, r.Head)
}

// A resume token is 1 byte of version, 8 of epoch, 8 of position, 8 of filter and
// 16 of HMAC-SHA256 over what is before, as URL-safe base 64. It is no secret and
// no permission: who resumes is authorised anew.
const (
	tokenVersion = 1
	tokenBody    = 1 + 8 + 8 + 8
	tokenSize    = tokenBody + 16
)

var tokenCoding = base64.RawURLEncoding

type token struct {
	epoch    [8]byte
	position int64
	filter   [8]byte
}

func epochID(epoch string) [8]byte {
	sum := sha256.Sum256([]byte(epoch))
	return [8]byte(sum[:8])
}

func (t token) sign(key []byte) string {
	var b [tokenSize]byte
	b[0] = tokenVersion
	copy(b[1:], t.epoch[:])
	binary.BigEndian.PutUint64(b[9:], uint64(t.position))
	copy(b[17:], t.filter[:])
	copy(b[tokenBody:], mac(key, b[:tokenBody]))
	return tokenCoding.EncodeToString(b[:])
}

// readToken returns false for what was not signed with this key.
func readToken(key []byte, s string) (token, bool) {
	if len(s) != tokenCoding.EncodedLen(tokenSize) {
		return token{}, false
	}
	b, err := tokenCoding.Strict().DecodeString(s)
	if err != nil || b[0] != tokenVersion || !hmac.Equal(b[tokenBody:], mac(key, b[:tokenBody])) {
		return token{}, false
	}
	t := token{epoch: [8]byte(b[1:9]), position: int64(binary.BigEndian.Uint64(b[9:17])), filter: [8]byte(b[17:25])}
	return t, t.position >= 0
}

func mac(key, text []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(text)
	return m.Sum(nil)[:tokenSize-tokenBody]
}

// begin returns the position after which a reader goes on: what its token says,
// or the position it names, or the head.
func (h *Hub) begin(ctx context.Context, f *filter, resume string, after *int64) (int64, error) {
	head := h.last.Load()
	position := head
	reason := ""
	switch {
	case resume != "":
		t, ok, err := h.token(ctx, resume)
		if err != nil {
			return 0, err
		}
		switch {
		case !ok:
			reason = ResetToken
		case t.epoch != h.epoch:
			reason = ResetEpoch
		case t.filter != f.hash:
			reason = ResetFilter
		}
		position = t.position
	case after != nil:
		position = *after
	}
	if reason == "" && position > head {
		var err error
		if head, err = h.further(ctx, position); err != nil {
			return 0, err
		}
		if position > head {
			reason = ResetAhead
		}
	}
	all := position == 0 && resume == "" // whatever there is
	if reason == "" && (position == head || all) {
		return position, nil
	}
	earliest, err := h.source.Earliest(ctx)
	if err != nil {
		return 0, err
	}
	if reason == "" && position+1 < earliest {
		reason = ResetTooOld
	}
	if reason != "" {
		return 0, &Reset{Reason: reason, Earliest: earliest, Head: head}
	}
	return position, nil
}

// CodeBehind says that a server has not read as much of the log as a reader has
// that comes from another server.
const CodeBehind = "server_behind"

const behindWait = 5 * time.Second // for the hub to catch up with such a reader

// further is the head of the log as the source knows it. When a position is not
// after that, the hub gets there too.
func (h *Hub) further(ctx context.Context, position int64) (int64, error) {
	head, err := h.source.Head(ctx)
	if err != nil || position > head {
		return head, err
	}
	short, stop := context.WithTimeout(ctx, behindWait)
	defer stop()
	if h.Reached(short, position) != nil && ctx.Err() == nil {
		err = mgx.Errorf(mgx.KindConfig, CodeBehind, "the server has not read the log up to position %d yet; try again", position)
	}
	return head, errors.Join(err, ctx.Err())
}
