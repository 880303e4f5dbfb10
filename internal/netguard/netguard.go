// Package netguard sorts addresses by who may be called there: anybody, those who
// were allowed to look inside of a network, or nobody.
//
// Everything that is not known to be public is not, so an address form that
// nobody thought of is refused too. The caller asks where a connection is about
// to be made, in [net.Dialer.Control], after names were resolved: what a name led
// to a moment ago says nothing.
package netguard

import (
	"net/netip"
	"syscall"
)

// Class is who may be called at an address. The zero Class is nobody.
type Class int

const (
	// Never is what no rule opens: metadata of clouds, link-local, multicast,
	// unspecified and reserved addresses, and forms that wrap others.
	Never Class = iota
	// Private is loopback, the networks that sites use inside, and those that nobody
	// has outside: for tests and books, they are what proxies of laptops, which answer
	// for every name with an address of their own, make addresses from.
	Private
	// Public is the internet.
	Public
)

// Of sorts an address. What is mapped or translated is sorted by what it stands
// for.
func Of(a netip.Addr) Class {
	a = a.WithZone("").Unmap()
	switch {
	case !a.IsValid(), in(a, metadata):
		return Never
	case in(a, private):
		return Private
	case nat64.Contains(a):
		b := a.As16()
		return Of(netip.AddrFrom4([4]byte(b[12:])))
	case a.Is4() && !in(a, special4), a.Is6() && global6.Contains(a) && !in(a, special6):
		return Public
	}
	return Never
}

// Control is a [net.Dialer.Control] that asks check about the address that a
// connection is about to be made to, whatever redirects or records were meant to
// achieve.
func Control(check func(netip.Addr) error) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return check(netip.Addr{})
		}
		return check(to.Addr())
	}
}

func in(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// nat64 is the well-known prefix of IPv4 addresses seen from IPv6: RFC 6052.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// global6 is all of IPv6 that is routed.
var global6 = netip.MustParsePrefix("2000::/3")

// metadata are where clouds tell their machines secrets, within ranges that are
// private otherwise.
var metadata = prefixes("100.100.100.200/32", "fd00:ec2::/32", "fd20:ce::/32")

var private = prefixes(
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", // of sites
	"100.64.0.0/10",          // carrier-grade NAT, and networks laid over others
	"127.0.0.0/8", "::1/128", // this machine
	"198.18.0.0/15",                                     // benchmarks
	"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", // documentation
)

// special4 is what IANA takes from the public addresses of IPv4.
// https://www.iana.org/assignments/iana-ipv4-special-registry
var special4 = prefixes(
	"0.0.0.0/8",        // this network
	"168.63.129.16/32", // a cloud's wire server
	"169.254.0.0/16",   // link-local; clouds' metadata
	"192.0.0.0/24",     // protocol assignments; a cloud's metadata
	"192.31.196.0/24",  // AS112
	"192.52.193.0/24",  // AMT
	"192.88.99.0/24",   // 6to4 relays
	"192.175.48.0/24",  // AS112
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, broadcast
)

// special6 is the same of IPv6.
// https://www.iana.org/assignments/iana-ipv6-special-registry
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
