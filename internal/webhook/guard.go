package webhook

import (
	"errors"
	"net/netip"
	"syscall"

	"mgx"
	"mgx/internal/netguard"
)

// Guard decides which addresses may be called. The zero Guard lets through what
// is public and nothing else. Everything that is not known to be public is
// refused, so an address form that nobody thought of is too.
type Guard struct {
	Allow []netip.Prefix // what the operator allows besides; also over http
}

// errPrivate is what a connection fails with that the guard refuses. It does not
// name the address: that of an inner host is nothing to tell.
var errPrivate = errors.New("the address is not public; whoever runs the server may allow it with --webhook-allow")

// errPlain is the same for http.
var errPlain = errors.New("http is only used for addresses that --webhook-allow names; use https")

// control is a [net.Dialer.Control]: it sees the address that a connection is
// about to be made to, after names were resolved and whatever redirects or
// records were meant to achieve.
func (g Guard) control(plain bool) func(network, address string, _ syscall.RawConn) error {
	return netguard.Control(func(a netip.Addr) error { return g.check(a, plain) })
}

func (g Guard) check(a netip.Addr, plain bool) error {
	a = a.WithZone("").Unmap()
	switch {
	case g.allowed(a):
		return nil
	case netguard.Of(a) != netguard.Public:
		return errPrivate
	case plain:
		return errPlain
	}
	return nil
}

func (g Guard) allowed(a netip.Addr) bool {
	for _, p := range g.Allow {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// refused turns an error of the guard into one for whoever chose the address.
func refused(err error) error {
	return mgx.Errorf(mgx.KindUsage, CodeAddressRefused, "%w", err)
}
