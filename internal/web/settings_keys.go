package web

import (
	"strings"
	"time"

	"mgx"
	"mgx/internal/app"
)

// keysPage is the keys of programs.
type keysPage struct {
	sheetPage
	turning
	Keys    []keyLine
	Create  bool
	Service bool // may make keys that stand for nobody
	Times   []choiceOf
	Periods []choiceOf
	Overlap []choiceOf
	Scopes  string // what there is
}

// keyLine is a key, as it stands, and what the reader may do with it.
type keyLine struct {
	mgx.APIKey
	Own    bool
	State  string // good, expired, revoked
	Revoke bool
	Rotate bool
}

const keysAtOnce = 100

var (
	readsKeys   = need{action: "read", kind: "keys", own: true}
	createsKeys = need{action: "create", kind: "keys", own: true}
	deletesKeys = need{action: "delete", kind: "keys", own: true}
	updatesKeys = need{action: "update", kind: "keys", own: true}
)

func keys(v *visit, f *form) (page, error) {
	d := &keysPage{sheetPage: v.sheetPage("keys", f), Create: v.meets(createsKeys), Service: v.meets(need{action: "manage", kind: "keys"}), Scopes: strings.Join(mgx.Resources, ", ")}
	after := v.URL.Query().Get("after")
	all, err := v.site.o.Access.Keys(v.Context(), v.Actor, mgx.KeyID(after), keysAtOnce+1)
	if err != nil {
		return page{}, err
	}
	all, d.turning = pageOf("/settings/keys", after, all, keysAtOnce, func(k mgx.APIKey) string { return string(k.ID) })
	for _, k := range all {
		d.Keys = append(d.Keys, v.keyLine(k, d.Now))
	}
	d.Times = v.choices("set.time.", "86400", "604800", "2592000", "7776000", "31536000", "0")
	d.Periods = v.choices("set.period.", "daily", "monthly", "")
	d.Overlap = v.choices("set.overlap.", "0", "3600", "86400", "604800")
	return v.settingsPage("keys", "set.keys", "mgx keys\nmgx keys create NAME --scope runs:read --expires 720h\nmgx keys rotate KEY --overlap 24h\nmgx keys revoke KEY", d), nil
}

func (v *visit) keyLine(k mgx.APIKey, now time.Time) keyLine {
	line := keyLine{APIKey: k, Own: k.User == v.Actor.User, State: "good"}
	switch {
	case !k.RevokedAt.IsZero():
		line.State = "revoked"
		return line
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		line.State = "expired"
	}
	may := func(action string) bool { return v.meets(need{action: action, kind: "keys", own: line.Own}) }
	line.Revoke = may("delete")
	line.Rotate = may("update") && line.State == "good" && (line.Own || k.Role == mgx.RoleService)
	return line
}

func (s *site) keyActs(m *mux) {
	m.Handle("POST /settings/keys", s.act("key", createsKeys, createKey, readsKeys, keys))
	m.Handle("POST /settings/keys/{id}/rotate", s.act("rotate", updatesKeys, rotateKey, readsKeys, keys))
	m.Handle("POST /settings/keys/{id}/revoke", s.act("revoke", deletesKeys, revokeKey, readsKeys, keys))
}

// words are those of a text, as people put several into one field.
func spaced(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

func createKey(v *visit) (outcome, error) {
	seconds, err := v.seconds("expires")
	if err != nil {
		return outcome{}, err
	}
	n := app.NewAPIKey{
		Name: v.text("name"), Scopes: spaced(v.text("scopes")), Models: spaced(v.text("models")), Service: v.text("service") != "", Period: v.text("period"), Expires: seconds,
	}
	if text := v.text("budget"); text != "" {
		most, err := mgx.ParseMoney(text)
		if err != nil {
			return outcome{}, mgx.Errorf(mgx.KindUsage, "bad_budget", "%s", v.site.t("task.badbudget", middle(20, text)))
		}
		n.Budget = &most
	}
	k, secret, err := v.site.o.Access.CreateKey(v.Context(), v.Actor, n)
	if err != nil {
		return outcome{}, err
	}
	return v.keyMade(v.site.t("set.key.made", k.Name), secret), nil
}

// keyMade shows the secret of a key, in this answer alone.
func (v *visit) keyMade(title, secret string) outcome {
	at := v.site.origin(v)
	return outcome{Once: &once{Title: title, Text: v.site.t("set.key.made.text"), Value: secret, Command: "curl -H \"Authorization: Bearer " + secret + "\" " + at + "/api/v1/me"}}
}

func rotateKey(v *visit) (outcome, error) {
	seconds, err := v.seconds("overlap")
	if err != nil {
		return outcome{}, err
	}
	secret, err := v.site.o.Access.RotateKey(v.Context(), v.Actor, mgx.KeyID(v.PathValue("id")), time.Duration(seconds)*time.Second)
	if err != nil {
		return outcome{}, err
	}
	return v.keyMade(v.site.t("set.key.rotated"), secret), nil
}

func revokeKey(v *visit) (outcome, error) {
	if err := v.site.o.Access.RevokeKey(v.Context(), v.Actor, mgx.KeyID(v.PathValue("id"))); err != nil {
		return outcome{}, err
	}
	return done("/settings/keys", "keygone")
}
