package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/audit"
	"mgx/internal/event"
	"mgx/internal/secret"
)

// townAudit signs the audit logs of a town.
var townAudit = audit.NewKey("a secret of this test")

// withRights adds what is about secrets, the audit log and data.
func (w *town) withRights(o *api.Options, contracts *event.Registry) {
	w.t.Helper()
	ring, err := secret.NewRing()
	must(w.t, err)
	o.Secrets = &app.Secrets{
		Vault: func(bool) (secret.Vault, error) { return secret.Vault{Store: w.store, Ring: ring}, nil },
		Hide:  func(_ mgx.WorkspaceID, v string) { w.hidden = append(w.hidden, v) },
	}
	o.Audit = &app.Audit{Store: w.store, Key: func(bool) (*audit.Key, error) { return townAudit, nil }}
	o.Retention = &app.Retention{Store: w.store, Contracts: contracts, Changed: w.store.SetKeep}
	o.Rights = &app.Rights{Store: w.store, Retain: func(context.Context, bool) (mgx.RetainedEvents, error) { return mgx.RetainedEvents{}, nil }}
}

// text makes a request and returns its answer as it is.
func (w *town) text(secret, path string) string {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "GET", w.url+path, nil)
	must(w.t, err)
	r.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	must(w.t, err)
	if resp.StatusCode != 200 {
		w.t.Fatalf("%s: %d %s", path, resp.StatusCode, b.String())
	}
	return b.String()
}

// A value goes in and comes out nowhere: not in an answer, not in the audit log,
// and not of another workspace.
func TestSecretRoutes(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	const value = "sk-canary-0123456789"
	for version := int64(1); version <= 2; version++ {
		var kept mgx.SecretInfo
		w.must(w.do(admin, "PUT", "/api/v1/secrets/openai", map[string]string{"value": value}, &kept), 200)
		if kept.Name != "openai" || kept.Version != version || kept.CreatedBy != w.users["admin"] {
			t.Errorf("kept %+v", kept)
		}
	}
	w.must(w.do(admin, "PUT", "/api/v1/secrets/other", map[string]string{"value": value}, nil), 200)
	w.must(w.do(admin, "POST", "/api/v1/secrets/rotation", nil, nil), 204)
	var page struct {
		Secrets []mgx.SecretInfo `json:"secrets"`
		Next    string           `json:"next_page_token"`
	}
	w.must(w.do(admin, "GET", "/api/v1/secrets?limit=1", nil, &page), 200)
	if len(page.Secrets) != 1 || page.Secrets[0].Name != "openai" || page.Next != "openai" {
		t.Errorf("%+v", page)
	}
	w.must(w.do(admin, "GET", "/api/v1/secrets?limit=1&page_token="+page.Next, nil, &page), 200)
	if len(page.Secrets) != 1 || page.Secrets[0].Name != "other" {
		t.Errorf("%+v", page)
	}
	w.must(w.do(admin, "GET", "/api/v1/secrets/openai", nil, nil), 200)
	if got := w.do(w.tokens["other"], "GET", "/api/v1/secrets/openai", nil, nil); got.status != 404 {
		t.Errorf("another workspace: %+v", got)
	}
	for body, code := range map[string]string{`{"value":""}`: "", `{}`: "", `{"value":"x","version":7}`: ""} {
		if got := w.do(admin, "PUT", "/api/v1/secrets/openai", json.RawMessage(body), nil); got.status != 400 && got.status != 422 {
			t.Errorf("%s: %+v %s", body, got, code)
		}
	}
	if got := w.do(admin, "PUT", "/api/v1/secrets/"+url.PathEscape("no such name!"), map[string]string{"value": value}, nil); got.status != 400 {
		t.Errorf("a bad name: %+v", got)
	}
	for _, common := range []string{"workspace_id", "invitation.create", "somebody@example.com"} { // texts have it anyway
		if got := w.do(admin, "PUT", "/api/v1/secrets/openai", map[string]string{"value": common}, nil); got.status != 400 || got.code != "bad_secret_value" {
			t.Errorf("%s: %+v", common, got)
		}
	}
	w.must(w.do(admin, "DELETE", "/api/v1/secrets/other", nil, nil), 204)
	for _, body := range append(w.bodies, w.text(admin, "/api/v1/audit/export"), w.text(admin, "/api/v1/events")) {
		if strings.Contains(body, value) {
			t.Errorf("the value is in %s", body)
		}
	}
	if len(w.hidden) == 0 || w.hidden[0] != value {
		t.Errorf("the process hides %q", w.hidden)
	}
}

// The log is read in pages, chosen from, written out, proved and read over.
func TestAuditRoutes(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	for range 3 {
		w.key("developer", nil)
	}
	w.do(w.tokens["viewer"], "POST", "/api/v1/webhooks", map[string]string{"url": "https://example.com"}, nil) // is refused
	type page struct {
		Entries []app.AuditEntry `json:"entries"`
		Next    string           `json:"next_page_token"`
	}
	var all []app.AuditEntry
	for at := "/api/v1/audit?limit=4"; ; {
		var p page
		w.must(w.do(admin, "GET", at, nil, &p), 200)
		if all = append(all, p.Entries...); p.Next == "" {
			break
		}
		at = "/api/v1/audit?limit=4&page_token=" + p.Next
	}
	for i, e := range all {
		if e.Sequence != int64(i)+1 || e.Details == nil {
			t.Fatalf("entry %d is %+v", i+1, e)
		}
	}
	var keys, denied page
	w.must(w.do(w.tokens["auditor"], "GET", "/api/v1/audit?action=key.*&limit=1000", nil, &keys), 200)
	w.must(w.do(admin, "GET", "/api/v1/audit?denied=true&actor="+string(w.users["viewer"]), nil, &denied), 200)
	if len(keys.Entries) != 3 || keys.Entries[0].Action != "key.create" || len(denied.Entries) != 1 || denied.Entries[0].Action != "webhooks.create" {
		t.Errorf("keys %+v, denied %+v", keys, denied)
	}
	if got := w.do(admin, "GET", "/api/v1/audit?action=[", nil, nil); got.code != "bad_glob" {
		t.Errorf("a bad pattern: %+v", got)
	}
	lines := strings.Split(strings.TrimSpace(w.text(admin, "/api/v1/audit/export?action=key.*")), "\n")
	var first app.AuditEntry
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || len(lines) != 3 || first.Sequence != keys.Entries[0].Sequence {
		t.Errorf("%q %v", lines, err)
	}
	if csv := w.text(admin, "/api/v1/audit/export?format=csv"); !strings.HasPrefix(csv, "sequence,timestamp,") || strings.Count(csv, "\n") != len(all)+1 {
		t.Errorf("%s", csv)
	}

	if got := w.do(admin, "GET", "/api/v1/audit/1/proof", nil, nil); got.code != "not_signed_yet" {
		t.Errorf("a proof before there is a checkpoint: %+v", got)
	}
	var c mgx.AuditCheckpoint
	w.must(w.do(admin, "POST", "/api/v1/audit/checkpoints", nil, &c), 200)
	var list struct {
		Key         string                `json:"public_key"`
		Checkpoints []mgx.AuditCheckpoint `json:"checkpoints"`
	}
	w.must(w.do(admin, "GET", "/api/v1/audit/checkpoints", nil, &list), 200)
	if len(list.Checkpoints) != 1 || list.Checkpoints[0].Note != c.Note || c.Size != int64(len(all)) {
		t.Errorf("%+v %+v", list, c)
	}
	var proof audit.Proof
	w.must(w.do(admin, "GET", "/api/v1/audit/2/proof", nil, &proof), 200)
	trusted, err := audit.Trusted(list.Key)
	must(t, err)
	if state, err := proof.Check(trusted); err != nil || state.Size != c.Size || proof.Index != 1 {
		t.Errorf("%+v %v", state, err)
	}
	var report audit.Report
	w.must(w.do(admin, "GET", "/api/v1/audit/verification", nil, &report), 200)
	if len(report.Problems) != 0 || report.Covered != c.Size {
		t.Errorf("%+v", report)
	}
	w.must(w.do(admin, "GET", "/api/v1/audit/3", nil, nil), 200)
	for _, at := range []string{"/api/v1/audit/999999", "/api/v1/audit/999999/proof"} {
		if got := w.do(admin, "GET", at, nil, nil); got.status != 404 {
			t.Errorf("%s: %+v", at, got)
		}
	}
}

// Policies are shown and tried.
func TestPolicyRoutes(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	dev := w.tokens["developer"]
	var list struct{ Policies []app.BuiltInPolicy }
	w.must(w.do(dev, "GET", "/api/v1/policies", nil, &list), 200)
	if len(list.Policies) < 5 || list.Policies[0].Text == "" || list.Policies[0].About == "" || list.Policies[0].Hash == "" {
		t.Errorf("%+v", list)
	}
	w.must(w.do(dev, "GET", "/api/v1/policies/auto", nil, nil), 200)
	if got := w.do(dev, "GET", "/api/v1/policies/none", nil, nil); got.status != 404 {
		t.Errorf("%+v", got)
	}
	for want, body := range map[string]map[string]any{
		"allow": {"policy": "auto", "tool": "mcp__x__look", "effect": "read"},
		"deny":  {"text": "deny effect read\n", "tool": "mcp__x__look", "effect": "read"},
	} {
		var v app.Verdict
		w.must(w.do(dev, "POST", "/api/v1/policies/test", body, &v), 200)
		if v.Verdict != want || v.Why == "" {
			t.Errorf("%v: %+v", body, v)
		}
	}
	for _, body := range []map[string]any{{"tool": "x", "effect": "read"}, {"policy": "auto", "text": "x", "tool": "x", "effect": "read"}, {"policy": "auto", "tool": "x"}, {"text": "maybe x\n", "tool": "x", "effect": "read"}} {
		if got := w.do(dev, "POST", "/api/v1/policies/test", body, nil); got.status != 400 {
			t.Errorf("%v: %+v", body, got)
		}
	}
}

// How long events are kept is set within bounds, and in the audit log.
func TestRetentionRoutes(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	type kept struct{ Retention []app.Kept }
	of := func(k kept, category string) app.Kept {
		for _, one := range k.Retention {
			if one.Category == category {
				return one
			}
		}
		t.Fatalf("there is no %s in %+v", category, k)
		return app.Kept{}
	}
	var k kept
	w.must(w.do(admin, "GET", "/api/v1/settings/retention", nil, &k), 200)
	if a := of(k, "agent"); a.Days != 0 || a.Least != 1 || a.Most != 3650 || len(a.Default) == 0 || of(k, "billing").Least < 365 {
		t.Errorf("%+v", k)
	}
	w.must(w.do(admin, "PUT", "/api/v1/settings/retention", map[string]any{"days": map[string]int{"agent": 7, "billing": 3000}}, &k), 200)
	if of(k, "agent").Days != 7 || of(k, "billing").Days != 3000 || of(k, "llm").Days != 0 {
		t.Errorf("%+v", k)
	}
	for _, days := range []map[string]int{{"agent": 0}, {"agent": 3651}, {"billing": 30}, {"security": 364}, {"none": 30}} {
		if got := w.do(admin, "PUT", "/api/v1/settings/retention", map[string]any{"days": days}, nil); got.status != 400 || got.code != "bad_retention" {
			t.Errorf("%v: %+v", days, got)
		}
	}
	k = kept{}
	w.must(w.do(admin, "PUT", "/api/v1/settings/retention", map[string]any{"days": map[string]int{}}, &k), 200)
	if of(k, "agent").Days != 0 {
		t.Errorf("%+v", k)
	}
	var p struct{ Entries []app.AuditEntry }
	w.must(w.do(admin, "GET", "/api/v1/audit?action=settings.update", nil, &p), 200)
	if len(p.Entries) != 2 || !strings.Contains(string(p.Entries[0].Details.After), `"retention.agent":"7"`) || !strings.Contains(string(p.Entries[1].Details.Before), `"retention.agent":"7"`) {
		t.Errorf("%+v", p)
	}
}

// Who is erased is gone, out and forgotten; who is only asked about stays.
func TestRightsRoutes(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin, gone := w.tokens["admin"], w.users["developer"]
	at := "/api/v1/people/" + string(gone)
	var plan mgx.PersonErasure
	w.must(w.do(admin, "GET", at+"/erasure", nil, &plan), 200)
	if plan.User != gone || plan.Sessions != 1 || len(plan.Workspaces) != 1 || plan.Entries == 0 {
		t.Errorf("%+v", plan)
	}
	if text := w.text(admin, at+"/export"); !strings.Contains(text, "developer@example.com") || strings.Contains(text, "argon2") || strings.Contains(text, "viewer@example.com") {
		t.Errorf("exported %s", text)
	}
	if got := w.do(admin, "POST", at+"/erasure", map[string]any{"confirm": "yes"}, nil); got.code != "not_confirmed" {
		t.Errorf("unconfirmed: %+v", got)
	}
	w.must(w.do(w.tokens["developer"], "GET", "/api/v1/me", nil, nil), 200)
	w.must(w.do(admin, "POST", at+"/erasure", map[string]any{"confirm": string(gone)}, &plan), 200)
	if got := w.do(w.tokens["developer"], "GET", "/api/v1/me", nil, nil); got.status != 401 {
		t.Errorf("who was erased is still in: %+v", got)
	}
	if got := w.do(admin, "GET", at+"/erasure", nil, nil); got.code != "erased" || got.status != 410 {
		t.Errorf("once more: %+v", got)
	}
	if text := w.text(admin, "/api/v1/audit/export"); strings.Contains(text, "developer@example.com") || !strings.Contains(text, `"action":"user.erase"`) || !strings.Contains(text, `"action":"user.export"`) {
		t.Errorf("the audit log: %s", text)
	}
	w.must(w.do(admin, "POST", "/api/v1/audit/checkpoints", nil, nil), 200)
	var report audit.Report
	w.must(w.do(admin, "GET", "/api/v1/audit/verification", nil, &report), 200)
	if len(report.Problems) != 0 || report.Erased == 0 {
		t.Errorf("%+v", report)
	}
	for _, none := range []string{"people/user_none", "runs/run_none", "tasks/task_none"} {
		w.do(admin, "GET", "/api/v1/"+none+"/export", nil, nil).want(404, "not_found")
	}
	if text := w.text(admin, "/api/v1/audit/export"); strings.Contains(text, "_none") || strings.Contains(text, `"action":"run.export"`) {
		t.Errorf("what was not handed out is in the audit log: %s", text)
	}

	other := w.tokens["other"]
	space := "/api/v1/workspaces/" + string(w.other)
	if text := w.text(other, space+"/export"); !strings.Contains(text, `"kind":"workspace"`) || strings.Contains(text, "viewer@example.com") {
		t.Errorf("exported %s", text)
	}
	if got := w.do(admin, "POST", space+"/erasure", map[string]any{"confirm": string(w.other)}, nil); got.status != 403 {
		t.Errorf("by who is no member: %+v", got)
	}
	if got := w.do(admin, "POST", "/api/v1/workspaces/ws_default/erasure", map[string]any{"confirm": "ws_default"}, nil); got.code != "installation_stays" {
		t.Errorf("the installation's: %+v", got)
	}
	w.must(w.do(other, "POST", space+"/erasure", map[string]any{"confirm": string(w.other)}, nil), 200)
	if got := w.do(other, "GET", space, nil, nil); got.status != 403 {
		t.Errorf("it is still there: %+v", got)
	}
}
