package api

import (
	"net/http"
	"time"

	"mgx"
	"mgx/internal/app"
)

func getKeys(s *Server, w http.ResponseWriter, r *http.Request) error {
	return listPage(w, r, "keys", func(k mgx.APIKey) mgx.KeyID { return k.ID }, func(after mgx.KeyID, limit int) ([]mgx.APIKey, error) {
		return s.o.Access.Keys(r.Context(), actorOf(r), after, limit)
	})
}

// postKey answers with the key itself, once.
func postKey(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body app.NewAPIKey
	if err := readJSON(r, &body); err != nil {
		return err
	}
	k, secret, err := s.o.Access.CreateKey(r.Context(), actorOf(r), body)
	if err != nil {
		return err
	}
	return created(w, "/api/v1/keys/"+string(k.ID), map[string]any{"key": k, "secret": secret})
}

func keyID(r *http.Request) mgx.KeyID { return mgx.KeyID(r.PathValue("id")) }

func getKey(s *Server, w http.ResponseWriter, r *http.Request) error {
	k, err := s.o.Access.Key(r.Context(), actorOf(r), keyID(r))
	if err != nil {
		return err
	}
	return writeJSON(w, k)
}

func deleteKey(s *Server, w http.ResponseWriter, r *http.Request) error {
	return done(w, s.o.Access.RevokeKey(r.Context(), actorOf(r), keyID(r)))
}

// rotateKey answers with the new secret, once.
func rotateKey(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Overlap int64 `json:"overlap"` // seconds
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	overlap := max(-1, min(body.Overlap, int64(1)<<31))
	secret, err := s.o.Access.RotateKey(r.Context(), actorOf(r), keyID(r), time.Duration(overlap)*time.Second)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]string{"secret": secret})
}
