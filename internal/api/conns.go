package api

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/limit"
)

// ConnLimits bound the connections of a listener. What is zero has no limit.
type ConnLimits struct {
	Most    int // that are open at a time
	Address int // of them, those of one network address whose requests have not said who makes them
	// Spared are networks to which Address does not apply: those of proxies, through
	// which everybody comes.
	Spared []netip.Prefix
	// Full is told, at most once a minute, that connections are refused, of all or of an
	// address; nil: nobody is.
	Full func(of string)
}

const (
	// spareConns are accepted beyond the most, so that what is asked there is told why it
	// is not answered, and how the server is can still be asked.
	spareConns = 16
	fullSaid   = time.Minute // between two times that somebody is told
)

// Bound returns a listener whose connections are bounded: one that is beyond a bound is
// closed at once.
func Bound(l *net.TCPListener, limits ConnLimits) net.Listener {
	return &bounded{TCPListener: l, limits: limits}
}

type bounded struct {
	*net.TCPListener
	limits ConnLimits
	shares limit.Shares // by address

	mu   sync.Mutex
	open int
	said time.Time
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if took := b.take(c); took != nil {
			return took, nil
		}
		c.SetLinger(0) // nothing of it is to be kept
		c.Close()
	}
}

// take counts a connection; nil: there is no room for it.
func (b *bounded) take(c *net.TCPConn) *conn {
	leave, full := b.shares.Take(b.share(c))
	if full != nil {
		b.say(full.Owner)
		return nil
	}
	b.mu.Lock()
	room, spare := b.limits.Most <= 0 || b.open < b.limits.Most+spareConns, b.limits.Most > 0 && b.open >= b.limits.Most
	if room {
		b.open++
	}
	b.mu.Unlock()
	if !room {
		leave()
		b.say("all")
		return nil
	}
	return &conn{TCPConn: c, of: b, known: sync.OnceFunc(leave), spare: spare}
}

func (b *bounded) share(c *net.TCPConn) limit.Share {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	ip := at.Addr().Unmap()
	if err != nil || slices.ContainsFunc(b.limits.Spared, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return limit.Share{}
	}
	return limit.Share{Owner: access.Network(ip.String()), Most: b.limits.Address}
}

func (b *bounded) say(of string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); b.limits.Full != nil && now.Sub(b.said) >= fullSaid {
		b.said = now
		b.limits.Full(of)
	}
}

// beyond reports whether more are open than there is room for.
func (b *bounded) beyond() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limits.Most > 0 && b.open > b.limits.Most
}

// conn is a connection that is counted until it is closed, and among those of its
// address until it is known whose it is.
type conn struct {
	*net.TCPConn
	of     *bounded
	known  func()
	spare  bool // there was no room for it when it came
	closed sync.Once
}

func (c *conn) Close() error {
	c.closed.Do(func() {
		c.known()
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.of.open--
	})
	return c.TCPConn.Close()
}

// lasting is a listener whose server goes on after any error but that it was closed:
// what one connection could not have, such as a file, the next one may. Commands in a
// sandbox can use up what the kernel counts for our user (epoll), and must not end us.
type lasting struct{ net.Listener }

func (l lasting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		err = passing{err}
	}
	return c, err
}

// passing is an error after which [http.Server] waits a little and tries again.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }
func (passing) Timeout() bool   { return false }
func (passing) Temporary() bool { return true }

type connKey struct{}

// onConn has requests know the connection that they come by.
func onConn(ctx context.Context, c net.Conn) context.Context {
	if secure, is := c.(*tls.Conn); is {
		c = secure.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// Known says that whoever makes a request is known: its connection counts among those of
// its address no longer.
func Known(ctx context.Context) {
	if c, counted := ctx.Value(connKey{}).(*conn); counted {
		c.known()
	}
}

// spared answers, of what comes by connections beyond those that there is room for, how
// the server is, and nothing else.
func (s *Server) spared(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, counted := r.Context().Value(connKey{}).(*conn)
		if !counted || !c.spare || !c.of.beyond() {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		if r.URL.Path == "/health" || strings.HasPrefix(r.URL.Path, "/health/") {
			next.ServeHTTP(w, r)
			return
		}
		s.fail(answerOf(w), r, mgx.Errorf(mgx.KindConfig, limit.CodeOverloaded, "as many connections are open as the server takes; try again in a moment"))
	})
}
