package client_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mgx"
	"mgx/client"
)

// An export is whole or an error: whatever breaks off, is left out, changed or added
// on the way, and whatever comes without an end.
func TestAnExportIsWholeOrAnError(t *testing.T) {
	t.Parallel()
	long := `{"kind":"step","record":"` + strings.Repeat("x", 3<<20) + `"}` + "\n"
	lines := []string{`{"kind":"task","record":{"id":"task_1"}}` + "\n", long, `{"kind":"file","record":{"text":"a"}}` + "\n"}
	end := func(n int, of ...string) string {
		sum := sha256.Sum256([]byte(strings.Join(of, "")))
		return fmt.Sprintf(`{"kind":"end","record":{"lines":%d,"sha256":"%s"}}`+"\n", n, hex.EncodeToString(sum[:]))
	}
	whole := strings.Join(lines, "")
	for what, want := range map[string]struct{ body, code string }{
		"whole":          {whole + end(3, lines...), ""},
		"without an end": {whole, client.CodeUnreachable},
		"cut in a line":  {whole[:len(whole)-5], client.CodeUnreachable},
		"cut in its end": {strings.TrimSuffix(whole+end(3, lines...), "\n"), client.CodeUnreachable},
		"a line less":    {lines[0] + lines[2] + end(3, lines...), client.CodeBadServer},
		"changed":        {strings.Replace(whole, "task_1", "task_2", 1) + end(3, lines...), client.CodeBadServer},
		"miscounted":     {whole + end(2, lines...), client.CodeBadServer},
		"no lines":       {"<html>\n", client.CodeBadServer},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Write([]byte(want.body))
			}))
			defer web.Close()
			c, err := client.New(web.URL, token)
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			err = c.Rights().ExportWork(t.Context(), mgx.Work{Run: "run_1"}, func(r client.Record) error {
				kinds = append(kinds, r.Kind)
				return nil
			})
			if want.code == "" && (err != nil || strings.Join(kinds, " ") != "task step file") {
				t.Errorf("%v %v", kinds, err)
			}
			if want.code != "" && !mgx.IsCode(err, want.code) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A reader that cannot go on ends it, with its own error.
func TestAnExportEndsWithItsReader(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 1000 {
			w.Write([]byte(`{"kind":"task","record":{}}` + "\n"))
		}
	}))
	defer web.Close()
	c, err := client.New(web.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	if err := c.Rights().ExportPerson(t.Context(), "user_1", func(client.Record) error { return full }); !errors.Is(err, full) {
		t.Error(err)
	}
}
