package webhook

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/guard"
)

// Codes of the errors about an endpoint's settings.
const (
	CodeBadAddress     = "bad_webhook_url"
	CodeAddressRefused = "webhook_address_refused"
	codeBadDescription = "bad_webhook_description"
)

const (
	maxAddress     = 2048 // bytes
	maxDescription = 500  // characters
)

// describe takes a description of an endpoint.
func describe(w *mgx.Webhook, text string) (err error) {
	w.Description, err = guard.Line(codeBadDescription, "a webhook's description", text, maxDescription)
	return err
}

// check refuses settings that could never work. Names are not resolved: where
// they lead is checked at each connection.
func (g Guard) checkWebhook(w mgx.Webhook) error {
	if _, err := event.Matcher(w.Workspace, w.Channels, w.Types); err != nil {
		return err
	}
	u, err := address(w.URL)
	if err != nil {
		return mgx.Errorf(mgx.KindUsage, CodeBadAddress, "the webhook's address cannot be used: %w", err)
	}
	plain := u.Scheme == "http"
	if plain && len(g.Allow) == 0 {
		return refused(errPlain)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := g.check(a, plain); err != nil {
			return refused(err)
		}
	}
	return nil
}

// address parses the address of an endpoint. Its errors do not repeat it: it may
// hold something secret.
func address(text string) (*url.URL, error) {
	if len(text) > maxAddress {
		return nil, errors.New("it is longer than 2048 bytes")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it is not an address")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("it must begin with https://")
	case u.User != nil:
		return nil, errors.New("it may hold no user name and no password; messages are signed instead")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("it names no host")
	case strings.Contains(text, "…"):
		return nil, errors.New("it ends with …, as addresses are shown; give the whole one")
	case u.Fragment != "":
		return nil, errors.New("it may hold no fragment (#…)")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, errors.New("its port is not 1 to 65535")
		}
	}
	return u, nil
}

// host is what log lines may say of an address.
func host(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// veiled takes out of an answer what it repeats of the address: of its path, of the
// parts of that, and of its query, as they are and as they are sent.
func veiled(text string, u *url.URL) string {
	words := []string{u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery}
	for _, path := range []string{u.Path, u.EscapedPath()} {
		words = append(words, strings.Split(path, "/")...)
	}
	for _, values := range u.Query() {
		words = append(words, values...)
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	for _, word := range words {
		if len(word) >= leastVeiled {
			text = strings.ReplaceAll(text, word, "…")
		}
	}
	return text
}

// leastVeiled is how long a part of an address is, in bytes, that may be secret.
const leastVeiled = 6
