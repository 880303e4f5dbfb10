package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// Sizes of a secret in bytes, before base64. The limits are the standard's.
const (
	secretPrefix = "whsec_"
	secretSize   = 32
	minSecret    = 24
	maxSecret    = 64
)

// NewSecret returns a fresh secret: whsec_ and 32 random bytes as base64.
func NewSecret() string {
	b := make([]byte, secretSize)
	rand.Read(b) // never fails: crypto/rand
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

// key is what a secret stands for. Its errors do not repeat it.
func key(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	b, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(b) < minSecret || len(b) > maxSecret {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_webhook_secret", "a webhook's secret is whsec_ and the base64 of %d to %d bytes", minSecret, maxSecret)
	}
	return b, nil
}

// signature is the value of webhook-signature: one signature for each secret,
// with spaces between, over the id, the time in seconds and the body.
func signature(secrets []string, id string, at time.Time, body []byte) (string, error) {
	all := make([]string, len(secrets))
	for i, s := range secrets {
		k, err := key(s)
		if err != nil {
			return "", err
		}
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		all[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(all, " "), nil
}
