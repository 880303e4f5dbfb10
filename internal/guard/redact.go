package guard

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Mask is what stands where a secret was.
const Mask = "[redacted]"

// MinSecret is the length in bytes below which a value is not taken for a
// secret: hiding "test" or "1234" everywhere would hide the text instead.
const MinSecret = 8

// Redactor hides exact secrets. The zero value knows none, and nil neither; all
// methods but Add and Remember take nil, and all may be called at the same time.
type Redactor struct {
	adding  sync.Mutex      // held while a new set is built
	secrets map[string]int  // how many want each hidden
	spelt   map[string]int  // how many of them have each form
	kept    map[string]bool // those that Add was told
	lately  []remembered    // those that Remember was told, the latest last
	known   atomic.Pointer[needles]

	above  *Redactor // whose secrets it hides as well; nil: nobody's
	joined atomic.Pointer[joint]
	tells  *Redactor // that learns what it learns; nil: none
	picky  bool      // it takes nothing commonplace for a secret
}

// joint is what a redactor and the one above it know together.
type joint struct{ own, above, both *needles }

// remembered is a secret that is hidden for a while.
type remembered struct {
	secret string
	until  time.Time
}

// How long a secret that nothing used is remembered, how many are, and of how many
// bytes together: each takes sixty times its length in all its spellings, a short one some two hundred.
const (
	Remembered         = 30 * 24 * time.Hour
	maxRemembered      = 1000
	maxRememberedBytes = 256 << 10
)

// NewRedactor returns a Redactor that knows these secrets.
func NewRedactor(secrets ...string) *Redactor {
	r := new(Redactor)
	r.add(secrets)
	return r
}

// Add makes the redactor know one more secret, for good: whatever uses it may hold it
// for as long as the process lives. Values shorter than [MinSecret] bytes are ignored.
func (r *Redactor) Add(secret string) { r.add([]string{secret}) }

func (r *Redactor) add(secrets []string) {
	r.adding.Lock()
	defer r.adding.Unlock()
	if r.kept == nil {
		r.kept = map[string]bool{}
	}
	var fresh []string
	for _, s := range r.takes(secrets) {
		if !r.kept[s] {
			r.kept[s] = true
			fresh = append(fresh, s)
		}
	}
	r.count(fresh, nil)
}

// Remember makes the redactor know a secret for [Remembered] at least, counted from the
// last time that it was told, unless more than a thousand others, or 256 kB of them, are told meanwhile. It is
// for what somebody keeps here and nothing has used: of what they replace and remove
// again and again not all is carried for ever. What Add is told stays all the same.
func (r *Redactor) Remember(secret string, now time.Time) {
	r.adding.Lock()
	defer r.adding.Unlock()
	var fresh, gone []string
	for _, s := range r.takes([]string{secret}) {
		had := len(r.lately)
		r.lately = slices.DeleteFunc(r.lately, func(m remembered) bool { return m.secret == s })
		if len(r.lately) == had {
			fresh = append(fresh, s)
		}
		r.lately = append(r.lately, remembered{s, now.Add(Remembered)})
	}
	over, size := 0, 0
	for _, m := range r.lately {
		size += len(m.secret)
	}
	for over < len(r.lately) && (len(r.lately)-over > maxRemembered || size > maxRememberedBytes || r.lately[over].until.Before(now)) {
		gone, size = append(gone, r.lately[over].secret), size-len(r.lately[over].secret)
		over++
	}
	r.lately = slices.Delete(r.lately, 0, over)
	r.count(fresh, gone)
}

// takes are those of the values, and of their lines, that are secrets.
func (r *Redactor) takes(values []string) (all []string) {
	for _, v := range values {
		for _, s := range append(pieces(v), v) {
			if len(s) >= MinSecret && !(r.picky && Commonplace(s)) && !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// count takes down that one more wants some hidden, and one less others; r.adding is
// held.
func (r *Redactor) count(more, less []string) {
	if r.secrets == nil {
		r.secrets, r.spelt = map[string]int{}, map[string]int{}
	}
	var fresh, gone, spelt []string
	for _, s := range more {
		if r.secrets[s]++; r.secrets[s] > 1 {
			continue
		}
		fresh = append(fresh, s)
		for _, form := range forms(s) {
			if r.spelt[form]++; r.spelt[form] == 1 {
				spelt = append(spelt, form)
			}
		}
	}
	for _, s := range less {
		if r.secrets[s]--; r.secrets[s] > 0 {
			continue
		}
		delete(r.secrets, s)
		gone = append(gone, s)
		for _, form := range forms(s) { // which may be that of another one too
			if r.spelt[form]--; r.spelt[form] == 0 {
				delete(r.spelt, form)
			}
		}
	}
	if len(fresh)+len(gone) == 0 {
		return
	}
	var all []string
	if n := r.known.Load(); n != nil {
		all = n.all
	}
	slices.SortFunc(spelt, longestFirst)
	all = merged(all, spelt) // to sort thousands again takes longer
	if len(gone) > 0 {
		all = slices.DeleteFunc(all, func(form string) bool { return r.spelt[form] == 0 })
	}
	var known *needles
	if len(all) > 0 {
		known = newNeedles(all)
	}
	r.known.Store(known)
	if r.tells != nil {
		r.tells.adding.Lock()
		r.tells.count(fresh, gone)
		r.tells.adding.Unlock()
	}
}

// String returns s without its secrets. If s is a JSON object, array or string,
// so is the result, and the strings in it are looked at as they read, however
// escaped; a number that holds a secret becomes 0.
func (r *Redactor) String(s string) string {
	n := r.set()
	if n == nil {
		return s
	}
	return n.redact(s)
}

// Record is [Redactor.String] for a record of our own, or an answer, in JSON: what is
// secret goes out of its strings, and its shape stays whatever somebody calls a secret,
// so that who reads it still can.
func (r *Redactor) Record(s string) string {
	n := r.set()
	if n == nil {
		return s
	}
	out, _ := n.shaped(s)
	return out
}

// set is what is known; nil: nothing, as of a nil Redactor.
func (r *Redactor) set() *needles {
	if r == nil {
		return nil
	}
	own, above := r.known.Load(), r.above.set()
	switch {
	case above == nil:
		return own
	case own == nil:
		return above
	}
	if j := r.joined.Load(); j != nil && j.own == own && j.above == above {
		return j.both
	}
	both := newNeedles(slices.Concat(own.all, above.all))
	r.joined.Store(&joint{own, above, both})
	return both
}

// Cut hides what is left of a secret where a text was cut and an ellipsis says so:
// the beginning of one right before it, the end of one right after it.
func (r *Redactor) Cut(s string) string {
	n := r.set()
	if n == nil || !strings.Contains(s, ellipsis) {
		return s
	}
	pieces := strings.Split(s, ellipsis)
	for i, piece := range pieces {
		if i+1 < len(pieces) {
			if at := n.unfinished(piece); len(piece)-at >= minLeft {
				piece = piece[:at] + Mask
			}
		}
		if i > 0 {
			if at := n.rest(piece); at >= minLeft {
				piece = Mask + piece[at:]
			}
		}
		pieces[i] = piece
	}
	return strings.Join(pieces, ellipsis)
}

const (
	ellipsis = "…"
	minLeft  = 4 // bytes of a secret that are too many to be shown, and too many to be there by chance
)

// rest is how much of s is the end of a secret.
func (n *needles) rest(s string) int {
	for l := min(len(s), n.longest-1); l >= minLeft; l-- {
		for _, needle := range n.all { // longest first
			if len(needle) <= l {
				break
			}
			if strings.HasSuffix(needle, s[:l]) {
				return l
			}
		}
	}
	return 0
}

// Holds reports whether a secret is in s.
func (r *Redactor) Holds(s string) bool { return r.String(s) != s }

// Bytes is [Redactor.String] for bytes. It never writes to b, and returns b
// itself when there is nothing to hide.
func (r *Redactor) Bytes(b []byte) []byte {
	s := string(b)
	out := r.String(s)
	if out == s {
		return b
	}
	return []byte(out)
}

// needles is an immutable set of strings to look for, arranged so that one pass
// over a text finds them all: a bit per possible pair of first bytes passes over
// nearly every position, and a map by the first MinSecret bytes decides the rest.
type needles struct {
	all     []string // longest first
	longest int      // length of the first
	pairs   [1 << 16 / 64]uint64
	heads   map[[MinSecret]byte][]string // longest first
}

func newNeedles(all []string) *needles {
	slices.SortFunc(all, longestFirst)
	n := &needles{all: slices.Compact(all), heads: map[[MinSecret]byte][]string{}}
	n.longest = len(n.all[0])
	for _, s := range n.all {
		p := pair(s)
		n.pairs[p/64] |= 1 << (p % 64)
		head := [MinSecret]byte([]byte(s[:MinSecret]))
		n.heads[head] = append(n.heads[head], s)
	}
	return n
}

// merged has what two lists have, which begin with the longest.
func merged(a, b []string) []string {
	all := make([]string, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if longestFirst(a[0], b[0]) < 0 {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

func longestFirst(a, b string) int {
	return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
}

func pair(s string) uint16 { return uint16(s[0])<<8 | uint16(s[1]) }

// begin reports whether a needle may start with two bytes.
func (n *needles) begin(a, b byte) bool {
	p := uint(a)<<8 | uint(b)
	return n.pairs[p/64]&(1<<(p%64)) != 0
}

// at returns the length of the longest needle that s, of [MinSecret] bytes at least,
// starts with, or 0.
func (n *needles) at(s string) int {
	for _, needle := range n.heads[[MinSecret]byte([]byte(s[:MinSecret]))] {
		if strings.HasPrefix(s, needle) {
			return len(needle)
		}
	}
	return 0
}

// found reports whether any needle is in s, in whatever way it is read. No view is
// longer than its text.
func (n *needles) found(s string) bool {
	return len(s) >= MinSecret && (n.stands(s) || slices.ContainsFunc(views(s), func(v *view) bool {
		return !strings.HasPrefix(s, v.text) && n.stands(v.text)
	}))
}

// stands reports whether any needle is in s as it is.
func (n *needles) stands(s string) bool {
	for i := 0; i+MinSecret <= len(s); i++ {
		if n.begin(s[i], s[i+1]) && n.at(s[i:]) > 0 {
			return true
		}
	}
	return false
}

// span is a piece of a text, from start up to and not including end.
type span struct{ start, end int }

// spans returns where needles are in s, in whatever way it is read, overlapping ones
// joined.
func (n *needles) spans(s string) []span {
	all := n.standing(s)
	for _, v := range views(s) {
		for _, f := range n.standing(v.text) {
			all = append(all, span{v.in(f.start), v.end(f.end)})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	var joined []span
	for _, f := range all {
		joined = join(joined, f)
	}
	return joined
}

// standing returns where needles are in s as it is, overlapping ones joined.
func (n *needles) standing(s string) []span {
	var all []span
	for i := 0; i+MinSecret <= len(s); i++ {
		if !n.begin(s[i], s[i+1]) {
			continue
		}
		if l := n.at(s[i:]); l > 0 {
			all = join(all, span{i, i + l})
		}
	}
	return all
}

// join appends next to spans sorted by start, or widens the last one if they overlap.
func join(all []span, next span) []span {
	if last := len(all) - 1; last >= 0 && next.start < all[last].end {
		all[last].end = max(all[last].end, next.end)
		return all
	}
	return append(all, next)
}

// text hides the needles in plain text. Masks can join what was apart into a
// needle again, so it repeats; a needle that touches a mask swallows it, hence
// each round leaves fewer bytes that are not masks, and the loop ends.
func (n *needles) text(s string) string {
	for {
		found := n.spans(s)
		if len(found) == 0 {
			return s
		}
		s = replace(s, swallowMasks(s, found))
	}
}

// swallowMasks widens spans over the masks that they touch.
func swallowMasks(s string, found []span) []span {
	if !strings.Contains(s, Mask) {
		return found
	}
	var wide []span
	for _, f := range found {
		if i := strings.LastIndex(s[:min(len(s), f.start+len(Mask)-1)], Mask); i >= 0 && i+len(Mask) > f.start {
			f.start = min(f.start, i)
		}
		from := max(0, f.end-len(Mask)+1)
		if i := strings.Index(s[from:], Mask); i >= 0 && from+i < f.end {
			f.end = max(f.end, from+i+len(Mask))
		}
		wide = join(wide, f)
	}
	return wide
}

func replace(s string, found []span) string {
	var b bytes.Buffer
	from := 0
	for _, f := range found {
		b.WriteString(s[from:f.start])
		b.WriteString(Mask)
		from = f.end
	}
	b.WriteString(s[from:])
	return b.String()
}
