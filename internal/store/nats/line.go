package nats

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"mgx/internal/store"
)

// Bounds of what waits to be heard. More is dropped: what waits says the same.
const (
	maxHeard      = 64
	maxHeardBytes = 64 << 10
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// line is one store's part: one connection after the other.
type line struct {
	server   *Server
	subjects map[store.Hint]string
	hear     func(store.Hint)

	conn    atomic.Pointer[nats.Conn]
	trouble atomic.Pointer[error] // nil: none
	stop    context.CancelFunc
	ended   chan struct{}
}

// Join is [store.Waker.Join].
func (s *Server) Join(epoch string, hear func(store.Hint)) store.Line {
	ctx, stop := context.WithCancel(context.Background())
	l := &line{server: s, hear: hear, stop: stop, ended: make(chan struct{})}
	l.subjects = subjectsOf(epoch)
	first := s.explain(errors.New("the first connection is being made"))
	l.trouble.Store(&first)
	go l.run(ctx)
	return l
}

func subjectsOf(epoch string) map[store.Hint]string {
	return map[store.Hint]string{store.Grown: "mgx." + epoch + ".grown", store.Unnumbered: "mgx." + epoch + ".unnumbered"}
}

func (l *line) Tell(h store.Hint) bool {
	conn, subject := l.conn.Load(), l.subjects[h]
	return conn != nil && subject != "" && l.Trouble() == nil && conn.Publish(subject, nil) == nil
}

func (l *line) Trouble() error {
	if t := l.trouble.Load(); t != nil {
		return *t
	}
	return nil
}

func (l *line) Close() {
	l.stop()
	<-l.ended
}

// run keeps a connection, and says when that fails and when it is over.
func (l *line) run(ctx context.Context) {
	defer close(l.ended)
	failures, said := 0, false
	for {
		err := l.connection(ctx, func() {
			if said {
				l.server.log.Info("NATS is back and carries wake-ups again", "server", l.server.name)
			}
			failures, said = 0, false
		})
		if ctx.Err() != nil {
			return
		}
		trouble := l.server.explain(err)
		l.trouble.Store(&trouble)
		l.hear(store.Missed)
		if failures++; !said {
			said = true
			l.server.log.Warn("wake-ups go through PostgreSQL until NATS can be reached", "error", trouble)
		}
		select {
		case <-time.After(pause(failures)):
		case <-ctx.Done():
			return
		}
	}
}

// pause grows with the failures in a row, and is anything from half of that to all.
func pause(failures int) time.Duration {
	most := longestPause
	if failures < 7 {
		most = min(most, firstPause<<(failures-1))
	}
	return most/2 + rand.N(most/2)
}

// connection is one connection from its beginning to its end; began is called
// when others can be heard.
func (l *line) connection(ctx context.Context, began func()) error {
	closed, refused := make(chan struct{}), make(chan error, 1)
	conn, err := l.server.connect(ctx, func(err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			select {
			case refused <- err:
			default:
			}
		}
	}, func() { close(closed) })
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := converse(conn, l.subjects, l.hear); err != nil {
		return err
	}
	l.conn.Store(conn)
	defer l.conn.Store(nil)
	began()
	l.trouble.Store(nil)
	l.hear(store.Missed)
	select {
	case <-closed:
		return orBroken(conn.LastError())
	case err := <-refused:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// converse begins to hear, and says something too: whoever was not to be heard for
// a while may have failed others. So what is not allowed shows at once.
func converse(conn *nats.Conn, subjects map[store.Hint]string, hear func(store.Hint)) error {
	for hint, subject := range subjects {
		sub, err := conn.Subscribe(subject, func(*nats.Msg) { hear(hint) })
		if err == nil {
			err = sub.SetPendingLimits(maxHeard, maxHeardBytes)
		}
		if err == nil {
			err = conn.Publish(subject, nil)
		}
		if err != nil {
			return err
		}
	}
	if err := conn.FlushTimeout(connectWait); err != nil {
		return err
	}
	if err := conn.LastError(); errors.Is(err, nats.ErrPermissionViolation) {
		return err
	}
	return nil
}

func orBroken(err error) error {
	if err == nil {
		return errors.New("the connection broke")
	}
	return err
}
