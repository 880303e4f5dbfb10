package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// AccessStore is what a store does for people and what they prove themselves
// with; *store.Store documents it.
type AccessStore interface {
	KeyStore
	Events(context.Context, store.EventQuery) ([]mgx.Event, error)
	Verify(context.Context) error

	User(context.Context, mgx.UserID) (mgx.User, error)
	UserByEmail(context.Context, string) (mgx.User, error)
	Found(ctx context.Context, by mgx.Doer, owner mgx.User, i mgx.Invitation) (made bool, err error)
	SetPassword(ctx context.Context, by mgx.Doer, id mgx.UserID, was, digest, why string, keep mgx.SessionID) error

	CreateWorkspace(ctx context.Context, by mgx.Doer, w mgx.Workspace, admin mgx.UserID) (mgx.Workspace, error)
	Workspace(context.Context, mgx.WorkspaceID) (mgx.Workspace, error)
	RenameWorkspace(ctx context.Context, by mgx.Doer, id mgx.WorkspaceID, name string) error
	Member(context.Context, mgx.WorkspaceID, mgx.UserID) (mgx.Member, error)
	Members(ctx context.Context, ws mgx.WorkspaceID, after mgx.UserID, limit int) ([]mgx.Member, error)
	Memberships(context.Context, mgx.UserID) ([]mgx.Member, error)
	ChangeRole(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.UserID, role string) error
	RemoveMember(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.UserID) error
	PutRole(context.Context, mgx.Doer, mgx.Role) error
	Roles(context.Context, mgx.WorkspaceID) ([]mgx.Role, error)
	RemoveRole(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, name string) error

	Invite(context.Context, mgx.Doer, mgx.Invitation) error
	InvitationOf(ctx context.Context, digest string) (mgx.Invitation, error)
	RevokeInvitation(ctx context.Context, by mgx.Doer, ws mgx.WorkspaceID, id mgx.InvitationID) error
	Accept(context.Context, mgx.Doer, mgx.Acceptance) error

	SignIn(ctx context.Context, by mgx.Doer, ses mgx.Session, tokens []mgx.SessionToken) error
	Refresh(ctx context.Context, by mgx.Doer, digest string, fresh func(mgx.Session) []mgx.SessionToken) (mgx.Session, error)
	SessionOf(ctx context.Context, digest string) (mgx.Session, mgx.SessionToken, error)
	Sessions(context.Context, mgx.UserID) ([]mgx.Session, error)
	RevokeSession(ctx context.Context, by mgx.Doer, user mgx.UserID, id mgx.SessionID, why string) error
}

// RunAccess runs the part of the suite that is about people. open returns another
// handle on one database at each call.
func RunAccess(t *testing.T, create func(testing.TB) func() AccessStore) {
	for name, test := range map[string]func(*testing.T, AccessStore){
		"Keys": keys, "Founding": founding, "Invitations": invitations, "Sessions": sessions, "Roles": roles, "OneSession": manySessions,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, create(t)())
		})
	}
	t.Run("LastAdmin", func(t *testing.T) {
		t.Parallel()
		lastAdmin(t, create(t))
	})
	t.Run("Leaving", func(t *testing.T) {
		t.Parallel()
		leaving(t, create(t))
	})
	t.Run("AcceptOnce", func(t *testing.T) {
		t.Parallel()
		acceptOnce(t, create(t))
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t testing.TB, code string, err error) {
	t.Helper()
	if !mgx.IsCode(err, code) {
		t.Errorf("got %v, want code %s", err, code)
	}
}

// found makes the installation's owner.
func found(t testing.TB, s AccessStore) {
	t.Helper()
	owner := mgx.User{ID: mgx.LocalUser, Name: "owner"}
	made, err := s.Found(t.Context(), by, owner, invitation("first", "", mgx.RoleAdmin, mgx.LocalUser))
	if err != nil || !made {
		t.Fatal(made, err)
	}
}

func invitation(digest, email, role string, user mgx.UserID) mgx.Invitation {
	return mgx.Invitation{
		ID: mgx.NewID[mgx.InvitationID]("inv"), Workspace: ws, Email: email, Role: role, User: user, Digest: digest, CreatedBy: mgx.LocalUser, ExpiresAt: mgx.Now().Add(time.Hour),
	}
}

func session(user mgx.UserID) mgx.Session {
	return mgx.Session{ID: mgx.NewID[mgx.SessionID]("ses"), User: user, Address: "192.0.2.1", Agent: "test", ExpiresAt: mgx.Now().Add(time.Hour)}
}

func tokens(s mgx.Session, name string) []mgx.SessionToken {
	return []mgx.SessionToken{
		{Digest: name + "-access", Session: s.ID, ExpiresAt: mgx.Now().Add(time.Minute)},
		{Digest: name + "-refresh", Session: s.ID, Refresh: true, ExpiresAt: s.ExpiresAt},
	}
}

// join invites somebody and has them accept.
func join(t testing.TB, s AccessStore, id mgx.UserID, role string) {
	t.Helper()
	i := invitation("of "+string(id), string(id)+"@example.com", role, "")
	must(t, s.Invite(t.Context(), by, i))
	must(t, s.Accept(t.Context(), by, mgx.Acceptance{Digest: i.Digest, New: true, User: mgx.User{ID: id, Email: i.Email, Name: "x", Password: "$p"}, Session: session(id)}))
}

// audited lists what the audit log of the workspace tells, in order.
func audited(t testing.TB, s AccessStore) (all []string) {
	t.Helper()
	list, err := s.Events(t.Context(), store.EventQuery{Stream: mgx.AuditStream(ws)})
	must(t, err)
	for _, e := range list {
		var d mgx.AuditData
		must(t, e.Decode(&d))
		if !d.Intact() || d.Details == nil || d.Details.From == "" {
			t.Errorf("entry %s is not whole", e.ID)
		}
		all = append(all, d.Action+" "+d.Decision)
	}
	return all
}

func founding(t *testing.T, s AccessStore) {
	found(t, s)
	if made, err := s.Found(t.Context(), by, mgx.User{ID: "user_other"}, invitation("second", "", mgx.RoleAdmin, "user_other")); made || err != nil {
		t.Errorf("founded twice: %v", err)
	}
	m, err := s.Member(t.Context(), ws, mgx.LocalUser)
	if err != nil || m.Role != mgx.RoleAdmin {
		t.Errorf("%+v %v", m, err)
	}
	// The invitation lets the owner set an address and a password, once.
	owner := mgx.User{ID: mgx.LocalUser, Email: "o@example.com", Name: "O", Password: "$p"}
	must(t, s.Accept(t.Context(), by, mgx.Acceptance{Digest: "first", User: owner, Session: session(owner.ID)}))
	wants(t, mgx.CodeInvitationSpent, s.Accept(t.Context(), by, mgx.Acceptance{Digest: "first", User: owner, Session: session(owner.ID)}))
	if u, err := s.UserByEmail(t.Context(), "o@example.com"); err != nil || u.ID != mgx.LocalUser || u.Password != "$p" || !u.HasPassword {
		t.Errorf("%+v %v", u, err)
	}
	if got := fmt.Sprint(audited(t, s)); got != "[user.create allowed invitation.accept allowed]" {
		t.Errorf("the log tells %s", got)
	}
	must(t, s.Verify(t.Context()))
}

func invitations(t *testing.T, s AccessStore) {
	ctx := t.Context()
	found(t, s)
	join(t, s, "user_1", mgx.RoleViewer)
	again := invitation("again", "", mgx.RoleAdmin, "")
	must(t, s.Invite(ctx, by, again))
	accept := func(digest string, u mgx.User, fresh bool) error {
		return s.Accept(ctx, by, mgx.Acceptance{Digest: digest, User: u, New: fresh, Session: session(u.ID)})
	}
	wants(t, mgx.CodeConflict, accept("again", mgx.User{ID: "user_1"}, false))                             // a member already
	wants(t, mgx.CodeConflict, accept("again", mgx.User{ID: "user_2", Email: "user_1@example.com"}, true)) // the address is taken
	wants(t, mgx.CodeInvitationSpent, accept("of user_1", mgx.User{ID: "user_2"}, true))                   // used
	wants(t, mgx.CodeInvitationSpent, accept("nothing", mgx.User{ID: "user_2"}, true))                     // none
	if _, err := s.User(ctx, "user_2"); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("a person was made: %v", err)
	}
	if _, err := s.InvitationOf(ctx, "again"); err != nil {
		t.Errorf("it was spent in vain: %v", err)
	}
	wants(t, mgx.CodeNotFound, s.RevokeInvitation(ctx, by, "ws_other", again.ID))
	must(t, s.RevokeInvitation(ctx, by, ws, again.ID))
	wants(t, mgx.CodeInvitationSpent, accept("again", mgx.User{ID: "user_2"}, true))
	late := invitation("late", "", mgx.RoleViewer, "")
	late.ExpiresAt = mgx.Now().Add(-time.Second)
	must(t, s.Invite(ctx, by, late))
	wants(t, mgx.CodeInvitationSpent, accept("late", mgx.User{ID: "user_2"}, true))
	wants(t, "bad_role", s.Invite(ctx, by, invitation("no role", "", "emperor", "")))
	wants(t, mgx.CodeNotFound, s.Invite(ctx, by, invitation("nobody", "", mgx.RoleViewer, "user_none")))
	// One that is for a member is for no other.
	must(t, s.Invite(ctx, by, invitation("reset", "", mgx.RoleViewer, "user_1")))
	wants(t, mgx.CodeInvitationSpent, accept("reset", mgx.User{ID: mgx.LocalUser}, false))
}

func sessions(t *testing.T, s AccessStore) {
	ctx := t.Context()
	found(t, s)
	join(t, s, "user_1", mgx.RoleViewer)
	ses := session("user_1")
	must(t, s.SignIn(ctx, by, ses, tokens(ses, "one")))
	if got, until, err := s.SessionOf(ctx, "one-access"); err != nil || got.ID != ses.ID || until.ExpiresAt.IsZero() {
		t.Errorf("%+v %v", got, err)
	}
	wants(t, mgx.CodeTokenUnknown, func() error { _, _, err := s.SessionOf(ctx, "one-refresh"); return err }())
	refresh := func(digest, name string) error {
		_, err := s.Refresh(ctx, by, digest, func(s mgx.Session) []mgx.SessionToken { return tokens(s, name) })
		return err
	}
	wants(t, mgx.CodeTokenUnknown, refresh("one-access", "x"))
	wants(t, mgx.CodeTokenUnknown, refresh("nothing", "x"))
	must(t, refresh("one-refresh", "two"))
	must(t, refresh("two-refresh", "three"))
	wants(t, mgx.CodeTokenReused, refresh("one-refresh", "stolen"))
	wants(t, mgx.CodeTokenUnknown, refresh("three-refresh", "x")) // the whole family
	if got, _, err := s.SessionOf(ctx, "three-access"); err != nil || got.Alive(mgx.Now()) || got.RevokedWhy != "token_reuse" {
		t.Errorf("%+v %v", got, err)
	}
	raised, err := s.Events(ctx, store.EventQuery{Types: []string{string(mgx.SuspiciousActivity)}})
	if err != nil || len(raised) != 1 || !strings.Contains(string(raised[0].Data), "token_reuse") {
		t.Errorf("the log tells %v %v", raised, err)
	}
	two, three := session("user_1"), session("user_1")
	three.Proved = "$p"
	must(t, s.SignIn(ctx, by, two, tokens(two, "four")))
	must(t, s.SignIn(ctx, by, three, tokens(three, "five")))
	wants(t, mgx.CodeNotFound, s.RevokeSession(ctx, by, mgx.LocalUser, two.ID, "revoked")) // somebody else's
	must(t, s.SetPassword(ctx, by, "user_1", "$p", "$new", "password_changed", three.ID))
	late := session("user_1") // whoever showed the password before is late
	late.Proved = "$p"
	wants(t, mgx.CodeBadCredentials, s.SignIn(ctx, by, late, tokens(late, "late")))
	wants(t, mgx.CodeBadCredentials, s.SetPassword(ctx, by, "user_1", "$p", "$back", "password_changed", three.ID))
	wants(t, mgx.CodeBadCredentials, s.SetPassword(ctx, by, "user_1", "$p", "$again", "", ""))
	all, err := s.Sessions(ctx, "user_1")
	if err != nil || len(all) != 1 || all[0].ID != three.ID {
		t.Errorf("after another password %+v %v", all, err)
	}
	must(t, s.RevokeSession(ctx, by, "user_1", three.ID, "signed_out"))
	if all, err := s.Sessions(ctx, "user_1"); err != nil || len(all) != 0 {
		t.Errorf("%+v %v", all, err)
	}
	got := strings.Join(audited(t, s), ", ")
	if want := "session.refresh denied, session.create allowed, session.create allowed, user.password allowed, session.delete allowed"; !strings.HasSuffix(got, want) {
		t.Errorf("the log tells %s", got)
	}
}

// A person has a bounded number of sessions: the one unused longest ends.
func manySessions(t *testing.T, s AccessStore) {
	found(t, s)
	first := session(mgx.LocalUser)
	must(t, s.SignIn(t.Context(), by, first, nil))
	for range store.MaxSessions {
		must(t, s.SignIn(t.Context(), by, session(mgx.LocalUser), nil))
	}
	all, err := s.Sessions(t.Context(), mgx.LocalUser)
	if err != nil || len(all) != store.MaxSessions || all[0].ID == first.ID {
		t.Errorf("%d sessions, %v", len(all), err)
	}
}

func roles(t *testing.T, s AccessStore) {
	ctx := t.Context()
	found(t, s)
	join(t, s, "user_1", mgx.RoleViewer)
	other, err := s.CreateWorkspace(ctx, by, mgx.Workspace{ID: "ws_other", Name: "other"}, "user_1")
	if err != nil || other.CreatedAt.IsZero() {
		t.Fatal(other, err)
	}
	must(t, s.RenameWorkspace(ctx, by, "ws_other", "theirs"))
	if all, err := s.Memberships(ctx, "user_1"); err != nil || len(all) != 2 || all[1].Role != mgx.RoleAdmin || all[1].WorkspaceName != "theirs" {
		t.Errorf("%+v %v", all, err)
	}
	wants(t, "bad_role", s.ChangeRole(ctx, by, ws, "user_1", "builder"))
	must(t, s.PutRole(ctx, by, mgx.Role{Workspace: ws, Name: "builder", Policy: "permit (principal, action, resource);"}))
	must(t, s.PutRole(ctx, by, mgx.Role{Workspace: "ws_other", Name: "theirs", Policy: "permit (principal, action, resource);"}))
	wants(t, "bad_role", s.ChangeRole(ctx, by, ws, "user_1", "theirs"))
	must(t, s.ChangeRole(ctx, by, ws, "user_1", "builder"))
	wants(t, mgx.CodeConflict, s.RemoveRole(ctx, by, ws, "builder"))
	must(t, s.ChangeRole(ctx, by, ws, "user_1", mgx.RoleAuditor))
	late := invitation("late", "", "builder", "")
	late.ExpiresAt = mgx.Now().Add(-time.Second)
	must(t, s.Invite(ctx, by, late))
	must(t, s.RemoveRole(ctx, by, ws, "builder"))
	if all, err := s.Roles(ctx, ws); err != nil || len(all) != 0 {
		t.Errorf("%+v %v", all, err)
	}
	wants(t, mgx.CodeLastAdmin, s.ChangeRole(ctx, by, ws, mgx.LocalUser, mgx.RoleViewer))
	wants(t, mgx.CodeLastAdmin, s.RemoveMember(ctx, by, ws, mgx.LocalUser))
	wants(t, mgx.CodeNotFound, s.RemoveMember(ctx, by, "ws_other", mgx.LocalUser))
	must(t, s.CreateKey(ctx, by, mgx.APIKey{ID: "key_1", Workspace: ws, User: "user_1", Digest: strings.Repeat("a", 64), Scopes: []string{"runs"}}))
	must(t, s.CreateKey(ctx, by, mgx.APIKey{ID: "key_service", Workspace: ws, User: "user_1", Role: mgx.RoleService, Digest: strings.Repeat("b", 64), Scopes: []string{"models"}}))
	for _, digest := range []string{"made before", "made later"} { // whoever made them has another role, then none
		i := invitation(digest, "", mgx.RoleAdmin, "")
		i.CreatedBy = "user_1"
		must(t, s.Invite(ctx, by, i))
		if digest == "made before" {
			must(t, s.ChangeRole(ctx, by, ws, "user_1", mgx.RoleViewer))
		} else {
			must(t, s.RemoveMember(ctx, by, ws, "user_1"))
		}
		if _, err := s.InvitationOf(ctx, digest); !mgx.IsCode(err, mgx.CodeInvitationSpent) {
			t.Errorf("an invitation outlived what its maker could do: %v", err)
		}
	}
	if k, err := s.Key(ctx, "key_1"); err != nil || k.RevokedAt.IsZero() {
		t.Errorf("the key of somebody who left is %+v %v", k, err)
	}
	if k, err := s.Key(ctx, "key_service"); err != nil || !k.RevokedAt.IsZero() {
		t.Errorf("the key of a service that they made is %+v %v", k, err)
	}
	if all, err := s.Members(ctx, ws, "", 0); err != nil || len(all) != 1 {
		t.Errorf("%+v %v", all, err)
	}
}

// Of two admins who remove each other at once one stays, however often they try
// and whichever process they ask.
func lastAdmin(t *testing.T, open func() AccessStore) {
	a, b := open(), open()
	found(t, a)
	for n := range 10 {
		id := mgx.UserID(fmt.Sprintf("user_%d", n))
		join(t, a, id, mgx.RoleAdmin)
		left := 0
		var both sync.WaitGroup
		var mu sync.Mutex
		var first mgx.UserID = mgx.LocalUser
		if all, err := a.Members(t.Context(), ws, "", 0); err != nil || len(all) != 2 {
			t.Fatal(all, err)
		} else if first = all[0].User; first == id {
			first = all[1].User
		}
		for s, whom := range map[AccessStore]mgx.UserID{a: id, b: first} {
			both.Go(func() {
				var err error
				if n%2 == 0 {
					err = s.RemoveMember(t.Context(), by, ws, whom)
				} else {
					err = s.ChangeRole(t.Context(), by, ws, whom, mgx.RoleViewer)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					left++
				} else if !mgx.IsCode(err, mgx.CodeLastAdmin) {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if left != 1 {
			t.Fatalf("%d of two admins left", left)
		}
		all, err := a.Members(t.Context(), ws, "", 0)
		must(t, err)
		admins := 0
		for _, m := range all {
			if m.Role == mgx.RoleAdmin {
				admins++
			} else {
				must(t, a.RemoveMember(t.Context(), by, ws, m.User))
			}
		}
		if admins != 1 {
			t.Fatalf("%d admins are left", admins)
		}
	}
}

// Who is removed, or becomes somebody else, leaves nothing that lets people in, though
// what they asked for was permitted before, is under way, and another process does it.
func leaving(t *testing.T, open func() AccessStore) {
	a, b := open(), open()
	found(t, a)
	join(t, a, "user_2", mgx.RoleAdmin)
	theirs := mgx.Doer{Workspace: ws, Actor: "user_2", From: "192.0.2.2", Role: mgx.RoleAdmin, User: "user_2"}
	begun := make(chan struct{})
	var once sync.Once
	var all sync.WaitGroup
	var mu sync.Mutex
	var made []string
	for range 4 {
		all.Go(func() {
			for {
				i := invitation(rand.Text(), "", mgx.RoleAdmin, "")
				i.CreatedBy = theirs.User
				if err := b.Invite(t.Context(), theirs, i); err != nil {
					wants(t, "forbidden", err)
					return
				}
				mu.Lock()
				made = append(made, i.Digest)
				mu.Unlock()
				once.Do(func() { close(begun) })
			}
		})
	}
	<-begun
	must(t, a.RemoveMember(t.Context(), by, ws, theirs.User))
	all.Wait()
	for _, digest := range made {
		if _, err := a.InvitationOf(t.Context(), digest); !mgx.IsCode(err, mgx.CodeInvitationSpent) {
			t.Fatalf("of %d invitations one outlived its maker: %v", len(made), err)
		}
	}

	join(t, a, "user_3", mgx.RoleAdmin)
	key := mgx.APIKey{ID: "key_3", Workspace: ws, User: "user_3", Digest: strings.Repeat("c", 64), Scopes: []string{"*"}}
	must(t, a.CreateKey(t.Context(), by, key))
	byKey := mgx.Doer{Workspace: ws, Actor: "key_3", Role: mgx.RoleAdmin, User: "user_3", Key: "key_3"}
	must(t, b.RotateKey(t.Context(), byKey, ws, key.ID, strings.Repeat("d", 64), 0))
	must(t, a.RevokeKey(t.Context(), by, ws, key.ID))
	demoted := mgx.Doer{Workspace: ws, Actor: "user_3", Role: mgx.RoleAdmin, User: "user_3"}
	must(t, b.PutRole(t.Context(), demoted, mgx.Role{Workspace: ws, Name: "before", Policy: "x"}))
	must(t, a.ChangeRole(t.Context(), by, ws, "user_3", mgx.RoleViewer))
	for name, who := range map[string]mgx.Doer{"who left": theirs, "a revoked key": byKey, "who is less": demoted} {
		for what, err := range map[string]error{
			"a key":    b.CreateKey(t.Context(), who, mgx.APIKey{ID: "key_4", Workspace: ws, User: "user_3", Role: mgx.RoleService, Digest: strings.Repeat("e", 64), Scopes: []string{"models"}}),
			"a secret": b.RotateKey(t.Context(), who, ws, "key_3", strings.Repeat("f", 64), 0),
			"a role":   b.PutRole(t.Context(), who, mgx.Role{Workspace: ws, Name: "late", Policy: "x"}),
			"a rise":   b.ChangeRole(t.Context(), who, ws, "user_3", mgx.RoleAdmin),
			"an end":   b.RemoveMember(t.Context(), who, ws, "user_3"),
		} {
			if !mgx.IsCode(err, "forbidden") {
				t.Errorf("%s made %s: %v", name, what, err)
			}
		}
	}
}

// An invitation lets one in, also when several come with it at once.
func acceptOnce(t *testing.T, open func() AccessStore) {
	stores := []AccessStore{open(), open()}
	found(t, stores[0])
	must(t, stores[0].Invite(t.Context(), by, invitation("one", "", mgx.RoleViewer, "")))
	var all sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for n := range 8 {
		all.Go(func() {
			id := mgx.UserID(fmt.Sprintf("user_%d", n))
			err := stores[n%2].Accept(t.Context(), by, mgx.Acceptance{Digest: "one", New: true, User: mgx.User{ID: id, Email: string(id) + "@example.com"}, Session: session(id)})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				in++
			} else if !mgx.IsCode(err, mgx.CodeInvitationSpent) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if in != 1 {
		t.Errorf("%d came in with one invitation", in)
	}
}
