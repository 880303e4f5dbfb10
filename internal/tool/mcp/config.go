package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/guard"
	"mgx/internal/tool"
)

// Bounds on a configuration.
const (
	MaxConfig   = 1 << 20 // bytes of the file
	maxServers  = 16
	maxList     = 256 // entries of any list in it
	maxText     = 4 << 10
	maxTimeout  = 10 * time.Minute
	callTimeout = time.Minute // of a call, unless the operator says otherwise
)

// CodeBadConfig is the code of errors about a configuration.
const CodeBadConfig = "bad_mcp_config"

// entry is one server as the file has it: the shape that other clients of the
// protocol read, and what we ask of the operator besides.
type entry struct {
	Type    string            `json:"type"`
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`

	Show    []string          `json:"show"`
	Allow   []string          `json:"allow"`
	Tools   []string          `json:"tools"`
	Effects map[string]string `json:"effects"`
	Pin     map[string]string `json:"pin"`
	Timeout string            `json:"timeout"`
}

// Parse reads a configuration: a JSON object whose mcpServers are servers by
// name. What it does not know it refuses, since a field that is ignored may have
// been meant to forbid something.
func Parse(file []byte) ([]mgx.MCPServer, error) {
	if len(file) > MaxConfig {
		return nil, bad("it has more than %d KB", MaxConfig>>10)
	}
	var doc struct {
		Servers map[string]json.RawMessage `json:"mcpServers"`
	}
	if err := strict(file, &doc); err != nil {
		return nil, bad(`it must be {"mcpServers": {"NAME": {…}}}: %s`, err)
	}
	switch n := len(doc.Servers); {
	case n == 0:
		return nil, bad(`it has no servers; write {"mcpServers": {"NAME": {"command": "…"}}}`)
	case n > maxServers:
		return nil, bad("it has %d servers, more than %d", n, maxServers)
	}
	var servers []mgx.MCPServer
	for _, name := range slices.Sorted(maps.Keys(doc.Servers)) {
		var e entry
		if err := strict(doc.Servers[name], &e); err != nil {
			return nil, bad("server %s: %s", tool.Visible(cut(name)), err)
		}
		s, err := e.server(name)
		if err != nil {
			return nil, bad("server %s: %s", tool.Visible(cut(name)), err)
		}
		servers = append(servers, s)
	}
	return servers, nil
}

func bad(format string, args ...any) error {
	return mgx.Errorf(mgx.KindConfig, CodeBadConfig, "the configuration of MCP servers cannot be used: "+format, args...)
}

// strict decodes one JSON value without unknown fields and with nothing after it.
func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.New(tool.Visible(cut(mgx.JSONFault(err).Error())))
	}
	if d.More() {
		return errors.New("something follows it")
	}
	return nil
}

func cut(s string) string {
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

func (e entry) server(name string) (mgx.MCPServer, error) {
	s := mgx.MCPServer{
		Name: name, Command: e.Command, Args: e.Args, Env: e.Env, Show: e.Show, URL: e.URL, Headers: e.Headers,
		Allow: e.Allow, Tools: e.Tools, Effects: e.Effects, Pins: e.Pin, Timeout: callTimeout,
	}
	if e.Timeout != "" {
		d, err := time.ParseDuration(e.Timeout)
		if err != nil || d < time.Second || d > maxTimeout {
			return s, fmt.Errorf("timeout must be a duration from 1s to %s, such as 90s", maxTimeout)
		}
		s.Timeout = d
	}
	for _, check := range []func(mgx.MCPServer) error{checkName, checkBounds, checkTransport, checkSecrets, checkEffects, checkPins} {
		if err := check(s); err != nil {
			return s, err
		}
	}
	if want := map[string]string{"": "", "stdio": s.Command, "http": s.URL, "streamable-http": s.URL, "streamableHttp": s.URL}; e.Type != "" && want[e.Type] == "" {
		return s, errors.New("type must be stdio, with a command, or http, with a url")
	}
	return s, nil
}

// checkName keeps names such that no two tools can be called the same.
func checkName(s mgx.MCPServer) error {
	ok := len(s.Name) > 0 && len(s.Name) <= 24 && !strings.Contains(s.Name, "__") && strings.Trim(s.Name, "_-") == s.Name
	for _, r := range s.Name {
		ok = ok && (r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z')
	}
	if !ok {
		return errors.New("a name has 1 to 24 of a-z, 0-9, - and _, with a letter or digit at both ends and no __")
	}
	return nil
}

func checkBounds(s mgx.MCPServer) error {
	texts := slices.Concat([]string{s.Command, s.URL}, s.Args, s.Show, s.Allow, s.Tools)
	for _, m := range []map[string]string{s.Env, s.Headers, s.Effects, s.Pins} {
		for k, v := range m {
			texts = append(texts, k, v)
		}
	}
	if len(texts) > 2*maxList {
		return errors.New("its lists are too long")
	}
	for _, t := range texts {
		if len(t) > maxText || strings.ContainsRune(t, 0) {
			return fmt.Errorf("a text has more than %d bytes, or a NUL", maxText)
		}
	}
	return nil
}

func checkTransport(s mgx.MCPServer) error {
	switch {
	case s.Command == "" && s.URL == "":
		return errors.New("give a command or a url")
	case s.Command != "" && s.URL != "":
		return errors.New("give a command or a url, not both")
	case s.URL != "":
		return checkRemote(s)
	case len(s.Headers) > 0 || len(s.Allow) > 0:
		return errors.New("headers and allow are for servers with a url")
	case strings.Contains(s.Command, "/") && !filepath.IsAbs(s.Command):
		return errors.New("command must be the name of a program or an absolute path")
	}
	for _, p := range s.Show {
		if !filepath.IsAbs(p) || filepath.Clean(p) == "/" {
			return errors.New("show takes absolute paths, not /")
		}
	}
	return nil
}

func checkRemote(s mgx.MCPServer) error {
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "":
		return errors.New("url must read https://host/path")
	case u.User != nil:
		return errors.New("url must not hold a password; put it into a header as ${NAME}, a variable of the environment")
	case len(s.Args) > 0 || len(s.Env) > 0 || len(s.Show) > 0:
		return errors.New("args, env and show are for servers with a command")
	}
	for _, a := range s.Allow {
		if _, err := netip.ParsePrefix(a); err != nil {
			return errors.New("allow takes address ranges, such as 127.0.0.0/8")
		}
	}
	return nil
}

// checkSecrets keeps secrets out of the file, which is recorded with each run.
func checkSecrets(s mgx.MCPServer) error {
	for _, arg := range append(slices.Clone(s.Args), s.Command, s.URL) {
		if strings.Contains(arg, "${") {
			return errors.New("${NAME} is put into env and headers only, since commands and addresses can be seen by others")
		}
	}
	for _, m := range []map[string]string{s.Env, s.Headers} {
		for name, value := range m {
			refs, err := references(value)
			switch {
			case err != nil:
				return fmt.Errorf("%s: %w", tool.Visible(name), err)
			case len(refs) == 0 && secretName(name):
				return fmt.Errorf("%s looks like a secret: put it into the environment of mgx and write ${NAME} here", tool.Visible(name))
			}
		}
	}
	return nil
}

func secretName(name string) bool {
	like := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	return like == "AUTHORIZATION" || like == "PROXY_AUTHORIZATION" || like == "COOKIE" ||
		len(guard.SecretsFromEnv([]string{like + "=" + strings.Repeat("x", guard.MinSecret)})) > 0
}

// references lists the variables that a value asks for.
func references(value string) (names []string, err error) {
	_, err = expand(value, func(name string) (string, bool) {
		names = append(names, name)
		return "", true
	})
	return names, err
}

// expand puts variables in for ${NAME}.
func expand(value string, lookup func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(value, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !variable(name) {
			return "", errors.New("a variable reads ${NAME}, without a default")
		}
		v, ok := lookup(name)
		if !ok {
			return "", fmt.Errorf("the variable %s is not set", name)
		}
		b.WriteString(v)
		value = after
	}
}

func variable(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// effects are those that an operator may give to a tool.
var effects = []tool.Effect{tool.Read, tool.Write, tool.Execute, tool.Network, tool.Deliver}

func checkEffects(s mgx.MCPServer) error {
	for _, e := range s.Effects {
		if !slices.Contains(effects, tool.Effect(e)) {
			return errors.New("effects are read, write, execute, network or deliver, by tool or * for the others")
		}
	}
	return nil
}

func checkPins(s mgx.MCPServer) error {
	for _, p := range s.Pins {
		if !isPin(p) {
			return errors.New("a pin reads sha256: and 64 hexadecimal digits; mgx mcp pin writes them")
		}
	}
	return nil
}

// effectOf is the operator's word on a tool. What a server says of its own tools
// is not asked: it would be no more than a promise, and network is what policy
// holds a promise to anyway.
func effectOf(s mgx.MCPServer, name string) tool.Effect {
	if e, ok := s.Effects[name]; ok {
		return tool.Effect(e)
	}
	if e, ok := s.Effects["*"]; ok {
		return tool.Effect(e)
	}
	return tool.Network
}
