package limit

import (
	"io"
	"sync"

	"mgx"
)

// CodeTooManyBytes refuses what would hold more at once than somebody may.
const CodeTooManyBytes = "too_many_bytes"

// Bytes bounds the memory that bodies of requests take, of all together and of each
// owner, so that none can take all of it. They are counted as they come: what
// somebody says that they will send is their own affair.
type Bytes struct {
	most, each int64

	mu  sync.Mutex
	all int64
	of  map[string]int64
}

// NewBytes bounds all to most, and each owner to a share of that.
func NewBytes(most, each int64) *Bytes { return &Bytes{most: most, each: each, of: map[string]int64{}} }

// Held are the bytes of one body. Its methods are for one goroutine.
type Held struct {
	in    *Bytes
	owner string
	n     int64
}

// Hold begins with none.
func (b *Bytes) Hold(owner string) *Held { return &Held{in: b, owner: owner} }

// Take holds more, or fails with [CodeTooManyBytes], the owner's own excess, or
// [CodeOverloaded], that of all, and holds what it held.
func (h *Held) Take(n int64) error {
	b := h.in
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.of[h.owner]+n > b.each:
		return mgx.Errorf(mgx.KindRefused, CodeTooManyBytes, "what you have under way is as large together as it may be; wait for some of it to end")
	case b.all+n > b.most:
		return overloaded()
	}
	b.all += n
	b.of[h.owner] += n
	h.n += n
	return nil
}

// Reader is a reader of which each byte that comes is taken.
func (h *Held) Reader(r io.Reader) io.Reader { return counted{r, h} }

type counted struct {
	io.Reader
	held *Held
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if over := c.held.Take(int64(n)); over != nil {
		return 0, over
	}
	return n, err
}

// Drop gives everything back.
func (h *Held) Drop() {
	b := h.in
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all -= h.n
	if b.of[h.owner] -= h.n; b.of[h.owner] == 0 {
		delete(b.of, h.owner)
	}
	h.n = 0
}
