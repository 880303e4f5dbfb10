package web

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"io"
	"io/fs"
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
	Sheet    string // the same of what a page of settings holds
	Layout   string // empty: that of the console, with its rail
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

	Person string // who reads, by name; empty: no name is known
	Place  string // the workspace, by name; the same
}

// pages are the templates: one set, in which each component is once, however many
// pages draw it. It is made when somebody looks at a page for the first time, since
// a server that nobody looks at need not hold it.
type pages struct {
	set func() (*template.Template, error)
}

func newPages(funcs template.FuncMap) *pages {
	p := &pages{}
	p.set = sync.OnceValues(func() (*template.Template, error) {
		set, err := template.New("").Funcs(funcs).Funcs(template.FuncMap{"drawn": p.drawn}).ParseFS(templateFiles, "templates/shared/*.html")
		if err != nil {
			return nil, err
		}
		return set, fs.WalkDir(templateFiles, "templates", func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Dir(file) != "templates" {
				return err
			}
			text, err := templateFiles.ReadFile(file)
			if err == nil {
				_, err = set.New(pageName(strings.TrimSuffix(d.Name(), ".html"))).Parse(string(text))
			}
			return err
		})
	})
	return p
}

// pageName keeps the names of pages apart from those of components.
func pageName(name string) string { return "page " + name }

func (p *pages) draw(w io.Writer, name string, data any) error {
	set, err := p.set()
	if err != nil {
		return err
	}
	return set.ExecuteTemplate(w, name, data)
}

// drawn is a page as a layout holds it, between tags. html/template made it, and
// escaped in it what others wrote, as it does around it.
func (p *pages) drawn(name string, data any) (template.HTML, error) {
	var b strings.Builder
	err := p.draw(&b, pageName(name), data)
	return template.HTML(b.String()), err
}

// render draws a page, whole or not at all. Of a part only what the page itself
// has is drawn.
func (s *site) render(w http.ResponseWriter, v *visit, p page) {
	if p.Redirect != "" {
		http.Redirect(w, v.Request, p.Redirect, http.StatusSeeOther)
		return
	}
	f := frame{page: p, Rail: s.here(v, p.Nav), Actor: v.Actor, Request: v.ID, Script: s.static.address("app.js"), Style: s.static.address("app.css"), Icon: s.static.address("icon.svg"), Path: v.URL.Path}
	layout := cmp.Or(p.Layout, "layout")
	if v.part() {
		layout = "part"
	}
	if layout == "layout" {
		f.Person, f.Place = v.whoAndWhere()
	}
	var b bytes.Buffer
	if err := s.pages.draw(&b, layout, f); err != nil {
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
	w.Write(unhidden(b.Bytes()))
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
	text := e.Outward()
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
	case e.Code == mgx.CodeConflict || slices.Contains([]string{mgx.CodeChanged, "other_hash", "already_ended", app.CodeDecided, app.CodeOpenComments, app.CodeNotApproved}, e.Code):
		return http.StatusConflict
	case e.Kind == mgx.KindUsage || e.Kind == mgx.KindGoal:
		return http.StatusBadRequest
	case e.Kind == mgx.KindRefused || e.Kind == mgx.KindBudget:
		return http.StatusForbidden
	case e.Unset():
		return http.StatusFailedDependency
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
	case http.StatusServiceUnavailable, http.StatusFailedDependency:
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
