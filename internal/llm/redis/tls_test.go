package redis

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"mgx/internal/llm/redis/redistest"
)

// TestTLS: rediss speaks TLS, with a server whose certificate it knows and with
// no other.
func TestTLS(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	certificates := httptest.NewTLSServer(nil) // for a certificate of 127.0.0.1
	defer certificates.Close()
	front, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close() })
	go func() {
		for {
			conn, err := front.Accept()
			if err != nil {
				return
			}
			go forward(conn, real.Addr)
		}
	}()
	known := x509.NewCertPool()
	known.AddCert(certificates.Certificate())
	for _, c := range []struct {
		roots *x509.CertPool
		works bool
	}{{known, true}, {x509.NewCertPool(), false}} {
		s := open(t, Options{URL: "rediss://" + front.Addr().String() + "/0" + patient, TLS: &tls.Config{RootCAs: c.roots}})
		cache := s.Cache(time.Hour)
		cache.Put(t.Context(), "k", []byte("v"))
		if _, ok := cache.Get(t.Context(), "k"); ok != c.works {
			t.Errorf("a certificate that is known: %v, and it works: %v", c.works, ok)
		}
	}
}

func forward(conn net.Conn, to string) {
	defer conn.Close()
	back, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer back.Close()
	go io.Copy(back, conn)
	io.Copy(conn, back)
}
