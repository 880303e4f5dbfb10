package web

import (
	"slices"
	"strings"

	"mgx"
	"mgx/internal/app"
)

// secretsPage is the names of the secrets. No value ever comes to a page.
type secretsPage struct {
	sheetPage
	turning
	Secrets             []secretLine
	Set, Remove, Rotate bool
}

// secretLine is a secret, and its revision.
type secretLine struct {
	mgx.SecretInfo
	Seen int64
}

const secretsAtOnce = 200

var (
	updatesSecrets = need{action: "update", kind: "secrets"}
	deletesSecrets = need{action: "delete", kind: "secrets"}
	managesSecrets = need{action: "manage", kind: "secrets"}
	readsSecrets   = need{action: "read", kind: "secrets"}
)

// secrets are those of the reader's workspace.
func (v *visit) secrets() *app.Secrets {
	theirs := *v.site.o.Settings.Secrets
	theirs.By = v.Actor.Doer()
	return &theirs
}

func secrets(v *visit, f *form) (page, error) {
	d := &secretsPage{sheetPage: v.sheetPage("secrets", f), Set: v.meets(updatesSecrets), Remove: v.meets(deletesSecrets), Rotate: v.meets(managesSecrets)}
	after := v.URL.Query().Get("after")
	name := func(s mgx.SecretInfo) string { return s.Name }
	list := func() ([]mgx.SecretInfo, error) { return v.secrets().List(v.Context(), after, secretsAtOnce+1) }
	all, seen, err := watched(v, "secret", list, name)
	if err != nil {
		return page{}, err
	}
	all, d.turning = pageOf("/settings/secrets", after, all, secretsAtOnce, name)
	if f.Moved && f.Name == "set-"+v.PathValue("id") {
		f.Wrong = v.site.t("set.secret.moved")
		if !slices.ContainsFunc(all, func(s mgx.SecretInfo) bool { return s.Name == v.PathValue("id") }) {
			f.Name = "secret"
			f.Values.Set("name", v.PathValue("id"))
		}
	}
	for _, s := range all {
		d.Secrets = append(d.Secrets, secretLine{s, seen[s.Name]})
	}
	return v.settingsPage("secrets", "set.secrets", "mgx secrets\nmgx secrets set NAME < file\nmgx secrets remove NAME\nmgx secrets rotate", d), nil
}

func (s *site) secretActs(m *mux) {
	m.Handle("POST /settings/secrets", s.act("secret", updatesSecrets, setSecret, readsSecrets, secrets))
	m.Handle("POST /settings/secrets/{id}", s.act("set", updatesSecrets, setSecret, readsSecrets, secrets))
	m.Handle("POST /settings/secrets/{id}/remove", s.act("remove", deletesSecrets, removeSecret, readsSecrets, secrets))
	m.Handle("POST /settings/rotation", s.act("rotate", managesSecrets, rotateSecrets, readsSecrets, secrets))
}

// setSecret keeps a value. Browsers send line ends as CR LF, which no key is written
// with; and like the command line it takes the last one for the end of the typing.
func setSecret(v *visit) (outcome, error) {
	name := v.PathValue("id")
	if name == "" {
		name = v.text("name")
	}
	value := strings.TrimSuffix(strings.ReplaceAll(v.PostFormValue("value"), "\r\n", "\n"), "\n")
	v.PostForm.Set("value", "") // the page that comes back has no use for it
	kept, err := v.secrets().Set(v.upon("secret", name), name, value)
	if err != nil {
		return outcome{}, err
	}
	if kept.Version > 1 {
		return done("/settings/secrets", "secretagain")
	}
	return done("/settings/secrets", "secret")
}

func removeSecret(v *visit) (outcome, error) {
	if err := v.secrets().Remove(v.upon("secret", v.PathValue("id")), v.PathValue("id")); err != nil {
		return outcome{}, err
	}
	return done("/settings/secrets", "secretgone")
}

func rotateSecrets(v *visit) (outcome, error) {
	if err := v.secrets().Rotate(v.Context()); err != nil {
		return outcome{}, err
	}
	return done("/settings/secrets", "rotated")
}
