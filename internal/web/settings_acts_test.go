package web_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/webhook"
)

// TestSettingsOfARole offers everybody what their role lets them see and do there, and
// refuses the rest, tried by hand, in a sentence and without doing it.
func TestSettingsOfARole(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	hook, event := s.hooked()
	theirs := "/settings/webhooks/" + string(hook)
	member := "/settings/members/" + string(mgx.LocalUser)
	everybody := "you members roles keys providers policies"
	sees := map[string]string{
		mgx.RoleAdmin: everybody + " secrets webhooks retention data health", mgx.RoleDeveloper: everybody + " webhooks retention health", mgx.RoleAuditor: everybody + " webhooks retention health", mgx.RoleViewer: everybody,
	}
	acts := map[string]string{ // what nobody but an admin does, and of what that is one
		"/settings/rename": "settings", "/settings/workspaces": "settings", "/settings/members/invite": "users", member + "/role": "users", member + "/reset": "users", member + "/remove": "users", "/settings/invitations/inv_1/revoke": "users",
		"/settings/roles": "users", "/settings/roles/x": "users", "/settings/roles/x/remove": "users", "/settings/secrets": "secrets", "/settings/secrets/x": "secrets", "/settings/secrets/x/remove": "secrets", "/settings/rotation": "secrets",
		"/settings/webhooks": "webhooks", theirs: "webhooks", theirs + "/enable": "webhooks", theirs + "/disable": "webhooks", theirs + "/rotate": "webhooks", theirs + "/test": "webhooks", theirs + "/retry": "webhooks", theirs + "/remove": "webhooks", theirs + "/deliveries/" + string(event) + "/retry": "webhooks",
		"/settings/retention": "settings", "/settings/data/erase": "settings", "/settings/data/people/user_local/erase": "users",
	}
	pages := map[string]string{theirs: "webhooks", "/settings/data/people/user_local": "", "/settings/data/workspace.jsonl": "", "/settings/data/people/user_local/person.jsonl": ""}
	forms := regexp.MustCompile(`method="post" action="/settings/([a-z]+)`)
	for role, places := range sees {
		who := s.as(role)
		nav := who.must(http.StatusOK, who.ask("GET", "/settings", nil)).body
		for _, name := range []string{"you", "members", "roles", "keys", "providers", "policies", "secrets", "webhooks", "retention", "data", "health"} {
			allowed := slices.Contains(strings.Fields(places), name)
			if in := strings.Contains(nav, `<li><a href="/settings/`+name+`"`); in != allowed {
				t.Errorf("%s is shown a way to %s: %v", role, name, in)
			}
			got := who.ask("GET", "/settings/"+name, nil)
			if (got.StatusCode == http.StatusOK) != allowed || !allowed && !strings.Contains(words(got.body), "You may not") {
				t.Errorf("%s at %s: %d %s", role, name, got.StatusCode, words(got.body))
			}
			for _, form := range forms.FindAllStringSubmatch(got.body, -1) {
				if own := []string{"you", "keys", "policies", "providers"}; role != mgx.RoleAdmin && !slices.Contains(own, form[1]) {
					t.Errorf("%s is offered a form of %s at %s", role, form[1], name)
				}
			}
		}
		if role == mgx.RoleAdmin {
			continue
		}
		for path, kind := range acts {
			got := who.ask("POST", path, url.Values{"name": {"x"}, "role": {"admin"}, "value": {"x"}, "confirm": {"ws_default"}, "url": {"https://example.com/"}})
			if got.StatusCode != http.StatusForbidden || !strings.Contains(words(got.body), "You may not") || !strings.Contains(got.body, kind) {
				t.Errorf("%s did %s: %d %s", role, path, got.StatusCode, words(got.body))
			}
		}
		for path, name := range pages {
			if got := who.ask("GET", path, nil); (got.StatusCode == http.StatusOK) != (name != "" && slices.Contains(strings.Fields(places), name)) {
				t.Errorf("%s at %s: %d", role, path, got.StatusCode)
			}
		}
	}
	if all, err := (webhook.Endpoints{By: boss.Doer(), Store: s.store}).List(t.Context()); err != nil || len(all) != 1 || !all[0].Enabled || all[0].Dead != 1 {
		t.Errorf("of the endpoints there are %+v, %v", all, err)
	}
	if all, err := s.access.Members(t.Context(), boss, "", 10); err != nil || len(all) != 5 {
		t.Errorf("the members are %+v, %v", all, err)
	}
	denied := s.must(http.StatusOK, s.ask("GET", "/audit?denied=true", nil))
	s.says(denied, "users.manage", "secrets.update", "webhooks.manage")
}

// TestMembersPage invites, changes and removes people; a link is shown once, however
// often the form is sent.
func TestMembersPage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	form := url.Values{"email": {"ada@example.com"}, "role": {mgx.RoleViewer}, "expires": {"86400"}, "once": {"form_1"}}
	link := regexp.MustCompile(`id="once-value">([^<]*)`)
	made := s.must(http.StatusOK, s.ask("POST", "/settings/members/invite", form))
	at, token, ok := strings.Cut(link.FindStringSubmatch(made.body)[1], "#")
	if at != s.url+"/invitation" || !ok || !strings.HasPrefix(token, "mgxi_") {
		t.Fatalf("the link is %s#%s", at, token)
	}
	s.says(made, "An invitation for ada@example.com", "as viewer")
	again := s.must(http.StatusConflict, s.ask("POST", "/settings/members/invite", form))
	s.says(again, "This form was sent before")
	later := s.ask("GET", "/settings/members", nil)
	if strings.Contains(again.body+later.body, token) {
		t.Error("the link is shown once more")
	}
	if n := strings.Count(later.body, "/settings/invitations/"); n != 1 {
		t.Errorf("%d invitations are open", n)
	}
	b, err := s.access.AcceptBrowser(t.Context(), app.Accepting{Token: token, Email: "ada@example.com", Name: "Ada " + hostile[0], Password: ownersPassword}, "", access.Where{Address: "127.0.0.1"})
	must(t, err)
	ada := "/settings/members/" + string(b.Session.User)

	for name, c := range map[string]struct {
		path string
		form url.Values
		says string
	}{
		"an address that is none": {"/settings/members/invite", url.Values{"email": {"not an address"}, "role": {"viewer"}, "expires": {""}}, "An address looks like name@example.com"},
		"a role that is none":     {"/settings/members/invite", url.Values{"email": {"x@example.com"}, "role": {"emperor"}, "expires": {""}}, "role"},
		"the last admin":          {"/settings/members/user_local/role", url.Values{"role": {"viewer"}}, "admin"},
		"out with the last admin": {"/settings/members/user_local/remove", url.Values{}, "admin"},
	} {
		got := s.ask("POST", c.path, c.form)
		if got.StatusCode < 400 || got.StatusCode >= 500 || !strings.Contains(got.body, `role="alert"`) || !strings.Contains(got.body, c.says) || !strings.Contains(got.body, "In this workspace") {
			t.Errorf("%s: %d %s", name, got.StatusCode, words(got.body))
		}
		if mail := c.form.Get("email"); mail != "" && !strings.Contains(got.body, `value="`+mail+`"`) {
			t.Errorf("%s: what was typed is gone", name)
		}
	}
	s.says(s.mustGo("POST", ada+"/role", url.Values{"role": {mgx.RoleDeveloper}}), "The role is changed", "developer")
	shown := s.ask("GET", "/settings/members", nil)
	if strings.Contains(shown.body, "\u202e") || strings.Contains(shown.body, "<script>window") {
		t.Error("a name turns the text around it, or is markup")
	}
	s.says(s.mustGo("POST", ada+"/remove", nil), "They are out of the workspace")
	s.ask("POST", "/settings/members/invite", url.Values{"role": {mgx.RoleViewer}})
	open, err := s.access.Invitations(t.Context(), boss, "", 100)
	must(t, err)
	last := open[len(open)-1].ID
	s.says(s.mustGo("POST", "/settings/invitations/"+string(last)+"/revoke", nil), "lets nobody in any more", "No invitation is open")
	if got := s.ask("POST", "/settings/members/user_none/remove", nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("nobody was removed: %d", got.StatusCode)
	}
}

// TestRolesPage tries, makes, changes and removes a role, and says what each permits.
func TestRolesPage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	tried := s.must(http.StatusOK, s.ask("POST", "/settings/roles", url.Values{"name": {"release-manager"}, "policy": {exampleRole}, "do": {"try"}}))
	s.says(tried, "It would permit runs read approve keys their own: create read update delete execute approve manage connect")
	if own, err := s.access.Roles(t.Context(), boss); err != nil || len(own) != len(mgx.BuiltInRoles) || !strings.Contains(tried.body, `value="release-manager"`) {
		t.Errorf("trying made %+v, %v", own, err)
	}
	bad := s.must(http.StatusBadRequest, s.ask("POST", "/settings/roles", url.Values{"name": {"x-role"}, "policy": {"permit (" + hostile[0]}, "do": {"keep"}}))
	if !strings.Contains(bad.body, `id="newrole-policy-wrong"`) || !strings.Contains(bad.body, "permit (&lt;script&gt;") {
		t.Errorf("a policy that cannot be read: %s", words(bad.body))
	}
	s.says(s.mustGo("POST", "/settings/roles", url.Values{"name": {"release-manager"}, "description": {"Approves"}, "policy": {exampleRole}, "do": {"keep"}}), "The role is kept", "release-manager Approves runs read approve")
	s.says(s.must(http.StatusBadRequest, s.ask("POST", "/settings/roles", url.Values{"name": {"release-manager"}, "policy": {exampleRole}})), "There is a role release-manager already")
	s.says(s.must(http.StatusBadRequest, s.ask("POST", "/settings/roles", url.Values{"name": {"viewer"}, "policy": {exampleRole}})), "There is a role viewer already")
	holder := s.as("release-manager")
	s.says(s.must(http.StatusConflict, s.ask("POST", "/settings/roles/release-manager/remove", nil)), "give them another first")
	s.mustGo("POST", "/settings/roles/release-manager", url.Values{"policy": {`permit (principal, action == Action::"read", resource is Users);`}})
	holder.must(http.StatusOK, holder.ask("GET", "/settings/members", nil))
	holder.must(http.StatusForbidden, holder.ask("GET", "/approvals", nil))
	for role, says := range map[string]string{
		mgx.RoleAdmin: "tasks everything runs everything", mgx.RoleDeveloper: "models read execute", mgx.RoleAuditor: "audit read", mgx.RoleViewer: "their own: create read update delete",
	} {
		granted, err := s.access.Granted(mgx.Role{Name: role, BuiltIn: true})
		if must(t, err); role == mgx.RoleViewer && slices.ContainsFunc(granted, func(g app.Granted) bool { return g.Kind == "secrets" || g.Kind == "audit" || g.Kind == "settings" }) {
			t.Errorf("a viewer may %+v", granted)
		}
		s.says(s.ask("GET", "/settings/roles", nil), says)
	}
}

// TestKeysPage makes, rotates and revokes a key that works as long as it should.
func TestKeysPage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	value := regexp.MustCompile(`id="once-value">([^<]*)`)
	works := func(key string) int {
		got := (&house{t: t, url: s.url}).browser().do("GET", "/api/v1/members", nil, "Authorization", "Bearer "+key)
		return got.StatusCode
	}
	form := url.Values{"name": {"report of the night"}, "scopes": {"users:read, models"}, "expires": {"2592000"}, "models": {"corp/*"}, "budget": {"2.50"}, "period": {"daily"}, "once": {"form_2"}}
	made := s.must(http.StatusOK, s.ask("POST", "/settings/keys", form))
	key := value.FindStringSubmatch(made.body)[1]
	if got := works(key); got != http.StatusOK {
		t.Errorf("the key is answered %d", got)
	}
	s.must(http.StatusConflict, s.ask("POST", "/settings/keys", form))
	listed := s.ask("GET", "/settings/keys", nil)
	s.says(listed, "report of the night users:read models good", "only corp/*", "at most $2.50", "stands for you")
	all, err := s.access.Keys(t.Context(), boss, "", 10)
	if must(t, err); len(all) != 1 || strings.Contains(listed.body, key) || all[0].ExpiresAt.IsZero() {
		t.Fatalf("the keys are %+v", all)
	}
	for field, form := range map[string]url.Values{
		"scopes": {"name": {"x"}, "scopes": {"everything"}}, "name": {"name": {" "}, "scopes": {"models"}}, "budget": {"name": {"x"}, "scopes": {"models"}, "budget": {"much"}}, "expires": {"name": {"x"}, "scopes": {"models"}, "expires": {"soon"}},
	} {
		if got := s.ask("POST", "/settings/keys", form); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, `id="key-`+field+`-wrong"`) {
			t.Errorf("a bad %s: %d %s", field, got.StatusCode, words(got.body))
		}
	}
	path := "/settings/keys/" + string(all[0].ID)
	rotated := s.must(http.StatusOK, s.ask("POST", path+"/rotate", url.Values{"overlap": {"0"}}))
	if fresh := value.FindStringSubmatch(rotated.body)[1]; works(key) != http.StatusUnauthorized || works(fresh) != http.StatusOK {
		t.Error("the key was not rotated")
	} else {
		s.says(s.mustGo("POST", path+"/revoke", nil), "worthless from now on", "revoked")
		if works(fresh) != http.StatusUnauthorized {
			t.Error("the key works though it was revoked")
		}
	}
	viewer := s.as(mgx.RoleViewer)
	if got := viewer.ask("GET", "/settings/keys", nil); strings.Contains(got.body, "report of the night") || !strings.Contains(got.body, "A new key") {
		t.Errorf("a viewer sees %s", words(got.body))
	}
	if got := viewer.ask("POST", path+"/revoke", nil); got.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer revoked another's key: %d", got.StatusCode)
	}
}

// TestSecretsPage keeps values that no page ever shows.
func TestSecretsPage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	const value = "sk-a-value-of-this-test"
	seen := s.mustGo("POST", "/settings/secrets", url.Values{"name": {"openai"}, "value": {value + "\r\nsecond\r\n"}})
	s.says(seen, "The secret is kept", "openai version 1")
	seen.body += s.mustGo("POST", "/settings/secrets/openai", url.Values{"value": {value}}).body
	s.says(seen, "version 2")
	for name, form := range map[string]url.Values{"name": {"name": {hostile[0]}, "value": {value}}, "value": {"name": {"big"}, "value": {strings.Repeat(value, 4000)}}} {
		got := s.must(http.StatusBadRequest, s.ask("POST", "/settings/secrets", form))
		if !strings.Contains(got.body, `id="secret-`+name+`-wrong"`) {
			t.Errorf("a bad %s: %s", name, words(got.body))
		}
		seen.body += got.body
	}
	seen.body += s.mustGo("POST", "/settings/rotation", nil).body + s.ask("GET", "/settings/secrets", nil).body + s.ask("GET", "/audit", nil).body
	s.says(seen, "every secret is sealed with it", "secret.set", "by user_local")
	if strings.Contains(seen.body, value) {
		t.Error("a value is shown")
	}
	s.says(s.mustGo("POST", "/settings/secrets/openai/remove", nil), "forgotten, in all its versions", "No secret is kept")
}

// TestWebhooksPage adds an endpoint, tests it, turns it off and on, and tries dead
// letters again.
func TestWebhooksPage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	got := make(chan string, 10)
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("webhook-signature") + " " + string(body)
		fmt.Fprint(w, hostile[0])
	}))
	t.Cleanup(there.Close)
	for field, form := range map[string]url.Values{"url": {"url": {"https://10.0.0.1/"}, "types": {"task.*"}}, "channels": {"url": {there.URL}, "channels": {"everything" + hostile[0]}}} {
		bad := s.ask("POST", "/settings/webhooks", form)
		if bad.StatusCode != http.StatusBadRequest || !strings.Contains(bad.body, `id="webhook-`+field+`-wrong"`) || !strings.Contains(bad.body, `value="`+form.Get("url")) || strings.Contains(bad.body, hostile[0]) {
			t.Errorf("a bad %s: %d %s", field, bad.StatusCode, words(bad.body))
		}
	}
	made := s.must(http.StatusOK, s.ask("POST", "/settings/webhooks", url.Values{"url": {there.URL + "/hook"}, "description": {hostile[1]}, "types": {"task.* run.delivered"}, "once": {"form_3"}}))
	if !strings.Contains(made.body, "whsec_") {
		t.Errorf("no secret is shown: %s", words(made.body))
	}
	hooks := webhook.Endpoints{By: boss.Doer(), Store: s.store}
	all, err := hooks.List(t.Context())
	if must(t, err); len(all) != 1 || len(all[0].Types) != 2 {
		t.Fatalf("the endpoints are %+v", all)
	}
	path := "/settings/webhooks/" + string(all[0].ID)
	tested := s.must(http.StatusOK, s.ask("POST", path+"/test", nil))
	s.says(tested, "The endpoint took the test", "HTTP 200")
	if arrived := <-got; !strings.HasPrefix(arrived, "v1,") || !strings.Contains(arrived, "webhook.test") {
		t.Errorf("there arrived %s", arrived)
	}
	if strings.Contains(tested.body, hostile[0]) || strings.Contains(s.ask("GET", path, nil).body, "whsec_") {
		t.Error("what was answered is markup, or the secret is shown again")
	}
	s.says(s.mustGo("POST", path+"/disable", nil), "Nothing is sent there", "off")
	s.says(s.mustGo("POST", path+"/enable", url.Values{"skip": {"yes"}}), "Events are sent there again", "on")
	s.says(s.mustGo("POST", path, url.Values{"url": {there.URL + "/other"}, "types": {"run.*"}}), "holds for events from now on", there.URL+"/…")
	if rotated := s.must(http.StatusOK, s.ask("POST", path+"/rotate", nil)); !strings.Contains(rotated.body, "whsec_") {
		t.Error("no new secret is shown")
	}
	s.says(s.mustGo("POST", path+"/remove", nil), "The endpoint is gone")

	id, event := s.hooked()
	path = "/settings/webhooks/" + string(id)
	s.says(s.ask("GET", path+"?status=dead&event="+string(event), nil), "dead", "answered 500", "HTTP 500", "Try again")
	s.says(s.mustGo("POST", path+"/deliveries/"+string(event)+"/retry", nil), "It is tried again now")
	left, err := hooks.Deliveries(t.Context(), mgx.DeliveryQuery{Webhook: id, Statuses: []mgx.DeliveryStatus{mgx.DeliveryDead}})
	if must(t, err); len(left) != 0 {
		t.Errorf("dead letters are left: %+v", left)
	}
	if again := s.ask("POST", path+"/deliveries/"+"evt_none/retry", nil); again.StatusCode < 400 || again.StatusCode >= 500 {
		t.Errorf("retrying what is no dead letter: %d", again.StatusCode)
	}
	s.must(http.StatusNotFound, s.ask("GET", "/settings/webhooks/whk_none", nil))
	s.must(http.StatusBadRequest, s.ask("GET", path+"?before=x", nil))
}

// TestPoliciesPage shows what the policies say, and tries one on a call.
func TestPoliciesPage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for want, form := range map[string]url.Values{
		"It would be refused":                         {"name": {"plan"}, "tool": {"x"}, "effect": {"write"}, "planopen": {"yes"}, "paths": {"a.go"}},
		"Somebody would be asked":                     {"name": {"ask"}, "tool": {"deploy"}, "effect": {"network"}, "hosts": {"example.com:443"}},
		"It would be made":                            {"policy": {"allow effect read\n"}, "tool": {"x"}, "effect": {"read"}},
		"The arguments are not JSON":                  {"tool": {"shell"}, "arguments": {"git push"}},
		"read, write, execute, network or deliver":    {"tool": {"deploy"}, "effect": {""}},
		"Name the tool":                               {"tool": {" "}},
		"policy":                                      {"tool": {"x"}, "effect": {"read"}, "policy": {"permit everything " + hostile[0]}},
		"there is no policy &#34;" + "none" + "&#34;": {"name": {"none"}, "tool": {"x"}, "effect": {"read"}},
	} {
		got := s.ask("POST", "/settings/policies", form)
		if got.StatusCode >= 500 || !strings.Contains(strings.ToLower(got.body), strings.ToLower(want)) || strings.Contains(got.body, hostile[0]) {
			t.Errorf("%v says %d %s", form, got.StatusCode, words(got.body))
		}
	}
	viewer := s.as(mgx.RoleViewer)
	if got := viewer.ask("GET", "/settings/policies", nil); strings.Contains(got.body, "Try a call") || !strings.Contains(got.body, "Built-in policies") {
		t.Errorf("a viewer sees %s", words(got.body))
	}
	viewer.must(http.StatusForbidden, viewer.ask("POST", "/settings/policies", url.Values{"tool": {"x"}}))
}

// TestRetentionAndRights sets how long events are kept, hands out what is held and
// erases it, once somebody has typed what.
func TestRetentionAndRights(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bad := s.must(http.StatusBadRequest, s.ask("POST", "/settings/retention", url.Values{"agent": {"0"}}))
	if !strings.Contains(bad.body, `id="retention-agent-wrong"`) {
		t.Errorf("no days: %s", words(bad.body))
	}
	set := s.mustGo("POST", "/settings/retention", url.Values{"agent": {"12"}})
	if !strings.Contains(set.body, `name="agent" inputmode="numeric" maxlength="5" autocomplete="off" placeholder="30" value="12"`) {
		t.Errorf("it was not set: %s", words(set.body))
	}
	viewer := s.as(mgx.RoleViewer)
	user, err := s.store.UserByEmail(t.Context(), "viewer@example.com")
	must(t, err)
	person := "/settings/data/people/" + string(user.ID)
	lines := s.must(http.StatusOK, s.ask("GET", person+"/person.jsonl", nil))
	for line := range strings.Lines(lines.body) {
		var one struct{ Kind string }
		if err := json.Unmarshal([]byte(line), &one); err != nil || one.Kind == "" {
			t.Errorf("%v in %s", err, line)
		}
	}
	if !strings.Contains(lines.body, "viewer@example.com") || lines.Header.Get("Content-Type") != "application/jsonl" {
		t.Errorf("handed out %v %s", lines.Header, lines.body)
	}
	if all := s.must(http.StatusOK, s.ask("GET", "/settings/data/workspace.jsonl", nil)); !strings.Contains(all.body, `"kind":"member"`) {
		t.Errorf("of the workspace there is %s", all.body[:min(len(all.body), 300)])
	}
	s.says(s.ask("GET", "/settings/data?plan=1", nil), "workspace of the installation") // which cannot be erased
	s.says(s.must(http.StatusOK, s.ask("GET", person, nil)), "viewer", "Memberships 1")
	unsure := s.must(http.StatusBadRequest, s.ask("POST", person+"/erase", url.Values{"confirm": {"viewer"}}))
	if !strings.Contains(unsure.body, `-confirm-wrong"`) {
		t.Errorf("without a confirmation: %s", words(unsure.body))
	}
	viewer.must(http.StatusOK, viewer.ask("GET", "/settings", nil))
	s.says(s.mustGo("POST", person+"/erase", url.Values{"confirm": {string(user.ID)}}), "What was held on this person is erased")
	if got := viewer.ask("GET", "/settings", nil); got.StatusCode != http.StatusSeeOther {
		t.Errorf("who was erased is still in: %d", got.StatusCode)
	}

	// A workspace that can go.
	s.says(s.mustGo("POST", "/settings/workspaces", url.Values{"name": {"Spare " + hostile[0]}}), "The workspace is made", "Spare")
	all, err := s.access.Workspaces(t.Context(), boss, "", 10)
	must(t, err)
	spare := string(all[slices.IndexFunc(all, func(w mgx.Workspace) bool { return w.ID != mgx.DefaultWorkspace })].ID)
	in := "?workspace=" + spare
	s.says(s.must(http.StatusOK, s.ask("GET", "/settings/data"+in+"&plan=1", nil)), "would go, for good", "Memberships 1")
	if got := s.ask("POST", "/settings/data/erase"+in, url.Values{"confirm": {"no"}}); got.StatusCode != http.StatusBadRequest || !strings.Contains(got.body, `id="erase-confirm-wrong"`) {
		t.Errorf("without a confirmation: %d %s", got.StatusCode, words(got.body))
	}
	for _, there := range []string{"retention", "health"} { // which are the installation's
		s.must(http.StatusForbidden, s.ask("GET", "/settings/"+there+in, nil))
	}
	s.says(s.mustGo("POST", "/settings/data/erase"+in, url.Values{"confirm": {spare}}), "default")
}

// TestYou changes a password, which ends other sessions, and ends one by hand.
func TestYou(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b, err := s.access.SignInBrowser(t.Context(), ownersAddress, ownersPassword, "", access.Where{Address: "192.0.2.7", Agent: hostile[0]})
	must(t, err)
	page := s.must(http.StatusOK, s.ask("GET", "/settings/you", nil))
	s.says(page, "owner@example.com", "this one", "from 192.0.2.7")
	s.says(s.mustGo("POST", "/settings/you/sessions/"+string(b.Session.ID)+"/end", nil), "The session has ended")
	other := *s
	if other.cookie = b.Cookie; other.ask("GET", "/settings", nil).StatusCode != http.StatusSeeOther {
		t.Error("the session goes on")
	}
	for field, form := range map[string]url.Values{
		"old": {"old": {"not it"}, "new": {"four other words here"}, "again": {"four other words here"}}, "new": {"old": {ownersPassword}, "new": {"short"}, "again": {"short"}},
	} {
		if got := s.ask("POST", "/settings/you/password", form); got.StatusCode < 400 || !strings.Contains(got.body, `id="password-`+field+`-wrong"`) || strings.Contains(got.body, form.Get(cmp.Or(field, "old"))+`"`) {
			t.Errorf("%s: %d %s", field, got.StatusCode, words(got.body))
		}
	}
	s.says(s.ask("POST", "/settings/you/password", url.Values{"old": {ownersPassword}, "new": {"four other words here"}, "again": {"four other words hear"}}), "not typed twice alike")
	s.says(s.mustGo("POST", "/settings/you/password", url.Values{"old": {ownersPassword}, "new": {"four other words here"}, "again": {"four other words here"}}), "The password is changed")
	_, err = s.access.SignInBrowser(t.Context(), ownersAddress, "four other words here", "", access.Where{Address: "192.0.2.8"})
	must(t, err)
}

// TestModelsPage says what each provider serves, and makes a call when it is asked to.
func TestModelsPage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	got := s.must(http.StatusOK, s.ask("GET", "/settings/providers", nil))
	s.says(got, "corp reachable, a model left alone", "corp/large Copy 200k $3.00 $15.00", "12 calls, 5 failed", "price unknown", "ollama reachable on this machine", "free", "mistral not reachable Mistral refused the key", "auto balanced over corp/large, ollama/small then corp/unpriced 2 overrides")
	s.says(s.must(http.StatusOK, s.ask("POST", "/settings/providers", url.Values{"model": {"corp/large"}})), "corp/large answered in 1 s", "It cost $0.0200. streams calls tools does not say what was used")
	bad := s.ask("POST", "/settings/providers", url.Values{"model": {hostile[0]}})
	if bad.StatusCode != http.StatusServiceUnavailable || strings.Contains(bad.body, hostile[0]) || !strings.Contains(bad.body, "There is no model &lt;script&gt;") {
		t.Errorf("%d %s", bad.StatusCode, words(bad.body))
	}
	viewer := s.as(mgx.RoleViewer)
	if got := viewer.ask("GET", "/settings/providers", nil); strings.Contains(got.body, "Try a model") || !strings.Contains(got.body, "corp/large") {
		t.Errorf("a viewer sees %s", words(got.body))
	}
	viewer.must(http.StatusForbidden, viewer.ask("POST", "/settings/providers", url.Values{"model": {"corp/large"}}))
	s.says(s.ask("GET", "/settings/health", nil), "The server is not ready", "disk failed", "the disk is full", "database_write ok", "scripted/demo left alone", "12,345")
}
