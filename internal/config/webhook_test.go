package config

import "testing"

func TestWebhookAllow(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"": "", " , ": "", "10.1.2.3/16": "10.1.0.0/16", "127.0.0.1, fd00::/8,": "127.0.0.1/32,fd00::/8", "::1": "::1/128",
	} {
		var c Config
		if err := setWebhookAllow(&c, list, origin{}); err != nil || showWebhookAllow(&c) != want {
			t.Errorf("%q is %q %v", list, showWebhookAllow(&c), err)
		}
	}
	for _, bad := range []string{"10.0.0.0/33", "localhost", "10.0.0.0-10.0.0.9", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.0/8;127.0.0.1"} {
		var c Config
		if err := setWebhookAllow(&c, bad, origin{}); err == nil {
			t.Errorf("%q is taken for %v", bad, c.WebhookAllow)
		}
	}
}
