package netguard_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"mgx/internal/netguard"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for class, list := range map[netguard.Class][]string{
		netguard.Public: {
			"1.1.1.1", "93.184.215.14", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "223.255.255.255", "198.17.255.255", "198.20.0.0",
			"2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
		},
		netguard.Private: {
			"10.0.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "127.0.0.1", "127.9.9.9", "::1", "fd12::1", "fc00::1", "fd12::1%eth0",
			"::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1",
			"198.18.0.1", "198.19.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.255", "::ffff:203.0.113.1",
		},
		netguard.Never: {
			"0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "168.63.129.16", "192.0.0.192", "100.100.100.200", "192.31.196.1",
			"224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254", "2001:db8::1", "100::1",
			"::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::100.100.100.200", "64:ff9b::0.0.0.0", "64:ff9b:1::10.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1",
			"2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:a00:1::",
		},
	} {
		for _, text := range list {
			if got := netguard.Of(netip.MustParseAddr(text)); got != class {
				t.Errorf("%s is %d, not %d", text, got, class)
			}
		}
	}
	if netguard.Of(netip.Addr{}) != netguard.Never {
		t.Error("no address at all may be called")
	}
}

// However an IPv4 address is written as one of IPv6, it is never more than what
// it is.
func TestNoFormOpensMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		plain := netguard.Of(netip.AddrFrom4(b))
		for _, prefix := range [][12]byte{
			{}, {10: 0xff, 11: 0xff}, {8: 0xff, 9: 0xff}, {0: 0, 1: 0x64, 2: 0xff, 3: 0x9b}, {0: 0, 1: 0x64, 2: 0xff, 3: 0x9b, 4: 0, 5: 1},
		} {
			var a [16]byte
			copy(a[:], prefix[:])
			copy(a[12:], b[:])
			if got := netguard.Of(netip.AddrFrom16(a)); got > plain && netip.AddrFrom16(a) != netip.IPv6Loopback() {
				t.Fatalf("%s is %d, and %s is %d", netip.AddrFrom16(a), got, netip.AddrFrom4(b), plain)
			}
		}
	})
}
