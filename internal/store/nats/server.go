package nats

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"

	"mgx"
	"mgx/internal/store"
)

// Codes of errors. Kind config.
const (
	CodeUnavailable = "nats_unavailable" // it cannot be reached, or went away
	CodeRefused     = "nats_refused"     // it does not let us in, or not do what is needed
)

const (
	maxServers  = 16
	connectWait = 2 * time.Second // for a connection to one server, and for its answers
	pingEvery   = 2 * time.Second // two that are not answered end a connection
	unanswered  = 2
	writeWait   = time.Second
	maxError    = 300 // bytes of an error that are shown
)

// Server is a NATS server, or a cluster of them, by its addresses.
type Server struct {
	urls    []string
	secrets []string
	name    string
	log     *slog.Logger
}

// New takes addresses with commas between, all nats:// or all tls://, which
// insists on TLS. It connects to nobody.
func New(addresses string, log *slog.Logger) (*Server, error) {
	s := &Server{log: log}
	var names, schemes []string
	for text := range strings.SplitSeq(addresses, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" {
			return nil, mgx.Errorf(mgx.KindConfig, "bad_nats", "the address of NATS cannot be used; it must read nats://user:password@host:port, or tls:// for the same")
		}
		s.urls = append(s.urls, u.String())
		names, schemes = append(names, (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()), append(schemes, u.Scheme)
		s.secrets = append(s.secrets, secretsOf(u)...)
	}
	if len(slices.Compact(schemes)) > 1 || len(s.urls) > maxServers {
		return nil, mgx.Errorf(mgx.KindConfig, "bad_nats", "the addresses of NATS must be at most %d, all nats:// or all tls://", maxServers)
	}
	s.name = strings.Join(names, ",")
	return s, nil
}

// secretsOf are what no error may repeat. A user without a password is a token.
func secretsOf(u *url.URL) []string {
	if password, with := u.User.Password(); with {
		return []string{password}
	}
	return []string{u.User.Username()}
}

// String is the addresses without what gives access.
func (s *Server) String() string { return s.name }

// Try makes a connection, and tries on subjects of nobody's what is needed.
func (s *Server) Try(ctx context.Context) error {
	conn, err := s.connect(ctx, func(error) {}, func() {})
	if err == nil {
		defer conn.Close()
		err = converse(conn, subjectsOf("try"), func(store.Hint) {})
	}
	return s.explain(err)
}

// connect makes one connection, which ends with ctx and is not made again by
// itself. failed hears of what does not end it, closed is called at its end.
func (s *Server) connect(ctx context.Context, failed func(error), closed func()) (*nats.Conn, error) {
	return nats.Connect(strings.Join(s.urls, ","),
		nats.Name("mgx"),
		nats.NoReconnect(),
		nats.NoEcho(),
		nats.IgnoreDiscoveredServers(), // whoever wants more of them names them
		nats.Timeout(connectWait),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(unanswered),
		nats.FlusherTimeout(writeWait),
		nats.SetCustomDialer(dialer{ctx}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { failed(err) }),
		nats.ClosedHandler(func(*nats.Conn) { closed() }),
	)
}

// dialer makes connections that end with a context, whoever waits for them.
type dialer struct{ ctx context.Context }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: connectWait}).DialContext(d.ctx, network, address)
	if err == nil {
		context.AfterFunc(d.ctx, func() { conn.Close() })
	}
	return conn, err
}

// explain turns an error into one that says what to do.
func (s *Server) explain(err error) error {
	if err == nil {
		return nil
	}
	code, sentence := CodeUnavailable, "NATS at %s cannot be reached; check the server and the network (%s)"
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		code, sentence = CodeRefused, "NATS at %s does not let its user publish and subscribe to mgx.>; allow it (%s)"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		code, sentence = CodeRefused, "NATS at %s does not let MGX in; check the user and password, or the token (%s)"
	}
	return mgx.Errorf(mgx.KindConfig, code, sentence, s.name, s.harmless(err))
}

// harmless is an error's text without secrets, on one line and not long.
func (s *Server) harmless(err error) string {
	text := err.Error()
	for _, secret := range s.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "xxxxx")
		}
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }), " ")
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "…"
	}
	return text
}

var _ store.Waker = (*Server)(nil)
