package egress_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
	"mgx/internal/sandbox/native"
)

// TestPackageManagers downloads with what this machine has, in a box, through the
// gate, from a server whose certificate only the operator's own file vouches for.
func TestPackageManagers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mux := http.NewServeMux()
	s := newServer(t, true, mux.ServeHTTP)
	base := fmt.Sprintf("https://example.com:%d", s.port)
	mux.Handle("/git/", http.StripPrefix("/git/", http.FileServer(http.Dir(repository(t, dir)))))
	for path, content := range registry(base) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			if strings.HasSuffix(path, "/simple/mgx-hello/") {
				w.Header().Set("Content-Type", "text/html")
			}
			w.Write(content)
		})
	}

	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	operator := map[string]string{
		"SSL_CERT_FILE": ca, "GOPROXY": base + "/go", "GOSUMDB": "off", "npm_config_registry": base + "/npm/", "PIP_INDEX_URL": base + "/pypi/simple",
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip("this user has no home directory: ", err)
	}
	mounts, env, _ := sandbox.Toolchains(os.Getenv, home, "")
	more, certificates := egress.Environment(func(name string) string { return operator[name] })
	l := newLab(t, egress.Options{Environ: more}, s.rule("example.com", "+private"))
	work, state := t.TempDir(), t.TempDir()
	t.Cleanup(func() { sandbox.RemoveState(state) })
	box, err := native.New().Open(t.Context(), sandbox.Spec{Work: work, State: state, Mounts: append(mounts, certificates...), Env: env, Gate: l.gate})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	run := func(script string, online bool) (string, sandbox.Result) {
		var out bytes.Buffer
		r, err := box.Run(t.Context(), sandbox.Command{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out, Timeout: 5 * time.Minute, Online: online})
		if err != nil {
			t.Fatal(err)
		}
		return out.String(), r
	}
	for _, c := range []struct{ program, script, says string }{
		{"curl", "curl -sSf " + base + "/go/mgx.test/hello/@v/list", "v1.0.0"},
		{"go", "mkdir -p m && cd m && printf 'module m\\n\\nrequire mgx.test/hello v1.0.0\\n' >go.mod && go mod download -json mgx.test/hello@v1.0.0", `"Version": "v1.0.0"`},
		{"npm", "mkdir -p n && cd n && echo '{}' >package.json && npm install mgx-hello && cat node_modules/mgx-hello/index.js", "module.exports = 42"},
		{"pip", "mkdir -p p && cd p && pip download --no-deps mgx-hello", "mgx_hello-1.0.0"},
		{"git", "git clone -q " + base + "/git/repo.git cloned && cat cloned/file", "of the repository"},
	} {
		t.Run(c.program, func(t *testing.T) {
			if _, r := run("command -v "+c.program, false); r.ExitCode != 0 {
				t.Skip("this machine has none")
			}
			if out, r := run(c.script, false); r.ExitCode == 0 {
				t.Errorf("without a gate: %s", out)
			}
			out, r := run(c.script, true)
			if r.ExitCode != 0 || !strings.Contains(out, c.says) {
				t.Errorf("exit code %d\n%s", r.ExitCode, out)
			}
			if len(r.Visits) != 1 || r.Visits[0].Host != "example.com" || !r.Visits[0].Allowed || r.Visits[0].Reason != "" || r.Visits[0].Received == 0 {
				t.Errorf("visits: %+v", r.Visits)
			}
		})
	}
}

// TestLoopbackThatIsAllowed reaches a server of this machine as programs do that heed
// NO_PROXY, and one of the box by the names that the list lacks.
func TestLoopbackThatIsAllowed(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"curl", "python3"} {
		if _, err := exec.LookPath("/usr/bin/" + program); err != nil {
			t.Skip(err)
		}
	}
	s := newServer(t, false, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "of the machine") })
	env, _ := egress.Environment(func(string) string { return "" })
	for _, name := range []string{"127.0.0.1", "localhost", "[::1]"} {
		t.Run(name, func(t *testing.T) {
			list, err := egress.NewList(s.rule(name, "+private"))
			if err != nil {
				t.Fatal(err)
			}
			box, err := native.New().Open(t.Context(), sandbox.Spec{Work: t.TempDir(), Gate: egress.New(list, egress.Options{Environ: env})})
			if err != nil {
				t.Fatal(err)
			}
			defer box.Close()
			var out bytes.Buffer
			own := "127.0.0.1"
			if name == own {
				own = "localhost"
			}
			script := "python3 -c 'import http.server as h; print(\"of the box\", file=open(\"index.html\", \"w\")); s = h.HTTPServer((\"127.0.0.1\", 8000), h.SimpleHTTPRequestHandler); " +
				"print(\"ready\", flush=True); s.handle_request()' 2>&1 | { read ready; curl -sS http://" + own + ":8000/; curl -sS http://" + s.rule(name, "") + "/; }"
			r, err := box.Run(t.Context(), sandbox.Command{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out, Timeout: patience, Online: true})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(out.String(), "of the box\n") {
				t.Errorf("own server: %s", out.String())
			}
			if len(r.Visits) != 1 || !r.Visits[0].Allowed || name != "[::1]" && (r.Visits[0].Reason != "" || !strings.HasSuffix(out.String(), "of the machine")) {
				t.Errorf("%s\nvisits: %+v", out.String(), r.Visits)
			}
		})
	}
}

// registry is a package of each kind, by path.
func registry(base string) map[string][]byte {
	module := zipped(map[string]string{"mgx.test/hello@v1.0.0/go.mod": "module mgx.test/hello\n", "mgx.test/hello@v1.0.0/hello.go": "package hello\n"})
	npm := tarball(map[string]string{"package/package.json": `{"name":"mgx-hello","version":"1.0.0"}`, "package/index.js": "module.exports = 42\n"})
	sum := sha512.Sum512(npm)
	const info = "mgx_hello-1.0.0.dist-info/"
	wheel := zipped(map[string]string{
		"mgx_hello.py": "answer = 42\n", info + "METADATA": "Metadata-Version: 2.1\nName: mgx-hello\nVersion: 1.0.0\n",
		info + "WHEEL": "Wheel-Version: 1.0\nGenerator: mgx\nRoot-Is-Purelib: true\nTag: py3-none-any\n", info + "RECORD": "",
	})
	return map[string][]byte{
		"/go/mgx.test/hello/@v/list":        []byte("v1.0.0\n"),
		"/go/mgx.test/hello/@v/v1.0.0.info": []byte(`{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}`),
		"/go/mgx.test/hello/@v/v1.0.0.mod":  []byte("module mgx.test/hello\n"),
		"/go/mgx.test/hello/@v/v1.0.0.zip":  module,
		"/npm/mgx-hello": fmt.Appendf(nil, `{"name":"mgx-hello","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"mgx-hello","version":"1.0.0","dist":{"tarball":"%s/npm/mgx-hello-1.0.0.tgz","integrity":"sha512-%s"}}}}`,
			base, base64.StdEncoding.EncodeToString(sum[:])),
		"/npm/mgx-hello-1.0.0.tgz":               npm,
		"/pypi/simple/mgx-hello/":                []byte(`<!DOCTYPE html><html><body><a href="/pypi/mgx_hello-1.0.0-py3-none-any.whl">mgx_hello-1.0.0-py3-none-any.whl</a></body></html>`),
		"/pypi/mgx_hello-1.0.0-py3-none-any.whl": wheel,
	}
}

func zipped(files map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, _ := z.Create(name)
		io.WriteString(w, text)
	}
	z.Close()
	return b.Bytes()
}

func tarball(files map[string]string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))})
		io.WriteString(w, text)
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

// repository makes one that can be cloned from plain files, and returns the
// directory around it.
func repository(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", `git init -q repo && cd repo && echo of the repository >file && git add file
		git -c user.name=a -c user.email=a@example.com commit -qm one && cd .. && git clone -q --bare repo repo.git && cd repo.git && git update-server-info`)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("git: %v\n%s", err, out)
	}
	return dir
}
