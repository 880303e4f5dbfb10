package transit

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"time"

	"mgx"
)

// Token is what Vault says of the token in use.
type Token struct {
	TTL       time.Duration // left; 0: it does not expire
	Renewable bool
}

// withToken makes a request with the token. When Vault refuses it, the token may be
// spent: one that was put in its place meanwhile, or a new sign-in, gets another try.
func (c *Client) withToken(ctx context.Context, method, path string, body any) (answer, error) {
	token, err := c.current(ctx)
	if err != nil {
		return answer{}, err
	}
	a, err := c.ask(ctx, method, path, body, token)
	if err != nil || a.status != http.StatusForbidden {
		return a, err
	}
	again, err := c.another(ctx, token)
	if err != nil || again == token {
		return a, err
	}
	return c.ask(ctx, method, path, body, again)
}

// current is the token, which is got where there is none yet.
func (c *Client) current(ctx context.Context) (string, error) {
	return c.inTurn(ctx, func() (string, error) {
		if c.token != "" {
			return c.token, nil
		}
		return c.get(ctx)
	})
}

// another is a token in place of one that Vault refused. It may be the same.
func (c *Client) another(ctx context.Context, refused string) (string, error) {
	return c.inTurn(ctx, func() (string, error) {
		if c.token != refused {
			return c.token, nil // somebody was first
		}
		if c.o.signsIn() {
			if a, err := c.ask(ctx, http.MethodGet, "auth/token/lookup-self", nil, refused); err != nil || a.status == http.StatusOK {
				return refused, err // it is the policies: a new token would have the same
			}
		}
		return c.get(ctx)
	})
}

func (c *Client) inTurn(ctx context.Context, f func() (string, error)) (string, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return "", c.unreachable(ctx, ctx.Err())
	}
	defer func() { <-c.turn }()
	token, err := f()
	if err == nil {
		c.token = token
	}
	return token, err
}

// get reads the token, or signs in.
func (c *Client) get(ctx context.Context) (string, error) {
	if c.o.signsIn() {
		return c.signIn(ctx)
	}
	if c.o.TokenEnv != "" {
		if token := strings.TrimSpace(c.o.Getenv(c.o.TokenEnv)); token != "" {
			return c.private(token), nil
		}
		return "", mgx.Errorf(mgx.KindConfig, CodeToken, "the variable %s, which is to hold the token for HashiCorp Vault, is not set", c.o.TokenEnv)
	}
	return c.readSecret(c.o.TokenFile, "the token")
}

// readSecret reads what nobody else may read.
func (c *Client) readSecret(file, what string) (string, error) {
	text, private, err := readPrivately(file)
	if err != nil {
		return "", mgx.Errorf(mgx.KindConfig, CodeToken, "%s for HashiCorp Vault cannot be read from %s: %w", what, file, plain(err))
	}
	value := strings.TrimSpace(string(text))
	c.private(value)
	switch {
	case !private:
		return "", mgx.Errorf(mgx.KindConfig, "secret_readable", "everybody on this machine can read %s in %s; chmod 600 %s, and replace it if anyone may have read it", what, file, file)
	case value == "" || strings.ContainsAny(value, " \t\r\n"):
		return "", mgx.Errorf(mgx.KindConfig, CodeToken, "%s holds no %s for HashiCorp Vault: one word is expected", file, strings.TrimPrefix(what, "the "))
	}
	return value, nil
}

func (c *Client) private(value string) string {
	if c.o.Hide != nil && value != "" {
		c.o.Hide(value)
	}
	return value
}

// signIn gets a token, for a role and its secret id or for the certificate that is shown.
func (c *Client) signIn(ctx context.Context) (string, error) {
	way, mount, wrong, body := "AppRole", "", "", map[string]string{}
	if role := c.o.AppRole; role != nil {
		id, err := c.readSecret(role.SecretIDFile, "the secret id")
		if err != nil {
			return "", err
		}
		mount, wrong = role.Mount, "role id or secret id are wrong, expired or used up; put a new secret id in "+role.SecretIDFile
		body["role_id"], body["secret_id"] = role.RoleID, id
	} else {
		way, mount, wrong = "certificate", c.o.Cert.Mount, "no role there takes the one in "+c.o.ClientCertFile+", or nothing asks for it on the way (tls_disable_client_certs of Vault's listener, or something that ends TLS before it)"
		if c.o.Cert.Role != "" {
			body["name"] = c.o.Cert.Role
		}
	}
	a, err := c.ask(ctx, http.MethodPost, "auth/"+mount+"/login", body, "")
	switch {
	case err != nil:
		return "", err
	case a.status == http.StatusNotFound, a.says("no handler for route"):
		return "", mgx.Errorf(mgx.KindConfig, CodeToken, "the HashiCorp Vault at %s has no sign-in by %s at auth/%s; enable it, or name its mount in the file of --secrets-vault", c.o.Address, way, mount)
	case a.status != http.StatusOK:
		return "", mgx.Errorf(mgx.KindConfig, CodeToken, "the HashiCorp Vault at %s does not sign MGX in by %s: %s", c.o.Address, way, wrong)
	case a.Auth == nil || a.Auth.Token == "":
		return "", c.senseless(a.status, "there is no token in it")
	}
	return c.private(a.Auth.Token), nil
}

// lookUp asks what is left of the token.
func (c *Client) lookUp(ctx context.Context) (Token, error) {
	a, err := c.withToken(ctx, http.MethodGet, "auth/token/lookup-self", nil)
	if err != nil {
		return Token{}, err
	}
	if a.status >= http.StatusBadRequest {
		return Token{}, c.spent()
	}
	return c.readToken(a, a.Data)
}

func (c *Client) readToken(a answer, text json.RawMessage) (Token, error) {
	var data struct {
		TTL       int64 `json:"ttl"`
		Renewable bool  `json:"renewable"`
	}
	if json.Unmarshal(text, &data) != nil || data.TTL < 0 || data.TTL > int64(maxTTL/time.Second) {
		return Token{}, c.senseless(a.status, "it does not say how long the token lives")
	}
	return Token{TTL: time.Duration(data.TTL) * time.Second, Renewable: data.Renewable}, nil
}

// maxTTL is far longer than Vault lets any token live.
const maxTTL = 100 * 365 * 24 * time.Hour

func (c *Client) spent() error {
	where := c.o.TokenFile
	if c.o.TokenEnv != "" {
		where = "the variable " + c.o.TokenEnv + ", and start MGX anew"
	}
	if c.o.signsIn() {
		return mgx.Errorf(mgx.KindConfig, CodeToken, "the HashiCorp Vault at %s does not take the token that it gave when MGX signed in; look at the role", c.o.Address)
	}
	return mgx.Errorf(mgx.KindConfig, CodeToken, "the HashiCorp Vault at %s does not take the token: it is expired, revoked or that of another; put a new one in %s", c.o.Address, where)
}

// readPrivately reads a small file, and says whether only its owner, and perhaps its
// group, can read it: an agent that writes tokens is often another user of one group.
func readPrivately(file string) (text []byte, private bool, err error) {
	text, err = readSmall(file)
	if err != nil {
		return nil, false, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, false, err
	}
	return text, info.Mode().Perm()&0o007 == 0, nil
}

// String says how long the token lives.
func (t Token) String() string {
	switch {
	case t.TTL == 0:
		return "does not expire"
	case t.Renewable:
		return "expires in " + t.TTL.String() + ", and is renewed"
	}
	return "expires in " + t.TTL.String() + ", and cannot be renewed"
}
