package access

import (
	"context"
	"net/url"
	"time"

	"mgx"
)

// Provider is somebody else who says who people are, by OpenID Connect; package
// oidc in this folder is one. It keeps nothing of an attempt.
type Provider interface {
	// Name is a word for paths and the log; Title is for people; Issuer is the
	// address that its claims are of.
	Name() string
	Title() string
	Issuer() string
	// Begin returns the address at which a person signs in.
	Begin(context.Context, Attempt) (string, error)
	// Finish returns who somebody is who came back with what the provider added to
	// the address. An error of kind refused: the provider, or this server, does not
	// say that they are anybody; another: it could not be asked.
	Finish(context.Context, Attempt, url.Values) (Claims, error)
	// SignedOut reads what a provider sends when somebody signed out there.
	SignedOut(ctx context.Context, token string) (LoggedOut, error)
	// Out is where a person signs out at the provider itself and comes back from;
	// empty: it offers none.
	Out(ctx context.Context, back string) string
}

// Attempt is one sign-in at a provider. All but Redirect are secrets of the browser
// in which it began.
type Attempt struct {
	Redirect string // where the provider sends the person back to
	State    string
	Nonce    string
	Verifier string // of PKCE
}

// Claims are what a provider says of a person, once all of it was verified.
type Claims struct {
	Issuer  string
	Subject string
	Session string // as the issuer calls it; empty: it does not say
	Email   string // in the form in which it is kept; empty: none that the provider has verified
	Name    string
	Grants  []mgx.Grant // what their groups give, by the configuration
	New     bool        // an account may be made for them
}

// LoggedOut is who signed out at a provider: a session, or all of a subject.
type LoggedOut struct {
	Issuer  string
	Subject string
	Session string
	Until   time.Time // what begins later is not meant, however often this is said
}
