package access

import (
	"net/http"
	"strings"
	"time"
)

// BrowserPrefix begins what a browser keeps in its cookie.
const BrowserPrefix = "mgxb_"

// Cookies says how browsers keep what proves who they are. Over TLS they promise
// to send it over TLS only, back to this host alone and to take it from nobody else
// (the prefix __Host- of RFC 6265bis, 4.1.3.2). No script can read it, and pages of
// other sites cannot have it sent but by links to this one.
type Cookies struct{ Secure bool }

// WorkspaceCookie keeps in which of their workspaces somebody is. It opens nothing:
// whether they are a member is asked each time.
const WorkspaceCookie = "workspace"

func (c Cookies) name(what string) string {
	if c.Secure {
		return "__Host-mgx_" + what
	}
	return "mgx_" + what
}

// Session is what a request's cookie proves; empty: there is none.
func (c Cookies) Session(r *http.Request) string {
	if text := c.Get(r, "session"); strings.HasPrefix(text, BrowserPrefix) {
		return text
	}
	return ""
}

// SetSession has the browser keep a session until it ends.
func (c Cookies) SetSession(w http.ResponseWriter, secret string, until time.Time) {
	c.Set(w, "session", secret, until)
}

// Get returns a cookie of ours. One that is there twice is none: somebody else
// added one.
func (c Cookies) Get(r *http.Request, what string) string {
	all := r.CookiesNamed(c.name(what))
	if len(all) != 1 || len(all[0].Value) > 128 {
		return ""
	}
	return all[0].Value
}

// Set has the browser keep something.
func (c Cookies) Set(w http.ResponseWriter, what, value string, until time.Time) {
	http.SetCookie(w, &http.Cookie{Name: c.name(what), Value: value, Path: "/", Expires: until, Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// Clear has the browser forget it.
func (c Cookies) Clear(w http.ResponseWriter, what string) {
	http.SetCookie(w, &http.Cookie{Name: c.name(what), Path: "/", MaxAge: -1, Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}
