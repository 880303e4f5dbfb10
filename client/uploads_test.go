package client_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mgx"
	"mgx/client"
)

func runsAt(t *testing.T, h http.HandlerFunc) client.Runs {
	t.Helper()
	return at(t, h).Runs()
}

// A file is sent whole, under its digest, and once more when the server went away.
func TestUpload(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("bundle "), 100_000)
	sum := sha256.Sum256(content)
	want := "sha256:" + hex.EncodeToString(sum[:])
	file := filepath.Join(t.TempDir(), "bundle")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tries atomic.Int32
	runs := runsAt(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		if tries.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		if r.Method != http.MethodPut || r.URL.Path != "/api/v1/uploads/"+want || !bytes.Equal(got, content) || r.Header.Get("Content-Type") != "application/x-git-bundle" || r.Header.Get("Authorization") == "" {
			t.Errorf("%s %s with %d bytes", r.Method, r.URL, len(got))
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	})
	digest, err := runs.Upload(t.Context(), f)
	if err != nil || digest != want || tries.Load() != 2 {
		t.Errorf("%s %v after %d tries", digest, err, tries.Load())
	}
}

// What a server sends as a branch is bounded, whole, and named as branches are.
func TestBranch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		h    http.HandlerFunc
		code string
	}{
		"good":    {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "0123456789") }, ""},
		"larger":  {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "0123456789a") }, client.CodeBadServer},
		"endless": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 1<<20)) }, client.CodeBadServer},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "01234")
		}, client.CodeUnreachable},
		"a name that moves": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Mgx-Branch", "=?utf-8?q?a=1B[2J?=")
			io.WriteString(w, "x")
		}, client.CodeBadServer},
		"a problem": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"status":404,"code":"not_found","detail":"no"}`)
		}, mgx.CodeNotFound},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.com", http.StatusFound)
		}, client.CodeBadServer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runs := runsAt(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Mgx-Branch", "mgx/a/run-1")
				w.Header().Set("Mgx-Commit", strings.Repeat("a", 40))
				tc.h(w, r)
			})
			var got bytes.Buffer
			b, err := runs.Branch(t.Context(), "run_1", &got, 10)
			if tc.code == "" && (err != nil || b.Name != "mgx/a/run-1" || got.String() != "0123456789") {
				t.Errorf("%+v %q %v", b, got.String(), err)
			}
			if tc.code != "" && !mgx.IsCode(err, tc.code) {
				t.Errorf("%v, want %s", err, tc.code)
			}
			if got.Len() > 11 {
				t.Errorf("%d bytes were written", got.Len())
			}
		})
	}
}
