package transit

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"mgx"
)

// Options say which key of which Vault wraps, and who MGX is there.
type Options struct {
	Address   string // https://HOST:PORT; http:// for this machine only
	Mount     string // of the transit engine
	Key       string // its name there
	Namespace string // "": none
	CAFile    string // certificates that sign the server's, PEM; "": those of the system
	Timeout   time.Duration

	// What MGX shows of itself when it connects, PEM: both or none.
	ClientCertFile, ClientKeyFile string

	// One of four: a file with a token, a variable with one, AppRole, the certificate.
	TokenFile, TokenEnv string
	AppRole             *AppRole
	Cert                *Cert

	Getenv func(string) string
	Hide   func(secret string) // has the process hide it wherever it writes; nil: nothing does
	Log    *slog.Logger        // nil: none

	roots *x509.CertPool
}

// AppRole signs in with a role and a secret id, and again when the token is spent.
type AppRole struct {
	Mount        string `json:"mount"` // "": approle
	RoleID       string `json:"role_id"`
	SecretIDFile string `json:"secret_id_file"`
}

const (
	maxFile        = 64 << 10 // of whatever file is read here, in bytes
	defaultTimeout = 5 * time.Second
	maxTimeout     = time.Minute
)

// Load reads options from a file. Paths in it are relative to its directory.
func Load(file string) (Options, error) {
	wrong := func(err error) error {
		return mgx.Errorf(mgx.KindConfig, CodeConfig, "%s, which says which HashiCorp Vault wraps keys, cannot be used: %w; see docs/secrets.md", file, err)
	}
	text, err := readSmall(file)
	if err != nil {
		return Options{}, wrong(plain(err))
	}
	var f struct {
		Address   string   `json:"address"`
		Mount     string   `json:"mount"`
		Key       string   `json:"key"`
		Namespace string   `json:"namespace"`
		CAFile    string   `json:"ca_file"`
		CertFile  string   `json:"client_cert_file"`
		KeyFile   string   `json:"client_key_file"`
		Timeout   string   `json:"timeout"`
		TokenFile string   `json:"token_file"`
		TokenEnv  string   `json:"token_env"`
		AppRole   *AppRole `json:"approle"`
		Cert      *Cert    `json:"cert"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Options{}, wrong(decoding(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Options{}, wrong(errors.New("it must hold one JSON object and nothing after it"))
	}
	beside := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(filepath.Dir(file), p)
	}
	o := Options{
		Address: f.Address, Mount: cmp.Or(f.Mount, "transit"), Key: f.Key, Namespace: f.Namespace, CAFile: beside(f.CAFile),
		Timeout: defaultTimeout, TokenFile: beside(f.TokenFile), TokenEnv: f.TokenEnv, AppRole: f.AppRole, Cert: f.Cert,
		ClientCertFile: beside(f.CertFile), ClientKeyFile: beside(f.KeyFile),
	}
	if o.AppRole != nil {
		o.AppRole.Mount, o.AppRole.SecretIDFile = cmp.Or(o.AppRole.Mount, "approle"), beside(o.AppRole.SecretIDFile)
	}
	if o.Cert != nil {
		o.Cert.Mount = cmp.Or(o.Cert.Mount, "cert")
	}
	if f.Timeout != "" {
		if o.Timeout, err = time.ParseDuration(f.Timeout); err != nil {
			return Options{}, wrong(errors.New("timeout must be a duration, such as 5s"))
		}
	}
	if err := o.check(); err != nil {
		return Options{}, wrong(err)
	}
	return o, nil
}

// decoding is what is wrong with JSON, without what stands there: it may be a secret in
// the wrong place.
func decoding(err error) error {
	if field, found := strings.CutPrefix(err.Error(), "json: unknown field "); found && len(field) < 40 {
		return fmt.Errorf("it knows no field %s", field)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return fmt.Errorf("%s must be text", e.Field)
	}
	return errors.New("it is not a JSON object")
}

// plain is what the system said of a file, without its path.
func plain(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

func readSmall(file string) ([]byte, error) {
	info, err := os.Stat(file) // before opening, which would wait on a pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("it is larger than %d KiB", maxFile>>10)
	}
	return text, err
}

// check says what is wrong with the options, and reads the certificates.
func (o *Options) check() error {
	u, err := url.Parse(o.Address)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("address must be like https://vault.example.org:8200")
	case u.User != nil:
		return errors.New("address must hold no user and password; give a token by token_file, token_env, approle or cert")
	case u.Scheme == "http" && !here(u.Hostname()):
		return errors.New("address must begin with https://: over http:// anybody on the way could read the token (it is taken for 127.0.0.1, ::1 and localhost alone)")
	case !plainPath(o.Mount):
		return errors.New("mount must be the path of the transit engine, such as transit")
	case !plainPath(o.Key) || strings.Contains(o.Key, "/"):
		return errors.New("key must be the name of a key of the transit engine, such as mgx")
	case o.Namespace != "" && !plainPath(o.Namespace):
		return errors.New("namespace must be like admin/mgx")
	case o.Timeout < 100*time.Millisecond || o.Timeout > maxTimeout:
		return errors.New("timeout must be from 100ms to 1m")
	}
	o.Address = u.Scheme + "://" + u.Host
	if err := o.checkIdentity(); err != nil {
		return err
	}
	if err := o.checkClientCert(u.Scheme); err != nil || o.CAFile == "" {
		return err
	}
	text, err := readSmall(o.CAFile)
	if err != nil {
		return fmt.Errorf("ca_file %s: %w", o.CAFile, plain(err))
	}
	o.roots = x509.NewCertPool()
	if !o.roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("ca_file %s holds no certificate in PEM", o.CAFile)
	}
	return nil
}

func (o *Options) checkIdentity() error {
	ways := 0
	for _, given := range []bool{o.TokenFile != "", o.TokenEnv != "", o.AppRole != nil, o.Cert != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("give one of token_file, token_env, approle and cert")
	}
	if a := o.AppRole; a != nil && (!plainPath(a.Mount) || a.RoleID == "" || a.SecretIDFile == "") {
		return errors.New("approle must have role_id and secret_id_file")
	}
	if o.Cert != nil && (!plainPath(o.Cert.Mount) || o.ClientCertFile == "") {
		return errors.New("cert signs in by client_cert_file and client_key_file, which are missing, or its mount is not like cert")
	}
	return nil
}

// signsIn reports whether tokens are got from Vault, and given back.
func (o *Options) signsIn() bool { return o.AppRole != nil || o.Cert != nil }

func here(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// plainPath reports whether p can stand in the path of a request as it is.
func plainPath(p string) bool {
	for _, r := range p {
		if r <= ' ' || r > '~' || strings.ContainsRune(`?#%\"`, r) {
			return false
		}
	}
	return p != "" && len(p) <= 256 && path.Clean(p) == p && !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "..")
}
