package api

import (
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mgx"
	"mgx/internal/app"
)

// typeBundle is the media type of a bundle of git.
const typeBundle = "application/x-git-bundle"

type uploadIn struct {
	Digest  string `path:"digest" doc:"sha256: and the digest of the bundle, in small hexadecimal digits" maxLength:"100" example:"sha256:0f343b0931126a20f133d67c2b018a3b5e20f8d8a6c5b0a0c1f2e3d4b5a69788"`
	RawBody []byte `contentType:"application/x-git-bundle" doc:"The bundle"`
}

type uploadOut struct {
	Body app.Upload
}

const typeFile = "application/octet-stream"

type attachmentIn struct {
	Digest  string `path:"digest" doc:"sha256: and the digest of the file, in small hexadecimal digits" maxLength:"100" example:"sha256:0f343b0931126a20f133d67c2b018a3b5e20f8d8a6c5b0a0c1f2e3d4b5a69788"`
	RawBody []byte `contentType:"application/octet-stream" doc:"The file"`
}

type attachmentOut struct {
	Body app.SentFile
}

// pieceWait is how long a piece of a file may take, either way: whoever is slower
// holds nothing for longer.
const pieceWait = 30 * time.Second

// pieces reads a body of which each piece has its time, and all of it that of a slow
// line: after its first minute it has to come at leastSpeed.
type pieces struct {
	io.Reader
	c     *http.ResponseController
	began time.Time
	n     int64
}

func (p *pieces) Read(b []byte) (int, error) {
	p.c.SetReadDeadline(due(p.began, p.n)) // a recorder in a test has none
	n, err := p.Reader.Read(b)
	p.n += int64(n)
	return n, err
}

// putUpload takes a repository.
func (s *Server) putUpload(w http.ResponseWriter, r *http.Request) error {
	return s.receive(w, r, "bundle", typeBundle, func(work *app.Work, body io.Reader) (any, error) {
		return work.Upload(r.Context(), actorOf(r), r.PathValue("digest"), body)
	})
}

// putAttachment takes a file for tasks to attach.
func (s *Server) putAttachment(w http.ResponseWriter, r *http.Request) error {
	return s.receive(w, r, "file", typeFile, func(work *app.Work, body io.Reader) (any, error) {
		return work.UploadFile(r.Context(), actorOf(r), r.PathValue("digest"), body)
	})
}

// receive has a body of a kind kept, piece by piece.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, what, as string, keep func(*app.Work, io.Reader) (any, error)) error {
	work, err := s.work(r.Context())
	if err != nil {
		return err
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return mgx.Errorf(mgx.KindUsage, codeMediaType, "send the %s as it is, not compressed", what)
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != as {
		return mgx.Errorf(mgx.KindUsage, codeMediaType, "send the %s as %s", what, as)
	}
	if r.ContentLength > maxFile {
		return &http.MaxBytesError{Limit: maxFile}
	}
	c := http.NewResponseController(w)
	kept, err := keep(work, &pieces{Reader: r.Body, c: c, began: time.Now()})
	if err != nil {
		w.Header().Set("Connection", "close") // what is left of it is not waited for
		return err
	}
	c.SetReadDeadline(time.Time{})
	c.SetWriteDeadline(time.Now().Add(answerWait))
	return writeJSON(w, kept)
}

// getBranch hands out what a run delivered.
func (s *Server) getBranch(w http.ResponseWriter, r *http.Request) error {
	work, err := s.work(r.Context())
	if err != nil {
		return err
	}
	leave, err := s.exporting(r)
	if err != nil {
		return err
	}
	defer leave()
	d, err := work.Branch(r.Context(), actorOf(r), mgx.RunID(r.PathValue("id")))
	if err != nil {
		return err
	}
	defer d.Content.Close()
	out := newExport(w, r.PathValue("id"))
	out.is(typeBundle, "bundle")
	h := w.Header()
	h.Set("Content-Length", strconv.FormatInt(d.Size, 10))
	h.Set("Mgx-Branch", mime.QEncoding.Encode("utf-8", d.Branch))
	h.Set("Mgx-Commit", d.Commit)
	_, err = io.CopyN(out, d.Content, d.Size)
	return err
}
