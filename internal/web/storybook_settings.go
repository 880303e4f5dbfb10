package web

import (
	"net/url"
	"strings"
	"time"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/guard"
)

// sampleSettings is what pages of settings are made of: forms in every state, what is
// shown once, and lists of things.
type sampleSettings struct {
	Once    once
	Fresh   *form // nothing was sent yet
	Wrong   *form // something is wrong with a field
	Above   *form // or with none in particular
	Moved   *form // somebody else changed what it is about
	Choices []choiceOf
	Granted []app.Granted
	Hooks   []mgx.Webhook
	Attempt mgx.WebhookAttempt
	Breaker []string
	Long    string
}

func (s *site) sampleSettings(now time.Time) sampleSettings {
	sent := func(code, text string) *form {
		f := &form{Name: "book", Values: url.Values{"email": {"ada"}, "policy": {"permit (principal, action"}, "agree": {"yes"}}}
		f.wrong(mgx.Errorf(mgx.KindUsage, code, "%s", text))
		return f
	}
	failing := mgx.Webhook{Enabled: true, FailingSince: now}
	return sampleSettings{
		Once:  once{Title: s.t("set.invited", "ada@example.com"), Text: s.t("set.invited.text", mgx.RoleViewer, exact(now)), Value: "https://mgx.example.com/invitation#mgxi_" + strings.Repeat("0", 40), Command: "mgx login --server https://mgx.example.com"},
		Fresh: &form{Values: url.Values{}}, Wrong: sent("bad_email", "an address looks like name@example.com"), Above: sent("quota_reached", "the quota members is reached: this workspace may have 3 members"), Moved: sent(mgx.CodeChanged, s.t("set.moved")),
		Choices: []choiceOf{{"86400", s.t("set.time.86400")}, {"604800", s.t("set.time.604800")}},
		Granted: []app.Granted{{Kind: "runs", Actions: mgx.Actions}, {Kind: "models", Actions: []string{"read", "execute"}}, {Kind: "keys", Actions: []string{"read"}, Own: []string{"create", "update", "delete"}}},
		Hooks:   []mgx.Webhook{{Enabled: true}, failing, {}}, Breaker: []string{"closed", "half_open", "open"},
		Attempt: mgx.WebhookAttempt{At: now, Status: 500, Duration: 420 * time.Millisecond, Error: "answered 500", Response: guard.Clean("<h1>Internal Server Error</h1>")},
		Long:    strings.Repeat("a-name-without-an-end-", 8),
	}
}
