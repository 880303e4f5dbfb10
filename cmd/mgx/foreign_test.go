package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"mgx"
)

// Whatever is asked of a server that cannot be reached, or that is none of MGX, ends as
// what the machine or its settings do not allow: it is not our fault. It never reads as
// an empty list, or as done.
func TestForeignServers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"gone":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"has no such": http.NotFound,
		"a gateway":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad gateway", http.StatusBadGateway) },
		"some JSON":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"object":"list","data":[]}`) },
		"pages": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<!doctype html><title>It works</title>")
		},
		"nothing":        func(http.ResponseWriter, *http.Request) {},
		"sends one away": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
	} {
		web := httptest.NewServer(answer)
		t.Cleanup(web.Close)
		home := t.TempDir()
		each((&cli{out: io.Discard, err: io.Discard}).command(), func(cmd *cobra.Command) {
			if !there(cmd) {
				return
			}
			c := &cli{in: strings.NewReader("permit (\nprincipal, action, resource);\n"), out: io.Discard, err: io.Discard, getenv: func(name string) string {
				return map[string]string{"HOME": home, "PATH": "/usr/bin:/bin"}[name]
			}}
			asks := strings.TrimPrefix(cmd.CommandPath(), "mgx ")
			line := strings.ReplaceAll(asks+" "+atAServer[asks], "RUN", "run_01JDT0000000000000000000R1")
			root := c.command()
			root.SetArgs(append(strings.Fields(line), "--server", web.URL, "--token", "mgx_x", "--data", filepath.Join(home, "data")))
			if err := root.ExecuteContext(t.Context()); err == nil || mgx.AsError(err).Kind != mgx.KindConfig {
				t.Errorf("%s: mgx %s: %v", name, line, err)
			}
		})
	}
}
