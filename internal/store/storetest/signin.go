package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// SignInStore is what the suite asks of a database for browsers and providers of
// identities.
type SignInStore interface {
	AccessStore
	UserByIdentity(ctx context.Context, issuer, subject string) (mgx.User, error)
	RenewBrowser(ctx context.Context, by mgx.Doer, digest string, fresh func(mgx.Session) mgx.SessionToken) (mgx.Session, bool, error)
	SignInVouched(context.Context, mgx.Doer, mgx.Vouched) ([]mgx.Grant, error)
	EndVouched(ctx context.Context, by mgx.Doer, issuer, subject, session string, until time.Time) (int, error)
	Invitations(ctx context.Context, ws mgx.WorkspaceID, after mgx.InvitationID, limit int) ([]mgx.Invitation, error)
	InvitationsTo(context.Context, mgx.UserID) ([]mgx.WaitingInvitation, error)
	Invited(ctx context.Context, email string) (bool, error)
	Decline(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.InvitationID) error
}

// RunSignIn runs the part of the suite that is about signing in. create makes a
// database with a clock.
func RunSignIn(t *testing.T, create func(testing.TB, func() time.Time) SignInStore) {
	for name, test := range map[string]func(*testing.T, SignInStore, *clock){
		"Cookies": cookies, "LostCookie": lostCookie, "StolenCookie": stolenCookie, "CookiesAtOnce": cookiesAtOnce, "Vouched": vouchedFor, "LastAdmin": lastVouched,
		"Linked": linked, "SignedOutThere": signedOutThere, "Waiting": waiting, "WrongAddress": wrongAddress, "Race": declineOrRevoke, "AskedAnew": askedAnew,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s := create(t, c.now)
			found(t, s)
			test(t, s, c)
		})
	}
}

// browsing begins a session of a browser with a cookie.
func browsing(t *testing.T, s SignInStore, c *clock, cookie string) mgx.Session {
	t.Helper()
	ses := mgx.Session{ID: mgx.NewID[mgx.SessionID]("ses"), User: mgx.LocalUser, Kind: mgx.SessionBrowser, ExpiresAt: c.now().Add(7 * 24 * time.Hour)}
	must(t, s.SignIn(t.Context(), by, ses, []mgx.SessionToken{{Digest: cookie, Session: ses.ID, Browser: true, ExpiresAt: c.now().Add(mgx.BrowserIdle)}}))
	return ses
}

// shows has a browser show a cookie, and gives it another where that is due.
func shows(t *testing.T, s SignInStore, c *clock, cookie, next string) (made bool, err error) {
	t.Helper()
	_, made, err = s.RenewBrowser(t.Context(), by, cookie, func(ses mgx.Session) mgx.SessionToken {
		return mgx.SessionToken{Digest: next, Session: ses.ID, Browser: true, ExpiresAt: c.now().Add(mgx.BrowserIdle)}
	})
	return made, err
}

func isGood(t *testing.T, s SignInStore, c *clock, cookie string) bool {
	t.Helper()
	ses, kept, err := s.SessionOf(t.Context(), cookie)
	if mgx.IsCode(err, mgx.CodeTokenUnknown) {
		return false
	}
	must(t, err)
	if !kept.Browser {
		t.Errorf("%s is no cookie", cookie)
	}
	return ses.Alive(c.now()) && c.now().Before(kept.ExpiresAt)
}

func good(t *testing.T, s SignInStore, c *clock, want string) {
	t.Helper()
	var all []string
	for _, cookie := range []string{"one", "two", "three"} {
		if isGood(t, s, c, cookie) {
			all = append(all, cookie)
		}
	}
	if got := strings.Join(all, " "); got != want {
		t.Errorf("good are %q, want %q", got, want)
	}
}

// A cookie in use is replaced; the one before goes on until the new one was seen,
// and for the grace after that. One that is not used is over.
func cookies(t *testing.T, s SignInStore, c *clock) {
	ses := browsing(t, s, c, "one")
	if all, err := s.Sessions(t.Context(), mgx.LocalUser); err != nil || len(all) != 1 || all[0].Kind != mgx.SessionBrowser {
		t.Errorf("%+v %v", all, err)
	}
	step := func(cookie, next string, want bool) {
		t.Helper()
		if made, err := shows(t, s, c, cookie, next); err != nil || made != want {
			t.Errorf("%s: another was made: %v, %v", cookie, made, err)
		}
	}
	step("one", "none", false)
	c.pass(mgx.BrowserRotate)
	step("one", "two", true)
	step("one", "none", false) // asked at the same time
	good(t, s, c, "one two")
	c.pass(mgx.BrowserGrace / 2)
	if _, kept, err := s.SessionOf(t.Context(), "two"); err != nil || !kept.Confirms {
		t.Errorf("%+v %v", kept, err)
	}
	step("two", "none", false) // is seen now
	if _, kept, err := s.SessionOf(t.Context(), "two"); err != nil || kept.Confirms {
		t.Errorf("%+v %v", kept, err)
	}
	good(t, s, c, "one two")
	c.pass(mgx.BrowserGrace)
	good(t, s, c, "two")
	c.pass(mgx.BrowserRotate)
	step("two", "three", true)
	got, _, err := s.SessionOf(t.Context(), "three")
	if err != nil || got.ID != ses.ID || !got.LastUsedAt.Equal(c.now()) {
		t.Errorf("%+v %v", got, err)
	}
	step("three", "none", false)
	c.pass(mgx.BrowserIdle)
	good(t, s, c, "")
	_, err = shows(t, s, c, "three", "none")
	wants(t, mgx.CodeTokenUnknown, err)
}

// A new cookie that never came back, since the answer with it got lost, signs
// nobody out: there is another.
func lostCookie(t *testing.T, s SignInStore, c *clock) {
	browsing(t, s, c, "one")
	c.pass(mgx.BrowserRotate)
	_, err := shows(t, s, c, "one", "two")
	must(t, err)
	c.pass(mgx.BrowserGrace)
	if made, err := shows(t, s, c, "one", "three"); err != nil || !made {
		t.Errorf("%v %v", made, err)
	}
	good(t, s, c, "one three")
	_, err = shows(t, s, c, "three", "none")
	must(t, err)
	c.pass(mgx.BrowserGrace)
	good(t, s, c, "three")
}

// A cookie that comes after its successor was seen is in two hands.
func stolenCookie(t *testing.T, s SignInStore, c *clock) {
	browsing(t, s, c, "one")
	c.pass(mgx.BrowserRotate)
	for _, cookie := range []string{"one", "two"} {
		_, err := shows(t, s, c, cookie, "two")
		must(t, err)
	}
	c.pass(mgx.BrowserGrace)
	_, err := shows(t, s, c, "one", "three")
	wants(t, mgx.CodeTokenReused, err)
	good(t, s, c, "")
	raised, err := s.Events(t.Context(), store.EventQuery{Types: []string{string(mgx.SuspiciousActivity)}})
	if err != nil || len(raised) != 1 || !strings.Contains(string(raised[0].Data), "token_reuse") {
		t.Errorf("the log tells %v %v", raised, err)
	}
}

// Of requests that come at once one gets the new cookie, and all are good.
func cookiesAtOnce(t *testing.T, s SignInStore, c *clock) {
	browsing(t, s, c, "one")
	c.pass(mgx.BrowserRotate)
	var all sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for i := range 8 {
		all.Go(func() {
			made, err := shows(t, s, c, "one", fmt.Sprintf("next %d", i))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if made {
				n++
			}
		})
	}
	all.Wait()
	if n != 1 {
		t.Errorf("%d cookies were made", n)
	}
}

const issuer = "https://id.example.com"

// signsIn has an issuer vouch for somebody.
func signsIn(t *testing.T, s SignInStore, c *clock, user mgx.UserID, fresh bool, grants ...string) (skipped []mgx.Grant, err error) {
	t.Helper()
	v := mgx.Vouched{
		Identity: mgx.Identity{Issuer: issuer, Subject: "sub of " + string(user), User: user, Email: string(user) + "@example.com"}, New: fresh, User: mgx.User{ID: user, Email: string(user) + "@example.com", Name: "x"},
		Session: mgx.Session{ID: mgx.NewID[mgx.SessionID]("ses"), User: user, Kind: mgx.SessionBrowser, Issuer: issuer, Vouched: "sid of " + string(user), ExpiresAt: c.now().Add(time.Hour)},
	}
	for _, g := range grants {
		at, role, _ := strings.Cut(g, " ")
		v.Grants = append(v.Grants, mgx.Grant{Workspace: mgx.WorkspaceID(at), Role: role})
	}
	return s.SignInVouched(t.Context(), by, v)
}

// roles are what somebody is, and who says so.
func rolesOf(t *testing.T, s SignInStore, user mgx.UserID) string {
	t.Helper()
	all, err := s.Memberships(t.Context(), user)
	must(t, err)
	var list []string
	for _, m := range all {
		text := string(m.Workspace) + " " + m.Role
		if m.GrantedBy == issuer {
			text += " by groups"
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// What groups give comes and goes with them; what somebody gave by hand stays.
func vouchedFor(t *testing.T, s SignInStore, c *clock) {
	ctx := t.Context()
	_, err := s.CreateWorkspace(ctx, by, mgx.Workspace{ID: "ws_b", Name: "b"}, mgx.LocalUser)
	must(t, err)
	is := func(what, want string) {
		t.Helper()
		if got := rolesOf(t, s, "user_1"); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	in := func(want int, grants ...string) {
		t.Helper()
		if skipped, err := signsIn(t, s, c, "user_1", false, grants...); err != nil || len(skipped) != want {
			t.Errorf("skipped %v, %v", skipped, err)
		}
	}
	_, err = signsIn(t, s, c, "user_1", true, "ws_default developer", "ws_b viewer")
	must(t, err)
	if u, err := s.UserByIdentity(ctx, issuer, "sub of user_1"); err != nil || u.ID != "user_1" || u.HasPassword {
		t.Errorf("%+v %v", u, err)
	}
	is("at first", "ws_b viewer by groups, ws_default developer by groups")
	must(t, s.CreateKey(ctx, by, mgx.APIKey{ID: "key_1", Workspace: ws, User: "user_1", Digest: strings.Repeat("a", 64), Scopes: []string{"runs"}}))
	in(0, "ws_default auditor", "ws_b viewer")
	is("in another group", "ws_b viewer by groups, ws_default auditor by groups")
	in(0, "ws_b viewer")
	is("out of one", "ws_b viewer by groups")
	if k, err := s.Key(ctx, "key_1"); err != nil || k.RevokedAt.IsZero() {
		t.Errorf("the key of somebody who left is %+v %v", k, err)
	}
	in(2, "ws_b viewer", "ws_none admin", "ws_default emperor")
	is("with grants that cannot be", "ws_b viewer by groups")
	must(t, s.ChangeRole(ctx, by, "ws_b", "user_1", mgx.RoleDeveloper))
	in(0, "ws_b viewer")
	in(0)
	is("by hand", "ws_b developer")
	got := strings.Join(audited(t, s), ", ")
	for _, want := range []string{"user.create allowed, identity.create allowed, session.create allowed", "member.update allowed", "member.delete allowed"} {
		if !strings.Contains(got, want) {
			t.Errorf("the log tells %s", got)
		}
	}
	must(t, s.Verify(ctx))
}

// Whoever is the last admin stays one, and signs in all the same.
func lastVouched(t *testing.T, s SignInStore, c *clock) {
	_, err := signsIn(t, s, c, "user_1", true, "ws_default admin")
	must(t, err)
	must(t, s.RemoveMember(t.Context(), by, ws, mgx.LocalUser))
	for _, grants := range [][]string{nil, {"ws_default viewer"}} {
		if skipped, err := signsIn(t, s, c, "user_1", false, grants...); err != nil || len(skipped) != 1 {
			t.Errorf("skipped %v, %v", skipped, err)
		}
	}
	if got := rolesOf(t, s, "user_1"); got != "ws_default admin by groups" {
		t.Error(got)
	}
	if got := strings.Join(audited(t, s), ", "); !strings.Contains(got, "member.update denied") {
		t.Errorf("the log tells %s", got)
	}
}

// An account is linked to one subject of an issuer: an address that somebody else
// has by now does not bring it with it.
func linked(t *testing.T, s SignInStore, c *clock) {
	join(t, s, "user_1", mgx.RoleViewer)
	_, err := signsIn(t, s, c, "user_1", false)
	must(t, err)
	other := mgx.Vouched{
		Identity: mgx.Identity{Issuer: issuer, Subject: "another", User: "user_1"}, User: mgx.User{ID: "user_1"}, Session: session("user_1"),
	}
	_, err = s.SignInVouched(t.Context(), by, other)
	wants(t, "other_identity", err)
	other.New, other.User = true, mgx.User{ID: "user_2", Email: "user_1@example.com"}
	_, err = s.SignInVouched(t.Context(), by, other)
	wants(t, mgx.CodeConflict, err) // the address is taken
	_, err = signsIn(t, s, c, "user_1", true)
	wants(t, mgx.CodeConflict, err) // known meanwhile
}

// Who signs out at the issuer is out here: of one session, or of all.
func signedOutThere(t *testing.T, s SignInStore, c *clock) {
	for range 2 {
		_, err := signsIn(t, s, c, "user_1", rolesOf(t, s, "user_1") == "", "ws_default viewer")
		must(t, err)
	}
	_, err := signsIn(t, s, c, "user_2", true, "ws_default viewer")
	must(t, err)
	password := session("user_1")
	must(t, s.SignIn(t.Context(), by, password, nil))
	until := c.now()
	end := func(want int, iss, subject, sid string) {
		t.Helper()
		if n, err := s.EndVouched(t.Context(), by, iss, subject, sid, until); err != nil || n != want {
			t.Errorf("%d ended, %v", n, err)
		}
	}
	end(0, issuer, "", "")
	end(0, "", "", "")
	end(0, "https://other.example.com", "sub of user_1", "")
	end(0, issuer, "sub of user_1", "another sid")
	until = until.Add(-time.Microsecond)
	end(0, issuer, "sub of user_2", "sid of user_2") // which began later
	end(0, issuer, "sub of user_1", "")
	until = c.now()
	end(1, issuer, "sub of user_2", "sid of user_2")
	end(2, issuer, "sub of user_1", "")
	if all, err := s.Sessions(t.Context(), "user_1"); err != nil || len(all) != 1 || all[0].ID != password.ID {
		t.Errorf("%+v %v", all, err)
	}
}
