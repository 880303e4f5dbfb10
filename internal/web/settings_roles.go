package web

import (
	"strconv"

	"mgx"
	"mgx/internal/app"
)

// rolesPage is the roles that members can have, and what each may do.
type rolesPage struct {
	sheetPage
	Roles   []roleLine
	Manage  bool
	Tried   *roleLine // what the form would make
	Example string
}

// roleLine is a role and what it lets people do.
type roleLine struct {
	mgx.Role
	Granted []app.Granted
	Broken  string // why that cannot be said
	Seen    int64  // its revision
}

// exampleRole is what the form for roles begins with.
const exampleRole = `permit (principal, action == Action::"read", resource)
when { ["tasks", "runs", "workflows", "artifacts", "budgets"].contains(resource.kind) };

permit (principal, action in [Action::"read", Action::"approve"], resource is Runs);
`

func roles(v *visit, f *form) (page, error) {
	d := &rolesPage{sheetPage: v.sheetPage("roles", f), Manage: v.mayMakeRoles(), Example: exampleRole}
	list := func() ([]mgx.Role, error) { return v.site.o.Access.Roles(v.Context(), v.Actor) }
	all, seen, err := watched(v, "role", list, func(r mgx.Role) string { return r.Name })
	if err != nil {
		return page{}, err
	}
	gone := f.Moved && f.Name == "role-"+v.PathValue("id")
	for _, r := range all {
		line := v.roleLine(r)
		line.Seen, gone = seen[r.Name], gone && r.Name != v.PathValue("id")
		d.Roles = append(d.Roles, line)
	}
	if gone { // what was typed can make it anew
		f.Name, f.Wrong = "newrole", v.site.t("set.role.wasremoved")
		f.Values.Set("name", v.PathValue("id"))
	}
	d.Tried, _ = f.Data.(*roleLine)
	return v.settingsPage("roles", "set.roles", "mgx roles\nmgx roles create builder --rules builder.cedar\nmgx members role MEMBER builder", d), nil
}

func (v *visit) roleLine(r mgx.Role) roleLine {
	line := roleLine{Role: r}
	var err error
	if line.Granted, err = v.site.o.Access.Granted(r); err != nil {
		line.Broken = sentence(mgx.AsError(err).Message)
	}
	return line
}

// mayMakeRoles reports whether the reader has all the rights that it takes.
func (v *visit) mayMakeRoles() bool {
	return v.meets(managesUsers) && len(v.site.o.Access.Grantable(v.Actor, []mgx.Role{{Name: mgx.RoleAdmin}})) > 0
}

func (s *site) roleActs(m *mux) {
	m.Handle("POST /settings/roles", s.act("newrole", managesUsers, putRole, readsUsers, roles))
	m.Handle("POST /settings/roles/{id}", s.act("role", managesUsers, putRole, readsUsers, roles))
	m.Handle("POST /settings/roles/{id}/remove", s.act("remove", managesUsers, removeRole, readsUsers, roles))
}

// putRole makes a role or changes one, or only says what it would let people do.
func putRole(v *visit) (outcome, error) {
	r := mgx.Role{Name: v.PathValue("id"), Description: v.text("description"), Policy: v.text("policy")}
	known := r.Name != ""
	if !known {
		r.Name = v.text("name")
	}
	if v.text("do") == "try" {
		line := v.roleLine(r)
		if line.Broken != "" {
			return outcome{}, mgx.Errorf(mgx.KindUsage, "bad_policy", "%s", line.Broken)
		}
		return outcome{Data: &line}, nil
	}
	ctx := v.upon("role", r.Name)
	if !known { // the name of a role that is there makes no new one
		seen, err := v.revisions("role", r.Name)
		if err == nil {
			err = v.unusedRole(r.Name)
		}
		if err != nil {
			return outcome{}, err
		}
		ctx = v.uponThat("role", r.Name, strconv.FormatInt(seen[r.Name], 10))
	}
	if _, err := v.site.o.Access.PutRole(ctx, v.Actor, r); err != nil {
		return outcome{}, err
	}
	return done("/settings/roles", "rolekept")
}

func (v *visit) unusedRole(name string) error {
	all, err := v.site.o.Access.Roles(v.Context(), v.Actor)
	for _, r := range all {
		if r.Name == name {
			return mgx.Errorf(mgx.KindUsage, "bad_name", "%s", v.site.t("set.role.there", middle(50, name)))
		}
	}
	return err
}

func removeRole(v *visit) (outcome, error) {
	if err := v.site.o.Access.RemoveRole(v.upon("role", v.PathValue("id")), v.Actor, v.PathValue("id")); err != nil {
		return outcome{}, err
	}
	return done("/settings/roles", "rolegone")
}
