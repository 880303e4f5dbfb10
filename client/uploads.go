package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"time"

	"mgx"
)

// fileWait is how long a file may take, either way, and what reads everything there is.
const fileWait = 15 * time.Minute

// typeBundle is the media type of a bundle of git.
const typeBundle = "application/x-git-bundle"

// Upload sends a repository as a bundle of git, for tasks that name what it returns:
// the bundle's digest. What was sent before is not kept twice.
func (r Runs) Upload(ctx context.Context, bundle *os.File) (digest string, err error) {
	return r.send(ctx, "/api/v1/uploads/", typeBundle, bundle)
}

// UploadFile sends a file, for tasks that attach it by what it returns: its digest.
func (r Runs) UploadFile(ctx context.Context, file *os.File) (digest string, err error) {
	return r.send(ctx, "/api/v1/attachments/", "application/octet-stream", file)
}

// send puts a file where its digest says.
func (r Runs) send(ctx context.Context, to, as string, file *os.File) (digest string, err error) {
	hash := sha256.New()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	size, err := io.Copy(hash, file)
	if err != nil {
		return "", err
	}
	digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	ctx, stop := context.WithTimeout(ctx, fileWait)
	defer stop()
	for tries := 0; ; tries++ {
		err := r.put(ctx, to+url.PathEscape(digest), as, file, size)
		if !mgx.IsCode(err, CodeUnreachable) || tries == 2 || pause(ctx, firstRetry) != nil {
			return digest, err
		}
	}
}

func (r Runs) put(ctx context.Context, path, as string, file *os.File, size int64) error {
	req, err := r.c.request(ctx, http.MethodPut, path, nil, nil)
	if err != nil {
		return err
	}
	req.Body, req.ContentLength = io.NopCloser(io.NewSectionReader(file, 0, size)), size
	req.Header.Set("Content-Type", as)
	return r.c.do(ctx, req, nil)
}

// Branch is what a run delivered.
type Branch struct {
	Name   string
	Commit string
}

// Branch fetches the branch that a run delivered, as a bundle of git that builds on
// the commit which the run began with, of most bytes at most.
func (r Runs) Branch(ctx context.Context, id mgx.RunID, into io.Writer, most int64) (b Branch, err error) {
	ctx, stop := context.WithTimeout(ctx, fileWait)
	defer stop()
	req, err := r.c.request(ctx, http.MethodGet, runPath(id)+"/branch", nil, nil)
	if err != nil {
		return b, err
	}
	resp, err := r.c.http.Do(req)
	if err != nil {
		return b, r.c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return b, r.c.problem(resp.StatusCode, text)
	}
	name, err := new(mime.WordDecoder).DecodeHeader(resp.Header.Get("Mgx-Branch"))
	if b = (Branch{name, resp.Header.Get("Mgx-Commit")}); err != nil || !isName(b.Name) || !isName(b.Commit) {
		return b, r.c.strange("the branch has no name")
	}
	n, err := io.Copy(into, io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		return b, r.c.unreachable(ctx, err)
	case n > most:
		return b, mgx.Errorf(mgx.KindConfig, CodeBadServer, "the branch that %s sends is larger than %d MB", r.c.base.Host, most>>20)
	case resp.ContentLength >= 0 && n != resp.ContentLength:
		return b, mgx.Errorf(mgx.KindConfig, CodeUnreachable, "the answer of %s broke off; try again", r.c.base.Host)
	}
	return b, nil
}
