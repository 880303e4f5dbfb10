package gateway

import (
	"context"
	"net/http"
	"path"
	"strings"

	"mgx"
)

// Keys knows the keys with which models may be called.
type Keys interface {
	// Find returns the key of a secret, when it is good and may call models. Else
	// it returns an error of kind refused.
	Find(ctx context.Context, secret string) (mgx.APIKey, error)
}

// secretOf is the key that a request shows, in either dialect's header.
func secretOf(r *http.Request) string {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return r.Header.Get("X-Api-Key")
}

// principal is who makes a call.
type principal = mgx.APIKey

// caller returns the key of a request.
func (s *Server) caller(r *http.Request) (principal, error) {
	secret := secretOf(r)
	if secret == "" {
		return principal{}, &failure{kind: noKey, code: "invalid_api_key", message: "send an MGX key as Authorization: Bearer mgx_… or x-api-key; make one with: mgx keys create"}
	}
	key, err := s.o.Keys.Find(r.Context(), secret)
	switch {
	case mgx.IsCode(err, "unauthenticated"):
		err = &failure{kind: noKey, code: "invalid_api_key", message: "this MGX key is not valid; see: mgx keys"}
	case mgx.IsCode(err, "key_expired"):
		err = &failure{kind: noKey, code: "key_expired", message: err.Error()}
	}
	return key, err
}

// CheckPattern refuses what is no pattern of names of models.
func CheckPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" || len(pattern) > 200 {
		return mgx.Errorf(mgx.KindUsage, "bad_pattern", "a model is named by a policy, provider/model or a glob such as openai/*, not %q", pattern)
	}
	return nil
}

// mayUse reports whether a key may use a model or policy, by its full name.
func mayUse(key principal, name string) bool {
	if len(key.Models) == 0 {
		return true
	}
	for _, pattern := range key.Models {
		if ok, _ := path.Match(pattern, name); ok || pattern == "*" || pattern == name {
			return true
		}
		// provider/* also means models whose own names have slashes.
		if provider, all := strings.CutSuffix(pattern, "/*"); all && strings.HasPrefix(name, provider+"/") {
			return true
		}
	}
	return false
}
