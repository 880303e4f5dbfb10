package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mgx"
)

const builders = "permit (principal, action, resource is Runs);"

// TestRoleChangedMeanwhile changes the description of a role, whose rules somebody else
// changes between what the command reads and what it sends: theirs are not lost, and
// the command says what to do.
func TestRoleChangedMeanwhile(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	server := l.serve("127.0.0.1:0", "--workers", "0")
	rival := server.client()
	put := func(policy string) {
		t.Helper()
		if _, err := rival.PutRole(t.Context(), mgx.Role{Name: "builder", Policy: policy}); err != nil {
			t.Error(err)
		}
	}
	put(builders)
	target, err := url.Parse(server.url)
	if err != nil {
		t.Fatal(err)
	}
	var first sync.Once
	between := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = target.Host
		if r.In.Method == http.MethodPut {
			first.Do(func() { put("permit (principal, action, resource is Tasks);") })
		}
	}}
	web := httptest.NewServer(between)
	defer web.Close()
	token, err := os.ReadFile(filepath.Join(l.data(), "token"))
	if err != nil {
		t.Fatal(err)
	}
	change := []string{"roles", "change", "builder", "--description", "works on runs", "--server", web.URL, "--token", strings.TrimSpace(string(token))}
	out, errs, code := l.run(change...)
	if code != 2 || !strings.Contains(errs, "somebody else changed the role builder meanwhile") || !strings.Contains(errs, "mgx roles show builder") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if r, err := rival.Role(t.Context(), "builder"); err != nil || !strings.Contains(r.Policy, "Tasks") || r.Description != "" {
		t.Errorf("the role is %+v, %v", r, err)
	}
	l.must(change...)
	if r, err := rival.Role(t.Context(), "builder"); err != nil || !strings.Contains(r.Policy, "Tasks") || r.Description != "works on runs" {
		t.Errorf("changed again, the role is %+v, %v", r, err)
	}
	server.end()
}

// TestOwnRoleChangedMeanwhile is the same on a database that others share.
func TestOwnRoleChangedMeanwhile(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	l.serve("127.0.0.1:0", "--workers", "0").end() // a first start makes the workspace
	own := l.node().asOwner()
	put := func(policy string) {
		if _, err := own.PutRole(t.Context(), mgx.Role{Name: "builder", Policy: policy}); err != nil {
			t.Error(err)
		}
	}
	put(builders)
	describe := func(r *mgx.Role) error { r.Description = "works on runs"; return nil }
	_, err := own.EditRole(t.Context(), "builder", func(r *mgx.Role) error {
		put("permit (principal, action, resource is Tasks);")
		return describe(r)
	})
	if !mgx.IsCode(err, mgx.CodeChanged) {
		t.Errorf("the change of somebody else is lost: %v", err)
	}
	if r, err := own.EditRole(t.Context(), "builder", describe); err != nil || !strings.Contains(r.Policy, "Tasks") || r.Description == "" {
		t.Errorf("changed again, the role is %+v, %v", r, err)
	}
	if _, err := own.EditRole(t.Context(), "nobody", describe); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("of a role that is not there: %v", err)
	}
}
