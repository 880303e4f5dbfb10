package api

import (
	"encoding/json"
	"net/http"

	"mgx"
	"mgx/internal/app"
)

// Tokens and other secrets are in the answers that make them, and in no other.

// peopled makes a handler of one that works with people, where there are any.
func (s *Server) peopled(f func(s *Server, w http.ResponseWriter, r *http.Request) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !s.o.Access.People() {
			return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server knows nobody but its owner")
		}
		return f(s, w, r)
	}
}

func postSignIn(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	where, _ := s.where(r)
	return answerSigned(w)(s.o.Access.SignIn(r.Context(), body.Email, body.Password, where))
}

func postRefresh(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Token string `json:"refresh_token"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	where, _ := s.where(r)
	return answerSigned(w)(s.o.Access.Refresh(r.Context(), body.Token, where))
}

// postAccept spends an invitation.
func postAccept(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body app.Accepting
	if err := readJSON(r, &body); err != nil {
		return err
	}
	where, _ := s.where(r)
	return answerSigned(w)(s.o.Access.Accept(r.Context(), body, where))
}

func answerSigned(w http.ResponseWriter) func(app.Signed, error) error {
	return func(signed app.Signed, err error) error {
		if err != nil {
			return err
		}
		return writeJSON(w, signed)
	}
}

func postSignOut(s *Server, w http.ResponseWriter, r *http.Request) error {
	return done(w, s.o.Access.SignOut(r.Context(), actorOf(r)))
}

func (s *Server) getMe(w http.ResponseWriter, r *http.Request) error {
	me, err := s.o.Access.Me(r.Context(), actorOf(r))
	if err != nil {
		return err
	}
	return writeJSON(w, me)
}

func putPassword(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Old   string `json:"current_password"`
		Fresh string `json:"new_password"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	return done(w, s.o.Access.ChangePassword(r.Context(), actorOf(r), body.Old, body.Fresh))
}

func getSessions(s *Server, w http.ResponseWriter, r *http.Request) error {
	all, err := s.o.Access.Sessions(r.Context(), actorOf(r))
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"sessions": append([]mgx.Session{}, all...)})
}

func deleteSession(s *Server, w http.ResponseWriter, r *http.Request) error {
	return done(w, s.o.Access.RevokeSession(r.Context(), actorOf(r), mgx.SessionID(r.PathValue("id"))))
}

func getWorkspaces(s *Server, w http.ResponseWriter, r *http.Request) error {
	return listPage(w, r, "workspaces", func(w mgx.Workspace) mgx.WorkspaceID { return w.ID }, func(after mgx.WorkspaceID, limit int) ([]mgx.Workspace, error) {
		return s.o.Access.Workspaces(r.Context(), actorOf(r), after, limit)
	})
}

// listPage answers with a page of things in the order of their ids. The token of
// the next page is the last id.
func listPage[T any, ID ~string](w http.ResponseWriter, r *http.Request, name string, id func(T) ID, list func(after ID, limit int) ([]T, error)) error {
	q := query{Values: r.URL.Query()}
	if err := q.only("limit", "page_token"); err != nil {
		return err
	}
	limit, err := q.number("limit", 100, 1, 500)
	if err != nil {
		return err
	}
	all, err := list(ID(q.Get("page_token")), limit)
	if err != nil {
		return err
	}
	page := map[string]any{name: append([]T{}, all...)}
	if len(all) == limit {
		page["next_page_token"] = id(all[limit-1])
	}
	return writeJSON(w, page)
}

// named is a body that names something.
type named struct {
	Name string `json:"name"`
}

func postWorkspace(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body named
	if err := readJSON(r, &body); err != nil {
		return err
	}
	made, err := s.o.Access.CreateWorkspace(r.Context(), actorOf(r), body.Name)
	if err != nil {
		return err
	}
	return created(w, "/api/v1/workspaces/"+string(made.ID), made)
}

// created answers with what was made.
func created(w http.ResponseWriter, at string, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", at)
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(v)
}

func getWorkspace(s *Server, w http.ResponseWriter, r *http.Request) error {
	found, err := s.o.Access.Workspace(r.Context(), actorOf(r))
	if err != nil {
		return err
	}
	return writeJSON(w, found)
}

func patchWorkspace(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body named
	if err := readJSON(r, &body); err != nil {
		return err
	}
	changed, err := s.o.Access.RenameWorkspace(r.Context(), actorOf(r), body.Name)
	if err != nil {
		return err
	}
	return writeJSON(w, changed)
}
