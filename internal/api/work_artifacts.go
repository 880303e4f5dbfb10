package api

import (
	"context"
	"mime"
	"net/http"
	"strconv"

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
	Name string `path:"name" doc:"Of the artifact" maxLength:"200"`
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
	h.Set("Content-Length", strconv.Itoa(len(content)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	_, err = w.Write(content)
	return err
}
