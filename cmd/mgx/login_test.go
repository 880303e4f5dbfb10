package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// as runs a command with a home of its own and something on stdin.
func (l *lab) as(home, stdin string, args ...string) (stdout, stderr string, code int) {
	l.t.Helper()
	var out, errs bytes.Buffer
	cmd := l.mgx(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "HOME="+home)
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		l.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Two people and a program at a server, from its first start on, by the command
// line alone.
func TestPeopleAtAServer(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	server := l.serve("127.0.0.1:0", "--workers", "0")
	if server.setup == "" {
		t.Fatal("the first start says nothing to sign in with")
	}
	jo, bo := t.TempDir(), t.TempDir()
	must := func(home, stdin string, args ...string) string {
		t.Helper()
		out, errs, code := l.as(home, stdin, append(args, "--server", server.url)...)
		if code != 0 {
			t.Fatalf("mgx %q: exit %d\n%s%s", args, code, out, errs)
		}
		return out
	}
	fails := func(home string, code int, why string, args ...string) {
		t.Helper()
		if out, errs, got := l.as(home, "", append(args, "--server", server.url)...); got != code || !strings.Contains(errs, why) {
			t.Errorf("mgx %q: exit %d\n%s%s, want %d %s", args, got, out, errs, code, why)
		}
	}
	fails(jo, 6, "sign in with: mgx login --server "+server.url, "whoami")
	must(jo, "four words of theirs\n", "login", "--invitation", server.setup, "--email", "Jo@example.com", "--password-stdin")
	if _, errs, code := l.as(bo, "other words of theirs\n", "login", "--server", server.url, "--invitation", server.setup, "--email", "bo@example.com", "--password-stdin"); code != 2 || !strings.Contains(errs, "not good, or no longer") {
		t.Errorf("an invitation was used twice: exit %d\n%s", code, errs)
	}
	if who := must(jo, "", "whoami"); !strings.Contains(who, "jo@example.com") || !strings.Contains(who, "in ws_default as admin") {
		t.Error(who)
	}
	token := strings.TrimSpace(must(jo, "", "members", "invite", "bo@example.com", "--role", "viewer"))
	must(bo, "other words of theirs\n", "login", "--invitation", token, "--email", "bo@example.com", "--name", "Bo", "--password-stdin")
	fails(bo, 6, "your role is viewer", "members", "invite", "eve@example.com")
	fails(jo, 2, "last admin", "members", "remove", "jo@example.com")
	if all := must(bo, "", "members"); !strings.Contains(all, "bo@example.com") || !strings.Contains(all, "jo@example.com") {
		t.Error(all)
	}
	// Invited by another workspace, Bo is a member when Bo accepts.
	second := strings.Fields(must(jo, "", "workspaces", "create", "other"))[0]
	if renamed := must(jo, "", "workspaces", "rename", second, "second"); renamed != second+"  second\n" {
		t.Error(renamed)
	}
	fails(bo, 6, "your role is viewer", "workspaces", "rename", "ws_default", "Bo's")
	must(jo, "", "members", "invite", "bo@example.com", "--role", "auditor", "--workspace", second)
	waits := strings.Fields(must(bo, "", "invitations"))
	if len(waits) < 3 || waits[1] != "auditor" || waits[2] != "second" {
		t.Fatalf("for Bo waits %q", waits)
	}
	if who := must(bo, "", "whoami"); strings.Contains(who, second) {
		t.Errorf("before Bo accepts: %s", who)
	}
	fails(jo, 2, "there is no invitation", "invitations", "accept", waits[0])
	must(bo, "", "invitations", "accept", waits[0])
	if who := must(bo, "", "whoami"); !strings.Contains(who, "member of "+second+" (second) as auditor") || !strings.Contains(who, "in ws_default as viewer") {
		t.Errorf("afterwards: %s", who)
	}
	must(jo, "", "members", "remove", "bo@example.com", "--workspace", second)
	must(jo, "", "members", "invite", "bo@example.com", "--workspace", second)
	must(bo, "", "invitations", "decline", strings.Fields(must(bo, "", "invitations"))[0])
	if left := must(bo, "", "invitations"); left != "" || !strings.Contains(must(jo, "", "members", "invitations", "--workspace", second), "declined") {
		t.Errorf("declined, and there waits %s", left)
	}
	key := strings.TrimSpace(must(bo, "", "keys", "create", "ci", "--scope", "users:read", "--expires", "1h"))
	program := t.TempDir()
	must(program, key+"\n", "login", "--key-stdin")
	if who := must(program, "", "whoami"); !strings.Contains(who, "scopes: users:read") {
		t.Error(who)
	}
	must(program, "", "members")
	fails(program, 6, "its scopes are users:read", "keys")
	fails(program, 6, "sign in to do this", "sessions")

	// Somebody ends a session of theirs, and by another password all the others.
	elsewhere := t.TempDir()
	signIn := func(password string) {
		t.Helper()
		must(elsewhere, password+"\n", "login", "--email", "jo@example.com", "--password-stdin")
	}
	signIn("four words of theirs")
	other := ""
	for line := range strings.Lines(must(jo, "", "sessions")) {
		if !strings.Contains(line, "this one") {
			other = strings.Fields(line)[0]
		}
	}
	fails(bo, 2, "there is no session", "sessions", "end", other)
	must(jo, "", "sessions", "end", other)
	fails(elsewhere, 6, "not valid", "whoami")
	if all := must(jo, "", "sessions"); strings.Count(all, "\n") != 1 || !strings.Contains(all, "this one") {
		t.Errorf("afterwards: %s", all)
	}
	signIn("four words of theirs")
	for given, want := range map[string]struct {
		code int
		why  string
	}{
		"five words of theirs\nnewer words of theirs\n": {6, "this is not your password now"},
		"four words of theirs\nshort\n":                 {2, "12 characters"},
		"four words of theirs\n":                        {2, "no line to read"},
	} {
		if _, errs, code := l.as(jo, given, "password", "--password-stdin", "--server", server.url); code != want.code || !strings.Contains(errs, want.why) {
			t.Errorf("%q: exit %d\n%s", given, code, errs)
		}
	}
	must(elsewhere, "", "whoami")
	must(jo, "four words of theirs\nnewer words of theirs\n", "password", "--password-stdin")
	fails(elsewhere, 6, "not valid", "whoami")
	must(jo, "", "whoami")
	signIn("newer words of theirs")
	events := must(bo, "", "events")
	if strings.Contains(events, "audit.recorded") || !strings.Contains(must(jo, "", "events"), "audit.recorded") {
		t.Errorf("who sees the audit log: %s", events)
	}
	must(jo, "", "members", "role", "bo@example.com", "developer")
	must(jo, "", "members", "remove", "bo@example.com")
	fails(program, 6, "not valid", "whoami")
	fails(bo, 6, "you are not a member", "members")
	must(bo, "", "logout")
	fails(bo, 6, "sign in with: mgx login --server "+server.url, "whoami")

	path := filepath.Join(jo, ".local/state/mgx/servers.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	renewsOnce(t, path, func() { must(jo, "", "whoami") })

	// The owner of the data directory lets somebody set another password.
	if out := l.must("members", "reset", "jo@example.com", "--json"); !strings.HasPrefix(out, `{"invitation":{"id":"inv_`) || !strings.Contains(out, `"token":"mgxi_`) {
		t.Error(out)
	}
	reset := strings.TrimSpace(l.must("members", "reset", "jo@example.com"))
	fails(jo, 2, "there is no", "members", "reset", "nobody")
	must(jo, "new words of theirs\n", "login", "--invitation", reset, "--email", "ignored@example.com", "--password-stdin")
	must(jo, "new words of theirs\n", "login", "--email", "jo@example.com", "--password-stdin")
	server.end()
	for _, secret := range []string{"words of theirs", server.setup, token, key, reset} {
		if strings.Contains(server.errs.String(), secret) {
			t.Error("a secret was logged")
		}
	}
}

// renewsOnce has several commands at once find that their access token has
// expired: the first renews it, and the others use what it got.
func renewsOnce(t *testing.T, path string, command func()) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept credentials
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	before := ""
	for name, c := range kept.Servers {
		before, c.Until = c.Refresh, time.Now().Add(-time.Hour)
		kept.Servers[name] = c
	}
	if text, err = json.Marshal(kept); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(command)
	}
	all.Wait()
	if text, err = os.ReadFile(path); err != nil || strings.Contains(string(text), before) {
		t.Errorf("it was not renewed, %v", err)
	}
}

// Beyond the loopback interface a server has TLS, and answers to the names of its
// certificate.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	cert, key := certificate(t, "localhost")
	l.env = append(l.env, "SSL_CERT_FILE="+cert)
	server := l.serve("0.0.0.0:0", "--workers", "0", "--tls-cert", cert, "--tls-key", key)
	if !strings.HasPrefix(server.url, "https://localhost:") {
		t.Fatal(server.url)
	}
	home := t.TempDir()
	if out, errs, code := l.as(home, "four words of theirs\n", "login", "--server", server.url, "--invitation", server.setup, "--email", "jo@example.com", "--password-stdin"); code != 0 {
		t.Fatal(out, errs)
	}
	if out, errs, code := l.as(home, "", "whoami", "--server", server.url); code != 0 || !strings.Contains(out, "jo@example.com") {
		t.Fatal(out, errs)
	}
	other := strings.Replace(server.url, "localhost", "127.0.0.1", 1)
	if _, errs, code := l.as(home, "", "whoami", "--server", other); code != 3 {
		t.Errorf("by a name that its certificate has not: exit %d\n%s", code, errs)
	}
	server.end()
}

// certificate makes one for a name, signed by itself, and returns its files.
func certificate(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
