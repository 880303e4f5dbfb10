package webhook_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"mgx/internal/webhook"
)

// The example that the reference libraries of the standard share.
func TestSignaturePublishedVector(t *testing.T) {
	t.Parallel()
	const (
		secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		id     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
		body   = `{"test": 2432232314}`
		want   = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	)
	at := time.Unix(1614265330, 0)
	got, err := webhook.Signature([]string{secret}, id, at, []byte(body))
	if err != nil || got != want {
		t.Errorf("got %q %v, want %q", got, err, want)
	}
	// The verifier that other tests rely on must agree with the example too.
	h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {"1614265330"}, "Webhook-Signature": {want}}
	if err := verify(secret, h, []byte(body), at); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(http.Header){
		"id":        func(h http.Header) { h.Set("webhook-id", "msg_other") },
		"time":      func(h http.Header) { h.Set("webhook-timestamp", "1614265331") },
		"version":   func(h http.Header) { h.Set("webhook-signature", "v2"+want[2:]) },
		"signature": func(h http.Header) { h.Set("webhook-signature", "v1,AAAA") },
	} {
		bad := h.Clone()
		spoil(bad)
		if verify(secret, bad, []byte(body), at) == nil {
			t.Errorf("a changed %s verifies", name)
		}
	}
}

func TestSecretSizes(t *testing.T) {
	t.Parallel()
	a, b := webhook.NewSecret(), webhook.NewSecret()
	if a == b {
		t.Error("two secrets are the same")
	}
	if k, err := webhook.Key(a); err != nil || len(k) != 32 {
		t.Errorf("a new secret stands for %d bytes, %v", len(k), err)
	}
	of := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for secret, ok := range map[string]bool{
		of(24): true, of(64): true, of(23): false, of(65): false,
		strings.TrimPrefix(of(32), "whsec_"): false, "whsec_!!!!": false, "": false,
	} {
		_, err := webhook.Key(secret)
		if (err == nil) != ok {
			t.Errorf("%q: %v", secret, err)
		}
		if err != nil && secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
}
