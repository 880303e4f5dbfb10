package policy

import (
	"net/netip"
	"slices"
	"strings"
)

// A glob has * for any run of characters within a part, ? for one of them, and,
// in paths, ** for any number of whole parts. Matching takes time in proportion
// to the product of the lengths, whatever the glob.

func anyGlob(globs []string, s string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { return glob(g, s) })
}

// glob matches within one part.
func glob(pattern, s string) bool {
	p, r := []rune(pattern), []rune(s)
	at, star, mark := 0, -1, 0
	for i := 0; i < len(r); {
		switch {
		case at < len(p) && p[at] == '*':
			star, mark = at, i
			at++
		case at < len(p) && (p[at] == '?' || p[at] == r[i]):
			at++
			i++
		case star >= 0:
			mark++
			at, i = star+1, mark
		default:
			return false
		}
	}
	for at < len(p) && p[at] == '*' {
		at++
	}
	return at == len(p)
}

// pathGlob reports whether a path, or a directory above it, matches.
func pathGlob(pattern, p string) bool {
	want, have := strings.Split(strings.TrimSuffix(pattern, "/"), "/"), strings.Split(p, "/")
	if p == "." {
		have = nil
	}
	// reach[i] says whether the pattern up to here can stand for have[:i].
	reach := make([]bool, len(have)+1)
	reach[0] = true
	for _, part := range want {
		next := make([]bool, len(have)+1)
		for i := range reach {
			switch {
			case part == "**":
				next[i] = reach[i] || i > 0 && next[i-1]
			case reach[i] && i < len(have) && glob(part, have[i]):
				next[i+1] = true
			}
		}
		reach = next
	}
	return slices.Contains(reach, true)
}

// hostGlob matches HOST:PORT, or HOST with any port. Hosts do not care for case,
// nor for the dot that may end a name.
func hostGlob(pattern, host string) bool {
	name, port, ok := cutPort(strings.ToLower(host))
	name = strings.TrimSuffix(name, ".")
	if ok && hasPort(pattern) {
		name += ":" + port
	}
	return glob(strings.TrimSuffix(strings.Replace(strings.ToLower(pattern), ".:", ":", 1), "."), name)
}

func hasPort(s string) bool {
	_, _, ok := cutPort(s)
	return ok
}

// mayHostGlob reports whether a host that is named by its address may be one that a
// pattern has the name of.
func mayHostGlob(pattern, host string) bool {
	name, port, _ := cutPort(host)
	wantName, wantPort, given := cutPort(pattern)
	return isAddress(name) && !isAddress(wantName) && (!given || glob(wantPort, port))
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// cutPort parts HOST:PORT; an address of version 6 stands in brackets there.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.Contains(s[:i], ":") && !strings.HasSuffix(s[:i], "]") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
