package egress

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	"mgx"
	"mgx/internal/netguard"
)

// Rule names a host and port that may be reached.
type Rule struct {
	Host    string // in its normal form
	Below   bool   // *.Host: every name below it, and not Host itself
	Port    int
	Private bool // the name may lead to an address that is not public
}

// privateMark at the end of a rule lets its host be in a network of the site.
const privateMark = "+private"

// ParseRule reads HOST:PORT, *.HOST:PORT for the names below HOST, or either with
// +private after it.
func ParseRule(text string) (Rule, error) {
	bad := func(why string) (Rule, error) {
		return Rule{}, mgx.Errorf(mgx.KindUsage, "bad_allowed_host", "%q does not name a host to allow: %s", text, why)
	}
	authority, private := strings.CutSuffix(text, privateMark)
	authority, below := strings.CutPrefix(authority, "*.")
	if strings.ContainsAny(authority, "/@*?#") {
		return bad("write HOST:PORT alone, such as registry.npmjs.org:443, or *.example.org:443 for the names below one")
	}
	host, port, ok := split(authority)
	switch {
	case !ok && strings.ContainsFunc(authority, func(r rune) bool { return r > 126 }):
		return bad("write the name in its ASCII form, which begins with xn--")
	case !ok:
		return bad("it must read HOST:PORT, such as registry.npmjs.org:443")
	case port == 0:
		return bad("the port is missing, such as :443 for https")
	case below && (isAddress(host) || !strings.Contains(host, ".")):
		return bad("a * stands for the names below one that has a dot, such as *.example.org:443")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		switch class := netguard.Of(a); {
		case class == netguard.Never:
			return bad("nothing can be reached at this address")
		case class == netguard.Private && !private:
			return bad("the address is not public; if it is meant, write " + join(host, port) + privateMark)
		}
	}
	return Rule{Host: host, Below: below, Port: port, Private: private}, nil
}

func (r Rule) String() string {
	text := join(r.Host, r.Port)
	if r.Below {
		text = "*." + text
	}
	if r.Private {
		text += privateMark
	}
	return text
}

func (r Rule) names(host string, port int) bool {
	if port != r.Port {
		return false
	}
	if r.Below {
		return strings.HasSuffix(host, "."+r.Host)
	}
	return host == r.Host
}

// maxRules bounds a list.
const maxRules = 1000

// List is what may be reached. Rules can be added while boxes use it; they count
// from the next connection on.
type List struct {
	mu    sync.RWMutex
	rules []Rule
}

// NewList reads rules.
func NewList(texts ...string) (*List, error) {
	l := new(List)
	for _, text := range texts {
		r, err := ParseRule(text)
		if err == nil {
			err = l.Allow(r)
		}
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Allow adds a rule.
func (l *List) Allow(r Rule) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Contains(l.rules, r) {
		return nil
	}
	if len(l.rules) >= maxRules {
		return mgx.Errorf(mgx.KindUsage, "too_many_allowed_hosts", "at most %d hosts can be allowed; use *.example.org:443 for the names below one", maxRules)
	}
	l.rules = append(l.rules, r)
	return nil
}

// find returns whether a host may be reached, and where it may be.
func (l *List) find(host string, port int) (allowed, private bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, r := range l.rules {
		if r.names(host, port) {
			allowed, private = true, private || r.Private
		}
	}
	return allowed, private
}

// shown is the list for a program that was refused.
func (l *List) shown() string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var b strings.Builder
	for i, r := range l.rules {
		if i == maxShown {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		r.Private = false
		b.WriteString(r.String())
	}
	return b.String()
}
