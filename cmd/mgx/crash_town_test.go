package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/store"
)

// crashCall is a request of a write route that succeeds on the base of a crash town.
type crashCall struct {
	ids   []string // for the wildcards of the path, in their order
	body  any
	token string          // of whoever asks; empty: the owner of the data directory
	in    mgx.WorkspaceID // empty: the default one
	steps bool            // it is done in steps, each of them whole: killed between them it goes on when it is asked for again
	rest  bool            // where steps were done, the answer to who asks again is about those that were left
	files bool            // files are there before what they are of: killed in between they stay, and are nobody's
}

// crashFile is a body that is not JSON.
type crashFile struct {
	kind string
	text []byte
}

const crashPassword = "four words of theirs"

// settle fills the base with something of every kind that routes write to, over
// the API and as workers would, and says which request is tried on each route.
func (c *crashTown) settle() {
	t := c.lab.t
	t.Helper()
	s := c.start(t, c.data, c.place, "")
	do := func(token, method, path string, body, into any) {
		t.Helper()
		a := s.ask(method, path, body, func(r *http.Request) {
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			r.Header.Set("Mgx-Workspace", string(mgx.DefaultWorkspace))
		})
		if a.status < 200 || a.status > 299 {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
		if into != nil {
			if err := json.Unmarshal([]byte(a.body), into); err != nil {
				t.Fatal(err)
			}
		}
	}
	type signed struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		User    struct{ ID string }
		Session struct{ ID string }
	}
	accept := func(token, name string) (in signed) {
		do("", "POST", "/api/v1/auth/accept", map[string]string{"token": token, "email": name + "@example.com", "name": name, "password": crashPassword}, &in)
		return in
	}
	invite := func(role string) string {
		var made struct{ Token string }
		do("", "POST", "/api/v1/invitations", map[string]string{"role": role}, &made)
		return made.Token
	}
	signIn := func(name string) (in signed) {
		do("", "POST", "/api/v1/auth/sign-in", map[string]string{"email": name + "@example.com", "password": crashPassword}, &in)
		return in
	}
	ada := accept(s.setup, "ada")
	ben, cleo, dora := accept(invite("viewer"), "ben"), accept(invite("viewer"), "cleo"), accept(invite("viewer"), "dora")
	second := signIn("ada")
	third := signIn("ada")
	open := invite("developer")
	var thing struct{ ID string }
	id := func(path string, body any) string {
		do("", "POST", path, body, &thing)
		return thing.ID
	}
	inside := func(path, field string, body any) string {
		var made map[string]json.RawMessage
		do("", "POST", path, body, &made)
		if err := json.Unmarshal(made[field], &thing); err != nil {
			t.Fatal(err)
		}
		return thing.ID
	}
	var invited struct{ Token string }
	do("", "POST", "/api/v1/invitations", map[string]string{"role": "viewer", "email": "hal@example.com"}, &invited)
	hal := accept(invited.Token, "hal")
	pending := inside("/api/v1/invitations", "invitation", map[string]string{"role": "viewer", "email": "eve@example.com"})
	budget := id("/api/v1/budgets", map[string]any{"limit_usd": 5, "scope": "user", "scope_id": hal.User.ID})
	do("", "PUT", "/api/v1/roles/builder", map[string]string{"policy": "permit (principal, action, resource is Runs);"}, nil)
	do("", "PUT", "/api/v1/secrets/openai", map[string]string{"value": "a-value-that-is-long-enough"}, nil)
	do("", "PUT", "/api/v1/secrets/another", map[string]string{"value": "another-value-long-enough"}, nil)
	quiet := map[string]any{"url": c.hooks, "types": []string{"system.*"}}
	hook := inside("/api/v1/webhooks", "webhook", quiet)
	off := inside("/api/v1/webhooks", "webhook", quiet)
	var key struct{ Key struct{ ID string } }
	do(ada.Access, "POST", "/api/v1/keys", map[string]any{"name": "nightly", "scopes": []string{"runs"}}, &key)
	var space mgx.Workspace
	do("", "POST", "/api/v1/workspaces", map[string]string{"name": "other"}, &space)
	ofSpace := func(role string) string {
		var made struct{ Invitation struct{ ID string } }
		a := s.ask("POST", "/api/v1/invitations", map[string]string{"role": role, "email": "hal@example.com"}, func(r *http.Request) { r.Header.Set("Mgx-Workspace", string(space.ID)) })
		if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != 201 {
			t.Fatalf("%d %s %v", a.status, a.body, err)
		}
		return made.Invitation.ID
	}
	wanted, unwanted := ofSpace("viewer"), ofSpace("developer")
	project := id("/api/v1/projects", map[string]string{"path": c.lab.repo})
	do("", "PUT", "/api/v1/projects/"+project+"/settings/policy", map[string]string{"value": "ask"}, nil)
	task := func() (run mgx.RunInfo) {
		do("", "POST", "/api/v1/tasks", map[string]any{"task": "say hello", "project_id": project, "model": "openai/lab"}, &run)
		return run
	}
	run, paused, asks := task(), task(), task()
	do("", "POST", "/api/v1/runs/"+string(paused.ID)+"/pause", map[string]string{}, nil)
	template := id("/api/v1/templates", map[string]any{"name": "Tidy up", "task": map[string]any{"text": "Tidy up."}})
	s.end()
	sent := filepath.Join(t.TempDir(), "sent")
	c.lab.git("bundle", "create", "-q", sent, "HEAD")
	bundle, err := os.ReadFile(sent)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(bundle)
	dead, over := c.asWorkers(asks, mgx.WebhookID(off))

	c.samples = map[string]crashCall{
		"acceptInvitation": {body: map[string]string{"token": open, "email": "frank@example.com", "name": "Frank", "password": crashPassword}},
		"signIn":           {steps: true, body: map[string]string{"email": "ada@example.com", "password": crashPassword}}, // counted among the attempts before it is looked at
		"refresh":          {body: map[string]string{"refresh_token": third.Refresh}},
		"signOut":          {token: third.Access},
		"changePassword":   {steps: true, token: ada.Access, body: map[string]string{"current_password": crashPassword, "new_password": "other words of theirs"}}, // as signIn
		"endSession":       {token: ada.Access, ids: []string{second.Session.ID}},

		"acceptMyInvitation":  {token: hal.Access, ids: []string{wanted}},
		"declineMyInvitation": {token: hal.Access, ids: []string{unwanted}},

		"createWorkspace": {body: map[string]string{"name": "new"}},
		"renameWorkspace": {ids: []string{string(space.ID)}, in: space.ID, body: map[string]string{"name": "renamed"}},
		"eraseWorkspace":  {steps: true, ids: []string{string(space.ID)}, in: space.ID, body: map[string]string{"confirm": string(space.ID)}},
		"setQuotas":       {ids: []string{string(space.ID)}, body: map[string]any{"quotas": map[string]any{"runs_a_day": 7}}},

		"changeRole":       {ids: []string{ben.User.ID}, body: map[string]string{"role": "auditor"}},
		"removeMember":     {ids: []string{cleo.User.ID}},
		"erasePerson":      {steps: true, rest: true, ids: []string{dora.User.ID}, body: map[string]any{"confirm": dora.User.ID, "tasks": true}},
		"createInvitation": {body: map[string]string{"role": "viewer", "email": "gil@example.com"}},
		"revokeInvitation": {ids: []string{pending}},
		"putRole":          {ids: []string{"builder"}, body: map[string]string{"policy": "permit (principal, action, resource is Tasks);"}},
		"removeRole":       {ids: []string{"builder"}},
		"createKey":        {token: ada.Access, body: map[string]any{"name": "weekly", "scopes": []string{"runs:read"}}},
		"rotateKey":        {token: ada.Access, ids: []string{key.Key.ID}},
		"revokeKey":        {token: ada.Access, ids: []string{key.Key.ID}},

		"createBudget": {body: map[string]any{"limit_usd": 3, "scope": "user", "scope_id": ben.User.ID}},
		"changeBudget": {ids: []string{budget}, body: map[string]any{"limit_usd": 7}},
		"removeBudget": {ids: []string{budget}},

		"createWebhook":  {body: quiet},
		"changeWebhook":  {ids: []string{hook}, body: map[string]any{"description": "changed"}},
		"removeWebhook":  {ids: []string{off}},
		"enableWebhook":  {ids: []string{off}, body: map[string]bool{"skip": true}},
		"disableWebhook": {ids: []string{hook}},
		"rotateWebhook":  {ids: []string{hook}},
		"testWebhook":    {ids: []string{hook}},
		"retryWebhook":   {ids: []string{off}},
		"retryDelivery":  {ids: []string{off, string(dead)}},

		"retryConsumer":     {ids: []string{crashConsumer}},
		"retryDeadLetter":   {ids: []string{crashConsumer, string(dead)}},
		"discardDeadLetter": {ids: []string{crashConsumer, string(dead)}},

		"createTask":      {body: map[string]any{"task": "say it again", "project_id": project, "model": "openai/lab"}},
		"estimateTask":    {body: map[string]any{"project_id": project}},
		"createTemplate":  {body: map[string]any{"name": "Nightly", "task": map[string]any{"text": "Look around."}}},
		"replaceTemplate": {ids: []string{template}, body: map[string]any{"name": "Tidy up", "task": map[string]any{"text": "Tidy up more."}}},
		"removeTemplate":  {ids: []string{template}},
		"eraseRun":        {steps: true, rest: true, ids: []string{string(over.Run)}, body: map[string]any{"confirm": over.Run}},
		"eraseTask":       {steps: true, rest: true, ids: []string{string(over.Task)}, body: map[string]any{"confirm": over.Task}},
		"removeOldEvents": {steps: true, body: map[string]any{}},
		"cancelRun":       {ids: []string{string(run.ID)}, body: map[string]string{"reason": "enough"}},
		"forkRun":         {files: true, ids: []string{string(run.ID)}, body: map[string]any{"at": 1}},
		"steerRun":        {ids: []string{string(run.ID)}, body: map[string]string{"text": "keep the flag"}},
		"pauseRun":        {ids: []string{string(run.ID)}, body: map[string]string{}},
		"continueRun":     {ids: []string{string(paused.ID)}},
		"decideApproval":  {ids: []string{string(asks.ID), "plan"}, body: map[string]any{"approved": true, "hash": crashPlan}},
		"tryPolicy":       {body: map[string]any{"policy": "auto", "calls": []any{map[string]string{"tool": "shell", "command": "ls"}}}},
		"tryPolicyOnRun":  {ids: []string{string(run.ID)}, body: map[string]string{"policy": "auto"}},
		"putUpload":       {files: true, ids: []string{"sha256:" + hex.EncodeToString(sum[:])}, body: crashFile{"application/x-git-bundle", bundle}},
		"putAttachment":   {files: true, ids: []string{"sha256:" + hex.EncodeToString(sum[:])}, body: crashFile{"application/octet-stream", bundle}},
		"requestChanges":  {ids: []string{string(run.ID)}, body: map[string]string{"reason": "keep the flag"}},
		"testPolicy":      {body: map[string]string{"policy": "auto", "tool": "shell", "command": "ls"}},

		"createProject": {body: map[string]string{"path": c.lab.repo, "name": "twice"}},
		"renameProject": {ids: []string{project}, body: map[string]string{"name": "renamed"}},
		"removeProject": {ids: []string{project}},
		"setProject":    {ids: []string{project, "policy"}, body: map[string]string{"value": "auto"}},
		"unsetProject":  {ids: []string{project, "policy"}},

		"setSecret":     {ids: []string{"openai"}, body: map[string]string{"value": "the-next-value-long-enough"}},
		"removeSecret":  {ids: []string{"another"}},
		"rotateSecrets": {steps: true}, // a key, what it seals anew, the end of the key before
		"signAudit":     {},
		"setRetention":  {body: map[string]any{"days": map[string]int{"agent": 30}}},
	}
}

const (
	crashPlan     = "sha256:plan-hash"
	crashConsumer = "test:nobody"
)

// asWorkers adds what only workers write: a run that waits for a decision, and
// letters that could not be delivered, and a run that is over. It returns the event
// that the letters are of, and the run.
func (c *crashTown) asWorkers(run mgx.RunInfo, hook mgx.WebhookID) (mgx.EventID, mgx.Scope) {
	t := c.lab.t
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	contracts, err := event.NewRegistry()
	must(err)
	s, err := store.Open(t.Context(), c.place, store.Options{Check: contracts.Check, Keep: kept(contracts)})
	must(err)
	defer s.Close()
	sc := scopeOf(run.Run)
	plan := mgx.Plan{Goal: "hello", Steps: []mgx.PlanStep{{Text: "say it", Status: "todo"}}}
	out, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{
		sc.Event(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1}), sc.Event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan, Hash: crashPlan}),
		sc.Event(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/plan", Effect: "implement the plan", Hash: crashPlan}),
	}})
	must(err)
	e, later := out.Events[0], time.Now().Add(time.Hour)
	_, err = s.OpenConsumer(t.Context(), crashConsumer, 0)
	must(err)
	l, ok, err := s.ClaimConsumer(t.Context(), mgx.ConsumerLease{Consumer: crashConsumer}, "test", later)
	if must(err); !ok {
		t.Fatal("the consumer is somebody's")
	}
	dead := mgx.DeadLetter{Consumer: crashConsumer, Event: e.ID, Workspace: e.Workspace, Type: e.Type, Stream: e.Stream, Position: e.Position, Attempts: 6, LastError: "no"}
	_, err = s.Commit(t.Context(), mgx.Change{Advance: &mgx.ConsumerAdvance{Lease: l, Position: e.Position, Dead: &dead}})
	must(err)
	must(s.ReleaseConsumer(t.Context(), l))

	seen, err := s.Webhook(t.Context(), mgx.DefaultWorkspace, hook)
	must(err)
	w, ok, err := s.ClaimWebhook(t.Context(), seen.Lease, "test", later)
	if must(err); !ok {
		t.Fatal("the endpoint is somebody's")
	}
	must(s.AddDeliveries(t.Context(), w, []mgx.Event{e}, e.Position))
	_, err = s.RecordDelivery(t.Context(), w, mgx.WebhookOutcome{Attempt: mgx.WebhookAttempt{Event: e.ID, At: time.Now(), Error: "no"}, Status: mgx.DeliveryDead})
	must(err)
	must(s.ReleaseWebhook(t.Context(), w, e.Position))
	must(s.DisableWebhook(t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "test"}, mgx.DefaultWorkspace, hook, "off"))
	over := mgx.Scope{Workspace: mgx.DefaultWorkspace, Task: mgx.NewTaskID(), Run: mgx.NewRunID(), Execution: mgx.NewExecutionID()}
	info := mgx.TaskInfo{ID: over.Task, Title: "over", Description: "what is over"}
	made := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: info, UserID: "test", Source: "api"})
	made.Workspace, made.Task, made.Stream = over.Workspace, over.Task, mgx.StreamID(over.Task)
	_, err = s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{
		made, over.Event(mgx.RunCreated, mgx.RunCreatedData{Task: info, Settings: mgx.RunSettings{Approve: "auto"}}), over.Event(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: "enough", By: "test"}),
	}})
	must(err)
	return e.ID, over
}

// crashServer is a server on a copy of the base.
type crashServer struct {
	*served
	t     testing.TB
	token string
}

// crashAnswer is what came of a request; status 0: none came.
type crashAnswer struct {
	status         int
	body, location string
	replayed       bool
}

func (a crashAnswer) String() string { return fmt.Sprintf("%d %s %s", a.status, a.location, a.body) }

// same reports whether an answer says what another does, but for what is shown
// once, and for ids and times that differ between two databases.
func (a crashAnswer) same(b crashAnswer) bool {
	return a.status == b.status && alike(a.location) == alike(b.location) && alike(plainly(a.body)) == alike(plainly(b.body))
}

// unlike says why a second answer is not that of the first time, where it says
// that it is.
func (a crashAnswer) unlike(b crashAnswer) string {
	if a.status == 0 || !b.replayed || a.status == b.status && a.location == b.location && plainly(a.body) == plainly(b.body) {
		return ""
	}
	return fmt.Sprintf("answered with\n%v\nand again with\n%v", a, b)
}

// plainly is the body of an answer without what is of that answer alone.
func plainly(body string) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(body), &fields) != nil {
		return body
	}
	for _, name := range []string{"secret", "token", "request_id", "trace_id", "access_token", "refresh_token", "duration_ms"} {
		delete(fields, name)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return body
	}
	return string(text)
}

// ask makes a request as the owner of the data directory.
func (s *crashServer) ask(method, path string, body any, edit func(*http.Request)) crashAnswer {
	s.t.Helper()
	var text []byte
	file, isFile := body.(crashFile)
	if text = file.text; body != nil && !isFile {
		var err error
		if text, err = json.Marshal(body); err != nil {
			s.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Close = true
	r.Header.Set("Content-Type", cmp.Or(file.kind, "application/json"))
	r.Header.Set("Authorization", "Bearer "+s.token)
	if edit != nil {
		edit(r)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return crashAnswer{}
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return crashAnswer{}
	}
	return crashAnswer{status: resp.StatusCode, body: strings.TrimSpace(string(got)), location: resp.Header.Get("Location"), replayed: resp.Header.Get("Idempotency-Replayed") != ""}
}

// tokenIn is that of the owner of a data directory.
func tokenIn(t testing.TB, data string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "token"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
