// Package vaulttest runs a real HashiCorp Vault for a test: version 1.21.4 with the
// transit engine, AppRole, certificates and files for storage, behind TLS. scripts/vault.sh builds it,
// from the module in server; where it is not built, tests skip and say so.
package vaulttest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is a Vault with a transit engine at transit, AppRole at approle, certificates at
// cert, and the policy mgx, which is that of docs/secrets.md for the key mgx.
type Server struct {
	Address string // https://127.0.0.1:PORT; the same after a restart
	CA      string // file of the certificate
	Root    string // a token that may do everything

	t       testing.TB
	dir     string
	key     string // file of the certificate's
	unseal  string
	client  *http.Client
	process *exec.Cmd
}

// program is the path of the server's binary, or why there is none.
var program = sync.OnceValues(func() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(here), "../../../scripts/vault.sh")
	var said bytes.Buffer
	cmd := exec.Command("bash", script, "--there")
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s", bytes.TrimSpace(said.Bytes()))
	}
	return string(bytes.TrimSpace(out)), nil
})

// Start starts a server, initialised and unsealed, for as long as the test takes.
func Start(t testing.TB) *Server {
	t.Helper()
	if _, err := program(); err != nil {
		t.Skip(err)
	}
	s := &Server{t: t, dir: t.TempDir(), Address: "https://127.0.0.1:0"}
	s.certify()
	s.run()
	t.Cleanup(s.Kill)
	var begun struct {
		Keys []string `json:"keys"`
		Root string   `json:"root_token"`
	}
	s.ask("", http.MethodPut, "sys/init", map[string]int{"secret_shares": 1, "secret_threshold": 1}, &begun)
	s.unseal, s.Root = begun.Keys[0], begun.Root
	s.Unseal()
	s.Do("POST", "sys/mounts/transit", map[string]string{"type": "transit"})
	for _, way := range []string{"approle", "cert"} {
		s.Do("POST", "sys/auth/"+way, map[string]string{"type": way})
	}
	s.Do("POST", "transit/keys/mgx", nil)
	s.Policy("mgx", Policy("mgx"))
	return s
}

// Policy is what MGX needs for a key, as docs/secrets.md says it.
func Policy(key string) string {
	_, here, _, _ := runtime.Caller(0)
	page, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../../docs/secrets.md"))
	if err != nil {
		panic(err)
	}
	_, rest, _ := strings.Cut(string(page), "```hcl\n")
	policy, _, found := strings.Cut(rest, "```")
	if !found {
		panic("docs/secrets.md has no policy")
	}
	return strings.ReplaceAll(policy, "crypt/mgx", "crypt/"+key)
}

// certify makes the server's certificate.
func (s *Server) certify() {
	s.CA, s.key = s.Certificate("server")
	text, err := os.ReadFile(s.CA)
	s.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

// Certificate makes a certificate of 127.0.0.1 that signs itself, with a name, and
// returns the files of it and of its key.
func (s *Server) Certificate(name string) (cert, key string) {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	made, err := x509.CreateCertificate(rand.Reader, of, of, &private.PublicKey, private)
	s.must(err)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	s.must(err)
	cert, key = filepath.Join(s.dir, name+".pem"), filepath.Join(s.dir, name+"-key.pem")
	s.must(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made}), 0o600))
	s.must(os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}), 0o600))
	return cert, key
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// run starts the process, which says where it listens once it does.
func (s *Server) run() {
	s.t.Helper()
	path, _ := program()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	s.must(err)
	defer log.Close()
	s.process = exec.Command(path, "-listen", strings.TrimPrefix(s.Address, "https://"), "-data", filepath.Join(s.dir, "data"), "-cert", s.CA, "-key", s.key)
	s.process.Stderr = log
	out, err := s.process.StdoutPipe()
	s.must(err)
	s.must(s.process.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		text, _ := os.ReadFile(log.Name())
		s.t.Fatalf("Vault did not start: %v\n%s", err, text)
	}
	s.Address = strings.TrimSpace(line)
}

// Kill ends the process without a word.
func (s *Server) Kill() {
	s.process.Process.Kill()
	s.process.Wait()
	s.client.CloseIdleConnections()
}

// Restart starts the process anew after Kill, at its address. It is sealed then.
func (s *Server) Restart() { s.t.Helper(); s.run() }

// Seal seals it.
func (s *Server) Seal() { s.t.Helper(); s.Do("PUT", "sys/seal", nil) }

// Unseal unseals it, and waits until it is ready for requests.
func (s *Server) Unseal() {
	s.t.Helper()
	s.ask("", http.MethodPut, "sys/unseal", map[string]string{"key": s.unseal}, nil)
	for {
		resp, err := s.client.Get(s.Address + "/v1/sys/health")
		s.must(err)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
		select {
		case <-s.t.Context().Done():
			s.t.Fatal("Vault does not become active")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Do asks for something as root, and fails the test when that is refused.
func (s *Server) Do(method, path string, body any) map[string]any {
	s.t.Helper()
	var said struct {
		Data map[string]any `json:"data"`
		Auth map[string]any `json:"auth"`
	}
	s.ask(s.Root, method, path, body, &said)
	if said.Auth != nil {
		return said.Auth
	}
	return said.Data
}

func (s *Server) ask(token, method, path string, body, into any) {
	s.t.Helper()
	text, err := json.Marshal(body)
	s.must(err)
	req, err := http.NewRequestWithContext(context.WithoutCancel(s.t.Context()), method, s.Address+"/v1/"+path, bytes.NewReader(text))
	s.must(err)
	req.Header.Set("X-Vault-Token", token)
	resp, err := s.client.Do(req)
	s.must(err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	s.must(err)
	if resp.StatusCode >= 300 {
		s.t.Fatalf("Vault: %s %s: %s %s", method, path, resp.Status, said)
	}
	if into != nil && len(said) > 0 {
		s.must(json.Unmarshal(said, into))
	}
}

// Policy makes or changes a policy.
func (s *Server) Policy(name, rules string) {
	s.t.Helper()
	s.Do("PUT", "sys/policies/acl/"+name, map[string]string{"policy": rules})
}

// Token makes a token with policies. Of is what else auth/token/create takes, such as ttl.
func (s *Server) Token(of map[string]any, policies ...string) string {
	s.t.Helper()
	body := map[string]any{"policies": policies, "no_default_policy": true}
	maps.Copy(body, of)
	return s.Do("POST", "auth/token/create", body)["client_token"].(string)
}

// Role makes a role of AppRole, and returns its id.
func (s *Server) Role(name string, of map[string]any) string {
	s.t.Helper()
	s.Do("POST", "auth/approle/role/"+name, of)
	return s.Do("GET", "auth/approle/role/"+name+"/role-id", nil)["role_id"].(string)
}

// SecretID makes a secret id of a role.
func (s *Server) SecretID(role string) string {
	s.t.Helper()
	return s.Do("POST", "auth/approle/role/"+role+"/secret-id", nil)["secret_id"].(string)
}

// Log is what the process has written.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	s.must(err)
	return string(text)
}
