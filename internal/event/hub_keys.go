package event

import "context"

// SetKeys replaces what resume tokens are signed with: the first key signs, and
// what any of them signed is taken.
func (h *Hub) SetKeys(keys ...[]byte) {
	if len(keys) > 0 {
		h.keys.Store(&keys)
	}
}

func (h *Hub) sign(t token) string { return t.sign((*h.keys.Load())[0]) }

// token reads a resume token. One that no known key has signed may be another
// process's, which has a newer key: then it asks which keys there are.
func (h *Hub) token(ctx context.Context, resume string) (token, bool, error) {
	t, ok := h.known(resume)
	if ok || h.o.Keys == nil {
		return t, ok, nil
	}
	keys, err := h.o.Keys(ctx)
	if err != nil {
		return token{}, false, err
	}
	h.SetKeys(keys...)
	t, ok = h.known(resume)
	return t, ok, nil
}

func (h *Hub) known(resume string) (token, bool) {
	for _, key := range *h.keys.Load() {
		if t, ok := readToken(key, resume); ok {
			return t, true
		}
	}
	return token{}, false
}
