package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/store"
	"mgx/internal/webhook"
)

// town is a server with people: in the default workspace one of each role, and in
// another an admin of its own.
type town struct {
	t      testing.TB
	store  *store.Store
	access *app.Access
	web    *api.Server
	url    string
	tokens map[string]string // access tokens, by role; "other": of the other workspace's admin
	users  map[string]mgx.UserID
	other  mgx.WorkspaceID
	mu     sync.Mutex
	bodies []string // of answers
	hidden []string // values that the process was told to hide
}

const townPassword = "four words of theirs"

func newTown(t testing.TB) *town {
	t.Helper()
	w := &town{t: t, tokens: map[string]string{}, users: map[string]mgx.UserID{}}
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.Open(context.Background(), townDatabase(t), store.Options{Check: latest(contracts), Vouch: townAudit.Vouch}); err != nil {
		t.Fatal(err)
	}
	start := time.Now() // at which it stays: nothing is over because the machine is slow
	w.access = app.NewAccess(app.AccessOptions{
		Store: w.store, Local: token, Costs: access.Params{Memory: 8, Time: 1, Threads: 1}, Now: func() time.Time { return start },
	})
	hub := event.NewHub(event.HubOptions{Source: w.store, Epoch: "epoch-1", Key: []byte("0123456789abcdef"), Authorize: w.access.Channels, Contracts: contracts})
	o := api.Options{
		Hub: hub, Contracts: contracts, Access: w.access, Budgets: &app.Budgets{Store: w.store}, Work: townWork(w.store, w.access), Templates: &app.Templates{Access: w.access, Store: w.store}, Webhooks: &webhook.Endpoints{Store: w.store}, Consumers: w.store,
		Models: app.NewModels(w.access, townModels{}), Terms: w.store, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Metrics: http.NotFoundHandler(),
	}
	w.withRights(&o, contracts)
	w.web = api.New(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { hub.Run(ctx) })
	all.Go(func() { w.web.Serve(ctx, l) })
	t.Cleanup(func() {
		stop()
		all.Wait()
		w.store.Close()
	})
	w.settle()
	return w
}

// settle has everybody move in.
func (w *town) settle() {
	w.t.Helper()
	setup, err := w.access.Found(w.t.Context(), access.Where{})
	if err != nil || setup == "" {
		w.t.Fatal(setup, err)
	}
	accept := func(name, invitation string) {
		var in app.Signed
		w.must(w.do("", "POST", "/api/v1/auth/accept", map[string]string{"token": invitation, "email": name + "@example.com", "name": name, "password": townPassword}, &in), 200)
		w.tokens[name], w.users[name] = in.Access, in.User.ID
	}
	accept(mgx.RoleAdmin, setup)
	for _, role := range []string{mgx.RoleDeveloper, mgx.RoleViewer, mgx.RoleAuditor} {
		accept(role, w.invite(role, role+"@example.com"))
	}
	var ws mgx.Workspace
	w.must(w.do(w.tokens[mgx.RoleAdmin], "POST", "/api/v1/workspaces", map[string]string{"name": "other"}, &ws), 201)
	w.other = ws.ID
	var made struct{ Token string }
	w.must(w.call(w.tokens[mgx.RoleAdmin], "POST", "/api/v1/invitations", map[string]string{"role": "admin"}, &made, func(r *http.Request) { r.Header.Set("Mgx-Workspace", string(w.other)) }), 201)
	accept("other", made.Token)
	// The admin of the default workspace is of no other, so that there is none to choose.
	if err := w.store.RemoveMember(w.t.Context(), mgx.Doer{Workspace: w.other, Actor: "test"}, w.other, w.users[mgx.RoleAdmin]); err != nil {
		w.t.Fatal(err)
	}
	w.access.Forget()
}

func (w *town) invite(role, email string) string {
	w.t.Helper()
	var made struct{ Token string }
	w.must(w.do(w.tokens[mgx.RoleAdmin], "POST", "/api/v1/invitations", map[string]string{"role": role, "email": email}, &made), 201)
	return made.Token
}

// key makes a key of a person, as the store takes it.
func (w *town) key(who string, edit func(*mgx.APIKey)) (mgx.APIKey, string) {
	w.t.Helper()
	settings := mgx.APIKey{Workspace: mgx.DefaultWorkspace, User: w.users[who], Name: "test", Scopes: []string{"*"}}
	if edit != nil {
		edit(&settings)
	}
	k, secret := access.NewKey(settings)
	if err := w.store.CreateKey(w.t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "test"}, k); err != nil {
		w.t.Fatal(err)
	}
	return k, secret
}

// reply is what came of a request.
type reply struct {
	t      testing.TB
	what   string
	status int
	code   string // of a problem
	body   string
	header http.Header
}

func (w *town) do(secret, method, path string, body, into any) reply {
	w.t.Helper()
	return w.call(secret, method, path, body, into, nil)
}

func (w *town) call(secret, method, path string, body, into any, edit func(*http.Request)) reply {
	w.t.Helper()
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, bytes.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	if edit != nil {
		edit(r)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	out := reply{t: w.t, what: method + " " + path, status: resp.StatusCode, body: string(got), header: resp.Header}
	if resp.StatusCode >= 400 {
		var p struct{ Code string }
		json.Unmarshal(got, &p)
		out.code = p.Code
	} else if into != nil {
		if err := json.Unmarshal(got, into); err != nil {
			w.t.Fatalf("%s: %v in %s", out.what, err, got)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bodies = append(w.bodies, out.body)
	return out
}

func (w *town) must(r reply, status int) {
	w.t.Helper()
	if r.status != status {
		w.t.Fatalf("%s: %d %s, want %d", r.what, r.status, r.body, status)
	}
}

func (r reply) want(status int, code string) {
	r.t.Helper()
	if r.status != status || r.code != code {
		r.t.Errorf("%s: %d %s, want %d %s", r.what, r.status, r.body, status, code)
	}
}

func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("X-Forwarded-For", address) }
}

// Signing in gives tokens that are renewed; a token that is used twice ends them
// all; whoever signs out is out.
func TestSessions(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	var in, next app.Signed
	w.must(w.do("", "POST", "/api/v1/auth/sign-in", map[string]string{"email": " Developer@Example.com", "password": townPassword}, &in), 200)
	if in.Expires != 900 || len(in.Members) != 1 || in.Members[0].Role != mgx.RoleDeveloper {
		t.Errorf("%+v", in)
	}
	refresh := func(token string, into any) reply {
		return w.do("", "POST", "/api/v1/auth/refresh", map[string]string{"refresh_token": token}, into)
	}
	w.must(refresh(in.Refresh, &next), 200)
	w.must(w.do(in.Access, "GET", "/api/v1/me", nil, nil), 200) // until it expires
	refresh(in.Refresh, nil).want(401, "token_reused")
	for _, secret := range []string{in.Access, next.Access} {
		w.do(secret, "GET", "/api/v1/me", nil, nil).want(401, "unauthenticated")
	}
	refresh(next.Refresh, nil).want(401, "token_unknown")
	refresh("mgxr_none", nil).want(401, "token_unknown")
	raised, err := w.store.Events(t.Context(), store.EventQuery{Types: []string{"security.*"}})
	if err != nil || len(raised) != 1 || !strings.Contains(string(raised[0].Data), "token_reuse") || !strings.Contains(string(raised[0].Data), string(in.User.ID)) {
		t.Errorf("the log tells %v %v", raised, err)
	}

	w.must(w.do("", "POST", "/api/v1/auth/sign-in", map[string]string{"email": "developer@example.com", "password": townPassword}, &in), 200)
	var listed struct{ Sessions []mgx.Session }
	w.must(w.do(in.Access, "GET", "/api/v1/sessions", nil, &listed), 200)
	if len(listed.Sessions) != 2 || !listed.Sessions[1].Current || listed.Sessions[1].Agent == "" {
		t.Errorf("%+v", listed)
	}
	w.do(w.tokens[mgx.RoleAdmin], "DELETE", "/api/v1/sessions/"+string(in.Session.ID), nil, nil).want(404, "not_found") // somebody else's
	w.must(w.do(in.Access, "DELETE", "/api/v1/sessions/"+string(listed.Sessions[0].ID), nil, nil), 204)
	w.do(w.tokens[mgx.RoleDeveloper], "GET", "/api/v1/me", nil, nil).want(401, "unauthenticated")
	w.must(w.do(in.Access, "POST", "/api/v1/auth/sign-out", nil, nil), 204)
	w.do(in.Access, "GET", "/api/v1/me", nil, nil).want(401, "unauthenticated")
	refresh(in.Refresh, nil).want(401, "token_unknown")

	// A password that is changed ends other sessions, not this one.
	me := w.tokens[mgx.RoleViewer]
	var second app.Signed
	w.must(w.do("", "POST", "/api/v1/auth/sign-in", map[string]string{"email": "viewer@example.com", "password": townPassword}, &second), 200)
	change := func(old, fresh string) reply {
		return w.do(me, "PUT", "/api/v1/me/password", map[string]string{"current_password": old, "new_password": fresh}, nil)
	}
	wrong := change("not that one", "another of theirs")
	if wrong.want(401, "bad_credentials"); !strings.Contains(wrong.body, "not your password now") {
		t.Error(wrong.body)
	}
	change(townPassword, "short").want(400, "weak_password")
	change(townPassword, "passwordpassword").want(400, "weak_password")
	w.must(change(townPassword, "another of theirs"), 204)
	w.must(w.do(me, "GET", "/api/v1/me", nil, nil), 200)
	w.do(second.Access, "GET", "/api/v1/me", nil, nil).want(401, "unauthenticated")
	_, secret := w.key(mgx.RoleViewer, nil)
	w.do(secret, "GET", "/api/v1/sessions", nil, nil).want(403, "session_required")
}

// Guessing is slowed down where it comes from, and nowhere else; and it does not
// tell who has an account.
func TestSignInIsNotGuessed(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	try := func(email, password, address string) reply {
		return w.call("", "POST", "/api/v1/auth/sign-in", map[string]string{"email": email, "password": password}, nil, from(address))
	}
	bodies := map[string]bool{}
	for _, email := range []string{"admin@example.com", "nobody@example.com", "no address", ""} {
		for n := range 5 {
			r := try(email, "guess", "192.0.2.1")
			if r.want(401, "bad_credentials"); n == 0 {
				head, _, _ := strings.Cut(r.body, `,"request_id"`)
				bodies[head] = true
			}
		}
		r := try(email, townPassword, "192.0.2.1")
		if r.want(429, "too_many_attempts"); r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if len(bodies) != 1 {
		t.Errorf("%d answers: %v", len(bodies), bodies)
	}
	w.must(try("admin@example.com", townPassword, "192.0.2.2"), 200)
	for range 4 { // some failures, then the right one: they are forgotten
		try("auditor@example.com", "guess", "192.0.2.3").want(401, "bad_credentials")
	}
	w.must(try("auditor@example.com", townPassword, "192.0.2.3"), 200)
	for range 5 {
		try("auditor@example.com", "guess", "192.0.2.3").want(401, "bad_credentials")
	}
	// The token of the data directory is for this machine.
	w.must(w.do(token, "GET", "/api/v1/me", nil, nil), 200)
	w.call(token, "GET", "/api/v1/me", nil, nil, from("192.0.2.1")).want(401, "unauthenticated")
}

// Invitations let one person in once, as what they say, and nothing else.
// TestInvitationsWait: being invited to another workspace changes nothing for a member
// until they accept, which nobody does for them.
func TestInvitationsWait(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	in := func(ws mgx.WorkspaceID) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Mgx-Workspace", string(ws)) }
	}
	invited := func(email, role string) (id string) {
		var made struct{ Invitation struct{ ID string } }
		w.must(w.do(w.tokens["other"], "POST", "/api/v1/invitations", map[string]string{"role": role, "email": email}, &made), 201)
		return made.Invitation.ID
	}
	developer := w.tokens["developer"]
	waits := func(token string) (ids []string) {
		var all struct{ Invitations []mgx.WaitingInvitation }
		w.must(w.do(token, "GET", "/api/v1/me/invitations", nil, &all), 200)
		for _, i := range all.Invitations {
			if i.WorkspaceName != "other" || i.Workspace != w.other || i.InvitedBy != "other" {
				t.Errorf("%+v", i)
			}
			ids = append(ids, string(i.ID))
		}
		return ids
	}
	decide := func(token, id, how string) reply {
		return w.do(token, "POST", "/api/v1/me/invitations/"+id+"/"+how, nil, nil)
	}
	unwanted, id := invited("developer@example.com", "admin"), invited("Developer@Example.com", "viewer")
	if got := waits(developer); len(got) != 2 || len(waits(w.tokens["viewer"])) != 0 {
		t.Errorf("there wait %v for whom it is for, and %v for somebody else", got, waits(w.tokens["viewer"]))
	}
	w.must(w.do(developer, "GET", "/api/v1/members", nil, nil), 200) // of the default workspace, as before
	w.call(developer, "GET", "/api/v1/members", nil, nil, in(w.other)).want(403, "not_a_member")
	_, key := w.key("developer", nil)
	decide(key, id, "accept").want(403, "session_required")
	decide(w.tokens["viewer"], id, "accept").want(404, "not_found")
	w.must(decide(developer, unwanted, "decline"), 204)
	decide(developer, unwanted, "accept").want(404, "not_found")
	var seen mgx.Invitation
	w.must(w.do(w.tokens["other"], "GET", "/api/v1/invitations/"+unwanted, nil, &seen), 200)
	if seen.DeclinedAt.IsZero() {
		t.Errorf("who invited sees %+v", seen)
	}
	taken := invited("developer@example.com", "admin")
	w.must(w.do(w.tokens["other"], "DELETE", "/api/v1/invitations/"+taken, nil, nil), 204)
	decide(developer, taken, "accept").want(404, "not_found")
	var member mgx.Member
	w.must(w.do(developer, "POST", "/api/v1/me/invitations/"+id+"/accept", nil, &member), 200)
	if member.Role != "viewer" || member.Workspace != w.other || member.User != w.users["developer"] || len(waits(developer)) != 0 {
		t.Errorf("%+v", member)
	}
	w.must(w.call(developer, "GET", "/api/v1/members", nil, nil, in(w.other)), 200)
	w.must(w.call(developer, "GET", "/api/v1/members", nil, nil, in(mgx.DefaultWorkspace)), 200)
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	accept := func(token, email, password string, into any) reply {
		return w.do("", "POST", "/api/v1/auth/accept", map[string]string{"token": token, "email": email, "name": "Bo", "password": password}, into)
	}
	one := w.invite("viewer", "bo@example.com")
	accept(one, "", "short", nil).want(400, "weak_password")
	accept(one, "", "bo@example.com", nil).want(400, "weak_password")
	var in app.Signed
	w.must(accept(one, "mallory@example.com", townPassword, &in), 200) // it is for bo, whatever is said
	if in.User.Email != "bo@example.com" || len(in.Members) != 1 || in.Members[0].Role != mgx.RoleViewer {
		t.Errorf("%+v", in)
	}
	accept(one, "", townPassword, nil).want(410, "invitation_spent")
	accept("mgxi_none", "x@example.com", townPassword, nil).want(410, "invitation_spent")
	// Who has an account joins with its password, and becomes nobody else by it.
	open := w.invite("auditor", "")
	accept(open, "other@example.com", "not the password", nil).want(401, "bad_credentials")
	accept(open, "bo@example.com", townPassword, nil).want(409, "conflict")
	w.must(accept(open, "other@example.com", townPassword, &in), 200)
	if len(in.Members) != 2 {
		t.Errorf("%+v", in.Members)
	}
	// In several workspaces, one has to be named.
	w.do(in.Access, "GET", "/api/v1/members", nil, nil).want(400, "workspace_required")
	for ws, role := range map[mgx.WorkspaceID]string{mgx.DefaultWorkspace: "auditor", w.other: "admin"} {
		var me app.Me
		w.must(w.call(in.Access, "GET", "/api/v1/me", nil, &me, func(r *http.Request) { r.Header.Set("Mgx-Workspace", string(ws)) }), 200)
		if me.Role != role {
			t.Errorf("%s in %s", me.Role, ws)
		}
	}
	// Only an admin makes admins, or roles.
	admin, manager := w.tokens[mgx.RoleAdmin], ""
	w.must(w.do(admin, "PUT", "/api/v1/roles/manager", map[string]string{"policy": `permit (principal, action, resource is Users);`}, nil), 200)
	w.must(accept(w.invite("manager", "m@example.com"), "", townPassword, &in), 200)
	manager = in.Access
	for _, role := range []string{"admin", "manager", "service", "none"} {
		w.do(manager, "POST", "/api/v1/invitations", map[string]string{"role": role}, nil).want(403, "forbidden")
		w.do(manager, "PATCH", "/api/v1/members/"+string(w.users["viewer"]), map[string]string{"role": role}, nil).want(403, "forbidden")
	}
	w.do(manager, "PATCH", "/api/v1/members/"+string(w.users["admin"]), map[string]string{"role": "viewer"}, nil).want(403, "forbidden")
	w.do(manager, "DELETE", "/api/v1/members/"+string(w.users["admin"]), nil, nil).want(403, "forbidden")
	w.do(manager, "PUT", "/api/v1/roles/emperor", map[string]string{"policy": `permit (principal, action, resource);`}, nil).want(403, "forbidden")
	w.must(w.do(manager, "PATCH", "/api/v1/members/"+string(w.users["viewer"]), map[string]string{"role": "developer"}, nil), 200)
	w.do(admin, "PUT", "/api/v1/roles/admin", map[string]string{"policy": `permit (principal, action, resource);`}, nil).want(400, "bad_role")
	w.do(admin, "PUT", "/api/v1/roles/bad", map[string]string{"policy": `permit (principal`}, nil).want(400, "bad_policy")
	w.do(admin, "DELETE", "/api/v1/members/"+string(w.users["admin"]), nil, nil).want(409, "last_admin")
	w.do(admin, "PATCH", "/api/v1/members/"+string(w.users["admin"]), map[string]string{"role": "viewer"}, nil).want(409, "last_admin")
	// A role that permits everything does so in its workspace alone.
	w.must(w.do(admin, "PUT", "/api/v1/roles/manager", map[string]string{"policy": `permit (principal, action, resource);`}, nil), 200)
	w.must(w.do(manager, "GET", "/api/v1/webhooks", nil, nil), 200)
	w.call(manager, "GET", "/api/v1/webhooks", nil, nil, func(r *http.Request) { r.Header.Set("Mgx-Workspace", string(w.other)) }).want(403, "not_a_member")
	// Whoever is removed is out.
	w.must(w.do(admin, "DELETE", "/api/v1/members/"+string(w.users["developer"]), nil, nil), 204)
	w.do(w.tokens["developer"], "GET", "/api/v1/members", nil, nil).want(400, "workspace_required")
}

// Who guesses one person's password from many networks, a few times from each, is told
// of.
func TestGuessesFromManyNetworks(t *testing.T) {
	t.Parallel()
	w := limitedTown(t, api.Limits{})
	for i := range 20 {
		w.call("", "POST", "/api/v1/auth/sign-in", map[string]string{"email": "admin@example.com", "password": "x"}, nil, from(fmt.Sprintf("192.0.2.%d", i)))
	}
	want := "authentication_failures 192.0.2.19 " + string(w.users[mgx.RoleAdmin])
	if all := w.suspicions(); !slices.Equal(all, []string{want}) {
		t.Errorf("told is %q, want %q", all, want)
	}
}

// An admin of the default workspace sees all workspaces, an admin of another one theirs.
func TestWorkspacesOfAnAdmin(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for who, want := range map[string]int{"admin": 2, "other": 1, mgx.RoleViewer: 1} {
		var list struct{ Items, Workspaces []mgx.Workspace }
		w.must(w.do(w.tokens[who], "GET", "/api/v1/workspaces", nil, &list), 200)
		if n := len(list.Items) + len(list.Workspaces); n != want {
			t.Errorf("%s sees %d", who, n)
		}
	}
}

// What a key may not do or read itself it has nobody else do, nor sent elsewhere.
func TestScopesAreNotWalkedAround(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	key := func(scopes ...string) string {
		_, secret := w.key("admin", func(k *mgx.APIKey) { k.Scopes = scopes })
		return secret
	}
	people := key("users")
	for _, role := range []string{mgx.RoleViewer, mgx.RoleDeveloper, mgx.RoleAuditor, mgx.RoleAdmin} {
		w.do(people, "POST", "/api/v1/invitations", map[string]any{"role": role}, nil).want(403, "forbidden")
		w.do(people, "PATCH", "/api/v1/members/"+string(w.users[mgx.RoleViewer]), map[string]any{"role": role}, nil).want(403, "forbidden")
	}
	w.do(people, "DELETE", "/api/v1/members/"+string(w.users[mgx.RoleViewer]), nil, nil).want(403, "forbidden")
	hook := func(secret string, status int, code string, types ...string) (made struct{ Webhook mgx.Webhook }) {
		w.do(secret, "POST", "/api/v1/webhooks", map[string]any{"url": "https://example.com/x", "types": types}, &made).want(status, code)
		return made
	}
	hook(key("webhooks"), 403, "out_of_scope", "run.*")
	hook(key("webhooks", "events"), 403, "out_of_scope", "run.*", "audit.*")
	hook(key("webhooks", "events"), 201, "", "run.*")
	all := hook(key("webhooks", "events", "audit"), 201, "", "run.*", "audit.*").Webhook
	for _, act := range []string{"/enable", "/retry", "/deliveries/evt_x/retry"} {
		w.do(key("webhooks", "events"), "POST", "/api/v1/webhooks/"+string(all.ID)+act, nil, nil).want(403, "out_of_scope")
	}
	w.do(key("webhooks", "events"), "PATCH", "/api/v1/webhooks/"+string(all.ID), map[string]any{"url": "https://example.org/y"}, nil).want(403, "out_of_scope")
	// What waits to be sent would go there, too.
	w.do(key("webhooks", "events"), "PATCH", "/api/v1/webhooks/"+string(all.ID), map[string]any{"url": "https://example.org/y", "types": []string{"run.*"}}, nil).want(403, "out_of_scope")
	w.must(w.do(key("webhooks", "events", "audit"), "PATCH", "/api/v1/webhooks/"+string(all.ID), map[string]any{"url": "https://example.org/y", "types": []string{"run.*"}}, nil), 200)
}

// Keys do at most what their scopes and their user allow, also to make keys.
func TestKeys(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	dev := w.tokens[mgx.RoleDeveloper]
	type made struct {
		Key    mgx.APIKey
		Secret string
	}
	create := func(secret string, body map[string]any) (m made, r reply) {
		body["name"] = "k"
		r = w.do(secret, "POST", "/api/v1/keys", body, &m)
		return m, r
	}
	k, r := create(dev, map[string]any{"scopes": []string{"budgets:read", "keys"}, "expires_in": 60})
	w.must(r, 201)
	w.must(w.do(k.Secret, "GET", "/api/v1/budgets", nil, nil), 200)
	w.do(k.Secret, "GET", "/api/v1/usage", nil, nil).want(200, "")
	w.do(k.Secret, "GET", "/api/v1/events", nil, nil).want(403, "out_of_scope")
	w.do(k.Secret, "POST", "/api/v1/budgets", map[string]any{"limit_usd": 1}, nil).want(403, "out_of_scope")
	_, r = create(k.Secret, map[string]any{"scopes": []string{"*"}})
	r.want(403, "out_of_scope")
	_, r = create(k.Secret, map[string]any{"scopes": []string{"budgets"}})
	r.want(403, "out_of_scope")
	_, r = create(k.Secret, map[string]any{"scopes": []string{"budgets:read"}})
	w.must(r, 201)
	_, r = create(dev, map[string]any{"scopes": []string{"models"}, "service": true})
	r.want(403, "forbidden") // it would stay when they leave
	for _, scopes := range [][]string{nil, {""}, {"runs:"}, {"walk"}, {"runs:walk"}, {"runs:read:x"}} {
		_, r = create(dev, map[string]any{"scopes": scopes})
		r.want(400, "bad_scope")
	}
	// Everything that a developer's key may do, it may do as a developer.
	all, r := create(dev, map[string]any{"scopes": []string{"*"}})
	w.must(r, 201)
	w.do(all.Secret, "POST", "/api/v1/budgets", map[string]any{"limit_usd": 1}, nil).want(403, "forbidden")
	// Others' keys: an auditor sees them, an admin ends them, nobody else has their secret.
	theirs := "/api/v1/keys/" + string(k.Key.ID)
	w.must(w.do(w.tokens["auditor"], "GET", theirs, nil, nil), 200)
	w.do(w.tokens["auditor"], "DELETE", theirs, nil, nil).want(403, "forbidden")
	w.do(w.tokens["viewer"], "GET", theirs, nil, nil).want(403, "forbidden")
	w.do(w.tokens["admin"], "POST", theirs+"/rotate", nil, nil).want(403, "forbidden")
	var fresh struct{ Secret string }
	w.must(w.do(dev, "POST", theirs+"/rotate", map[string]int{"overlap": 3600}, &fresh), 200)
	for _, secret := range []string{fresh.Secret, k.Secret} {
		w.must(w.do(secret, "GET", "/api/v1/budgets", nil, nil), 200)
	}
	w.must(w.do(dev, "POST", theirs+"/rotate", nil, &fresh), 200)
	w.do(k.Secret, "GET", "/api/v1/budgets", nil, nil).want(401, "unauthenticated")
	w.must(w.do(w.tokens["admin"], "DELETE", theirs, nil, nil), 204)
	w.do(fresh.Secret, "GET", "/api/v1/budgets", nil, nil).want(401, "unauthenticated")
	// What a list shows is whose asks, or everybody's.
	for who, want := range map[string]int{"developer": 3, "viewer": 0, "auditor": 3, "admin": 3} {
		var list struct{ Keys []mgx.APIKey }
		if w.must(w.do(w.tokens[who], "GET", "/api/v1/keys", nil, &list), 200); len(list.Keys) != want {
			t.Errorf("%s sees %d keys, want %d", who, len(list.Keys), want)
		}
	}
	// A key for models may call them, and another may not.
	_, forModels := w.key("developer", func(k *mgx.APIKey) { k.Scopes = []string{"models"} })
	_, without := w.key("developer", func(k *mgx.APIKey) { k.Scopes = []string{"runs"} })
	_, ofViewer := w.key("viewer", nil)
	_, service := w.key("viewer", func(k *mgx.APIKey) { k.User, k.Role, k.Scopes = "user_old", mgx.RoleService, []string{"models"} })
	for secret, code := range map[string]string{forModels: "", without: "out_of_scope", ofViewer: "forbidden", service: "", "mgx_x": "unauthenticated"} {
		if _, err := w.access.Find(t.Context(), secret); err != nil && !mgx.IsCode(err, code) || err == nil && code != "" {
			t.Errorf("calling models: %v, want %q", err, code)
		}
	}
	w.do(service, "GET", "/api/v1/members", nil, nil).want(403, "out_of_scope")
}

// Nobody makes or has a key that does what they may not, a service's included.
func TestKeysGrantNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens[mgx.RoleAdmin]
	in := w.join("keeper", `permit (principal, action, resource is Keys);`)
	type made struct {
		Key    mgx.APIKey
		Secret string
	}
	create := func(secret string, body map[string]any, status int, code string) (m made) {
		t.Helper()
		body["name"] = "k"
		w.do(secret, "POST", "/api/v1/keys", body, &m).want(status, code)
		return m
	}
	service := func(scopes ...string) map[string]any { return map[string]any{"scopes": scopes, "service": true} }
	for _, scope := range []string{"models", "models:read", "models:execute"} {
		create(in, service(scope), 403, "forbidden")
	}
	create(in, map[string]any{"scopes": []string{"*"}}, 201, "") // which does what they may
	ofAdmin := create(admin, service("models"), 201, "")
	w.do(in, "POST", "/api/v1/keys/"+string(ofAdmin.Key.ID)+"/rotate", nil, nil).want(403, "forbidden")

	reads := w.join("librarian", `permit (principal, action, resource is Keys); permit (principal, action == Action::"read", resource is Models);`)
	create(reads, service("models:read"), 201, "")
	create(reads, service("models"), 403, "forbidden")
	all := w.join("caller", `permit (principal, action, resource) when { ["keys", "models"].contains(resource.kind) };`)
	mine := create(all, service("models"), 201, "")
	w.must(w.do(all, "POST", "/api/v1/keys/"+string(mine.Key.ID)+"/rotate", nil, nil), 200)

	// What bounds a key bounds what it makes, and whose secret it gets.
	bounds := create(all, map[string]any{"scopes": []string{"*"}, "models": []string{"a/*", "b/x"}, "expires_in": 600}, 201, "")
	same := create(bounds.Secret, service("models"), 201, "")
	if same.Key.ExpiresAt != bounds.Key.ExpiresAt || !slices.Equal(same.Key.Models, bounds.Key.Models) {
		t.Errorf("it made %+v", same.Key)
	}
	create(bounds.Secret, map[string]any{"scopes": []string{"models"}, "models": []string{"b/x"}, "expires_in": 60}, 201, "")
	create(bounds.Secret, map[string]any{"scopes": []string{"models"}, "models": []string{"*"}}, 403, "out_of_scope")
	create(bounds.Secret, map[string]any{"scopes": []string{"models"}, "expires_in": 6000}, 403, "out_of_scope")
	w.do(bounds.Secret, "POST", "/api/v1/keys/"+string(mine.Key.ID)+"/rotate", nil, nil).want(403, "out_of_scope")
	budget := create(all, map[string]any{"scopes": []string{"*"}, "budget_usd": 1}, 201, "")
	create(budget.Secret, map[string]any{"scopes": []string{"models"}}, 403, "out_of_scope")
	w.must(w.do(budget.Secret, "POST", "/api/v1/keys/"+string(budget.Key.ID)+"/rotate", nil, nil), 200)
}

// join has somebody join with a role of the workspace, and returns their token.
func (w *town) join(role, policy string) string {
	w.t.Helper()
	w.must(w.do(w.tokens[mgx.RoleAdmin], "PUT", "/api/v1/roles/"+role, map[string]string{"policy": policy}, nil), 200)
	var in struct {
		Access string `json:"access_token"`
	}
	body := map[string]string{"token": w.invite(role, role+"@example.com"), "email": role + "@example.com", "name": role, "password": townPassword}
	w.must(w.do("", "POST", "/api/v1/auth/accept", body, &in), 200)
	return in.Access
}

// A stream ends when whoever reads it is out: by a key that is revoked, a session
// that ends, a membership that does.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for name, out := range map[string]func(k mgx.APIKey){
		"key": func(k mgx.APIKey) {
			w.must(w.do(w.tokens["admin"], "DELETE", "/api/v1/keys/"+string(k.ID), nil, nil), 204)
		},
		"session": func(mgx.APIKey) {
			w.must(w.do(w.tokens["viewer"], "POST", "/api/v1/auth/sign-out", nil, nil), 204)
		},
		"member": func(mgx.APIKey) {
			w.must(w.do(w.tokens["admin"], "DELETE", "/api/v1/members/"+string(w.users["auditor"]), nil, nil), 204)
		},
	} {
		var k mgx.APIKey
		secret := w.tokens["viewer"]
		switch name {
		case "key":
			k, secret = w.key("developer", nil)
		case "member":
			secret = w.tokens["auditor"]
		}
		r, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/api/v1/events/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		resp.Body.Read(make([]byte, 1)) // it has begun
		out(k)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil { // ends, or the test does not
			t.Errorf("%s: %v", name, err)
		}
		resp.Body.Close()
	}
}

// Behind proxies a server is reached through them alone, and the address that
// counts is the last one that none of them added.
func TestBehindProxy(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for _, c := range []struct {
		peer, forwarded, want string
	}{
		{"198.51.100.1:1", "", "403 not_through_proxy"},
		{"198.51.100.1:1", "127.0.0.1", "403 not_through_proxy"},
		{"127.0.0.1:1", "", "401 bad_credentials 127.0.0.1"},
		{"127.0.0.1:1", "192.0.2.7", "401 bad_credentials 192.0.2.7"},
		{"127.0.0.1:1", "192.0.2.7, 192.0.2.8", "401 bad_credentials 192.0.2.8"},
		{"127.0.0.1:1", "192.0.2.7, 127.0.0.1", "401 bad_credentials 192.0.2.7"},
		{"127.0.0.1:1", "nonsense", "401 bad_credentials 127.0.0.1"},
		{"[::ffff:127.0.0.1]:1", "2001:db8::1", "401 bad_credentials 2001:db8::1"},
	} {
		r := httptest.NewRequest("POST", "http://localhost/api/v1/auth/sign-in", strings.NewReader(`{"email":"x@example.com","password":"guess"}`))
		r.RemoteAddr = c.peer
		r.Header.Set("Content-Type", "application/json")
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		out := httptest.NewRecorder()
		w.web.ServeHTTP(out, r)
		var p struct{ Code string }
		json.Unmarshal(out.Body.Bytes(), &p)
		got := fmt.Sprint(out.Code, " ", p.Code)
		if out.Code == 401 {
			all, err := w.store.Events(t.Context(), store.EventQuery{Stream: mgx.AuditStream(mgx.DefaultWorkspace)})
			must(t, err)
			var d mgx.AuditData
			must(t, all[len(all)-1].Decode(&d))
			got += " " + d.Details.From
		}
		if got != c.want {
			t.Errorf("%s for %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

// A key is told of the person whom it stands for what is true, and neither name nor
// address.
func TestMeOfAKey(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	_, secret := w.key(mgx.RoleViewer, nil)
	var me, theirs app.Me
	w.must(w.do(secret, "GET", "/api/v1/me", nil, &me), 200)
	w.must(w.do(w.tokens[mgx.RoleViewer], "GET", "/api/v1/me", nil, &theirs), 200)
	if u := me.User; u.ID != theirs.User.ID || !u.HasPassword || !u.CreatedAt.Equal(theirs.User.CreatedAt) || u.Email != "" || u.Name != "" || len(me.Members) > 0 {
		t.Errorf("a key is told %+v", me)
	}
}
