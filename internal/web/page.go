package web

import (
	"bytes"
	"embed"
	"html/template"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

//go:embed templates
var templateFiles embed.FS

// page is what a view makes: the template that draws it, in templates/, and what
// that draws.
type page struct {
	Template string // file name without .html
	Title    string
	Nav      string // key of the entry of the rail that it belongs to
	Command  string // what does the same on the command line; empty: nothing does
	Notice   *notice
	Live     *live // what it follows; nil: nothing
	Data     any

	Status   int    // 200
	Redirect string // instead of all this
}

// notice is a line above the page.
type notice struct {
	Tone string // info, warn, bad
	Text string
	Link string // where to do something about it
	Do   string // what that does
}

// live says what a page follows: when events of the channel come, its elements
// ask for Part again.
type live struct {
	Channel string
	Types   string // globs, with commas; empty: all
	Part    string // address of what to ask for again
	Pieces  bool   // also what models say while they say it
}

// frame is what the layout draws.
type frame struct {
	page
	Rail    []entry
	Actor   access.Actor
	Request string
	Script  string
	Style   string
	Icon    string
	Path    string
}

// pages are the templates, each with the layout and the components. A page is made
// when it is drawn for the first time: each has a copy of all components, which a
// server that nobody looks at need not hold.
type pages struct {
	shared *template.Template
	mu     sync.Mutex
	made   map[string]*template.Template
}

func newPages(s *site) *pages {
	return &pages{
		shared: template.Must(template.New("").Funcs(s.funcs()).ParseFS(templateFiles, "templates/shared/*.html")),
		made:   map[string]*template.Template{},
	}
}

func (p *pages) page(name string) (*template.Template, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.made[name]; t != nil {
		return t, nil
	}
	t, err := p.shared.Clone()
	if err == nil {
		t, err = t.ParseFS(templateFiles, "templates/"+name+".html")
	}
	if err == nil {
		p.made[name] = t
	}
	return t, err
}

func (p *pages) draw(w io.Writer, name, layout string, f frame) error {
	t, err := p.page(name)
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, layout, f)
}

// render draws a page, whole or not at all. Of a part only what the page itself
// has is drawn.
func (s *site) render(w http.ResponseWriter, v *visit, p page) {
	if p.Redirect != "" {
		http.Redirect(w, v.Request, p.Redirect, http.StatusSeeOther)
		return
	}
	f := frame{page: p, Rail: s.here(v, p.Nav), Actor: v.Actor, Request: v.ID, Script: s.static.address("app.js"), Style: s.static.address("app.css"), Icon: s.static.address("icon.svg"), Path: v.URL.Path}
	layout := "layout"
	if v.part() {
		layout = "part"
	}
	var b bytes.Buffer
	if err := s.pages.draw(&b, p.Template, layout, f); err != nil {
		s.o.Log.Error("a page cannot be drawn", "page", p.Template, "path", v.URL.Path, "error", err)
		http.Error(w, "This page cannot be drawn; the server's log tells more. Request "+v.ID, http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Mgx-Request", v.ID)
	if p.Status != 0 {
		w.WriteHeader(p.Status)
	}
	w.Write(b.Bytes())
}

// here is the rail of a reader, who sees the places that they may go to, with the
// place where they are. Parts of pages have none.
func (s *site) here(v *visit, nav string) (all []entry) {
	if v.part() {
		return nil
	}
	for _, e := range s.rail {
		if e.Kind != "" && !v.mayRead(e.Kind) {
			continue
		}
		e.Here = e.Key == nav
		if e.Key == "approvals" {
			e.N = v.waiting()
		}
		all = append(all, e)
	}
	return all
}

// failure is what the page of an error draws.
type failure struct {
	Title, Text, Code, Back string
}

// fail answers with the page of an error: what happened, what to do, and the id by
// which the server's log knows the request.
func (s *site) fail(w http.ResponseWriter, v *visit, err error) {
	e := mgx.AsError(err)
	status := statusOf(e)
	text := e.Message
	if status == http.StatusInternalServerError {
		s.o.Log.Error("a page failed", "path", v.URL.Path, "request", v.ID, "error", err)
		text = s.t("error.internal")
	}
	back := "/"
	if v.Method == http.MethodPost {
		back = path.Dir(v.URL.Path)
	}
	s.render(w, v, page{Template: "error", Title: s.t("error.title"), Status: status, Data: failure{s.t(titleOf(status)), sentence(text), e.Code, back}})
}

// statusOf maps an error as the API does.
func statusOf(e *mgx.Error) int {
	switch {
	case e.Code == mgx.CodeNotFound:
		return http.StatusNotFound
	case e.Code == access.CodeUnauthenticated:
		return http.StatusUnauthorized
	case e.Code == mgx.CodeConflict || slices.Contains([]string{"other_hash", "already_ended", app.CodeDecided, app.CodeOpenComments, app.CodeNotApproved}, e.Code):
		return http.StatusConflict
	case e.Kind == mgx.KindUsage || e.Kind == mgx.KindGoal:
		return http.StatusBadRequest
	case e.Kind == mgx.KindRefused || e.Kind == mgx.KindBudget:
		return http.StatusForbidden
	case e.Kind == mgx.KindConfig || e.Kind == mgx.KindProvider || e.Kind == mgx.KindStopped:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func titleOf(status int) string {
	switch status {
	case http.StatusNotFound:
		return "error.notfound"
	case http.StatusUnauthorized:
		return "error.unknown"
	case http.StatusForbidden:
		return "error.forbidden"
	case http.StatusConflict:
		return "error.conflict"
	case http.StatusBadRequest:
		return "error.request"
	case http.StatusServiceUnavailable:
		return "error.unavailable"
	}
	return "error.broken"
}

// sentence begins with a capital and ends with a full stop.
func sentence(text string) string {
	if text == "" {
		return text
	}
	if c := text[0]; 'a' <= c && c <= 'z' {
		text = string(c-'a'+'A') + text[1:]
	}
	if !strings.ContainsAny(text[len(text)-1:], ".!?:)") {
		text += "."
	}
	return text
}
