//go:build amd64 || arm64 || riscv64

package gvisor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"

	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/boxinit"
)

// The parts of a bundle's config.json that are used here; see the runtime
// specification of the Open Container Initiative, version 1.0.2.
type (
	config struct {
		Version  string  `json:"ociVersion"`
		Process  process `json:"process"`
		Root     root    `json:"root"`
		Hostname string  `json:"hostname"`
		Mounts   []mount `json:"mounts"`
		Linux    linux   `json:"linux"`
	}
	process struct {
		User            user     `json:"user"`
		Args            []string `json:"args"`
		Env             []string `json:"env"`
		Cwd             string   `json:"cwd"`
		NoNewPrivileges bool     `json:"noNewPrivileges"`
		Capabilities    struct{} `json:"capabilities"` // none
	}
	user struct {
		UID int `json:"uid"`
		GID int `json:"gid"`
	}
	root struct {
		Path     string `json:"path"`
		ReadOnly bool   `json:"readonly"`
	}
	mount struct {
		Destination string   `json:"destination"`
		Type        string   `json:"type"`
		Source      string   `json:"source"`
		Options     []string `json:"options,omitempty"`
	}
	linux struct {
		UIDMappings []mapping   `json:"uidMappings"`
		GIDMappings []mapping   `json:"gidMappings"`
		Namespaces  []namespace `json:"namespaces"`
	}
	mapping struct {
		ContainerID int `json:"containerID"`
		HostID      int `json:"hostID"`
		Size        int `json:"size"`
	}
	namespace struct {
		Type string `json:"type"`
	}
)

// insideID is the user and group of commands; outside it is whoever runs MGX.
const insideID = 1000

// Who is root inside, which nobody is, and the sentry's nobody, have to be
// somebody outside: users that own nothing.
const spareID = 1_000_000_000

func mappings(outside int) []mapping {
	return []mapping{
		{ContainerID: 0, HostID: spareID, Size: insideID},
		{ContainerID: insideID, HostID: outside, Size: 1},
		{ContainerID: insideID + 1, HostID: spareID + insideID + 1, Size: 1<<16 - insideID - 1},
	}
}

// writeBundle writes what runsc is told of one command.
func (b *box) writeBundle(dir string, p confine.Plan, socket string) error {
	c := config{
		Version: "1.0.2", Hostname: "mgx", Root: root{Path: b.root, ReadOnly: true},
		Process: process{
			User: user{insideID, insideID}, Args: []string{boxinit.ContainedName}, Cwd: "/", NoNewPrivileges: true,
			Env: append([]string{"PATH=" + boxinit.ContainedDir}, boxinit.Env...),
		},
		Linux: linux{UIDMappings: mappings(os.Geteuid()), GIDMappings: mappings(os.Getegid())},
	}
	for _, kind := range []string{"pid", "network", "ipc", "uts", "mount", "user"} {
		c.Linux.Namespaces = append(c.Linux.Namespaces, namespace{kind})
	}
	c.Mounts = []mount{
		{"/proc", "proc", "proc", nil},
		{"/sys", "tmpfs", "tmpfs", []string{"ro", "size=4096", "mode=0555"}},
		bind(b.program, boxinit.ContainedDir+"/"+boxinit.ContainedName, true),
		bind(socket, boxinit.SocketPath, false),
	}
	for _, m := range p.Mounts {
		switch {
		case confine.Within(m.Target, "/proc"):
		case m.Kind == boxinit.Tmpfs:
			options := []string{"nosuid", "nodev", "size=" + strconv.FormatInt(m.Size, 10), "mode=1777"}
			if m.ReadOnly {
				options = append(options, "ro")
			}
			c.Mounts = append(c.Mounts, mount{m.Target, "tmpfs", "tmpfs", options})
		case m.Kind == boxinit.Bind:
			c.Mounts = append(c.Mounts, bind(m.Source, m.Target, m.ReadOnly))
		}
	}
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600)
	}
	return err
}

func bind(source, target string, readOnly bool) mount {
	options := []string{"rbind", "nosuid", "nodev"}
	if readOnly {
		options = append(options, "ro")
	}
	return mount{target, "bind", source, options}
}

// makeRoot is what a native box has in its root, in a directory.
func makeRoot(dir string, p confine.Plan) error {
	at, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer at.Close()
	rel := func(name string) string { return filepath.Clean(name)[1:] }
	for _, d := range append([]string{boxinit.ContainedDir, "/proc", "/sys", "/tmp"}, p.Dirs...) {
		if err := at.MkdirAll(rel(d), 0o755); err != nil {
			return err
		}
	}
	for _, l := range p.Links {
		if confine.Within(l.Path, "/dev") { // the sentry makes those
			continue
		}
		if err := at.Symlink(l.To, rel(l.Path)); err != nil {
			return err
		}
	}
	for _, f := range p.Files {
		if err := at.WriteFile(rel(f.Path), []byte(f.Text), 0o444); err != nil {
			return err
		}
	}
	return nil
}
