package api

import (
	"context"
	"slices"

	"mgx"
	"mgx/internal/app"
)

func (s *Server) memberRoutes() []route {
	const group, roles = "Members", "Roles"
	return []route{
		op("GET /api/v1/members", to("read", "users"), known(s, s.listMembers), about{
			ID: "listMembers", Group: group, Short: "List the members of the workspace, by id",
		}),
		op("GET /api/v1/members/{id}", to("read", "users"), known(s, s.getMember), about{
			ID: "getMember", Group: group, Short: "Show a member", Kind: "member",
		}),
		op("PATCH /api/v1/members/{id}", to("manage", "users"), known(s, s.changeRole), about{
			ID: "changeRole", Group: group, Short: "Give a member another role", Kind: "member",
			Codes: codes{mgx.CodeLastAdmin: 409, "bad_role": 400},
		}),
		op("DELETE /api/v1/members/{id}", to("manage", "users"), known(s, s.removeMember), about{
			ID: "removeMember", Group: group, Short: "Take somebody out of the workspace", Long: "Their keys in it end at once, and so do their streams.", Kind: "member",
			Codes: codes{mgx.CodeLastAdmin: 409},
		}),
		op("GET /api/v1/invitations", to("manage", "users"), known(s, s.listInvitations), about{
			ID: "listInvitations", Group: group, Short: "List invitations, by id",
		}),
		op("POST /api/v1/invitations", to("manage", "users"), known(s, s.invite), about{
			ID: "createInvitation", Group: group, Short: "Invite somebody", Made: true, Kind: "invitation", Secret: true, Inside: "invitation",
			Long:  "The token, which lets in once, is in this answer and never again.",
			Codes: codes{"bad_role": 400, "bad_email": 400, "bad_expiry": 400, "bad_reset": 400, "too_many_invitations": 400},
		}),
		op("GET /api/v1/invitations/{id}", to("manage", "users"), known(s, s.getInvitation), about{
			ID: "getInvitation", Group: group, Short: "Show an invitation", Kind: "invitation",
		}),
		op("DELETE /api/v1/invitations/{id}", to("manage", "users"), known(s, s.revokeInvitation), about{
			ID: "revokeInvitation", Group: group, Short: "Take an invitation back", Kind: "invitation",
		}),
		op("GET /api/v1/roles", to("read", "users"), known(s, s.listRoles), about{
			ID: "listRoles", Group: roles, Short: "List the roles of the workspace, with the built-in ones",
		}),
		op("GET /api/v1/roles/{id}", to("read", "users"), known(s, s.getRole), about{ID: "getRole", Group: roles, Short: "Show a role", Kind: "role"}),
		op("PUT /api/v1/roles/{id}", to("manage", "users"), known(s, s.putRole), about{
			ID: "putRole", Group: roles, Short: "Make or change a role", Kind: "role",
			Long:  "What a role may do is said by Cedar policies, which hold in this workspace for those who have it.",
			Codes: codes{"bad_role": 400, "bad_policy": 400},
		}),
		op("DELETE /api/v1/roles/{id}", to("manage", "users"), known(s, s.removeRole), about{
			ID: "removeRole", Group: roles, Short: "Remove a role that nobody has", Kind: "role", Codes: codes{"conflict": 409, "bad_role": 400, "role_in_use": 409},
		}),
	}
}

type membersOut struct {
	Body struct {
		Members []mgx.Member `json:"members"`
		Next    mgx.UserID   `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"MemberPage"`
}

func (s *Server) listMembers(ctx context.Context, in *Paged) (*membersOut, error) {
	all, err := s.o.Access.Members(ctx, actor(ctx), after[mgx.UserID](*in), in.Limit)
	out := &membersOut{}
	out.Body.Members = every(all)
	out.Body.Next = following(all, *in, func(m mgx.Member) mgx.UserID { return m.User })
	return out, err
}

type memberOut struct {
	Body mgx.Member
}

func (s *Server) getMember(ctx context.Context, in *At[mgx.UserID]) (*memberOut, error) {
	m, err := s.o.Access.Member(ctx, actor(ctx), in.ID)
	return &memberOut{m}, err
}

func (s *Server) changeRole(ctx context.Context, in *struct {
	At[mgx.UserID]
	Body struct {
		Role string `json:"role" doc:"admin, developer, auditor, viewer or one that the workspace made" maxLength:"200" example:"developer"`
	} `nameHint:"RoleChange"`
},
) (*memberOut, error) {
	m, err := s.o.Access.ChangeRole(ctx, actor(ctx), in.ID, in.Body.Role)
	return &memberOut{m}, err
}

func (s *Server) removeMember(ctx context.Context, in *At[mgx.UserID]) (*none, error) {
	return &none{}, s.o.Access.RemoveMember(ctx, actor(ctx), in.ID)
}

type invitationsOut struct {
	Body struct {
		Invitations []mgx.Invitation `json:"invitations"`
		Next        mgx.InvitationID `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"InvitationPage"`
}

func (s *Server) listInvitations(ctx context.Context, in *Paged) (*invitationsOut, error) {
	all, err := s.o.Access.Invitations(ctx, actor(ctx), after[mgx.InvitationID](*in), in.Limit)
	out := &invitationsOut{}
	out.Body.Invitations = every(all)
	out.Body.Next = following(all, *in, func(i mgx.Invitation) mgx.InvitationID { return i.ID })
	return out, err
}

type newInvitation struct {
	Email   string `json:"email,omitempty" doc:"Whom it is for; without it whoever has the token" maxLength:"1000" example:"ada@example.com"`
	Role    string `json:"role,omitempty" doc:"What they will be; needed, except with user_id" maxLength:"200" example:"developer"`
	Expires int64  `json:"expires_in,omitempty" doc:"Seconds that it is good for; without it a week, and with user_id a day" example:"86400"`

	User mgx.UserID `json:"user_id,omitempty" doc:"A member who is to set a password with it, once, instead of somebody who is to come; email and role are left out then" maxLength:"200" example:"user_01JZ4M8Q2C7T5R9V3X6B1N0KWD"`
}

type madeInvitation struct {
	Location string `header:"Location" doc:"Where it is"`
	Body     struct {
		Invitation mgx.Invitation `json:"invitation"`
		Token      string         `json:"token,omitempty" doc:"What lets in, shown only in the first answer"`
	} `nameHint:"MadeInvitation"`
}

func (s *Server) invite(ctx context.Context, in *struct{ Body newInvitation }) (*madeInvitation, error) {
	i, token, err := s.o.Access.Invite(ctx, actor(ctx), app.NewInvitation(in.Body))
	out := &madeInvitation{Location: "/api/v1/invitations/" + string(i.ID)}
	out.Body.Invitation, out.Body.Token = i, token
	return out, err
}

type invitationOut struct {
	Body mgx.Invitation
}

// getInvitation looks through the pages; there are at most a few.
func (s *Server) getInvitation(ctx context.Context, in *At[mgx.InvitationID]) (*invitationOut, error) {
	last := mgx.InvitationID("")
	for {
		all, err := s.o.Access.Invitations(ctx, actor(ctx), last, 500)
		if err != nil {
			return nil, err
		}
		if at := slices.IndexFunc(all, func(i mgx.Invitation) bool { return i.ID == in.ID }); at >= 0 {
			return &invitationOut{all[at]}, nil
		}
		if len(all) < 500 {
			return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no invitation %s; GET /api/v1/invitations lists them", clip(string(in.ID)))
		}
		last = all[len(all)-1].ID
	}
}

func (s *Server) revokeInvitation(ctx context.Context, in *At[mgx.InvitationID]) (*none, error) {
	return &none{}, s.o.Access.RevokeInvitation(ctx, actor(ctx), in.ID)
}

type rolesOut struct {
	Body struct {
		Roles []mgx.Role `json:"roles"`
	} `nameHint:"RoleList"`
}

func (s *Server) listRoles(ctx context.Context, _ *none) (*rolesOut, error) {
	all, err := s.o.Access.Roles(ctx, actor(ctx))
	out := &rolesOut{}
	out.Body.Roles = every(all)
	return out, err
}

type roleOut struct {
	Body mgx.Role
}

func (s *Server) getRole(ctx context.Context, in *At[string]) (*roleOut, error) {
	all, err := s.o.Access.Roles(ctx, actor(ctx))
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(r mgx.Role) bool { return r.Name == in.ID })
	if at < 0 {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "the workspace has no role %q; GET /api/v1/roles lists them", clip(in.ID))
	}
	return &roleOut{all[at]}, nil
}

func (s *Server) putRole(ctx context.Context, in *struct {
	At[string]
	Body struct {
		Description string `json:"description,omitempty" doc:"What it is for" maxLength:"2000"`
		Policy      string `json:"policy" doc:"Cedar policies" maxLength:"100000" example:"permit (principal, action, resource is Runs);"`
	} `nameHint:"NewRole"`
},
) (*roleOut, error) {
	role, err := s.o.Access.PutRole(ctx, actor(ctx), mgx.Role{Name: in.ID, Description: in.Body.Description, Policy: in.Body.Policy})
	return &roleOut{role}, err
}

func (s *Server) removeRole(ctx context.Context, in *At[string]) (*none, error) {
	return &none{}, s.o.Access.RemoveRole(ctx, actor(ctx), in.ID)
}
