package transit

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"mgx"
)

const (
	soonest = time.Second // between two looks at the token
	latest  = time.Hour
	// warnAt is what is left of a token that cannot be renewed when the log warns of it.
	warnAt = 24 * time.Hour
)

// Keep renews the token until the context ends, each time half of its life is over. It
// is for a process that stays: what it cannot do is in the log, once for each reason, and
// tried again.
func (c *Client) Keep(ctx context.Context) {
	trouble := ""
	for {
		wait, err := c.keepOnce(ctx)
		switch code := codeOf(err); {
		case ctx.Err() != nil:
			return
		case code != trouble && err != nil:
			c.o.Log.Warn("the token for HashiCorp Vault could not be renewed", "error", err)
			trouble = code
		case code != trouble:
			c.o.Log.Info("the token for HashiCorp Vault is renewed again")
			trouble = ""
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return mgx.AsError(err).Code
}

// keepOnce renews the token, and says when to come again.
func (c *Client) keepOnce(ctx context.Context) (time.Duration, error) {
	token, err := c.Renew(ctx)
	switch {
	case err != nil:
		return 10 * time.Second, err
	case token.TTL == 0:
		return latest, nil
	case !c.o.signsIn() && token.TTL < warnAt && !token.Renewable:
		c.o.Log.Warn("the token for HashiCorp Vault expires and cannot be renewed: put a new one in its place", "left", token.TTL.String())
	}
	return min(max(token.TTL/2, soonest), latest), nil
}

// Renew has the token live longer, if it can, and says what is left of it.
func (c *Client) Renew(ctx context.Context) (Token, error) {
	ctx, stop := context.WithTimeoutCause(ctx, c.o.Timeout, errSlow)
	defer stop()
	token, err := c.lookUp(ctx)
	if err != nil || !token.Renewable || token.TTL == 0 {
		return token, err
	}
	a, err := c.withToken(ctx, http.MethodPost, "auth/token/renew-self", struct{}{})
	switch {
	case err != nil:
		return token, err
	case a.status == http.StatusForbidden:
		return token, mgx.Errorf(mgx.KindConfig, CodeRefused, "the policies of the token do not let it renew itself (auth/token/renew-self) in the HashiCorp Vault at %s; docs/secrets.md has the policy that it needs", c.o.Address)
	case a.status != http.StatusOK:
		return token, nil // it has lived as long as it may: what is left of it stays
	}
	return c.lookUp(ctx)
}

// Try wraps and unwraps something, and says what is left of the token.
func (c *Client) Try(ctx context.Context) (Token, error) {
	probe := []byte(rand.Text())
	if _, err := c.Wrap(ctx, probe, []byte("a try")); err != nil {
		return Token{}, err
	}
	ctx, stop := context.WithTimeoutCause(ctx, c.o.Timeout, errSlow)
	defer stop()
	return c.lookUp(ctx)
}

// Close gives back the token of a sign-in, so that it does not outlive the process.
func (c *Client) Close() error {
	defer c.http.CloseIdleConnections()
	if !c.o.signsIn() {
		return nil
	}
	ctx, stop := context.WithTimeoutCause(context.Background(), min(c.o.Timeout, time.Second), errSlow)
	defer stop()
	token, err := c.inTurn(ctx, func() (string, error) { return c.token, nil })
	if err != nil || token == "" {
		return err
	}
	_, err = c.askOnce(ctx, http.MethodPost, "auth/token/revoke-self", []byte("{}"), token)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
