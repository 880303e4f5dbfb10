// Package oidctest is an OpenID provider for tests that signs whatever it is told
// to. It does its part of the protocol right otherwise: a code is good once, for the
// client, the address and the PKCE challenge that it was made for.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// What clients are known by.
const (
	ClientID     = "mgx"
	ClientSecret = "a secret of the client"
)

// Server is a provider at which one person is signed in, who agrees to everything.
type Server struct {
	URL  string // its issuer
	Key  *ecdsa.PrivateKey
	http *httptest.Server

	mu    sync.Mutex
	codes map[string]url.Values // asked for by each code that is good
	said  Said
}

// Said is what the provider does besides the protocol. Each may be left out.
type Said struct {
	Person   map[string]any                     // claims of who is signed in
	UserInfo map[string]any                     // claims that are at the userinfo endpoint alone
	Token    func(claims map[string]any)        // changes the claims of an ID token
	Sign     func(claims map[string]any) string // signs it another way
	Answer   func(map[string]any)               // changes the answer of the token endpoint
	Back     func(url.Values)                   // changes what it sends back by the browser
	Metadata func(map[string]any)               // changes what it says of itself
	Down     bool                               // nothing but errors
}

// New starts a provider, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{codes: map[string]url.Values{}}
	var err error
	if s.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", s.metadata)
	mux.HandleFunc("GET /keys", s.keys)
	mux.HandleFunc("GET /authorize", s.authorize)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("GET /userinfo", s.userinfo)
	mux.HandleFunc("GET /end", func(http.ResponseWriter, *http.Request) {})
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.saying().Down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.http.Close)
	s.URL = s.http.URL
	return s
}

// Say has the provider do something else from now on.
func (s *Server) Say(said Said) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = said
}

func (s *Server) saying() Said {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said
}

func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{
		"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/keys", "userinfo_endpoint": s.URL + "/userinfo",
		"end_session_endpoint": s.URL + "/end", "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"}, "authorization_response_iss_parameter_supported": true,
	}
	if f := s.saying().Metadata; f != nil {
		f(m)
	}
	write(w, m)
}

func (s *Server) keys(w http.ResponseWriter, _ *http.Request) {
	point, _ := s.Key.PublicKey.Bytes() // of a known curve
	write(w, map[string]any{"keys": []any{map[string]any{"kty": "EC", "crv": "P-256", "kid": "one", "x": enc(point[1:33]), "y": enc(point[33:])}}})
}

// authorize sends the browser back at once.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	s.mu.Lock()
	s.codes[code] = q
	s.mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {s.URL}}
	if f := s.saying().Back; f != nil {
		f(back)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusSeeOther)
}

// Code is a code that the provider gives to whoever asks so.
func (s *Server) Code(asked url.Values) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := rand.Text()
	s.codes[code] = asked
	return code
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	secret, _ = url.QueryUnescape(secret)
	s.mu.Lock()
	asked, good := s.codes[r.PostFormValue("code")]
	delete(s.codes, r.PostFormValue("code"))
	s.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !good || id != ClientID || secret != ClientSecret || asked.Get("client_id") != id || asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") ||
		asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") != enc(challenge[:]) {
		w.WriteHeader(http.StatusBadRequest)
		write(w, map[string]string{"error": "invalid_grant"})
		return
	}
	access := rand.Text()
	said := s.saying()
	claims := s.Claims(asked.Get("nonce"))
	claims["at_hash"] = AtHash(access)
	maps.Copy(claims, said.Person)
	if said.Token != nil {
		said.Token(claims)
	}
	sign := said.Sign
	if sign == nil {
		sign = s.Sign
	}
	answer := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 60, "id_token": sign(claims)}
	if said.Answer != nil {
		said.Answer(answer)
	}
	write(w, answer)
}

// Claims are those of an ID token as it should be.
func (s *Server) Claims(nonce string) map[string]any {
	now := time.Now()
	return map[string]any{"iss": s.URL, "sub": "subject-1", "aud": ClientID, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "nonce": nonce}
}

func (s *Server) userinfo(w http.ResponseWriter, _ *http.Request) {
	all := map[string]any{"sub": "subject-1"}
	maps.Copy(all, s.saying().Person)
	maps.Copy(all, s.saying().UserInfo)
	write(w, all)
}

// LogoutToken is what the provider sends when the person signs out there.
func (s *Server) LogoutToken(edit func(map[string]any)) string {
	now := time.Now()
	claims := map[string]any{
		"iss": s.URL, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": rand.Text(), "sub": "subject-1",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	if edit != nil {
		edit(claims)
	}
	return s.Sign(claims)
}

// Sign is a token that the provider's key signs.
func (s *Server) Sign(claims map[string]any) string { return SignES256(s.Key, "one", claims) }

// SignES256 is a token that a key signs.
func SignES256(key *ecdsa.PrivateKey, kid string, claims map[string]any) string {
	return sign(map[string]any{"alg": "ES256", "kid": kid}, claims, func(text []byte) []byte {
		sum := sha256.Sum256(text)
		r, v, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			panic(err) // a key that was just made
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		v.FillBytes(out[32:])
		return out
	})
}

// SignHS256 is a token that a text signs, which both sides would have to know.
func SignHS256(secret []byte, kid string, claims map[string]any) string {
	return sign(map[string]any{"alg": "HS256", "kid": kid}, claims, func(text []byte) []byte {
		h := hmac.New(crypto.SHA256.New, secret)
		h.Write(text)
		return h.Sum(nil)
	})
}

// Unsigned is a token that nobody signs.
func Unsigned(claims map[string]any) string {
	return sign(map[string]any{"alg": "none"}, claims, func([]byte) []byte { return nil })
}

func sign(header, claims map[string]any, with func([]byte) []byte) string {
	text := enc(marshal(header)) + "." + enc(marshal(claims))
	return text + "." + enc(with([]byte(text)))
}

// AtHash is what an ID token says of the access token that it comes with.
func AtHash(access string) string {
	sum := sha256.Sum256([]byte(access))
	return enc(sum[:16])
}

func enc(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // claims of a test
	}
	return b
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(marshal(v))
}
