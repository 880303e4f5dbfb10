package transit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "vault.json")
	load := func(text string) (Options, error) {
		put(t, file, text)
		return Load(file)
	}
	o, err := load(`{"address": "https://vault.example.org:8200/", "key": "mgx", "approle": {"role_id": "r", "secret_id_file": "id"}}`)
	if err != nil || o.Address != "https://vault.example.org:8200" || o.Mount != "transit" || o.Timeout != 5*time.Second || o.AppRole.Mount != "approle" || o.AppRole.SecretIDFile != filepath.Join(dir, "id") {
		t.Fatalf("loaded %+v %v", o, err)
	}
	o, err = load(`{"address": "http://[::1]:8200", "key": "k", "mount": "a/b", "namespace": "n/m", "token_file": "/t", "timeout": "1m"}`)
	if err != nil || o.TokenFile != "/t" || o.Mount != "a/b" || o.Namespace != "n/m" || o.Timeout != time.Minute {
		t.Fatalf("loaded %+v %v", o, err)
	}
	put(t, filepath.Join(dir, "no.pem"), "nothing")
	for text, words := range map[string]string{
		``:                                      "not a JSON object",
		`[]`:                                    "not a JSON object",
		`{"token": "hvs.secret"}`:               `no field "token"`,
		`{"address": 7}`:                        "address must be text",
		`{"address": "a"} hvs.x`:                "nothing after it",
		`{"key": "hvs.secret`:                   "not a JSON object",
		`{"address": "ftp://a"}`:                "address must be like",
		`{"address": "https://a/b"}`:            "address must be like",
		`{"address": "https://u:hvs.secret@a"}`: "no user and password",
		`{"address": "http://vault.example.org"}`:                                                      "https://",
		`{"address": "http://127.0.0.1.example.org"}`:                                                  "https://",
		`{"address": "https://a"}`:                                                                     "key must be",
		`{"address": "https://a", "key": "../sys"}`:                                                    "key must be",
		`{"address": "https://a", "key": "a/b"}`:                                                       "key must be",
		`{"address": "https://a", "key": "a?b"}`:                                                       "key must be",
		`{"address": "https://a", "key": "k", "mount": "../sys"}`:                                      "mount must be",
		`{"address": "https://a", "key": "k", "mount": "/transit"}`:                                    "mount must be",
		`{"address": "https://a", "key": "k", "namespace": "a\nb"}`:                                    "namespace",
		`{"address": "https://a", "key": "k"}`:                                                         "give one of",
		`{"address": "https://a", "key": "k", "token_env": "T", "token_file": "t"}`:                    "give one of",
		`{"address": "https://a", "key": "k", "approle": {"role_id": "r"}}`:                            "approle must have",
		`{"address": "https://a", "key": "k", "approle": {"role_id": "r", "secret_id": "hvs.secret"}}`: `no field "secret_id"`,
		`{"address": "https://a", "key": "k", "token_env": "T", "timeout": "soon"}`:                    "duration",
		`{"address": "https://a", "key": "k", "token_env": "T", "timeout": "2m"}`:                      "100ms to 1m",
		`{"address": "https://a", "key": "k", "token_env": "T", "ca_file": "none.pem"}`:                "none.pem: no such file",
		`{"address": "https://a", "key": "k", "token_env": "T", "ca_file": "no.pem"}`:                  "no certificate",
		strings.Repeat(" ", maxFile+1):                                                                 "larger than 64 KiB",
	} {
		_, err := load(text)
		if !mgx.IsCode(err, CodeConfig) || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "hvs.") || !strings.Contains(err.Error(), file) {
			t.Errorf("%.60q: %v, want %q", text, err, words)
		}
	}
	if _, err := Load(dir); !mgx.IsCode(err, CodeConfig) || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a directory: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); !mgx.IsCode(err, CodeConfig) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("none: %v", err)
	}
}
