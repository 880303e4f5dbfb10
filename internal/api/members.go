package api

import (
	"net/http"

	"mgx"
	"mgx/internal/app"
)

func getMembers(s *Server, w http.ResponseWriter, r *http.Request) error {
	return listPage(w, r, "members", func(m mgx.Member) mgx.UserID { return m.User }, func(after mgx.UserID, limit int) ([]mgx.Member, error) {
		return s.o.Access.Members(r.Context(), actorOf(r), after, limit)
	})
}

func memberID(r *http.Request) mgx.UserID { return mgx.UserID(r.PathValue("id")) }

func getMember(s *Server, w http.ResponseWriter, r *http.Request) error {
	m, err := s.o.Access.Member(r.Context(), actorOf(r), memberID(r))
	if err != nil {
		return err
	}
	return writeJSON(w, m)
}

func patchMember(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Role string `json:"role"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	m, err := s.o.Access.ChangeRole(r.Context(), actorOf(r), memberID(r), body.Role)
	if err != nil {
		return err
	}
	return writeJSON(w, m)
}

func deleteMember(s *Server, w http.ResponseWriter, r *http.Request) error {
	return done(w, s.o.Access.RemoveMember(r.Context(), actorOf(r), memberID(r)))
}

func getInvitations(s *Server, w http.ResponseWriter, r *http.Request) error {
	return listPage(w, r, "invitations", func(i mgx.Invitation) mgx.InvitationID { return i.ID }, func(after mgx.InvitationID, limit int) ([]mgx.Invitation, error) {
		return s.o.Access.Invitations(r.Context(), actorOf(r), after, limit)
	})
}

// postInvitation answers with the token that lets in, once.
func postInvitation(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body app.NewInvitation
	if err := readJSON(r, &body); err != nil {
		return err
	}
	i, token, err := s.o.Access.Invite(r.Context(), actorOf(r), body)
	if err != nil {
		return err
	}
	return created(w, "/api/v1/invitations/"+string(i.ID), map[string]any{"invitation": i, "token": token})
}

func deleteInvitation(s *Server, w http.ResponseWriter, r *http.Request) error {
	return done(w, s.o.Access.RevokeInvitation(r.Context(), actorOf(r), mgx.InvitationID(r.PathValue("id"))))
}

func getRoles(s *Server, w http.ResponseWriter, r *http.Request) error {
	all, err := s.o.Access.Roles(r.Context(), actorOf(r))
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"roles": all})
}

func putRole(s *Server, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Description string `json:"description"`
		Policy      string `json:"policy"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	role, err := s.o.Access.PutRole(r.Context(), actorOf(r), mgx.Role{Name: r.PathValue("id"), Description: body.Description, Policy: body.Policy})
	if err != nil {
		return err
	}
	return writeJSON(w, role)
}

func deleteRole(s *Server, w http.ResponseWriter, r *http.Request) error {
	return done(w, s.o.Access.RemoveRole(r.Context(), actorOf(r), r.PathValue("id")))
}
