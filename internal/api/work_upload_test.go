package api_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/app"
)

// townUploads take anything and keep nothing; one digest of the default workspace is
// there.
type townUploads struct{}

const sentBefore = "sha256:0000000000000000000000000000000000000000000000000000000000000001"

func (townUploads) Keep(_ context.Context, ws mgx.WorkspaceID, digest string, bundle io.Reader) (app.Upload, error) {
	n, err := io.Copy(io.Discard, bundle)
	return app.Upload{Digest: digest, Head: string(ws), Size: n}, err
}

func (townUploads) Dir(ws mgx.WorkspaceID, digest string) (string, error) {
	if ws != mgx.DefaultWorkspace || digest != sentBefore {
		return "", mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no upload %s", digest)
	}
	return "/srv/sent", nil
}

func (townUploads) KeepFile(_ context.Context, _ mgx.WorkspaceID, _ string, content io.Reader) (int64, error) {
	return io.Copy(io.Discard, content)
}

func (townUploads) Attach(_ context.Context, ws mgx.WorkspaceID, _ mgx.RunID, files []app.Attached) (all []mgx.Attachment, err error) {
	for _, f := range files {
		if ws != mgx.DefaultWorkspace || f.Digest != sentBefore {
			return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no file %s", f.Digest)
		}
		all = append(all, mgx.Attachment{Name: f.Name, Digest: f.Digest})
	}
	return all, nil
}

func (townUploads) Pack(context.Context, mgx.Run) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader("a bundle")), 8, nil
}

// sends sends bytes as they are.
func (w *town) sends(secret, path, kind string, content []byte) reply {
	w.t.Helper()
	return w.call(secret, "PUT", path, nil, nil, func(r *http.Request) {
		r.Body, r.ContentLength, r.GetBody = io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
		r.Header.Set("Content-Type", kind)
	})
}

// A repository is sent by who may have tasks done, as large as it may be and as what it
// is; a task is on it in the same workspace alone, and on one thing.
func TestUploads(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	const kind = "application/x-git-bundle"
	at := "/api/v1/uploads/" + sentBefore
	large := bytes.Repeat([]byte("x"), 3<<20) // more than other bodies may have
	sent := w.sends(w.tokens["developer"], at, kind, large)
	w.must(sent, 200)
	if !strings.Contains(sent.body, `"size":3145728`) || !strings.Contains(sent.body, string(mgx.DefaultWorkspace)) {
		t.Error(sent.body)
	}
	w.sends(w.tokens["viewer"], at, kind, large).want(403, "forbidden")
	w.sends(w.tokens["developer"], at, "application/json", []byte("{}")).want(415, "bad_media_type")
	for _, digest := range []string{"x", "sha256:" + strings.Repeat("A", 64), "sha256:" + strings.Repeat("0", 65)} {
		w.sends(w.tokens["developer"], "/api/v1/uploads/"+digest, kind, large).want(400, "bad_upload")
	}
	w.call(w.tokens["developer"], "PUT", at, nil, nil, func(r *http.Request) {
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Content-Encoding", "gzip")
	}).want(415, "bad_media_type")

	task := func(secret string, body map[string]any) reply {
		body["task"] = "do it"
		return w.do(secret, "POST", "/api/v1/tasks", body, nil)
	}
	w.must(task(w.tokens["developer"], map[string]any{"upload": sentBefore}), 201)
	task(w.tokens["other"], map[string]any{"upload": sentBefore}).want(404, "not_found")
	task(w.tokens["developer"], map[string]any{"upload": "../../etc"}).want(404, "not_found")
	task(w.tokens["developer"], map[string]any{"upload": sentBefore, "project_id": "proj_x"}).want(400, "bad_project")
}

// A file is sent by who may have tasks done; a task of the same workspace attaches it, once
// however often it is asked for.
func TestAttachedFiles(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	const kind = "application/octet-stream"
	at := "/api/v1/attachments/" + sentBefore
	sent := w.sends(w.tokens["developer"], at, kind, bytes.Repeat([]byte("x"), 3<<20))
	w.must(sent, 200)
	if !strings.Contains(sent.body, `"size":3145728`) || !strings.Contains(sent.body, sentBefore) {
		t.Error(sent.body)
	}
	w.sends(w.tokens["viewer"], at, kind, []byte("x")).want(403, "forbidden")
	w.sends(w.tokens["developer"], at, "text/plain", []byte("x")).want(415, "bad_media_type")
	w.sends(w.tokens["developer"], "/api/v1/attachments/x", kind, []byte("x")).want(400, "bad_upload")

	shop := w.project(mgx.DefaultWorkspace, "/srv/shop").ID
	var run, again mgx.RunInfo
	task := func(secret, key string, into any, files ...map[string]string) reply {
		return w.call(secret, "POST", "/api/v1/tasks", map[string]any{"task": "do it", "project_id": shop, "attachments": files}, into, func(r *http.Request) {
			if key != "" {
				r.Header.Set("Idempotency-Key", key)
			}
		})
	}
	log := map[string]string{"name": "failing.log", "digest": sentBefore}
	w.must(task(w.tokens["developer"], "k", &run, log), 201)
	if a := run.Settings.Attachments; len(a) != 1 || a[0].Name != "failing.log" {
		t.Errorf("%+v", a)
	}
	if got := task(w.tokens["developer"], "k", &again, log); again.ID != run.ID {
		t.Errorf("%d %s", got.status, got.body)
	}
	task(w.tokens["developer"], "", nil, map[string]string{"name": "x", "digest": "sha256:" + strings.Repeat("F", 64)}).want(400, "bad_attachment")
	task(w.tokens["developer"], "", nil, map[string]string{"name": "x", "digest": "sha256:" + strings.Repeat("f", 64)}).want(404, "not_found")
	for _, name := range []string{"../x", "a/b", `a\b`, " x", "x\u202e", "x\n"} {
		task(w.tokens["developer"], "", nil, map[string]string{"name": name, "digest": sentBefore}).want(400, "bad_attachment")
	}
	many := make([]map[string]string, 33)
	for i := range many {
		many[i] = log
	}
	if got := task(w.tokens["developer"], "", nil, many...); got.status != 400 && got.status != 422 {
		t.Errorf("33 attachments: %d %s", got.status, got.body)
	}
}

// What a run delivered is fetched by who may see artifacts, once there is something.
func TestBranchOfARun(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	run := w.task("developer", w.project(mgx.DefaultWorkspace, "/srv/shop"), "deliver")
	at := "/api/v1/runs/" + string(run.ID) + "/branch"
	w.do(w.tokens["viewer"], "GET", at, nil, nil).want(404, "not_found")
	scope := scopeOf(run)
	w.tell(run, scope.Event(mgx.RunDelivered, mgx.DeliveredData{Branch: "mgx/ä/run-1", Commit: strings.Repeat("a", 40), Base: strings.Repeat("b", 40)}))
	got := w.do(w.tokens["viewer"], "GET", at, nil, nil)
	w.must(got, 200)
	if got.body != "a bundle" || got.header.Get("Content-Type") != "application/x-git-bundle" || got.header.Get("Mgx-Branch") != "=?utf-8?q?mgx/=C3=A4/run-1?=" ||
		got.header.Get("Mgx-Commit") != strings.Repeat("a", 40) || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%q %v", got.body, got.header)
	}
	w.do(w.tokens["other"], "GET", at, nil, nil).want(404, "not_found")
}

// An artifact is had by its digest, in parts, and not again by who has it.
func TestArtifactByDigest(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	run := w.task("developer", w.project(mgx.DefaultWorkspace, "/srv/shop"), "plan it")
	scope := scopeOf(run)
	w.tell(run, scope.Event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: mgx.Plan{Goal: "a goal", Steps: []mgx.PlanStep{{Text: "<script>alert(1)</script>", Status: "pending"}}}, Hash: "h"}))
	root := "/api/v1/runs/" + string(run.ID) + "/artifacts"
	var list struct{ Artifacts []app.Artifact }
	w.must(w.do(w.tokens["viewer"], "GET", root, nil, &list), 200)
	if len(list.Artifacts) != 1 || !strings.HasPrefix(list.Artifacts[0].Digest, "sha256:") {
		t.Fatalf("%+v", list)
	}
	digest := list.Artifacts[0].Digest
	whole := w.do(w.tokens["viewer"], "GET", root+"/plan.json", nil, nil)
	got := w.do(w.tokens["viewer"], "GET", root+"/"+digest, nil, nil)
	w.must(got, 200)
	if got.body != whole.body || got.header.Get("ETag") != `"`+digest+`"` || got.header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%q %v", got.body, got.header)
	}
	with := func(name, value string) reply {
		return w.call(w.tokens["viewer"], "GET", root+"/"+digest, nil, nil, func(r *http.Request) { r.Header.Set(name, value) })
	}
	if part := with("Range", "bytes=2-5"); part.status != 206 || part.body != whole.body[2:6] {
		t.Errorf("%d %q", part.status, part.body)
	}
	if part := with("Range", "bytes=0-1,4-5"); part.status != 200 || part.body != whole.body {
		t.Errorf("several parts: %d %q", part.status, part.body)
	}
	with("Range", "bytes=100000-").want(416, "bad_range")
	if known := with("If-None-Match", `"`+digest+`"`); known.status != 304 || known.body != "" {
		t.Errorf("%d %q", known.status, known.body)
	}
	w.do(w.tokens["viewer"], "GET", root+"/sha256:"+strings.Repeat("0", 64), nil, nil).want(404, "not_found")
	w.do(w.tokens["other"], "GET", root+"/"+digest, nil, nil).want(404, "not_found")
}
