package webhook_test

import (
	"net/netip"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/webhook"
)

func TestGuardRefusesWhatIsNotPublic(t *testing.T) {
	t.Parallel()
	for text, public := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "93.184.215.14": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true,
		"126.255.255.255": true, "128.0.0.1": true, "169.253.255.255": true, "223.255.255.255": true, "198.17.255.255": true, "198.20.0.0": true,
		"2606:4700:4700::1111": true, "2a00:1450:4001:800::200e": true, "2400:cb00::1": true,

		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "127.255.255.254": false,
		"10.0.0.1": false, "10.255.255.255": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.0.1": false, "192.168.255.255": false,
		"100.64.0.0": false, "100.127.255.255": false, "100.100.100.200": false, // carrier-grade NAT, a cloud's metadata
		"169.254.0.1": false, "169.254.169.254": false, "169.254.170.2": false, "168.63.129.16": false, "192.0.0.192": false,
		"192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false, "198.18.0.1": false, "198.19.255.255": false, "192.88.99.1": false,
		"224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "fc00::1": false, "fd00::1": false, "fd00:ec2::254": false,
		"ff02::1": false, "ff0e::1": false, "2001:db8::1": false, "3fff::1": false, "100::1": false, "5f00::1": false, "4000::1": false,

		// IPv4 in IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP-like.
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:8.8.8.8": true,
		"::127.0.0.1": false, "::10.0.0.1": false, "::8.8.8.8": false, "::ffff:0:127.0.0.1": false,
		"64:ff9b::127.0.0.1": false, "64:ff9b::10.0.0.1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b::8.8.8.8": true,
		"64:ff9b:1::10.0.0.1": false, "64:ff9b:1::8.8.8.8": false,
		"2002:7f00:1::": false, "2002:a00:1::1": false, "2002:808:808::1": false, "2001::1": false, "2001:0:a00:1::": false, "2001:10::1": false,
	} {
		a := netip.MustParseAddr(text)
		if err := (webhook.Guard{}).Check(a, false); (err == nil) != public {
			t.Errorf("%s: %v", text, err)
		}
		if (webhook.Guard{}).Check(a, true) == nil {
			t.Errorf("%s is called over http", text)
		}
	}
	if (webhook.Guard{}).Check(netip.Addr{}, false) == nil {
		t.Error("no address at all is called")
	}
}

func TestGuardAllow(t *testing.T) {
	t.Parallel()
	g := guardOf("10.1.0.0/16", "127.0.0.1/32", "fd00::/8")
	for text, ok := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": true, "127.0.0.2": false, "fd12::1": true, "fd12::1%lo": true,
		"64:ff9b::10.1.2.3": false, "fe80::1": false,
	} {
		if err := g.Check(netip.MustParseAddr(text), true); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func guardOf(list ...string) (g webhook.Guard) {
	for _, p := range list {
		g.Allow = append(g.Allow, netip.MustParsePrefix(p))
	}
	return g
}

func TestEndpointAddresses(t *testing.T) {
	t.Parallel()
	for url, code := range map[string]string{
		"https://example.com/hook?x=1":                     "",
		"https://example.com:8443/":                        "",
		"https://[2606:4700:4700::1111]/a":                 "",
		"http://example.com/":                              webhook.CodeAddressRefused,
		"https://user:pa55@example.com/":                   webhook.CodeBadAddress,
		"https://t0ken@example.com/":                       webhook.CodeBadAddress,
		"https://example.com/#top":                         webhook.CodeBadAddress,
		"https://":                                         webhook.CodeBadAddress,
		"https:example.com":                                webhook.CodeBadAddress,
		"https://:443/":                                    webhook.CodeBadAddress,
		"https://example.com:99999/":                       webhook.CodeBadAddress,
		"ftp://example.com/":                               webhook.CodeBadAddress,
		"file:///etc/passwd":                               webhook.CodeBadAddress,
		"gopher://example.com":                             webhook.CodeBadAddress,
		"example.com":                                      webhook.CodeBadAddress,
		"https://exa mple.com/":                            webhook.CodeBadAddress,
		"https://example.com/" + strings.Repeat("a", 2048): webhook.CodeBadAddress,
		"https://127.0.0.1/":                               webhook.CodeAddressRefused,
		"https://[::1]/":                                   webhook.CodeAddressRefused,
		"https://[::ffff:10.0.0.1]/":                       webhook.CodeAddressRefused,
		"https://169.254.169.254/latest":                   webhook.CodeAddressRefused,
	} {
		err := webhook.Guard{}.CheckWebhook(mgx.Webhook{Workspace: ws, URL: url})
		if code == "" && err != nil || code != "" && !mgx.IsCode(err, code) {
			t.Errorf("%s: %v, want %q", url, err, code)
		}
		if err != nil && (strings.Contains(err.Error(), "pa55") || strings.Contains(err.Error(), "t0ken")) {
			t.Errorf("%s: the error repeats what may be secret: %v", url, err)
		}
	}
	for _, w := range []mgx.Webhook{
		{URL: "https://example.com/", Channels: []string{"weather"}},
		{URL: "https://example.com/", Channels: []string{"workspace:ws_other"}},
		{URL: "https://example.com/", Types: []string{""}},
	} {
		w.Workspace = ws
		if err := (webhook.Guard{}).CheckWebhook(w); err == nil {
			t.Errorf("%+v is accepted", w)
		}
	}
}
