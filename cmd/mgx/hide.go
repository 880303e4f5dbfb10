package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"mgx/internal/config"
	"mgx/internal/guard"
)

// redactor hides the secrets of this process. There is one, so that what one part
// learns (the key that a file of models names, a secret of the vault, a token) every
// other part hides wherever it writes.
var redactor = sync.OnceValue(func() *guard.Redactor { return guard.NewRedactor(guard.SecretsFromEnv(os.Environ())...) })

// hide has the process hide secrets from now on.
func hide(secrets ...string) {
	for _, s := range secrets {
		redactor().Add(s)
	}
}

// hideSettings hides what is secret in settings that are addresses, wherever they
// were said: a password in the user's file is in no variable.
func hideSettings(c *config.Config) {
	for _, address := range []string{c.Database, c.NATS, c.Redis, c.PricesURL, c.SentryDSN} {
		hide(guard.SecretsIn(address)...)
	}
}

// hidesIn takes secrets out of the pages that a handler answers with, also when it
// writes one in pieces.
func hidesIn(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hiding := &hidingWriter{ResponseWriter: w}
		defer hiding.close()
		pages.ServeHTTP(hiding, r)
	})
}

type hidingWriter struct {
	http.ResponseWriter
	begun bool
	text  *guard.Stream // nil: what is written is no page
	err   error
}

func (h *hidingWriter) WriteHeader(status int) {
	if !h.begun && status >= 200 {
		h.begun = true
		if strings.HasPrefix(h.Header().Get("Content-Type"), "text/html") {
			h.Header().Del("Content-Length")
			h.text = redactor().Stream(func(s string) { _, h.err = io.WriteString(h.ResponseWriter, s) })
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
