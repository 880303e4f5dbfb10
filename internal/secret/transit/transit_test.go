package transit

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/secret"
	"mgx/internal/secret/secrettest"
	"mgx/internal/secret/vaulttest"
)

// world is a Vault, and everything that clients of the test hid, logged and said.
type world struct {
	*vaulttest.Server
	t *testing.T

	mu     sync.Mutex
	hidden []string
	said   bytes.Buffer
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said.Write(p)
}

func newWorld(t *testing.T) *world {
	w := &world{Server: vaulttest.Start(t), t: t}
	t.Cleanup(w.nothingLeaks)
	return w
}

// nothingLeaks finds tokens and secret ids in what was written.
func (w *world) nothingLeaks() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.hidden) == 0 {
		w.t.Error("no token was hidden")
	}
	for _, value := range w.hidden {
		if len(value) > 8 && strings.Contains(w.said.String(), value) {
			w.t.Error("a token is in what was written")
		}
	}
}

// client is one with these options, which need no address.
func (w *world) client(t *testing.T, change func(*Options)) *Client {
	t.Helper()
	o := Options{Address: w.Address, Mount: "transit", Key: "mgx", CAFile: w.CA, Timeout: maxTimeout, Getenv: os.Getenv, Log: slog.New(slog.NewTextHandler(w, nil)), Hide: func(v string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hidden = append(w.hidden, v)
	}}
	change(&o)
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	c := New(o)
	t.Cleanup(func() { c.Close() })
	return c
}

// tokenFile has a client take a token from a file.
func tokenFile(t *testing.T, token string) func(*Options) {
	path := filepath.Join(t.TempDir(), "token")
	put(t, path, token)
	return func(o *Options) { o.TokenFile = path }
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fails checks the code of an error, and takes down what it says.
func (w *world) fails(t *testing.T, what, code string, err error, words ...string) {
	t.Helper()
	if !mgx.IsCode(err, code) {
		t.Errorf("%s: %v, want code %s", what, err, code)
		return
	}
	w.Write([]byte(err.Error()))
	for cause := err; cause != nil; {
		w.Write([]byte(cause.Error()))
		u, more := cause.(interface{ Unwrap() error })
		if !more {
			break
		}
		cause = u.Unwrap()
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %q does not say %q", what, err, word)
		}
	}
}

func wrap(t *testing.T, c *Client, key string) []byte {
	t.Helper()
	box, err := c.Wrap(t.Context(), []byte(key), []byte("of"))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func opens(t *testing.T, c *Client, box []byte, want string) {
	t.Helper()
	if got, err := c.Unwrap(t.Context(), box, []byte("of")); err != nil || string(got) != want {
		t.Errorf("got %q %v, want %q", got, err, want)
	}
}

// One server does for all of this, each with a key and tokens of its own.
func TestVault(t *testing.T) {
	w := newWorld(t)
	t.Run("all", func(t *testing.T) {
		for name, f := range map[string]func(*testing.T, *world){
			"suite": suite, "derived": derived, "versions": versions, "keys that will not do": badKeys,
			"tokens": tokens, "renewing": renewing, "approle": appRole, "certificates": certificates, "permissions": permissions, "configuration": configuration,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); f(t, w) })
		}
	})
}

func suite(t *testing.T, w *world) {
	w.Do("POST", "transit/keys/other", nil)
	w.Policy("other", vaulttest.Policy("other"))
	stranger := w.client(t, func(o *Options) { tokenFile(t, w.Token(nil, "other"))(o); o.Key = "other" })
	secrettest.Suite(t, w.client(t, tokenFile(t, w.Token(nil, "mgx"))), stranger)
}

// A derived key takes what the box is of as its context.
func derived(t *testing.T, w *world) {
	w.Do("POST", "transit/keys/derived", map[string]any{"derived": true})
	w.Policy("derived", vaulttest.Policy("derived"))
	c := w.client(t, func(o *Options) { tokenFile(t, w.Token(nil, "derived"))(o); o.Key = "derived" })
	box := wrap(t, c, "a key")
	opens(t, c, box, "a key")
	_, err := c.Unwrap(t.Context(), box, []byte("other"))
	w.fails(t, "another context", secret.CodeRing, err)
}

// A new version wraps, the earlier ones unwrap until Vault is told that they must not.
func versions(t *testing.T, w *world) {
	w.Do("POST", "transit/keys/turning", nil)
	w.Policy("turning", vaulttest.Policy("turning"))
	c := w.client(t, func(o *Options) { tokenFile(t, w.Token(nil, "turning"))(o); o.Key = "turning" })
	old := wrap(t, c, "old")
	w.Do("POST", "transit/keys/turning/rotate", nil)
	box := wrap(t, c, "new")
	if !bytes.HasPrefix(old, []byte("vault:v1:")) || !bytes.HasPrefix(box, []byte("vault:v2:")) {
		t.Errorf("wrapped as %.10s and %.10s", old, box)
	}
	opens(t, c, old, "old")
	w.Do("POST", "transit/keys/turning/config", map[string]any{"min_decryption_version": 2})
	_, err := c.Unwrap(t.Context(), old, []byte("of"))
	w.fails(t, "too old", CodeKey, err, "min_decryption_version", "mgx secrets rekey")
	opens(t, c, box, "new")
}

// A key whose boxes are not bound is found out before anything is wrapped with it.
func badKeys(t *testing.T, w *world) {
	for kind, words := range map[string]string{"rsa-2048": "aes256-gcm96", "ed25519": "aes256-gcm96"} {
		w.Do("POST", "transit/keys/"+kind, map[string]any{"type": kind})
		w.Policy(kind, vaulttest.Policy(kind))
		c := w.client(t, func(o *Options) { tokenFile(t, w.Token(nil, kind))(o); o.Key = kind })
		_, err := c.Wrap(t.Context(), []byte("key"), []byte("of"))
		w.fails(t, kind, CodeKey, err, words)
	}
	w.Policy("missing", vaulttest.Policy("missing"))
	c := w.client(t, func(o *Options) { tokenFile(t, w.Token(nil, "missing"))(o); o.Key = "missing" })
	_, err := c.Wrap(t.Context(), []byte("key"), []byte("of"))
	w.fails(t, "no key", CodeRefused, err, "no such key")
	_, err = c.Unwrap(t.Context(), wrap(t, w.client(t, tokenFile(t, w.Token(nil, "mgx"))), "a key"), []byte("of"))
	w.fails(t, "no key to unwrap with", CodeKey, err, "no key missing")
	c = w.client(t, func(o *Options) { tokenFile(t, w.Root)(o); o.Mount = "elsewhere" })
	_, err = c.Wrap(t.Context(), []byte("key"), []byte("of"))
	w.fails(t, "no engine", CodeKey, err, "no transit engine at elsewhere")
}

// A token that is spent is said to be; one that was put in its place is taken.
func tokens(t *testing.T, w *world) {
	file := filepath.Join(t.TempDir(), "token")
	c := w.client(t, func(o *Options) { o.TokenFile = file })
	_, err := c.Wrap(t.Context(), nil, nil)
	w.fails(t, "no file", CodeToken, err, file)
	put(t, file, "two words")
	_, err = c.Wrap(t.Context(), nil, nil)
	w.fails(t, "two words", CodeToken, err, file)
	put(t, file, "hvs.notATokenOfThisVault")
	_, err = c.Wrap(t.Context(), []byte("key"), []byte("of"))
	w.fails(t, "no token", CodeToken, err, "expired", file)
	first := w.Token(nil, "mgx")
	put(t, file, first)
	box := wrap(t, c, "a key")
	w.Do("POST", "auth/token/revoke", map[string]string{"token": first})
	_, err = c.Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "revoked", CodeToken, err, "revoked", file)
	put(t, file, w.Token(nil, "mgx"))
	opens(t, c, box, "a key")

	brief := w.Token(map[string]any{"ttl": "1s", "renewable": false}, "mgx")
	put(t, file, brief)
	c = w.client(t, func(o *Options) { o.TokenFile = file })
	for err = error(nil); err == nil; { // until it has expired
		_, err = c.Unwrap(t.Context(), box, []byte("of"))
	}
	w.fails(t, "expired", CodeToken, err, "expired")

	if err := os.Chmod(file, 0o604); err != nil {
		t.Fatal(err)
	}
	_, err = w.client(t, func(o *Options) { o.TokenFile = file }).Wrap(t.Context(), nil, nil)
	w.fails(t, "readable by all", "secret_readable", err, "chmod 600")
	env := map[string]string{"TOKEN": w.Token(nil, "mgx")}
	byVariable := func(name string) *Client {
		return w.client(t, func(o *Options) { o.TokenEnv, o.Getenv = name, func(name string) string { return env[name] } })
	}
	opens(t, byVariable("TOKEN"), box, "a key")
	_, err = byVariable("NONE").Wrap(t.Context(), nil, nil)
	w.fails(t, "no variable", CodeToken, err, "NONE")
}

// Renewing has a token live longer, for as long as it may.
func renewing(t *testing.T, w *world) {
	token := w.Token(map[string]any{"ttl": "1h"}, "mgx")
	c := w.client(t, tokenFile(t, token))
	before, err := c.Try(t.Context())
	if err != nil || !before.Renewable || before.TTL <= 0 {
		t.Fatalf("tried: %+v %v", before, err)
	}
	look := func() map[string]any {
		return w.Do("POST", "auth/token/lookup", map[string]string{"token": token})
	}
	if renewed := look()["last_renewal"]; renewed != nil {
		t.Fatalf("renewed before it was asked for: %v", renewed)
	}
	if after, err := c.Renew(t.Context()); err != nil || after.TTL <= 0 || look()["last_renewal"] == nil {
		t.Errorf("renewed: %+v %v, and Vault knows of %v", after, err, look()["last_renewal"])
	}
	root, err := w.client(t, tokenFile(t, w.Root)).Renew(t.Context())
	if err != nil || root.TTL != 0 {
		t.Errorf("a token without end: %+v %v", root, err)
	}
	w.Policy("cannot renew", strings.ReplaceAll(vaulttest.Policy("mgx"), "renew-self", "other"))
	_, err = w.client(t, tokenFile(t, w.Token(map[string]any{"ttl": "1h"}, "cannot renew"))).Renew(t.Context())
	w.fails(t, "no right to renew", CodeRefused, err, "renew-self")
	c = w.client(t, tokenFile(t, w.Token(map[string]any{"ttl": "1h", "renewable": false}, "mgx")))
	if wait, err := c.keepOnce(t.Context()); err != nil || wait <= soonest || wait > latest {
		t.Errorf("comes again after %v: %v", wait, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !strings.Contains(w.said.String(), "expires and cannot be renewed") {
		t.Errorf("no warning in the log: %s", w.said.String())
	}
}

// AppRole signs in, again when the token is spent, and signs out.
func appRole(t *testing.T, w *world) {
	id := w.Role("mgx", map[string]any{"token_policies": "mgx", "token_no_default_policy": true, "token_ttl": "1h", "secret_id_num_uses": 3})
	file := filepath.Join(t.TempDir(), "secret-id")
	put(t, file, w.SecretID("mgx"))
	role := func(change func(*AppRole)) *Client {
		a := &AppRole{Mount: "approle", RoleID: id, SecretIDFile: file}
		change(a)
		return w.client(t, func(o *Options) { o.AppRole = a })
	}
	same := func(*AppRole) {}
	c := role(same)
	box := wrap(t, c, "a key")
	w.Do("POST", "auth/token/revoke", map[string]string{"token": c.token})
	spent := c.token
	var all sync.WaitGroup
	for range 4 { // sign in anew, once for all of them: the id has three uses
		all.Go(func() { opens(t, c, box, "a key") })
	}
	all.Wait()
	if c.token == spent {
		t.Error("the token that was revoked is still in use")
	}
	if after, err := c.Renew(t.Context()); err != nil || !after.Renewable {
		t.Errorf("renewed: %+v %v", after, err)
	}
	token := c.token
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := w.client(t, tokenFile(t, token)).Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "signed out", CodeToken, err)

	opens(t, role(same), box, "a key")
	_, err = role(same).Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "a secret id used up", CodeToken, err, "used up", file)
	_, err = role(func(a *AppRole) { a.RoleID = "none" }).Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "no role", CodeToken, err, "role id")
	_, err = role(func(a *AppRole) { a.Mount = "nowhere" }).Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "no AppRole", CodeToken, err)
	_, err = role(func(a *AppRole) { a.SecretIDFile += ".none" }).Unwrap(t.Context(), box, []byte("of"))
	w.fails(t, "no file", CodeToken, err, ".none")
}

// What a policy forbids is said to be a matter of policy, and which.
func permissions(t *testing.T, w *world) {
	mine := w.client(t, tokenFile(t, w.Token(nil, "mgx")))
	box := wrap(t, mine, "a key")
	policy := vaulttest.Policy("mgx")
	w.Policy("reads", strings.Replace(policy, "transit/encrypt/mgx", "transit/encrypt/none", 1))
	reads := w.client(t, tokenFile(t, w.Token(nil, "reads")))
	opens(t, reads, box, "a key")
	_, err := reads.Wrap(t.Context(), []byte("key"), []byte("of"))
	w.fails(t, "no wrapping", CodeRefused, err, "transit/encrypt/mgx", "docs/secrets.md")
	w.Policy("writes", strings.Replace(policy, "transit/decrypt/mgx", "transit/decrypt/none", 1))
	_, err = w.client(t, tokenFile(t, w.Token(nil, "writes"))).Wrap(t.Context(), []byte("key"), []byte("of"))
	w.fails(t, "wrapped what it cannot unwrap", CodeRefused, err, "transit/decrypt/mgx")
	if _, err := w.client(t, tokenFile(t, w.Token(nil, "reads"))).Try(t.Context()); !mgx.IsCode(err, CodeRefused) {
		t.Errorf("tried: %v", err)
	}
}

// The certificate must be trusted, and the scheme be the right one.
func configuration(t *testing.T, w *world) {
	token := tokenFile(t, w.Token(nil, "mgx"))
	_, err := w.client(t, func(o *Options) { token(o); o.CAFile = "" }).Wrap(t.Context(), []byte("key"), []byte("of"))
	w.fails(t, "an unknown certificate", CodeUnreachable, err, "ca_file")
	_, err = w.client(t, func(o *Options) {
		token(o)
		o.Address = "http://" + strings.TrimPrefix(w.Address, "https://")
	}).Wrap(t.Context(), []byte("key"), []byte("of"))
	w.fails(t, "http to https", CodeAnswer, err, "check the address")
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := w.client(t, token).Wrap(gone, []byte("key"), []byte("of")); mgx.AsError(err).Kind != mgx.KindStopped {
		t.Errorf("the caller has gone: %v", err)
	}
}
