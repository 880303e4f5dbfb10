package suite

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Exchange is one recorded call.
type Exchange struct {
	URL      string
	Request  string // body
	Response string // body
	Header   http.Header
	Status   int
}

// Cassettes are the recordings in a folder of the fixtures beside the
// repository whose file names match pattern, by path. The test is skipped where
// there are none: the recordings are not part of the repository.
func Cassettes(t *testing.T, pattern string) map[string][]Exchange {
	t.Helper()
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "..", "shared", "fixtures", "providers")
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no recordings of providers in ../shared/fixtures/providers (%s)", pattern)
	}
	all := map[string][]Exchange{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(dir, file)
		if all[name], err = parseCassette(string(data)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no go.mod above the test")
}

// parseCassette reads the part of YAML that the recordings are written in: one
// level of requests and responses, bodies as quoted scalars or literal blocks.
func parseCassette(text string) ([]Exchange, error) {
	var all []Exchange
	inResponse := false
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		key, value, _ := strings.Cut(strings.TrimSpace(lines[i]), ": ")
		switch key {
		case "- id":
			all, inResponse = append(all, Exchange{Header: http.Header{}}), false
		case "response:":
			inResponse = true
		}
		if len(all) == 0 {
			continue
		}
		e := &all[len(all)-1]
		switch {
		case key == "url":
			e.URL = value
		case key == "code":
			e.Status, _ = strconv.Atoi(value)
		case inResponse && key == "Content-Type:":
			e.Header.Set("Content-Type", strings.TrimPrefix(strings.TrimSpace(lines[i+1]), "- "))
		case key == "body":
			body, next, err := scalar(value, lines, i+1)
			if err != nil {
				return nil, err
			}
			i = next - 1
			if inResponse {
				e.Response = body
			} else {
				e.Request = body
			}
		}
	}
	return all, nil
}

// scalar reads a value that starts on its key's line; next is the line after it.
func scalar(value string, lines []string, at int) (text string, next int, err error) {
	switch value[0] {
	case '\'':
		if !strings.HasSuffix(value, "'") || len(value) < 2 {
			return "", 0, errors.New("a single-quoted text over several lines")
		}
		return strings.ReplaceAll(value[1:len(value)-1], "''", "'"), at, nil
	case '"':
		text, err = strconv.Unquote(value)
		return text, at, err
	case '|':
	default:
		return "", 0, errors.New("a body of an unknown form: " + value)
	}
	indent := len(lines[at]) - len(strings.TrimLeft(lines[at], " "))
	var block []string
	for ; at < len(lines); at++ {
		line := lines[at]
		if strings.TrimSpace(line) != "" && len(line)-len(strings.TrimLeft(line, " ")) < indent {
			break
		}
		block = append(block, line[min(indent, len(line)):])
	}
	return strings.Join(block, "\n") + "\n", at, nil
}

// Replay serves the responses of a recording one after the other.
func Replay(t *testing.T, exchanges []Exchange) string {
	next := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := exchanges[next]
		next++
		maps.Copy(w.Header(), e.Header)
		w.WriteHeader(e.Status)
		io.WriteString(w, e.Response)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
