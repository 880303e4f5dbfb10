package main

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mgx/internal/store/pgtest"
)

// fileFuse is a number in a file that a program with testdata/crash over it reads
// at each commit to SQLite.
type fileFuse struct {
	t           testing.TB
	path, place string
}

func (f *fileFuse) server() (place, env string, victim func(*crashServer)) {
	return f.place, "MGX_CRASH=" + f.path, func(*crashServer) {}
}

func (f *fileFuse) light(n int, _ bool) {
	f.t.Helper()
	if n == 0 {
		os.Remove(f.path)
		return
	}
	err := os.WriteFile(f.path+".new", []byte(strconv.Itoa(n)), 0o600)
	if err == nil {
		err = os.Rename(f.path+".new", f.path)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fileFuse) left() int {
	f.t.Helper()
	text, err := os.ReadFile(f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// wireFuse stands between a server and its PostgreSQL, and counts commits.
type wireFuse struct {
	address string
	mu      sync.Mutex
	n       int // until it kills; 0: never
	after   bool
	victim  *crashServer
}

func newWireFuse(t *testing.T, address string) *wireFuse {
	f := &wireFuse{}
	f.address = pgtest.Between(t, address, f.serve)
	return f
}

func (f *wireFuse) server() (place, env string, victim func(*crashServer)) {
	return f.address, "MGX_CRASH=", func(s *crashServer) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.victim = s
	}
}

func (f *wireFuse) light(n int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n, f.after = n, after
}

func (f *wireFuse) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// burn counts a commit, and says whether it is the one.
func (f *wireFuse) burn() (victim *crashServer, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == 0 {
		return nil, false
	}
	if f.n--; f.n > 0 {
		return nil, false
	}
	return f.victim, f.after
}

// serve passes on what is said, up to the commit at which the victim dies.
func (f *wireFuse) serve(client net.Conn, socket string) {
	defer client.Close()
	server, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer server.Close()
	var dead atomic.Pointer[crashServer] // who is not to hear the answer
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if victim := dead.Load(); victim != nil {
				victim.cmd.Process.Kill()
				return
			}
			if err != nil {
				client.Close()
				return
			}
			client.Write(buf[:n])
		}
	}()
	commit, buf := commitOnTheWire(), make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], commit) {
			switch victim, after := f.burn(); {
			case victim != nil && after:
				dead.Store(victim)
				server.Write(buf[:n])
				<-answered
				return
			case victim != nil:
				victim.cmd.Process.Kill()
				return
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// commitOnTheWire is how pgx has a statement carried out that it has prepared under
// the digest of its text.
func commitOnTheWire() []byte {
	sum := sha256.Sum256([]byte("COMMIT"))
	return []byte("\x00stmtcache_" + hex.EncodeToString(sum[:24]) + "\x00")
}

// stay has those who are signed in stay so for a day: to try every moment takes longer
// than an access token lives.
func (c *crashTown) stay(t *testing.T) {
	t.Helper()
	const longer = `UPDATE session_tokens SET expires_at = expires_at + 86400000000`
	if c.cluster != nil {
		c.cluster.SQL(t, c.place, longer)
		return
	}
	db, err := sql.Open("sqlite", c.place)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), longer); err != nil {
		t.Fatal(err)
	}
}

var copiedDatabases atomic.Int64

// copyDatabase is another database with all that is in one, until the test ends.
func copyDatabase(t *testing.T, cluster *pgtest.Cluster, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprint("copy", copiedDatabases.Add(1))
	do := func(statement string) { cluster.SQL(t, cluster.Address("postgres"), statement) }
	do("CREATE DATABASE " + name + " TEMPLATE " + strings.TrimPrefix(u.Path, "/"))
	t.Cleanup(func() { do("DROP DATABASE " + name + " WITH (FORCE)") })
	return cluster.Address(name)
}
