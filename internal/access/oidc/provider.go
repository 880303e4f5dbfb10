package oidc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"mgx"
	"mgx/internal/access"
)

// Codes of what goes wrong with a provider.
const (
	CodeUnreachable = "sign_in_unreachable" // it does not answer, or not as a provider does
	CodeRefused     = "sign_in_refused"     // it, or we, do not take the person for anybody
)

// Bounds of what is asked of a provider.
const (
	askWait   = 10 * time.Second
	maxAnswer = 1 << 20 // bytes
	believed  = time.Hour
	retry     = time.Minute // after it did not answer, where something else is known
	skew      = time.Minute // between its clock and ours
)

// algorithms are those that a token may be signed with: none of them takes a
// secret, and none is "none".
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// Options are what a provider works with.
type Options struct {
	Secret func(context.Context) (string, error) // of the client; nil: it has none
	Client *http.Client                          // nil: one that is bounded
	Now    func() time.Time                      // time.Now
}

// Provider is one OpenID provider. It is asked for nothing before somebody signs
// in, so that one that is down stops nobody else.
type Provider struct {
	c Config
	o Options

	mu     sync.Mutex
	found  *found
	until  time.Time // it is asked again
	asking *asking   // what is under way; nil: nothing
}

// asking is a question to a provider. Whoever needs the answer meanwhile waits for it.
type asking struct {
	done  chan struct{}
	found *found
	err   error
}

// found is what a provider says of itself.
type found struct {
	*oidc.Provider
	says struct {
		UserInfo string   `json:"userinfo_endpoint"`
		Keys     string   `json:"jwks_uri"`
		Out      string   `json:"end_session_endpoint"`
		Methods  []string `json:"token_endpoint_auth_methods_supported"`
		SaysWho  bool     `json:"authorization_response_iss_parameter_supported"`
	}
}

// New returns a provider.
func New(c Config, o Options) *Provider {
	if o.Client == nil {
		o.Client = bounded()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Provider{c: c, o: o}
}

func (p *Provider) Name() string   { return p.c.Name }
func (p *Provider) Title() string  { return p.c.Title }
func (p *Provider) Issuer() string { return p.c.Issuer }

// Begin returns the address at which a person signs in.
func (p *Provider) Begin(ctx context.Context, a access.Attempt) (string, error) {
	f, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return p.client(f, a, "").AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// Out is where a person signs out at the provider.
func (p *Provider) Out(ctx context.Context, back string) string {
	f, err := p.discover(ctx)
	if err != nil || f.says.Out == "" {
		return ""
	}
	u, err := url.Parse(f.says.Out)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.c.ClientID)
	q.Set("post_logout_redirect_uri", back)
	u.RawQuery = q.Encode()
	return u.String()
}

func (p *Provider) client(f *found, a access.Attempt, secret string) *oauth2.Config {
	at := f.Endpoint()
	at.AuthStyle = oauth2.AuthStyleInHeader
	if m := f.says.Methods; secret == "" || len(m) > 0 && !slices.Contains(m, "client_secret_basic") {
		at.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: p.c.ClientID, ClientSecret: secret, Endpoint: at, RedirectURL: a.Redirect, Scopes: p.c.Scopes}
}

// discover asks the provider about itself, and again now and then; meanwhile what
// it said goes on.
func (p *Provider) discover(ctx context.Context) (*found, error) {
	p.mu.Lock()
	if p.found != nil && p.o.Now().Before(p.until) {
		defer p.mu.Unlock()
		return p.found, nil
	}
	q := p.asking
	if q == nil {
		q = &asking{done: make(chan struct{})}
		p.asking = q
		go p.answer(context.WithoutCancel(ctx), q)
	}
	p.mu.Unlock()
	select {
	case <-q.done:
	case <-ctx.Done():
		return nil, p.unreachable(ctx.Err())
	}
	if q.found == nil {
		return nil, p.unreachable(q.err)
	}
	return q.found, nil
}

// answer asks for all who wait, for no longer than the client takes.
func (p *Provider) answer(ctx context.Context, q *asking) {
	f, err := p.ask(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until = p.o.Now().Add(retry); err == nil {
		p.found, p.until = f, p.o.Now().Add(believed)
	}
	q.found, q.err, p.asking = p.found, err, nil
	close(q.done)
}

func (p *Provider) ask(ctx context.Context) (*found, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.o.Client), p.c.Issuer)
	if err != nil {
		return nil, err
	}
	f := &found{Provider: provider}
	if err := provider.Claims(&f.says); err != nil {
		return nil, err
	}
	for _, address := range []string{f.Endpoint().AuthURL, f.Endpoint().TokenURL, f.says.Keys} {
		if err := p.checkAddress(address); err != nil {
			return nil, errors.New("the provider names an address that is not safe: " + err.Error())
		}
	}
	for _, address := range []*string{&f.says.UserInfo, &f.says.Out} {
		if p.checkAddress(*address) != nil {
			*address = ""
		}
	}
	return f, nil
}

// checkAddress refuses what the provider must not name, such as what listens on this
// machine alone, where the provider itself does not.
func (p *Provider) checkAddress(text string) error {
	if strings.HasPrefix(p.c.Issuer, "https://") && !strings.HasPrefix(text, "https://") {
		return errors.New("it has to begin with https://")
	}
	return checkAddress(text)
}

// unreachable is what people read when a provider cannot be asked; the cause is
// for the log.
func (p *Provider) unreachable(cause error) error {
	return &mgx.Error{Kind: mgx.KindProvider, Code: CodeUnreachable, Message: p.c.Title + " cannot be asked who you are right now; try again in a moment, or sign in another way", Err: brief(cause)}
}

// refused is what people read whom the provider, or we, take for nobody.
func (p *Provider) refused(cause error) error {
	return &mgx.Error{Kind: mgx.KindRefused, Code: CodeRefused, Message: "what " + p.c.Title + " says of you cannot be trusted, so you are not signed in; begin again, and if that does not help, tell who runs this server", Err: brief(cause)}
}

// brief is an error without what a provider wrote at length.
func brief(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		status := 0
		if e.Response != nil {
			status = e.Response.StatusCode
		}
		return errors.New("the token endpoint answered " + http.StatusText(status) + " " + word(e.ErrorCode))
	}
	text := err.Error()
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return errors.New(strings.ToValidUTF8(text, "?"))
}

// word is a code of OAuth, and nothing else.
func word(s string) string {
	if len(s) > 60 || strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' }) {
		return "unknown_error"
	}
	return s
}

// bounded is a client that waits for no longer, reads no more and goes nowhere
// else than it should.
func bounded() *http.Client {
	return &http.Client{
		Timeout: askWait, Transport: capped{http.DefaultTransport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type capped struct{ http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	}
	return answer, err
}
