package web

import (
	"log/slog"
	"net/http"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// Options are what the console works with.
type Options struct {
	// Who tells who makes a request; People.Who when it is nil. Whoever is not known is
	// sent to the page where they can sign in, when there are People.
	Who    func(*http.Request) (access.Actor, error)
	People *People // nil: there are no pages to sign in

	Access    *app.Access    // what may be shown to be possible; required with Work
	Work      *app.Work      // nil: there are no pages of tasks and runs
	Events    *app.Log       // nil: there is no page of events
	Queues    *app.Queues    // nil: there is no page of queues
	Templates *app.Templates // nil: there are no templates of tasks
	Budgets   *app.Budgets   // whose By is set for each reader; nil: there is no page of usage
	Audit     *app.Audit     // the same; nil: there is no page of the audit log
	Links     []string       // hosts to which links in words of others may lead; nil: none

	Settings *Settings // nil: there are no pages of settings
	Terms    Terms     // nil: a form changes what there is, whatever its reader saw

	Log *slog.Logger
	Now func() time.Time // for what is told relative to now

	// Sample adds the page of all components with sample data, /storybook.
	Sample bool
}

// site is the console at work.
type site struct {
	o      Options
	pages  *pages
	static static
	leaves []sheet // of the settings
	notes  notes
	rail   []entry
	words  map[string]string
}

// New returns the handler of every path of the console. It panics when a required
// option is missing.
func New(o Options) http.Handler {
	if o.Who == nil && o.People != nil {
		o.Who = o.People.Who
	}
	if o.Who == nil || o.Work != nil && o.Access == nil {
		panic("web: a console needs to be told who asks")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &site{o: o, static: newStatic(), words: catalogue()}
	s.pages = newPages(s.funcs())
	return s.guard(s.mux())
}

// policy allows what the pages need and nothing else; see the package comment.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// maxForm bounds what a form may send, in bytes.
const maxForm = 256 << 10

// guard sets what browsers are told about every page, beside what package api tells them
// of every answer, and keeps pages of other origins from sending forms.
func (s *site) guard(next http.Handler) http.Handler {
	same := http.NewCrossOriginProtection()
	same.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, s.stranger(r), mgx.Errorf(mgx.KindRefused, "bad_origin", "This was sent by a page of another origin, so nothing was done."))
	}))
	protected := same.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		protected.ServeHTTP(w, r)
	})
}
