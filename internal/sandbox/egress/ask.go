package egress

import (
	"slices"
	"strings"

	"mgx"
)

// MaxAsked is how many hosts one command may ask for.
const MaxAsked = 10

// ParseAsked reads what a model asks to reach by one command: public hosts, each by
// its whole name. It returns them as they are compared, each once. A person may
// allow more than that, by [ParseRule]; a model may not even ask for it.
func ParseAsked(texts []string) ([]string, error) {
	if len(texts) > MaxAsked {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_asked_host", "at most %d hosts can be asked for at once", MaxAsked)
	}
	var hosts []string
	for _, text := range texts {
		r, why := parseAsked(text)
		if why != "" {
			return nil, mgx.Errorf(mgx.KindUsage, "bad_asked_host", "%s cannot be asked for: %s", shownHost(text), why)
		}
		if host := r.String(); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts, nil
}

func parseAsked(text string) (r Rule, why string) {
	switch {
	case strings.Contains(text, privateMark):
		return r, "only public hosts can be"
	case strings.ContainsAny(text, "*?"):
		return r, "name each host in full"
	}
	r, err := ParseRule(text)
	switch {
	case err != nil:
		return r, "it must read HOST:PORT, with a public host, such as registry.npmjs.org:443"
	case r.Inside():
		return r, "names like this belong to a private network, and only public hosts can be"
	}
	return r, ""
}

// private are the domains that name servers of a site, or of this machine: RFC 6762,
// RFC 6761, RFC 8375, and .internal, which ICANN reserved, and clouds use for metadata.
var private = []string{"local", "localhost", "localdomain", "home.arpa", "internal", "intranet", "lan", "corp", "home"}

// Inside reports whether a rule allows names that only a site knows, which only who
// runs it should allow.
func (r Rule) Inside() bool { return !isAddress(r.Host) && inside(r.Host) }

// inside reports whether a name is one that only a site knows: then an own proxy,
// which resolves names itself, could lead there.
func inside(host string) bool {
	return !strings.Contains(host, ".") || slices.ContainsFunc(private, func(d string) bool { return strings.HasSuffix(host, "."+d) })
}

func shownHost(text string) string {
	if len(text) > 100 {
		text = text[:100]
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text), "")
}

// Has reports whether a host may be reached at a port.
func (l *List) Has(host string, port int) bool {
	allowed, _ := l.find(host, port)
	return allowed
}

// Beyond returns those hosts, as [ParseAsked] gives them, that are not on the list.
func (l *List) Beyond(hosts []string) []string {
	var beyond []string
	for _, text := range hosts {
		if r, err := ParseRule(text); err != nil || !l.Has(r.Host, r.Port) {
			beyond = append(beyond, text)
		}
	}
	return beyond
}
