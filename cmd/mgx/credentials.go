package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mgx"
	"mgx/client"
)

// credentials are what mgx login has of servers, by address. They are kept in a
// private file, apart from the configuration, which people copy.
type credentials struct {
	path    string
	Servers map[string]credential `json:"servers"`
}

// credential is a session at a server, or an API key for it.
type credential struct {
	User      mgx.UserID      `json:"user_id,omitempty"`
	Email     string          `json:"email,omitempty"`
	Workspace mgx.WorkspaceID `json:"workspace_id,omitempty"`
	Key       string          `json:"key,omitempty"`
	Access    string          `json:"access_token,omitempty"`
	Until     time.Time       `json:"access_until,omitzero"`
	Refresh   string          `json:"refresh_token,omitempty"`
}

// session is the credential of who signed in.
func session(s client.Signed, ws mgx.WorkspaceID) credential {
	return credential{
		User: s.User.ID, Email: s.User.Email, Workspace: ws, Access: s.Access, Refresh: s.Refresh,
		Until: time.Now().Add(time.Duration(s.Expires) * time.Second).UTC(),
	}
}

// credentialsPath is where they are: in the XDG state directory.
func (c *cli) credentialsPath() (string, error) {
	base := c.getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home := c.getenv("HOME")
		if !filepath.IsAbs(home) {
			return "", mgx.Errorf(mgx.KindConfig, "no_home", "there is no HOME to keep what mgx login gets in; set HOME or XDG_STATE_HOME, or use --token")
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "mgx", "servers.json"), nil
}

// serverName is a server's address as it is looked up.
func serverName(server string) string { return strings.ToLower(strings.TrimRight(server, "/")) }

// withCredentials reads them, lets f look and change them, and writes them when f
// says so. Of several commands one does it at a time: of a refresh token that two
// spend, the server would think that it was stolen.
func (c *cli) withCredentials(f func(*credentials) (write bool, err error)) error {
	path, err := c.credentialsPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return credentialsError(path, err)
	}
	lock, err := lockFile(path+".lock", syscall.LOCK_EX)
	if err != nil {
		return credentialsError(path, err)
	}
	defer lock.Close()
	all := &credentials{path: path}
	if err := all.read(); err != nil {
		return err
	}
	write, err := f(all)
	if !write {
		return err
	}
	return errors.Join(err, all.write())
}

func (a *credentials) read() error {
	a.Servers = map[string]credential{}
	text, private, err := readPrivately(a.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return credentialsError(a.path, err)
	case !private:
		return mgx.Errorf(mgx.KindConfig, "secret_readable", "others can read %s; delete it and sign in again with: mgx login", a.path)
	}
	if err := json.Unmarshal(text, a); err != nil || a.Servers == nil {
		return mgx.Errorf(mgx.KindConfig, "bad_credentials_file", "%s is not what mgx login wrote; delete it and sign in again", a.path)
	}
	for _, c := range a.Servers {
		hide(c.Key, c.Access, c.Refresh)
	}
	return nil
}

// write replaces the file, which is never there half written.
func (a *credentials) write() error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return credentialsError(a.path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(a.path), ".servers-*") // 0600
	if err != nil {
		return credentialsError(a.path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), a.path)
	}
	if err != nil {
		return credentialsError(a.path, err)
	}
	return nil
}

func credentialsError(path string, err error) error {
	return mgx.Errorf(mgx.KindConfig, "credentials_unusable", "%s, which keeps what mgx login gets, cannot be used: %w", path, err)
}

// remote is a client of a server: with the token that was named, else as who
// signed in there, else, on this machine, as the owner of the data directory.
func (c *cli) remote(a at) (*client.Client, error) {
	if err := c.protected(a.server); err != nil {
		return nil, err
	}
	if a.token != "" {
		return client.NewAs(a.server, mgx.WorkspaceID(a.workspace), func(context.Context) (string, error) { return a.token, nil })
	}
	var kept credential
	err := c.withCredentials(func(all *credentials) (bool, error) {
		kept = all.Servers[serverName(a.server)]
		return false, nil
	})
	if err != nil && c.getenv("HOME") != "" {
		return nil, err
	}
	if kept != (credential{}) {
		ws := mgx.WorkspaceID(a.workspace)
		if ws == "" {
			ws = kept.Workspace
		}
		return client.NewAs(a.server, ws, func(ctx context.Context) (string, error) { return c.accessTo(ctx, a.server) })
	}
	token := ""
	if isLoopback(a.server) {
		// Another user's server has another token, and then refuses this one.
		if s, err := openedSecret(c.cfg.Data, "token"); err == nil {
			token = s.value
		}
	}
	if token == "" {
		c.stranger = a.server
	}
	return client.NewAs(a.server, mgx.WorkspaceID(a.workspace), func(context.Context) (string, error) { return token, nil })
}

// protected refuses to send what signs somebody in over a network that anybody on
// the way can read.
func (c *cli) protected(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" || isLoopback(server) || c.getenv("MGX_PLAIN_HTTP") == "1" {
		return nil
	}
	return usage("plain_http", "%s would be sent passwords and tokens in clear text: use https; on a network of your own that nobody else reads, set MGX_PLAIN_HTTP=1", server)
}

// soon is how long before its end an access token is renewed.
const soon = 30 * time.Second

// accessTo is what gives access to a server, renewed when it is about to expire.
func (c *cli) accessTo(ctx context.Context, server string) (token string, err error) {
	name := serverName(server)
	err = c.withCredentials(func(all *credentials) (bool, error) {
		kept, known := all.Servers[name]
		switch {
		case !known:
			return false, notSignedIn(server)
		case kept.Key != "":
			token = kept.Key
			return false, nil
		case time.Until(kept.Until) > soon:
			token = kept.Access
			return false, nil
		}
		plain, err := client.New(server, "")
		if err != nil {
			return false, err
		}
		signed, err := plain.Refresh(ctx, kept.Refresh)
		switch {
		case mgx.IsCode(err, mgx.CodeTokenReused), mgx.IsCode(err, mgx.CodeTokenUnknown):
			delete(all.Servers, name)
			return true, notSignedIn(server)
		case err != nil:
			return false, err
		}
		fresh := session(signed, kept.Workspace)
		all.Servers[name], token = fresh, fresh.Access
		return true, nil
	})
	return token, err
}

func notSignedIn(server string) error {
	return mgx.Errorf(mgx.KindRefused, "not_signed_in", "you are not, or no longer, signed in at %s; sign in with: mgx login --server %s, or give a key by --token", server, server)
}
