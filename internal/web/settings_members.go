package web

import (
	"cmp"
	"net/url"
	"strconv"
	"time"

	"mgx"
	"mgx/internal/app"
)

// membersPage is who is in the workspace, and who was asked to come.
type membersPage struct {
	sheetPage
	turning
	Members []memberLine
	Invited []mgx.Invitation // that are open
	Roles   []mgx.Role       // that the reader may give
	Manage  bool
	Rights  bool // may be told what is held on somebody
	Times   []choiceOf
}

// memberLine is a member, and whether the reader may change them.
type memberLine struct {
	mgx.Member
	Self   bool
	Change bool
	Reset  bool // the reader may let them set a password
	Seen   int64
}

// choiceOf is a value of a field and how it reads.
type choiceOf struct{ Value, Name string }

const (
	membersAtOnce   = 100
	mostInvitations = 1000
)

var (
	readsUsers   = need{action: "read", kind: "users"}
	managesUsers = need{action: "manage", kind: "users"}
)

func members(v *visit, f *form) (page, error) {
	d := &membersPage{sheetPage: v.sheetPage("members", f), Manage: v.meets(managesUsers), Rights: v.site.o.Settings.Rights != nil && v.meets(managesPeople)}
	for _, fill := range []func(*visit, *membersPage) error{fillMembers, fillInvited} {
		if err := fill(v, d); err != nil {
			return page{}, err
		}
	}
	d.Times = v.choices("set.time.", "86400", "604800", "2592000")
	return v.settingsPage("members", "set.members", "mgx members\nmgx members invite ada@example.com --role developer\nmgx members role MEMBER viewer\nmgx members remove MEMBER", d), nil
}

// choices are values and their texts, below a key.
func (v *visit) choices(key string, values ...string) (all []choiceOf) {
	for _, value := range values {
		all = append(all, choiceOf{value, v.site.t(key + value)})
	}
	return all
}

func fillMembers(v *visit, d *membersPage) error {
	roles, err := v.site.o.Access.Roles(v.Context(), v.Actor)
	if err != nil {
		return err
	}
	d.Roles = v.site.o.Access.Grantable(v.Actor, roles)
	after := v.URL.Query().Get("after")
	list := func() ([]mgx.Member, error) {
		return v.site.o.Access.Members(v.Context(), v.Actor, mgx.UserID(after), membersAtOnce+1)
	}
	all, seen, err := watched(v, "member", list, func(m mgx.Member) string { return string(m.User) })
	if err != nil {
		return err
	}
	all, d.turning = pageOf("/settings/members", after, all, membersAtOnce, func(m mgx.Member) string { return string(m.User) })
	for _, m := range all {
		may := d.Manage && len(v.site.o.Access.Grantable(v.Actor, []mgx.Role{{Name: m.Role}})) > 0
		self := m.User == v.Actor.User
		reset := may && !self && (v.Actor.Owner || m.User != mgx.LocalUser && v.Actor.Workspace == mgx.DefaultWorkspace)
		d.Members = append(d.Members, memberLine{m, self, may, reset, seen[string(m.User)]})
	}
	return nil
}

// fillInvited shows the invitations that still let somebody in.
func fillInvited(v *visit, d *membersPage) error {
	if !d.Manage {
		return nil
	}
	all, err := v.site.o.Access.Invitations(v.Context(), v.Actor, "", mostInvitations)
	for _, i := range all {
		if i.AcceptedAt.IsZero() && i.RevokedAt.IsZero() && d.Now.Before(i.ExpiresAt) {
			d.Invited = append(d.Invited, i)
		}
	}
	return err
}

func (s *site) memberActs(m *mux) {
	m.Handle("POST /settings/members/invite", s.act("invite", managesUsers, invite, readsUsers, members))
	m.Handle("POST /settings/members/{id}/role", s.act("role", managesUsers, changeRole, readsUsers, members))
	m.Handle("POST /settings/members/{id}/reset", s.act("reset", managesUsers, resetMember, readsUsers, members))
	m.Handle("POST /settings/members/{id}/remove", s.act("remove", managesUsers, removeMember, readsUsers, members))
	m.Handle("POST /settings/invitations/{id}/revoke", s.act("revoke", managesUsers, revokeInvitation, readsUsers, members))
}

// invite makes an invitation, whose link is shown in this answer alone.
func invite(v *visit) (outcome, error) {
	seconds, err := v.seconds("expires")
	if err != nil {
		return outcome{}, err
	}
	i, token, err := v.site.o.Access.Invite(v.Context(), v.Actor, app.NewInvitation{Email: v.text("email"), Role: v.text("role"), Expires: seconds})
	if err != nil {
		return outcome{}, err
	}
	t, whom := v.site.t, i.Email
	if whom == "" {
		whom = t("set.invite.anybody")
	}
	return v.invitationLink(token, t("set.invited", whom), t("set.invited.text", i.Role, exact(i.ExpiresAt))), nil
}

// invitationLink shows an invitation, for the browser and for the command line.
func (v *visit) invitationLink(token, title, text string) outcome {
	at := v.site.origin(v)
	return outcome{Once: &once{Title: title, Text: text, Value: at + "/invitation#" + token, Command: "mgx login --server " + at + " --invitation " + token}}
}

// resetMember lets a member set a password, by a link that is shown in this answer
// alone.
func resetMember(v *visit) (outcome, error) {
	id := mgx.UserID(v.PathValue("id"))
	i, token, err := v.site.o.Access.Invite(v.Context(), v.Actor, app.NewInvitation{User: id})
	if err != nil {
		return outcome{}, err
	}
	return v.invitationLink(token, v.site.t("set.reset.made", cmp.Or(i.Email, string(id))), v.site.t("set.reset.made.text", exact(i.ExpiresAt))), nil
}

// seconds are those that a field says; nothing is 0.
func (v *visit) seconds(field string) (int64, error) {
	text := v.text(field)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > int64(200*365*24*time.Hour/time.Second) {
		return 0, mgx.Errorf(mgx.KindUsage, "bad_expiry", "%s", v.site.t("set.badtime"))
	}
	return n, nil
}

func changeRole(v *visit) (outcome, error) {
	if _, err := v.site.o.Access.ChangeRole(v.upon("member", v.PathValue("id")), v.Actor, mgx.UserID(v.PathValue("id")), v.text("role")); err != nil {
		return outcome{}, err
	}
	return done("/settings/members", "role")
}

func removeMember(v *visit) (outcome, error) {
	if err := v.site.o.Access.RemoveMember(v.upon("member", v.PathValue("id")), v.Actor, mgx.UserID(v.PathValue("id"))); err != nil {
		return outcome{}, err
	}
	return done("/settings/members", "removed")
}

func revokeInvitation(v *visit) (outcome, error) {
	if err := v.site.o.Access.RevokeInvitation(v.Context(), v.Actor, mgx.InvitationID(v.PathValue("id"))); err != nil {
		return outcome{}, err
	}
	return done("/settings/members", "revoked")
}

// under is a path below another, of something with an id.
func under(path, id string) string { return path + "/" + url.PathEscape(id) }
