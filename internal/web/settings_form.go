package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/webhook"
)

// deed is what a form asks for, and what came of it.
type deed func(*visit) (outcome, error)

// outcome is where to go, or what is to be shown now and never again.
type outcome struct {
	To   string // a path
	Done string // the text that says there what was done
	Once *once
	Data any // for the page of the form
}

// done goes to a page of settings that says what was done.
func done(path, what string) (outcome, error) { return outcome{To: path, Done: what}, nil }

// once is something that is shown in one answer and nowhere else.
type once struct {
	Title, Text, Value string
	Command            string // what to do with it; empty: nothing
}

// act does what a form asks for, if somebody may. What was wrong with it is told on
// the page that it is on, beside what was filled in.
func (s *site) act(name string, takes need, do deed, sees need, draw drawing) http.Handler {
	return s.show(func(v *visit) (page, error) {
		if err := readForm(v.Request); err != nil {
			return page{}, err
		}
		if err := v.demand(takes); err != nil {
			return page{}, err
		}
		out, err := s.doOnce(v, do)
		if err == nil && out.To != "" {
			return page{Redirect: out.To + with1(nil, "done", s.note(v, out.Done))}, nil
		}
		f := &form{Name: v.formName(name), Values: v.PostForm, Once: out.Once, Data: out.Data}
		if err != nil {
			if status := statusOf(mgx.AsError(err)); status == http.StatusInternalServerError || status == http.StatusNotFound || v.demand(sees) != nil {
				return page{}, err
			}
			if f.wrong(err); f.Moved {
				f.Wrong = s.t("set.moved")
			}
		}
		p, drawn := draw(v, f)
		if drawn != nil {
			return page{}, drawn
		}
		if err != nil {
			p.Status = statusOf(mgx.AsError(err))
		}
		return p, nil
	})
}

// doOnce does what a form asks for, and nothing if it is one that shows a secret and
// came before: of a form that is sent twice the second answer would show what the
// first has made once more.
func (s *site) doOnce(v *visit, do deed) (outcome, error) {
	key := v.text("once")
	if key == "" {
		return do(v)
	}
	if !s.notes.put(v.noteKey(key), "sent") {
		return outcome{}, mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "%s", s.t("set.twice"))
	}
	out, err := do(v)
	if err != nil {
		s.notes.take(v.noteKey(key)) // nothing was made, so it may be sent again
	}
	return out, err
}

// note keeps what was done for the next page, and returns by what it is found.
func (s *site) note(v *visit, text string) string {
	if text == "" {
		return ""
	}
	key := mgx.NewID[string]("done")
	s.notes.put(v.noteKey(key), text)
	return key
}

// noteKey is a key of somebody's own.
func (v *visit) noteKey(key string) string { return v.Actor.ID() + " " + middle(60, key) }

// formName tells the forms of one page apart: those about one thing of many have its
// id behind their name.
func (v *visit) formName(name string) string {
	for _, of := range []string{"id", "event"} {
		if id := v.PathValue(of); id != "" {
			name += "-" + id
		}
	}
	return name
}

// form is a form as it was sent, for the page that comes back.
type form struct {
	Name   string
	Values url.Values
	Wrong  string // what was wrong with it
	Field  string // where; empty: nowhere in particular
	Moved  bool   // what it changes was changed by somebody else meanwhile
	Once   *once
	Done   string // what was done just before
	Data   any    // what came of it
}

// fields say to which field of a form an error belongs.
var fields = map[string]string{
	"bad_email": "email", "bad_name": "name", "bad_expiry": "expires", "bad_scope": "scopes", access.CodeOutOfScope: "scopes", "too_many_models": "models", "bad_budget": "budget",
	"bad_overlap": "overlap", "weak_password": "new", app.CodeBadCredentials: "old", "bad_secret_name": "name", "bad_secret_value": "value", "bad_policy": "policy",
	"bad_trial": "effect", "bad_arguments": "arguments", webhook.CodeBadAddress: "url", webhook.CodeAddressRefused: "url", "bad_filter": "types", "bad_channel": "channels",
	"not_confirmed": "confirm", mgx.CodeLastAdmin: "role",
}

func (f *form) wrong(err error) {
	e := mgx.AsError(err)
	f.Wrong, f.Moved = sentence(e.Message), e.Code == mgx.CodeChanged
	field := fields[e.Code]
	if own, ok := errors.AsType[*fieldError](err); ok {
		field = own.field
	}
	if f.Values.Has(field) {
		f.Field = field
	}
	if wait, ok := waitOf(err); ok {
		f.Wrong += " " + strconv.Itoa(int(wait/time.Second)+1) + " s."
	}
}

// At is what was wrong with a field of a form of the page.
func (f *form) At(name, field string) string {
	if f.Name != name || f.Field != field {
		return ""
	}
	return f.Wrong
}

// Above is what was wrong with a form that belongs to none of its fields.
func (f *form) Above(name string) string { return f.At(name, "") }

// Open reports whether a form that is folded away is to be seen.
func (f *form) Open(name string) bool { return f.Name == name && (f.Wrong != "" || f.Data != nil) }

// Value is what was filled in, where it has to be filled in again, or else what a
// field begins with.
func (f *form) Value(name, field, begins string) string {
	if f.Open(name) {
		return f.Values.Get(field)
	}
	return begins
}

// Ticked is Value of a box.
func (f *form) Ticked(name, field string) bool { return f.Value(name, field, "") != "" }

// Key makes what a form asks for done once, however often it is sent.
func (f *form) Key() string { return mgx.NewID[string]("form") }

// notes are short words that this process keeps for a while: the latest of them.
type notes struct {
	mu   sync.Mutex
	text map[string]string
	keys []string // the oldest first
}

const mostNotes = 4096

// put keeps a note, and reports whether there was none of that key.
func (n *notes) put(key, text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, there := n.text[key]; there {
		return false
	}
	if n.text == nil {
		n.text = map[string]string{}
	}
	if n.keys = append(n.keys, key); len(n.keys) > mostNotes {
		delete(n.text, n.keys[0])
		n.keys = n.keys[1:]
	}
	n.text[key] = text
	return true
}

// take returns a note and forgets it.
func (n *notes) take(key string) (text string, there bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text, there = n.text[key]
	delete(n.text, key)
	return text, there
}

// fieldError is an error that says to which field of its form it belongs.
type fieldError struct {
	field string
	error
}

func (e *fieldError) Unwrap() error { return e.error }
