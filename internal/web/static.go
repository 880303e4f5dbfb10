package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
)

// What tools/bundle made of ui/, each file beside its compressed forms; `make web`
// makes it anew.
//
//go:embed static
var staticFiles embed.FS

// static serves files under names that have a digest of their content, so that
// browsers keep them for good. It is an http.Handler.
type static struct {
	addresses map[string]string // by name
	files     map[string]file   // by address
}

// file is one file, in the encodings that there are.
type file struct {
	mime            string
	plain, gzip, br []byte
}

func newStatic() static {
	s := static{addresses: map[string]string{}, files: map[string]file{}}
	for _, name := range []string{"app.js", "app.css", "icon.svg"} {
		f := file{mime: typeOf(name), plain: embedded(name), gzip: embedded(name + ".gz"), br: embedded(name + ".br")}
		digest := sha256.Sum256(f.plain)
		ext := path.Ext(name)
		address := "/static/" + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(digest[:8]) + ext
		s.addresses[name], s.files[address] = address, f
	}
	return s
}

// typeOf does not ask the machine, which may know it otherwise.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	}
	return "image/svg+xml"
}

func embedded(name string) []byte {
	b, err := staticFiles.ReadFile("static/" + name)
	if err != nil {
		panic(err) // it is built in
	}
	return b
}

func (s static) address(name string) string { return s.addresses[name] }

func (s static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body := f.plain
	switch accepted := r.Header.Get("Accept-Encoding"); {
	case accepts(accepted, "br"):
		h.Set("Content-Encoding", "br")
		body = f.br
	case accepts(accepted, "gzip"):
		h.Set("Content-Encoding", "gzip")
		body = f.gzip
	}
	w.Write(body)
}

// accepts reports whether a coding is named and not refused.
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q := strings.TrimSpace(weight)
			return q != "q=0" && q != "q=0.0"
		}
	}
	return false
}
