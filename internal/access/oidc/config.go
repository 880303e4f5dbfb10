package oidc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/access"
)

// Config is one provider, as the file of providers has it.
type Config struct {
	Name     string `json:"-"`     // in paths and the log
	Title    string `json:"title"` // on the button; the name
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`

	// Where the client secret is: one of these, or none for a public client.
	SecretEnv  string `json:"client_secret_env"`  // a variable of the environment
	SecretFile string `json:"client_secret_file"` // a file that only we can read
	SecretName string `json:"client_secret_name"` // a secret of MGX

	Scopes      []string `json:"scopes"`        // openid, email and profile, unless it says
	GroupsClaim string   `json:"groups_claim"`  // name of a claim, or a JSON pointer (RFC 6901) into the claims
	Roles       []Role   `json:"roles"`         // of those in a workspace whose group one has, the first counts
	Domains     []string `json:"email_domains"` // whose addresses may sign in; none: all
	New         bool     `json:"new_people"`    // who has no account gets one, if a role is theirs
}

// Role is what a group gives.
type Role struct {
	Group     string          `json:"group"`     // * is everybody who may sign in
	Workspace mgx.WorkspaceID `json:"workspace"` // the default one, unless it says
	Role      string          `json:"role"`
}

// Bounds of a configuration.
const (
	maxConfig    = 256 << 10 // bytes
	maxProviders = 20
	maxRoles     = 1000
)

// Everybody is the group of all who may sign in.
const Everybody = "*"

// ReadConfig reads the file of providers, and refuses what it cannot mean.
func ReadConfig(text []byte) ([]Config, error) {
	var file struct {
		Providers map[string]Config `json:"providers"`
	}
	if len(text) > maxConfig {
		return nil, wrong("", "it has more than %d KB", maxConfig>>10)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, wrong("", "it is not the JSON that it should be: %s", err)
	}
	if d.More() {
		return nil, wrong("", "something comes after the end of the JSON")
	}
	if n := len(file.Providers); n == 0 || n > maxProviders {
		return nil, wrong("providers", "there have to be 1 to %d", maxProviders)
	}
	var all []Config
	for _, name := range slices.Sorted(maps.Keys(file.Providers)) {
		c := file.Providers[name]
		c.Name = name
		if err := c.complete(); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func wrong(at, format string, args ...any) error {
	if at != "" {
		at = ", at " + at
	}
	return mgx.Errorf(mgx.KindConfig, "bad_oidc", "the file of OpenID providers%s: %s", at, fmt.Sprintf(format, args...))
}

// complete checks a provider and fills in what it does not say.
func (c *Config) complete() error {
	at := "providers." + c.Name
	if !isName(c.Name) {
		return wrong("providers", "a name has 1 to 30 small letters, digits and -, not %.40q", c.Name)
	}
	if err := checkAddress(c.Issuer); err != nil {
		return wrong(at+".issuer", "%s", err)
	}
	if c.Title == "" {
		c.Title = c.Name
	}
	var err error
	if c.Title, err = access.Name(c.Title); err != nil {
		return wrong(at+".title", "%s", err)
	}
	if c.ClientID == "" || len(c.ClientID) > 255 {
		return wrong(at+".client_id", "it is missing, or longer than 255 bytes")
	}
	if given := slices.DeleteFunc([]string{c.SecretEnv, c.SecretFile, c.SecretName}, func(s string) bool { return s == "" }); len(given) > 1 {
		return wrong(at, "give one of client_secret_env, client_secret_file and client_secret_name")
	}
	if c.Scopes == nil {
		c.Scopes = []string{"openid", "email", "profile"}
	}
	if !slices.Contains(c.Scopes, "openid") || slices.ContainsFunc(c.Scopes, func(s string) bool { return s == "" || strings.ContainsAny(s, " \"\\") }) {
		return wrong(at+".scopes", "they have to have openid among them, and none has spaces")
	}
	for i, d := range c.Domains {
		c.Domains[i] = strings.ToLower(d)
		if d == "" || strings.ContainsAny(d, "@* ") {
			return wrong(at+".email_domains", "%.100q is no domain such as example.com", d)
		}
	}
	return c.completeRoles(at + ".roles")
}

func (c *Config) completeRoles(at string) error {
	if len(c.Roles) > maxRoles {
		return wrong(at, "there are more than %d", maxRoles)
	}
	for i := range c.Roles {
		r := &c.Roles[i]
		if r.Workspace == "" {
			r.Workspace = mgx.DefaultWorkspace
		}
		switch here := fmt.Sprintf("%s[%d]", at, i); {
		case r.Group == "" || r.Role == "":
			return wrong(here, "it has to name a group and a role")
		case r.Role == mgx.RoleService:
			return wrong(here, "the role %s is of keys", mgx.RoleService)
		case r.Group != Everybody && c.GroupsClaim == "":
			return wrong(here, "say in groups_claim where the provider lists groups")
		}
	}
	return nil
}

func isName(s string) bool {
	return s != "" && len(s) <= 30 && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' })
}

// checkAddress refuses what others could read or change on the way, or that is no
// address of a provider.
func checkAddress(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("it is no address such as https://id.example.com")
	case strings.HasPrefix(text, "https://"), strings.HasPrefix(text, "http://") && isLoopback(u.Hostname()): // in these letters: an issuer is compared as it is written
		return nil
	}
	return fmt.Errorf("it has to begin with https://, unless it is on this machine")
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// grants are what the groups of a person give.
func (c *Config) grants(groups []string) (all []mgx.Grant) {
	for _, r := range c.Roles {
		given := slices.ContainsFunc(all, func(g mgx.Grant) bool { return g.Workspace == r.Workspace })
		if !given && (r.Group == Everybody || slices.Contains(groups, r.Group)) {
			all = append(all, mgx.Grant{Workspace: r.Workspace, Role: r.Role})
		}
	}
	return all
}

// admits reports whether an address is of the domains that may sign in.
func (c *Config) admits(email string) bool {
	_, domain, _ := strings.Cut(email, "@")
	return len(c.Domains) == 0 || slices.Contains(c.Domains, domain)
}
