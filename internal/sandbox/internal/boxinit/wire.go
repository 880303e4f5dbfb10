//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"errors"

	"mgx/internal/sandbox/internal/landlock"
)

// Encode is the plan as an init reads it: how long it is, and what is in it.
func (p Plan) Encode() []byte {
	w := &wire{text: make([]byte, lengthBytes, 8<<10)}
	p.fields(w)
	n := len(w.text) - lengthBytes
	for i := range lengthBytes {
		w.text[i] = byte(n >> (8 * i))
	}
	return w.text
}

const lengthBytes = 4

func decodePlan(text []byte) (p Plan, err error) {
	w := &wire{text: text, reading: true}
	p.fields(w)
	return p, w.end()
}

func (f Failure) encode() []byte {
	w := &wire{text: []byte{ended}}
	f.fields(w)
	return w.text
}

// What an init says: begun before it starts the command, if it comes to that; after
// ended what came of starting it; and at last whether a place for temporary files
// was filled.
const (
	ended  = 0
	begun  = 1
	filled = 2
)

// Filled reads what an init said at last.
func Filled(text []byte) bool { return len(text) == 1 && text[0] == filled }

// DecodeSaid reads what an init said of the start of its command, and whether that
// may have run, which is known also of an init that did not come to say more. An
// error means that it is not all. What it said after that is left: a command may have
// ended before anybody read that it began.
func DecodeSaid(text []byte) (mayHaveRun bool, f Failure, left []byte, err error) {
	if mayHaveRun = len(text) > 0 && text[0] == begun; mayHaveRun {
		text = text[1:]
	}
	if len(text) == 0 || text[0] != ended {
		return mayHaveRun, Failure{}, nil, errNotAgreed
	}
	w := &wire{text: text[1:], reading: true}
	if f.fields(w); w.broken {
		return mayHaveRun, Failure{}, nil, errNotAgreed
	}
	return mayHaveRun, f, w.text, nil
}

// wire writes values one after the other, or reads them: the same description
// of what there is serves both ways.
type wire struct {
	text    []byte // all that was written; what is left to read
	reading bool
	broken  bool
}

var errNotAgreed = errors.New("it is not what was agreed upon")

func (w *wire) end() error {
	if w.broken || len(w.text) != 0 {
		return errNotAgreed
	}
	return nil
}

func (w *wire) number(n *int64) {
	if w.reading {
		*n = int64(w.read())
		return
	}
	for v := uint64(*n); ; v >>= 7 {
		if v < 0x80 {
			w.text = append(w.text, byte(v))
			return
		}
		w.text = append(w.text, byte(v)|0x80)
	}
}

func (w *wire) read() (v uint64) {
	for shift := 0; shift < 64 && len(w.text) > 0; shift += 7 {
		b := w.text[0]
		w.text = w.text[1:]
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	w.broken = true
	return 0
}

// length is that of something whose items take a byte at least.
func (w *wire) length(n int) int {
	v := int64(n)
	w.number(&v)
	if w.reading && (v < 0 || v > int64(len(w.text))) {
		w.broken = true
		return 0
	}
	return int(v)
}

func (w *wire) integer(n *int) {
	v := int64(*n)
	w.number(&v)
	*n = int(v)
}

func (w *wire) flag(b *bool) {
	n := 0
	if *b {
		n = 1
	}
	w.integer(&n)
	*b = n != 0
}

func word[S ~string](w *wire, s *S) {
	n := w.length(len(*s))
	if !w.reading {
		w.text = append(w.text, *s...)
		return
	}
	*s, w.text = S(w.text[:n]), w.text[n:]
}

func list[T any](w *wire, l *[]T, item func(*wire, *T)) {
	n := w.length(len(*l))
	if w.reading {
		*l = make([]T, n)
	}
	for i := range *l {
		item(w, &(*l)[i])
	}
}

func (p *Plan) fields(w *wire) {
	list(w, &p.Dirs, word[string])
	list(w, &p.Files, func(w *wire, f *File) { word(w, &f.Path); word(w, &f.Text) })
	list(w, &p.Links, func(w *wire, l *Link) { word(w, &l.Path); word(w, &l.To) })
	list(w, &p.Mounts, func(w *wire, m *Mount) { m.fields(w) })
	list(w, &p.Args, word[string])
	list(w, &p.Env, word[string])
	word(w, &p.Dir)
	list(w, &p.Limits, func(w *wire, l *Limit) { w.number(&l.Resource); w.number(&l.Soft); w.number(&l.Hard) })
	word(w, &p.Filter)
	w.integer(&p.Landlock)
	list(w, &p.Rules, func(w *wire, r *landlock.Rule) { word(w, &r.Path); w.number((*int64)(&r.Allow)) })
	w.integer(&p.UID)
	w.integer(&p.GID)
	w.flag(&p.Lite)
	w.flag(&p.Contained)
	w.integer(&p.Groups)
	w.integer(&p.Door)
	word(w, &p.Listen)
	w.integer(&p.Opened)
}

func (m *Mount) fields(w *wire) {
	word(w, &m.Kind)
	word(w, &m.Source)
	word(w, &m.Target)
	word(w, &m.Make)
	w.flag(&m.ReadOnly)
	word(w, &m.Upper)
	word(w, &m.Work)
	w.number(&m.Size)
	w.number(&m.Inodes)
	word(w, &m.Mode)
	w.integer(&m.Processes)
}

func (f *Failure) fields(w *wire) {
	word(w, &f.Stage)
	word(w, &f.Text)
	w.integer(&f.Errno)
	w.flag(&f.Usage)
}
