package redis

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"mgx"
)

// Options say how Redis is reached. Zero fields take the stated defaults.
type Options struct {
	// URL is redis://user:password@host:port/database?timeout=250ms, or rediss://
	// with TLS. What it leaves out is the default; the time-out is of one exchange,
	// and 100 ms.
	URL   string
	TLS   *tls.Config // default: the system's certificates
	Log   *slog.Logger
	Meter metric.MeterProvider // default: that of the process
}

// Server is a Redis that may be there or not.
type Server struct {
	client    *redis.Client
	timeout   time.Duration
	health    health
	exchanges metric.Int64Counter
	lied      func() // logs that a value was refused, once
	me        string // as one whose turn it is
}

// dialTimeout bounds the making of a connection. It goes on when the exchange
// that asked for it has given up, so that a later one finds it.
const dialTimeout = 5 * time.Second

// Open prepares a connection, which is made when it is needed.
func Open(o Options) (*Server, error) {
	c, timeout, err := parse(o.URL)
	if err != nil {
		// What err says may hold the password.
		return nil, mgx.Errorf(mgx.KindConfig, "bad_redis", "the address of Redis is not one; it must read redis://user:password@host:port/database?timeout=250ms, or rediss:// for TLS")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Meter == nil {
		o.Meter = otel.GetMeterProvider()
	}
	if c.TLSConfig != nil && o.TLS != nil {
		config := o.TLS.Clone()
		config.ServerName = c.TLSConfig.ServerName
		c.TLSConfig = config
	}
	silence()
	settle(c, timeout)
	s := &Server{client: redis.NewClient(c), timeout: timeout, me: rand.Text()}
	s.health = health{log: o.Log.With("redis", c.Addr)}
	s.lied = once(func() {
		o.Log.Warn("Redis holds a value that is not what was kept there; it is ignored", "redis", c.Addr)
	})
	s.exchanges, _ = o.Meter.Meter("mgx/internal/llm/redis").Int64Counter("mgx.llm.redis.exchanges",
		metric.WithDescription("Exchanges with Redis, by what became of them."))
	return s, nil
}

func parse(address string) (*redis.Options, time.Duration, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, 0, err
	}
	timeout := 100 * time.Millisecond
	if text := u.Query().Get("timeout"); text != "" {
		if timeout, err = time.ParseDuration(text); err != nil {
			return nil, 0, err
		}
	}
	u.RawQuery = ""
	c, err := redis.ParseURL(u.String())
	return c, max(timeout, time.Millisecond), err
}

// settle sets what an address has no say in: one owner of retries, which is
// nobody, one of time-outs, and nothing on the wire but what we ask.
func settle(c *redis.Options, timeout time.Duration) {
	c.MaxRetries, c.DialerRetries = -1, 1
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout, c.PoolTimeout = dialTimeout, timeout, timeout, timeout
	c.ContextTimeoutEnabled = true
	c.Protocol = 2
	c.DisableIdentity = true
	c.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c.MinIdleConns, c.PoolSize, c.MaxActiveConns = 0, 16, 16
	c.Dialer = guardedDialer(redis.NewDialer(c))
}

// silence keeps the client, which has one logger for all, from writing to stderr:
// what it would say is in the errors that it returns.
var silence = once(func() { redis.SetLogger(mute{}) })

type mute struct{}

func (mute) Printf(context.Context, string, ...any) {}

// Close closes the connections.
func (s *Server) Close() error { return s.client.Close() }

// Ping asks Redis whether it is there, whatever is thought of it, and says what
// to do when it is not.
func (s *Server) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := s.client.Ping(ctx).Err(); err != nil {
		return mgx.Errorf(mgx.KindConfig, "redis_away", "Redis at %s does not answer (%v); start it, correct --redis, or leave --redis out", s.client.Options().Addr, err)
	}
	return nil
}

var errAway = errors.New("it is left alone for a while")

// exchange does one thing with Redis, if that is thought to be there. It goes on
// when the caller is interrupted, so that what became of it is known: it is
// short.
func (s *Server) exchange(ctx context.Context, operation string, do func(context.Context) error) error {
	ok, probe := s.health.mayTry(time.Now())
	if !ok {
		s.count(ctx, operation, "skipped")
		return errAway
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	err := do(bounded)
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	s.health.tried(time.Now(), probe, err)
	if err != nil {
		s.count(ctx, operation, "failed")
		return fmt.Errorf("redis %s: %w", operation, err)
	}
	s.count(ctx, operation, "ok")
	return nil
}

func (s *Server) count(ctx context.Context, operation, outcome string) {
	if s.exchanges.Enabled(ctx) {
		s.exchanges.Add(ctx, 1, metric.WithAttributes(attribute.String("mgx.operation", operation), attribute.String("mgx.outcome", outcome)))
	}
}
