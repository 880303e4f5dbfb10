package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"mgx"
	"mgx/internal/config"
	"mgx/internal/guard"
)

// redactors hide the secrets of this process. There is one set of them, so that what one
// part learns (the key that a file of models names, a secret of the vault, a token) every
// other part hides wherever it writes: what is the installation's everywhere, what is a
// workspace's in what that one has.
var redactors = sync.OnceValue(func() *guard.Redactors { return guard.NewRedactors(guard.SecretsFromEnv(os.Environ())...) })

// redactor hides everybody's secrets, where who runs the installation reads.
func redactor() *guard.Redactor { return redactors().All() }

// hide has the process hide secrets of the installation from now on.
func hide(secrets ...string) {
	for _, s := range secrets {
		redactors().Own().Add(s)
	}
}

// warnCommonplace says which secrets of the environment are not hidden, since texts have
// their values anyway. Of the values it says nothing.
func (n *node) warnCommonplace(environ []string) {
	for _, name := range guard.CommonplaceIn(environ) {
		n.log.Warn("a secret of the environment is not hidden: its value is a word, a name, an id, a time or a short number, which texts have anyway; give it one that nobody can guess, with digits and letters", "variable", name)
	}
}

// hideOf has it hide a secret that somebody keeps in a workspace in what is that one's.
func (n *node) hideOf(ws mgx.WorkspaceID, secret string) { n.hiding(ws).Remember(secret, mgx.Now()) }

// hiding hides what is secret in a workspace.
func (n *node) hiding(ws mgx.WorkspaceID) *guard.Redactor { return n.redact.Of(string(ws)) }

// hidesStored is hiding for what is stored; what is no single workspace's may be
// anybody's.
func (n *node) hidesStored(of mgx.WorkspaceID) func([]byte) []byte {
	from := n.redact.All()
	if of != "" {
		from = n.hiding(of)
	}
	return func(record []byte) []byte {
		s := string(record)
		if out := from.Record(s); out != s {
			return []byte(out)
		}
		return record
	}
}

// hidesShown is hiding for an answer to who is in a workspace, or in none.
func (n *node) hidesShown(of mgx.WorkspaceID, text string) string {
	if of == "" {
		return n.redact.Own().Record(text)
	}
	return n.hiding(of).Record(text)
}

// hideSettings hides what is secret in settings that are addresses, wherever they
// were said: a password in the user's file is in no variable.
func hideSettings(c *config.Config) {
	for _, address := range []string{c.Database, c.NATS, c.Redis, c.PricesURL, c.SentryDSN} {
		hide(guard.SecretsIn(address)...)
	}
}

// hidesIn takes secrets out of the pages that a handler answers with, also when it
// writes one in pieces: those of the workspace of which it has said with showing that
// the page is.
func (n *node) hidesIn(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hiding := &hidingWriter{ResponseWriter: w, from: n.redact.Own()}
		defer hiding.close()
		pages.ServeHTTP(hiding, r.WithContext(context.WithValue(r.Context(), hidingKey{}, hiding)))
	})
}

type hidingKey struct{}

// showing says, before a page begins, of which workspace it is.
func (n *node) showing(ctx context.Context, ws mgx.WorkspaceID) {
	if h, ok := ctx.Value(hidingKey{}).(*hidingWriter); ok && ws != "" {
		h.from = n.hiding(ws)
	}
}

type hidingWriter struct {
	http.ResponseWriter
	from  *guard.Redactor
	begun bool
	text  *guard.Stream // nil: what is written is no page
	err   error
}

func (h *hidingWriter) WriteHeader(status int) {
	if !h.begun && status >= 200 {
		h.begun = true
		if strings.HasPrefix(h.Header().Get("Content-Type"), "text/html") {
			h.Header().Del("Content-Length")
			h.text = h.from.Stream(func(s string) { _, h.err = io.WriteString(h.ResponseWriter, s) })
		}
	}
	h.ResponseWriter.WriteHeader(status)
}

func (h *hidingWriter) Write(b []byte) (int, error) {
	if !h.begun {
		h.WriteHeader(http.StatusOK)
	}
	if h.text == nil {
		return h.ResponseWriter.Write(b)
	}
	h.text.Write(string(b))
	return len(b), h.err
}

func (h *hidingWriter) close() {
	if h.text != nil {
		h.text.Close()
	}
}

// Unwrap is for http.ResponseController.
func (h *hidingWriter) Unwrap() http.ResponseWriter { return h.ResponseWriter }
