package main

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/secret/vaulttest"
)

// vaultLab is a lab whose key ring may be in a HashiCorp Vault.
type vaultLab struct {
	*lab
	vault *vaulttest.Server
	token string       // the files name it, or the secret id of AppRole
	spoke bytes.Buffer // what all processes wrote
}

const sealedValue = "sk-lab-0123456789"

func newVaultLab(t *testing.T) *vaultLab {
	l := &vaultLab{lab: newLab(t, labScript), vault: vaulttest.Start(t)}
	l.token = l.vault.Token(map[string]any{"ttl": "1h"}, "mgx")
	l.put("token", l.token)
	l.settle(map[string]any{"token_file": "token"})
	l.put("models.json", `{"providers": {"lab": {"dialect": "openai", "base_url": "`+l.baseURL()+`", "key_secret": "lab-key", "local": true}}}`)
	l.env = append(l.env, "OPENAI_API_KEY=", "OPENAI_BASE_URL=", "MGX_MODELS_FILE="+filepath.Join(l.home, "models.json"))
	return l
}

func (l *vaultLab) baseURL() string {
	for _, v := range l.env {
		if url, is := strings.CutPrefix(v, "OPENAI_BASE_URL="); is {
			return url
		}
	}
	return ""
}

func (l *vaultLab) put(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.home, name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// settle writes the file that says where Vault is.
func (l *vaultLab) settle(who map[string]any) {
	l.t.Helper()
	who["address"], who["key"], who["ca_file"], who["timeout"] = l.vault.Address, "mgx", l.vault.CA, "1m"
	text, err := json.Marshal(who)
	if err != nil {
		l.t.Fatal(err)
	}
	l.put("vault.json", string(text))
}

func (l *vaultLab) file() string { return filepath.Join(l.home, "vault.json") }

// says runs a command that is to end so and say that.
func (l *vaultLab) says(code int, words string, args ...string) {
	l.t.Helper()
	out, errs, got := l.run(args...)
	l.spoke.WriteString(out + errs)
	if got != code || !strings.Contains(out+errs, words) {
		l.t.Errorf("mgx %q: exit %d, want %d and %q\n%s%s", args, got, code, words, out, errs)
	}
}

func (l *vaultLab) keep(name, value string) {
	l.t.Helper()
	cmd := l.mgx("secrets", "set", name)
	cmd.Stdin = strings.NewReader(value)
	out, err := cmd.CombinedOutput()
	l.spoke.Write(out)
	if err != nil {
		l.t.Fatalf("set: %v\n%s", err, out)
	}
}

// The key ring moves from the file to Vault and back while secrets are in use, and
// nothing is lost on the way or needs what was left behind.
func TestKeyRingMovesToVaultAndBack(t *testing.T) {
	t.Parallel()
	l := newVaultLab(t)
	ring := filepath.Join(l.data(), ringFile)
	l.keep("lab-key", sealedValue)
	l.says(2, "none is named", "secrets", "rekey", "--to-file")
	l.says(0, "once you need none of them, take it away", "secrets", "rekey", "--secrets-vault", l.file())
	l.says(3, "name the HashiCorp Vault", "models", "test", "lab/lab")
	if err := os.Rename(ring, ring+".old"); err != nil {
		t.Fatal(err)
	}
	l.says(3, "--secrets-vault", "models", "test", "lab/lab")
	plain := l.env
	l.env = append(l.env, "MGX_SECRETS_VAULT="+l.file())
	l.says(0, "", "run", "say hello", "--model", "lab/lab", "--check", "sh check.sh", "--approve", "auto")
	l.says(0, "wraps and unwraps; its token expires in ", "doctor")
	l.says(0, `"ring":"vault:transit/mgx"`, "audit", "--json", "--action", "secret_key.rewrap")

	l.vault.Do("POST", "transit/keys/mgx/rotate", nil)
	l.says(0, "sealed with a new key", "secrets", "rotate")
	l.says(0, "Rewrapped: ws_default", "secrets", "rekey")
	l.vault.Do("POST", "transit/keys/mgx/config", map[string]any{"min_decryption_version": 2})
	l.says(0, "", "models", "test", "lab/lab")

	l.says(0, "wraps the keys", "secrets", "rekey", "--to-file")
	l.says(0, "", "models", "test", "lab/lab") // with the setting still there
	l.vault.Kill()
	l.env = plain
	l.says(0, "", "models", "test", "lab/lab")
	if err := os.Remove(ring + ".old"); err != nil {
		t.Fatal(err)
	}
	l.says(0, "sealed with a new key", "secrets", "rotate")
	l.says(0, "", "models", "test", "lab/lab")
	l.nothingLeaks(l.token, l.vault.Root)
}

// A server signs in to Vault by AppRole. While Vault is sealed or gone, what needs a key
// fails with what the caller may try again, and all else goes on.
func TestServeWhileVaultIsAway(t *testing.T) {
	t.Parallel()
	l := newVaultLab(t)
	role := l.vault.Role("mgx", map[string]any{"token_policies": "mgx", "token_no_default_policy": true, "token_ttl": "1h"})
	id := l.vault.SecretID("mgx")
	l.put("secret-id", id)
	l.settle(map[string]any{"approle": map[string]string{"role_id": role, "secret_id_file": "secret-id"}})
	l.env = append(l.env, "MGX_SECRETS_VAULT="+l.file(), "MGX_LOG_LEVEL=debug")
	s := l.serve("127.0.0.1:0", "--workers", "0")
	ctx, c := t.Context(), s.client()
	if _, err := c.Secrets().Set(ctx, "lab-key", sealedValue); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(l.data(), ringFile)); err == nil {
		t.Error("a key ring was made in a file")
	}
	l.ready(s, "ok", "")
	away := func(code string) {
		t.Helper()
		l.ready(s, "warning", code)
		l.refuses(s, code)
		if err := c.Secrets().Rotate(ctx); !mgx.IsCode(err, code) {
			t.Errorf("rotated: %v, want code %s", err, code)
		}
		if all, err := c.Secrets().List(ctx); err != nil || len(all) != 1 {
			t.Errorf("listed: %+v %v", all, err)
		}
		l.says(4, "HashiCorp Vault", "models", "test", "lab/lab")
		l.says(0, "HashiCorp Vault at "+l.vault.Address, "doctor")
		l.says(0, "", "runs")
	}
	l.vault.Seal()
	away("vault_sealed")
	l.vault.Kill()
	away("vault_unreachable")
	s.end() // it starts without Vault, too
	l.spoke.WriteString(s.errs.String())
	s = l.serve("127.0.0.1:0", "--workers", "0")
	c = s.client()
	away("vault_unreachable")
	l.vault.Restart()
	l.vault.Unseal()
	l.ready(s, "ok", "")
	if _, err := c.Secrets().Set(ctx, "another", "value"); err != nil {
		t.Error(err)
	}
	if err := c.Secrets().Rotate(ctx); err != nil {
		t.Error(err)
	}
	l.says(0, "", "models", "test", "lab/lab")
	s.end()
	l.spoke.WriteString(s.errs.String())
	l.nothingLeaks(id, l.vault.Root, "hvs.")
}

// refuses sees a secret refused by a server that may be asked again.
func (l *vaultLab) refuses(s *served, code string) {
	l.t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "token"))
	if err != nil {
		l.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodPut, s.url+"/api/v1/secrets/another", strings.NewReader(`{"value": "value"}`))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	l.spoke.Write(text)
	if err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !bytes.Contains(text, []byte(code)) {
		l.t.Errorf("set: %s %v %s %v, want 503 and code %s", resp.Status, resp.Header, text, err, code)
	}
}

// ready waits until /health/ready, which is ready all along, says so of Vault: an answer
// is kept for a second.
func (l *vaultLab) ready(s *served, status, code string) {
	l.t.Helper()
	for {
		resp, err := http.Get(s.url + "/health/ready")
		if err != nil {
			l.t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			l.t.Fatalf("not ready: %s %s %v", resp.Status, text, err)
		}
		l.spoke.Write(text)
		var said struct {
			Checks []struct{ Name, Status, Code string }
		}
		if err := json.Unmarshal(text, &said); err != nil {
			l.t.Fatal(err)
		}
		for _, check := range said.Checks {
			if check.Name == "vault" && (check.Status == status || (status == "ok" && check.Status == "slow")) && check.Code == code {
				return
			}
		}
		if l.t.Context().Err() != nil {
			l.t.Fatalf("Vault is not %s: %s", status, text)
		}
	}
}

// nothingLeaks looks for values in all that was written: by processes, and into files
// other than those that they were given in.
func (l *vaultLab) nothingLeaks(values ...string) {
	l.t.Helper()
	l.must("export", filepath.Join(l.home, "all.jsonl"))
	values = append(values, sealedValue)
	look := func(where string, text []byte) {
		for _, value := range values {
			if bytes.Contains(text, []byte(value)) {
				l.t.Errorf("%s holds a secret", where)
			}
		}
	}
	look("what was said", l.spoke.Bytes())
	err := filepath.WalkDir(l.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "token" || d.Name() == "secret-id" {
			return err
		}
		text, err := os.ReadFile(path)
		look(path, text)
		return err
	})
	if err != nil {
		l.t.Error(err)
	}
}
