package gateway

import (
	"net/http"
	"slices"
	"strings"

	"mgx"
)

// allowed lists the models that the caller may use.
func (s *Server) allowed(r *http.Request) ([]Model, error) {
	key, err := s.caller(r)
	if err != nil {
		return nil, err
	}
	all, err := s.o.Models.List(r.Context(), key.Workspace)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(m Model) bool { return !mayUse(key, m.Name) }), nil
}

// spoken is the dialect of a request: that of its path, or else of its headers.
func spoken(r *http.Request) dialect {
	path := r.URL.Path + "/"
	switch {
	case strings.HasPrefix(path, "/v1/messages/"):
		return messages{}
	case strings.HasPrefix(path, "/v1/responses/"):
		return responses{}
	case strings.HasPrefix(path, "/v1/chat/"):
		return chat{}
	case r.Header.Get("Anthropic-Version") != "":
		return messages{}
	}
	return chat{}
}

func (s *Server) getModels(w http.ResponseWriter, r *http.Request, _ string) error {
	d := spoken(r)
	all, err := s.allowed(r)
	if err != nil {
		return err
	}
	list := make([]any, len(all))
	for i, m := range all {
		list[i] = m.describe(d)
	}
	body := object("object", "list", "data", list)
	if d == (messages{}) {
		body = object("data", list, "has_more", false, "first_id", nil, "last_id", nil)
		if n := len(all); n > 0 {
			body = object("data", list, "has_more", false, "first_id", all[0].Name, "last_id", all[n-1].Name)
		}
	}
	write(http.NewResponseController(w), w, s.o.WriteWait, http.StatusOK, body)
	return nil
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request, _ string) error {
	name := r.PathValue("name")
	all, err := s.allowed(r)
	i := slices.IndexFunc(all, func(m Model) bool { return m.Name == name })
	if err == nil && i < 0 {
		err = &failure{kind: notFound, code: "model_not_found", message: "there is no such model; GET /v1/models lists what there is"}
	}
	if err != nil {
		return err
	}
	write(http.NewResponseController(w), w, s.o.WriteWait, http.StatusOK, all[i].describe(spoken(r)))
	return nil
}

// describe is a model as a dialect lists it. When it was made nobody says.
func (m Model) describe(d dialect) any {
	owner, _, _ := strings.Cut(m.Name, "/")
	if m.Policy {
		owner = "mgx"
	}
	if d == (messages{}) {
		return object("type", "model", "id", m.Name, "display_name", m.Name, "created_at", "1970-01-01T00:00:00Z")
	}
	return object("id", m.Name, "object", "model", "created", 0, "owned_by", owner)
}

func (s *Server) nothing(http.ResponseWriter, *http.Request, string) error {
	return &failure{
		kind: notFound, code: mgx.CodeNotFound,
		message: "there is nothing at this path; the gateway answers POST /v1/chat/completions, /v1/responses, /v1/messages, /v1/messages/count_tokens and GET /v1/models",
	}
}
