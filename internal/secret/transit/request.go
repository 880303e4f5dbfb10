package transit

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mgx"
)

const (
	maxAnswer = 64 << 10
	maxTries  = 3
	firstWait = 100 * time.Millisecond // before the second try; then twice as long
)

// answer is what Vault said.
type answer struct {
	status int
	Data   json.RawMessage `json:"data"`
	Auth   *struct {
		Token string `json:"client_token"`
	} `json:"auth"`
	Errors []string `json:"errors"`
}

// newHTTP is what requests go out by.
func newHTTP(o Options) *http.Client {
	trust := &tls.Config{RootCAs: o.roots, MinVersion: tls.VersionTLS12}
	if o.ClientCertFile != "" {
		trust.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := o.clientCert()
			if err != nil {
				err = mgx.Errorf(mgx.KindConfig, CodeConfig, "MGX cannot show itself to the HashiCorp Vault at %s: %w", o.Address, err)
			}
			return cert, err
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        trust,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxAnswer,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
		},
		// The token would follow a redirect to wherever it leads.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask makes one request, and again while what is in the way may pass and there is time.
func (c *Client) ask(ctx context.Context, method, path string, body any, token string) (answer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	wait := firstWait
	for tries := 1; ; tries++ {
		a, err := c.askOnce(ctx, method, path, text, token)
		if err == nil || tries == maxTries || !passes(err) {
			return a, err
		}
		timer := time.NewTimer(wait + rand.N(wait))
		select {
		case <-timer.C:
			wait *= 2
		case <-ctx.Done():
			timer.Stop()
			return a, err
		}
	}
}

// passes reports whether another try may do better.
func passes(err error) bool {
	return mgx.IsCode(err, CodeUnreachable) || mgx.IsCode(err, CodeAnswer)
}

func (c *Client) askOnce(ctx context.Context, method, path string, body []byte, token string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.o.Address+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, c.senseless(0, "")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Vault-Request", "true")
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if c.o.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.o.Namespace)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return answer{}, c.unreachable(ctx, err)
	}
	return c.read(resp, text)
}

// read makes sense of an answer. One that Vault meant is returned, whatever its
// status, if the caller may know what to make of it: 200, 204, 400, 403 and 404.
func (c *Client) read(resp *http.Response, text []byte) (answer, error) {
	a := answer{status: resp.StatusCode}
	if len(text) > maxAnswer {
		return a, c.senseless(a.status, "it is larger than "+strconv.Itoa(maxAnswer>>10)+" KiB")
	}
	if a.status == http.StatusNoContent {
		return a, nil
	}
	err := json.Unmarshal(text, &a)
	switch {
	case a.status == http.StatusServiceUnavailable && err == nil && a.says("sealed"):
		return a, mgx.Errorf(mgx.KindConfig, CodeSealed, "the HashiCorp Vault at %s is sealed, so keys of secrets cannot be unwrapped; unseal it (vault operator unseal) and try again", c.o.Address)
	case a.status == http.StatusTooManyRequests || a.status >= 500 || a.status == http.StatusPreconditionFailed:
		return a, mgx.Errorf(mgx.KindConfig, CodeUnreachable, "the HashiCorp Vault at %s cannot answer now (HTTP %d); try again in a moment", c.o.Address, a.status)
	case a.status >= 300 && a.status < 400:
		return a, mgx.Errorf(mgx.KindConfig, CodeConfig, "the HashiCorp Vault at %s leads to another address (HTTP %d), where the token is not sent; give the address of the active node, or of what stands before all of them, in the file of --secrets-vault", c.o.Address, a.status)
	case err != nil:
		return a, c.senseless(a.status, "it is not JSON")
	}
	switch a.status {
	case http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound:
		return a, nil
	}
	return a, c.senseless(a.status, "")
}

// says reports whether one of Vault's errors has these words.
func (a answer) says(words string) bool {
	for _, e := range a.Errors {
		if strings.Contains(e, words) {
			return true
		}
	}
	return false
}

func (c *Client) senseless(status int, why string) error {
	if why != "" {
		why = ": " + why
	}
	return mgx.Errorf(mgx.KindConfig, CodeAnswer, "what answers at %s does not answer as a HashiCorp Vault does (HTTP %d%s); check the address in the file of --secrets-vault, and what stands between", c.o.Address, status, why)
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errSlow) {
		return context.Cause(ctx) // the caller has gone
	}
	if ours, is := errors.AsType[*mgx.Error](err); is {
		return ours // the certificate that is to be shown
	}
	why := "it does not answer"
	switch {
	case ctx.Err() != nil:
		why = "it gives no answer within " + c.o.Timeout.String()
	case isCertificate(err):
		why = "its certificate is not trusted; name the file of those that sign it as ca_file"
	case strings.Contains(err.Error(), "remote error: tls:"):
		why = "it wants to be shown a certificate that it trusts, by client_cert_file and client_key_file"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		why = "it speaks http, not https"
	}
	return &mgx.Error{Kind: mgx.KindConfig, Code: CodeUnreachable, Err: err, Message: "the HashiCorp Vault at " + c.o.Address + " cannot be reached, so keys of secrets cannot be unwrapped: " + why + "; what needs no secrets goes on, and the rest works again when it answers"}
}

func isCertificate(err error) bool {
	_, is := errors.AsType[*tls.CertificateVerificationError](err)
	return is
}
