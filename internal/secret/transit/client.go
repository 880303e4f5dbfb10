package transit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"mgx"
	"mgx/internal/secret"
)

// Client is a secret.Wrapper whose key is in Vault. Many may use it at once.
type Client struct {
	o    Options
	http *http.Client

	// turn holds one who gets a token; the others wait for what comes of it.
	turn  chan struct{}
	token string // "": none yet
}

var _ secret.Wrapper = (*Client)(nil)

// errSlow is why a call of ours ends that took Options.Timeout.
var errSlow = errors.New("it took too long")

// New makes a client. Nothing is asked of Vault before something is wrapped.
func New(o Options) *Client {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{o: o, http: newHTTP(o), turn: make(chan struct{}, 1)}
}

// Name is where the key is.
func (c *Client) Name() string { return "vault:" + c.o.Mount + "/" + c.o.Key }

// made begins what the transit engine encrypts, before the version of the key.
const made = "vault:v"

// Made reports whether a box is one of a transit engine.
func (c *Client) Made(box []byte) bool { return strings.HasPrefix(string(box), made) }

// maxBox bounds what Vault may make of a key, in bytes.
const maxBox = 8 << 10

// Wrap has Vault encrypt a key, and tries that what came of it opens for nothing else.
func (c *Client) Wrap(ctx context.Context, key, of []byte) ([]byte, error) {
	ctx, stop := context.WithTimeoutCause(ctx, c.o.Timeout, errSlow)
	defer stop()
	a, err := c.do(ctx, "encrypt", bound(of, map[string]string{"plaintext": base64.StdEncoding.EncodeToString(key)}))
	if err != nil {
		return nil, err
	}
	var data struct {
		Box string `json:"ciphertext"`
	}
	if json.Unmarshal(a.Data, &data) != nil || !c.Made([]byte(data.Box)) || len(data.Box) > maxBox {
		return nil, c.senseless(a.status, "what it encrypted is not there")
	}
	box := []byte(data.Box)
	return box, c.binds(ctx, box, key, of)
}

// binds tries that a box opens for what it is of, and for nothing else.
func (c *Client) binds(ctx context.Context, box, key, of []byte) error {
	opened, err := c.unwrap(ctx, box, of)
	if err != nil {
		return err
	}
	if string(opened) != string(key) {
		return c.senseless(http.StatusOK, "what it decrypts is not what it encrypted")
	}
	_, err = c.unwrap(ctx, box, append([]byte("something else than "), of...))
	switch {
	case err == nil:
		return mgx.Errorf(mgx.KindConfig, CodeKey, "the HashiCorp Vault at %s opens a box for something else than what it was made for: it is too old to know associated data, or the key %s has a type without it; use a key of type aes256-gcm96 and a newer Vault", c.o.Address, c.o.Key)
	case mgx.IsCode(err, secret.CodeRing):
		return nil
	}
	return err
}

// Unwrap has Vault decrypt a box.
func (c *Client) Unwrap(ctx context.Context, box, of []byte) ([]byte, error) {
	ctx, stop := context.WithTimeoutCause(ctx, c.o.Timeout, errSlow)
	defer stop()
	if !c.Made(box) || len(box) > maxBox {
		return nil, c.wrongBox()
	}
	return c.unwrap(ctx, box, of)
}

func (c *Client) unwrap(ctx context.Context, box, of []byte) ([]byte, error) {
	a, err := c.do(ctx, "decrypt", bound(of, map[string]string{"ciphertext": string(box)}))
	if err != nil {
		return nil, err
	}
	var data struct {
		Key *string `json:"plaintext"`
	}
	if json.Unmarshal(a.Data, &data) != nil || data.Key == nil {
		return nil, c.senseless(a.status, "what it decrypted is not there")
	}
	key, err := base64.StdEncoding.DecodeString(*data.Key)
	if err != nil {
		return nil, c.senseless(a.status, "what it decrypted is not there")
	}
	return key, nil
}

// bound adds to a request what the box is of. A key that is not derived leaves the
// context out, one that is takes both.
func bound(of []byte, body map[string]string) map[string]string {
	text := base64.StdEncoding.EncodeToString(of)
	body["associated_data"], body["context"] = text, text
	return body
}

// do has the transit engine do something with the key.
func (c *Client) do(ctx context.Context, what string, body map[string]string) (answer, error) {
	path := c.o.Mount + "/" + what + "/" + c.o.Key
	a, err := c.withToken(ctx, http.MethodPost, path, body)
	if err != nil {
		return a, err
	}
	switch {
	case a.status == http.StatusOK, a.status == http.StatusNoContent:
		return a, nil
	case a.status == http.StatusForbidden:
		return a, c.refused(ctx, path)
	case a.status == http.StatusNotFound:
		return a, mgx.Errorf(mgx.KindConfig, CodeKey, "the HashiCorp Vault at %s has no transit engine at %s; enable it (vault secrets enable -path=%s transit), or name its mount in the file of --secrets-vault", c.o.Address, c.o.Mount, c.o.Mount)
	case a.says("too old"):
		return a, mgx.Errorf(mgx.KindConfig, CodeKey, "a key of secrets is wrapped with a version of the key %s that Vault no longer opens: lower its min_decryption_version, run mgx secrets rekey, and raise it again", c.o.Key)
	case a.says("encryption key not found"), a.says("could not be found"):
		return a, mgx.Errorf(mgx.KindConfig, CodeKey, "the HashiCorp Vault at %s has no key %s; make it (vault write -f %s/keys/%s), or name another in the file of --secrets-vault; a key that was deleted takes the secrets with it", c.o.Address, c.o.Key, c.o.Mount, c.o.Key)
	case what == "decrypt" && a.status == http.StatusBadRequest:
		return a, c.wrongBox()
	}
	return a, mgx.Errorf(mgx.KindConfig, CodeKey, "the HashiCorp Vault at %s cannot encrypt with the key %s; look at it (vault read %s/keys/%s): it must be of type aes256-gcm96", c.o.Address, c.o.Key, c.o.Mount, c.o.Key)
}

func (c *Client) wrongBox() error {
	return mgx.Errorf(mgx.KindConfig, secret.CodeRing, "the key %s in Vault does not open the box: it is that of another installation, or the box was changed", c.o.Key)
}

// refused says why Vault refused: because of the token, or of what it may do.
func (c *Client) refused(ctx context.Context, path string) error {
	if _, err := c.lookUp(ctx); err != nil {
		return err
	}
	return mgx.Errorf(mgx.KindConfig, CodeRefused, "the policies of the token do not let MGX update %s in the HashiCorp Vault at %s, or there is no such key; docs/secrets.md has the policy that it needs", path, c.o.Address)
}
