package egress

import (
	"net/netip"
	"strconv"
	"strings"
)

// normal returns the one form in which hosts are compared: a name in lower case
// without the dot at its end, or an address as it is usually written. Everything
// that some resolver might read as an address, and is not written like one, is
// refused: 2130706433, 0x7f.1, 0177.0.0.1 and what is mapped into IPv6.
func normal(host string) (name string, ok bool) {
	if inner, found := strings.CutPrefix(host, "["); found {
		inner, closed := strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		if !closed || err != nil || !a.Is6() || a.Zone() != "" || a.Is4In6() {
			return "", false
		}
		return a.String(), true
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 {
		return "", false
	}
	labels := strings.Split(strings.ToLower(host), ".")
	for _, l := range labels {
		if !label(l) {
			return "", false
		}
	}
	if number(labels[len(labels)-1]) {
		a, err := netip.ParseAddr(host)
		return a.String(), err == nil && a.Is4()
	}
	return strings.Join(labels, "."), true
}

// label is of a name in ASCII, to which clients turn others.
func label(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		if c := l[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// number reports whether a name with this as its last label is an address in
// some notation: https://url.spec.whatwg.org/#ends-in-a-number-checker
func number(l string) bool {
	digits := "0123456789"
	if hex, found := strings.CutPrefix(l, "0x"); found {
		l, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(l, digits) == ""
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// split takes host and port apart; without a port it is 0.
func split(authority string) (host string, port int, ok bool) {
	host, text := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		host, text = authority[:i], authority[i+1:]
		if port, ok = portNumber(text); !ok {
			return "", 0, false
		}
	}
	host, ok = normal(host)
	return host, port, ok
}

func portNumber(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil && n > 0 && text[0] != '0' && text[0] != '+'
}

// join is host and port as people write them.
func join(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}
