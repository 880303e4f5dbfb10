package webhook

import (
	"errors"
	"net/netip"
	"syscall"

	"mgx"
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
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return errPrivate
		}
		return g.check(to.Addr(), plain)
	}
}

func (g Guard) check(a netip.Addr, plain bool) error {
	a = a.WithZone("").Unmap()
	switch {
	case g.allowed(a):
		return nil
	case !public(a):
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

// nat64 is the well-known prefix of IPv4 addresses seen from IPv6: RFC 6052.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// public reports whether an address is one of the public internet. Of IPv4 it
// takes away what IANA lists as special; of IPv6 it takes global unicast alone,
// without what is special there.
//   - https://www.iana.org/assignments/iana-ipv4-special-registry
//   - https://www.iana.org/assignments/iana-ipv6-special-registry
func public(a netip.Addr) bool {
	a = a.Unmap()
	switch {
	case !a.IsValid():
		return false
	case a.Is4():
		return !within(a, special4)
	case nat64.Contains(a):
		b := a.As16()
		return public(netip.AddrFrom4([4]byte(b[12:])))
	}
	return global6.Contains(a) && !within(a, special6)
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

var global6 = netip.MustParsePrefix("2000::/3")

var special4 = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // carrier-grade NAT; also a cloud's metadata
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // a cloud's wire server
	"169.254.0.0/16",   // link-local; clouds' metadata
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocol assignments; a cloud's metadata
	"192.0.2.0/24",     // documentation
	"192.31.196.0/24",  // AS112
	"192.52.193.0/24",  // AMT
	"192.88.99.0/24",   // 6to4 relays
	"192.168.0.0/16",   // private
	"192.175.48.0/24",  // AS112
	"198.18.0.0/15",    // benchmarks
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, broadcast
)

var special6 = prefixes(
	"2001::/23",     // protocol assignments: Teredo, ORCHID, benchmarks
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4: any IPv4 address, private ones too
	"2620:4f:8000::/48",
	"3fff::/20", // documentation
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// refused turns an error of the guard into one for whoever chose the address.
func refused(err error) error {
	return mgx.Errorf(mgx.KindUsage, CodeAddressRefused, "%w", err)
}
