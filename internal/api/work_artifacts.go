package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"strings"
	"time"

	"mgx"
	"mgx/internal/app"
)

type artifactsOut struct {
	Body struct {
		Artifacts []app.Artifact `json:"artifacts"`
	} `nameHint:"ArtifactList"`
}

func listArtifacts(ctx context.Context, w *app.Work, in *At[mgx.RunID]) (*artifactsOut, error) {
	all, err := w.Artifacts(ctx, actor(ctx), in.ID)
	out := &artifactsOut{}
	out.Body.Artifacts = every(all)
	return out, err
}

type artifactIn struct {
	At[mgx.RunID]
	Name  string `path:"name" doc:"Of the artifact, or the digest of its bytes: sha256: and hexadecimal digits" maxLength:"200"`
	Range string `header:"Range" doc:"One part of it, such as bytes=0-1023" maxLength:"100"`
}

// getArtifact hands out bytes that agents wrote. Whatever they are, a browser saves
// them: it neither guesses what they are nor shows them.
func (s *Server) getArtifact(w http.ResponseWriter, r *http.Request) error {
	work, err := s.work(r.Context())
	if err != nil {
		return err
	}
	a, content, err := work.Artifact(r.Context(), actorOf(r), mgx.RunID(r.PathValue("id")), r.PathValue("name"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", a.Media+"; charset=utf-8")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.Name}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	return part(w, r, content)
}

// part writes bytes, or the one part of them that is asked for; the digest of all of
// them says whether somebody has them already (RFC 9110, 13 and 14).
func part(w http.ResponseWriter, r *http.Request, content []byte) error {
	sum := sha256.Sum256(content)
	w.Header().Set("ETag", `"sha256:`+hex.EncodeToString(sum[:])+`"`)
	if strings.Contains(r.Header.Get("Range"), ",") { // several at once are all of it
		r.Header.Del("Range")
	}
	out := &ranged{ResponseWriter: w}
	http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(content))
	if out.beyond {
		for _, name := range []string{"Content-Disposition", "ETag", "Content-Length"} {
			w.Header().Del(name)
		}
		return mgx.Errorf(mgx.KindUsage, codeRange, "there is no such part; it has %d bytes", len(content))
	}
	return nil
}

// ranged keeps back what is no problem of ours: that a range is none.
type ranged struct {
	http.ResponseWriter
	beyond bool
}

func (r *ranged) WriteHeader(status int) {
	if r.beyond = status == http.StatusRequestedRangeNotSatisfiable; !r.beyond {
		r.ResponseWriter.WriteHeader(status)
	}
}

func (r *ranged) Write(b []byte) (int, error) {
	if r.beyond {
		return len(b), nil
	}
	return r.ResponseWriter.Write(b)
}
