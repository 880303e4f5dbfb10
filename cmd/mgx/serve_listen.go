package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"

	"github.com/spf13/pflag"

	"mgx"
	"mgx/internal/api"
)

// listening is where a server listens, and how it is reached.
type listening struct {
	address   string
	cert, key string   // files of TLS; empty: none
	proxies   []string // networks of the proxies in front
	hosts     []string // names by which it is asked for
	oidc      string   // file of the OpenID providers; empty: none
	origins   []string // of pages elsewhere that may use the server
}

func (l *listening) flags(f *pflag.FlagSet) {
	f.StringVar(&l.address, "listen", defaultListen, "`address` with port; port 0: any. Beyond the loopback interface it takes TLS or a proxy")
	f.StringVar(&l.cert, "tls-cert", "", "`file` of the certificate, with its chain, in PEM; --tls-key has its key")
	f.StringVar(&l.key, "tls-key", "", "`file` of the certificate's private key in PEM")
	f.StringSliceVar(&l.proxies, "behind-proxy", nil, "`network` of the proxies that all requests come through and that do TLS, such as 10.0.0.0/8; what they say in X-Forwarded-For counts")
	f.StringSliceVar(&l.hosts, "host", nil, "host `name` by which the server is asked for, besides those of its certificate")
	f.StringSliceVar(&l.origins, "cors-origin", nil, "`origin` whose pages may use the API with a token, such as https://app.example.com; may be given several times. Without it, none but the server's own")
	f.StringVar(&l.oidc, "oidc", "", "`file` of the OpenID providers at which people may sign in, see docs/access.md")
}

// fill takes what was not typed from the environment.
func (l *listening) fill(f *pflag.FlagSet, getenv func(string) string) error {
	for flag, name := range map[string]string{"listen": "MGX_LISTEN", "tls-cert": "MGX_TLS_CERT", "tls-key": "MGX_TLS_KEY", "behind-proxy": "MGX_BEHIND_PROXY", "host": "MGX_HOST", "oidc": "MGX_OIDC", "cors-origin": "MGX_CORS_ORIGIN"} {
		if v := getenv(name); v != "" && !f.Changed(flag) {
			if err := f.Set(flag, v); err != nil {
				return usage("bad_setting", "%s: %s", name, err)
			}
		}
	}
	return nil
}

// pages are the origins of pages elsewhere that may use the server.
func (l *listening) pages() (all []string, err error) {
	for _, text := range l.origins {
		origin, err := api.Origin(text)
		if err != nil {
			return nil, usage("bad_origin", "--cors-origin: %s", err)
		}
		all = append(all, origin)
	}
	return all, nil
}

// open listens. Where others can reach it, it refuses to without TLS, its own or
// a proxy's: keys and tokens would be there for all to read.
func (l *listening) open(ctx context.Context, limits api.ConnLimits) (net.Listener, error) {
	host, _, err := net.SplitHostPort(l.address)
	if err != nil {
		return nil, usage("bad_listen", "--listen takes an address and a port, such as %s, not %q", defaultListen, l.address)
	}
	secure, err := l.tls()
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		switch {
		case secure == nil && len(l.proxies) == 0:
			return nil, mgx.Errorf(mgx.KindConfig, "insecure_listen", "others could read what is sent to %s: give it a certificate with --tls-cert and --tls-key, name the proxy in front that has one with --behind-proxy, or listen on this machine only, such as --listen %s", l.address, defaultListen)
		case len(l.hosts) == 0 && secure == nil:
			return nil, mgx.Errorf(mgx.KindConfig, "no_host", "say by which name the server is asked for, with --host, such as --host mgx.example.com")
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.address)
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, "cannot_listen", "cannot listen on %s; stop what is there, or choose another address with --listen: %w", l.address, err)
	}
	listener = api.Bound(listener.(*net.TCPListener), limits)
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	return listener, nil
}

// tls reads the certificate, whose names the server answers to.
func (l *listening) tls() (*tls.Config, error) {
	if l.cert == "" && l.key == "" {
		return nil, nil
	}
	if l.cert == "" || l.key == "" {
		return nil, mgx.Errorf(mgx.KindConfig, "bad_certificate", "a certificate takes its key: give both --tls-cert and --tls-key")
	}
	pair, err := tls.LoadX509KeyPair(l.cert, l.key)
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, "bad_certificate", "--tls-cert and --tls-key do not go together as PEM files: %w", err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, "bad_certificate", "the certificate cannot be read: %w", err)
	}
	l.hosts = append(l.hosts, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		l.hosts = append(l.hosts, ip.String())
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}, nil
}

// networks are those of the proxies.
func (l *listening) networks() ([]netip.Prefix, error) {
	all := make([]netip.Prefix, len(l.proxies))
	for i, text := range l.proxies {
		p, err := netip.ParsePrefix(text)
		if one, bare := netip.ParseAddr(text); bare == nil {
			p, err = netip.PrefixFrom(one, one.BitLen()), nil
		}
		if err != nil || p.Bits() == 0 {
			return nil, usage("bad_proxy", "--behind-proxy takes an address or a network such as 10.0.0.0/8, and not all of them; got %q", text)
		}
		all[i] = p.Masked()
	}
	return all, nil
}

// secure reports whether browsers reach the server over TLS, its own or a proxy's.
func (l *listening) secure() bool { return l.cert != "" || len(l.proxies) > 0 }

// url is where the server is.
func (l *listening) url(at net.Addr) string {
	scheme := "http"
	if l.cert != "" {
		scheme = "https"
	}
	address := at.String()
	if host, port, err := net.SplitHostPort(address); err == nil && len(l.hosts) > 0 && (l.cert != "" || net.ParseIP(host).IsUnspecified()) {
		if i := slices.IndexFunc(l.hosts, func(h string) bool { return h[0] != '*' }); i >= 0 {
			address = net.JoinHostPort(l.hosts[i], port)
		}
	}
	return scheme + "://" + address
}
