package config

import (
	"errors"
	"net/netip"
	"strings"
)

// setWebhookAllow reads prefixes such as 10.1.0.0/16, with commas between. A
// single address stands for itself.
func setWebhookAllow(c *Config, list string, _ origin) error {
	c.WebhookAllow = nil
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := netip.ParsePrefix(text)
		if a, e := netip.ParseAddr(text); err != nil && e == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Addr().Is4In6() {
			return errors.New("it must be address ranges such as 10.1.0.0/16 or fd00::/8, with commas between")
		}
		c.WebhookAllow = append(c.WebhookAllow, p.Masked())
	}
	return nil
}

func showWebhookAllow(c *Config) string {
	all := make([]string, len(c.WebhookAllow))
	for i, p := range c.WebhookAllow {
		all[i] = p.String()
	}
	return strings.Join(all, ",")
}
