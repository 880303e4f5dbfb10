package api_test

import (
	"context"
	"testing"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/store"
)

// hastyStore has a person's password changed as soon as somebody has read it so often.
type hastyStore struct {
	*store.Store
	reads int
}

func (s *hastyStore) UserByEmail(ctx context.Context, email string) (mgx.User, error) {
	u, err := s.Store.UserByEmail(ctx, email)
	if s.reads--; err == nil && s.reads == 0 {
		err = s.SetPassword(ctx, mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "test"}, u.ID, u.Password, "$another", "password_changed", "")
	}
	return u, err
}

// Who shows a password while it is changed gets nothing by it: no session, which the
// change would not end, and no other password.
func TestPasswordChangedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	email := mgx.RoleViewer + "@example.com"
	viewer := access.Actor{User: w.users[mgx.RoleViewer], Session: "ses_x"}
	before, err := w.store.User(t.Context(), viewer.User)
	must(t, err)
	for name, do := range map[string]func(*app.Access) error{
		"a program": func(a *app.Access) error {
			_, err := a.SignIn(t.Context(), email, townPassword, access.Where{})
			return err
		},
		"a browser": func(a *app.Access) error {
			_, err := a.SignInBrowser(t.Context(), email, townPassword, "", access.Where{})
			return err
		},
		"another password": func(a *app.Access) error {
			return a.ChangePassword(t.Context(), viewer, townPassword, "four words of my choice")
		},
		"an invitation": func(a *app.Access) error {
			_, err := a.Accept(t.Context(), app.Accepting{Token: w.otherInvitation(), Email: email, Password: townPassword}, access.Where{})
			return err
		},
	} {
		reads := 1
		if name == "an invitation" { // which looks first whether there is such a person
			reads = 2
		}
		who := app.NewAccess(app.AccessOptions{Store: &hastyStore{w.store, reads}, Costs: access.Params{Memory: 8, Time: 1, Threads: 1}})
		if err := do(who); !mgx.IsCode(err, mgx.CodeBadCredentials) {
			t.Errorf("%s: %v", name, err)
		}
		after, err := w.store.User(t.Context(), viewer.User)
		if err != nil || after.Password != "$another" {
			t.Errorf("%s: the password is %s %v", name, after.Password, err)
		}
		if all, err := w.store.Sessions(t.Context(), viewer.User); err != nil || len(all) != 0 {
			t.Errorf("%s: sessions %v %v", name, all, err)
		}
		must(t, w.store.SetPassword(t.Context(), mgx.Doer{}, viewer.User, after.Password, before.Password, "", ""))
	}
}

// otherInvitation invites whoever comes to the other workspace.
func (w *town) otherInvitation() string {
	w.t.Helper()
	var made struct{ Token string }
	w.must(w.do(w.tokens["other"], "POST", "/api/v1/invitations", map[string]string{"role": mgx.RoleViewer}, &made), 201)
	return made.Token
}
