package nats_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/nats"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for given, shown := range map[string]string{
		"nats://n:4222": "nats://n:4222",
		"nats://me:hunter22@n, nats://me:hunter22@m:4223": "nats://n,nats://m:4223",
		"tls://hunter22@n": "tls://n",
	} {
		if s, err := nats.New(given, slog.New(slog.DiscardHandler)); err != nil || s.String() != shown {
			t.Errorf("%s: got %v %v", given, s, err)
		}
	}
	for _, given := range []string{
		"", "nats://", "n:4222", "ws://hunter22@n", "nats://me:hunter22@a b", "nats://n,", "nats://n,tls://hunter22@n", strings.Repeat("nats://n,", 16) + "nats://n",
	} {
		if _, err := nats.New(given, nil); !mgx.IsCode(err, "bad_nats") || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: got %v", given, err)
		}
	}
}

// A server that repeats what it was given, at length and with escapes, is quoted
// without them.
func TestServerThatTells(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "INFO {\"server_id\":\"x\",\"version\":\"2.12.0\",\"proto\":1,\"max_payload\":1048576}\r\n")
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, "-ERR 'no\x1b[31m hunter22 here"+strings.Repeat("x", 2000)+"'\r\n")
		io.Copy(io.Discard, conn)
	}()
	s, err := nats.New("nats://me:hunter22@"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	said := s.Try(t.Context()).Error()
	if !strings.Contains(said, "no [31m xxxxx here") || strings.Contains(said, "hunter22") || len(said) > 500 {
		t.Errorf("said %q", said)
	}
}

// Without a server a line is there at once, tells nobody, and says why, without
// the token, to whoever asks and once to the log.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s, err := nats.New("nats://hunter22@127.0.0.1:1", slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		l := s.Join("epoch_x", func(store.Hint) {})
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		trouble := l.Trouble()
		if l.Tell(store.Grown) || !mgx.IsCode(trouble, nats.CodeUnavailable) {
			t.Errorf("got %v", trouble)
		}
		l.Close()
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("logged %d lines:\n%s", n, log.String())
		}
		for _, said := range []error{trouble, s.Try(t.Context()), errors.New(log.String())} {
			if strings.Contains(said.Error(), "hunter22") || !strings.Contains(said.Error(), "nats://127.0.0.1:1") {
				t.Errorf("said %v", said)
			}
		}
	})
}
