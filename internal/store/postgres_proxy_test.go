package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"sync/atomic"
	"testing"

	"mgx/internal/store/pgtest"
)

// proxy stands between a store and its server, and cuts a connection at a commit.
type proxy struct {
	before atomic.Int32
	after  atomic.Int32
	cut    atomic.Int32 // how often it did
}

// commitBytes are what is sent when the commit that pgx has prepared is carried
// out: an unnamed portal for the statement that is named by its text's digest.
func commitBytes() []byte {
	sum := sha256.Sum256([]byte("COMMIT"))
	return []byte("\x00stmtcache_" + hex.EncodeToString(sum[:24]) + "\x00")
}

// throughProxy returns an address that leads to the same database.
func throughProxy(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	p := &proxy{}
	return p, pgtest.Between(t, address, p.serve)
}

func (p *proxy) serve(client net.Conn, socket string) {
	defer client.Close()
	server, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer server.Close()
	var mute atomic.Bool
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || mute.Load() {
				return
			}
			client.Write(buf[:n])
		}
	}()
	sign, buf := commitBytes(), make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], sign) {
			if once(&p.before) {
				p.cut.Add(1)
				return
			}
			if once(&p.after) {
				p.cut.Add(1)
				mute.Store(true)
				server.Write(buf[:n])
				<-answered
				return
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

func once(n *atomic.Int32) bool {
	for {
		v := n.Load()
		if v == 0 {
			return false
		}
		if n.CompareAndSwap(v, v-1) {
			return true
		}
	}
}
