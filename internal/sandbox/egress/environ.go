package egress

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mgx/internal/sandbox"
)

// proxied are the variables by which programs find a proxy.
var proxied = []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "npm_config_proxy", "npm_config_https_proxy", "YARN_HTTP_PROXY", "YARN_HTTPS_PROXY", "CARGO_HTTP_PROXY"}

// own are the names of a box itself, which need no proxy.
var own = []string{"localhost", "127.0.0.1", "::1"}

// online undoes what boxes without a network set; see [sandbox.Toolchains].
var online = []string{
	"npm_config_offline=false", "YARN_ENABLE_NETWORK=1", "COREPACK_ENABLE_NETWORK=1", "NODE_USE_ENV_PROXY=1",
	"UV_OFFLINE=0", "PIP_RETRIES=2", "CARGO_NET_OFFLINE=false", "MAVEN_ARGS=--batch-mode",
}

// registries are where an operator's programs download from, and what they trust
// there; they are handed on unless a password is in them.
var registries = []string{
	"GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB", "npm_config_registry", "NPM_CONFIG_REGISTRY", "COREPACK_NPM_REGISTRY",
	"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "RUSTUP_DIST_SERVER",
}

// Environment is what programs in a box with a gate need: where the gate is, the
// registries that the operator's environment names, and the certificates that it
// trusts, with the mounts that show those.
func Environment(getenv func(string) string) (env []string, mounts []sandbox.Mount) {
	gate := "http://" + sandbox.GateAddress
	for _, name := range proxied {
		env = append(env, name+"="+gate)
		if upper := strings.ToUpper(name); name == upper && strings.HasSuffix(name, "_PROXY") {
			env = append(env, strings.ToLower(name)+"="+gate)
		}
	}
	env = append(env, javaOptions()...)
	env = append(env, online...)
	env = append(env, "GOPROXY=https://proxy.golang.org,direct", "GOSUMDB=sum.golang.org")
	for _, name := range registries {
		if v := getenv(name); v != "" && !holdsPassword(v) {
			env = append(env, name+"="+v)
		}
	}
	more, mounts := certificates(getenv)
	return append(env, more...), mounts
}

// direct tells programs what to reach without the gate: the box itself, but not by a
// name that the list has, which is then one of this machine.
func (l *List) direct() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	names := slices.DeleteFunc(slices.Clone(own), func(name string) bool {
		return slices.ContainsFunc(l.rules, func(r Rule) bool { return r.Host == name })
	})
	list := strings.Join(names, ",")
	return []string{"NO_PROXY=" + list, "no_proxy=" + list, "npm_config_noproxy=" + list}
}

// javaOptions are for programs that do not look at the usual variables.
func javaOptions() []string {
	host, port, _ := strings.Cut(sandbox.GateAddress, ":")
	var options []string
	for _, scheme := range []string{"http", "https"} {
		options = append(options, "-D"+scheme+".proxyHost="+host, "-D"+scheme+".proxyPort="+port)
	}
	all := strings.Join(options, " ")
	return []string{"MAVEN_OPTS=" + all, "GRADLE_OPTS=-Dorg.gradle.daemon=false " + all}
}

// holdsPassword reports whether one of the addresses in a list has a user.
func holdsPassword(list string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' || r == ' ' }), func(v string) bool {
		u, err := url.Parse(v)
		return err != nil || u.User != nil
	})
}

// bundles are where systems keep the certificates that they trust.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
}

// trusting are the variables by which programs that bring certificates of their
// own are told of others.
var trusting = []string{
	"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO",
	"AWS_CA_BUNDLE", "npm_config_cafile", "YARN_HTTPS_CA_FILE_PATH",
}

// trustDir is where a box shows certificates that are not the system's.
const trustDir = "/run/mgx/certificates"

// certificates has programs trust what the operator's do: a file that a variable
// names, SSL_CERT_FILE for all of them, or else the system's.
func certificates(getenv func(string) string) (env []string, mounts []sandbox.Mount) {
	show := func(file string) (guest string) {
		if slices.Contains(bundles, file) && isFile(file) {
			return file // every box has it
		}
		real, err := filepath.EvalSymlinks(file)
		if err != nil || !onlyCertificates(real) {
			return ""
		}
		guest = filepath.Join(trustDir, filepath.Base(file))
		for i := 1; slices.ContainsFunc(mounts, func(m sandbox.Mount) bool { return m.Guest == guest && m.Host != real }); i++ {
			guest = filepath.Join(trustDir, strings.Repeat("_", i)+filepath.Base(file))
		}
		if !slices.ContainsFunc(mounts, func(m sandbox.Mount) bool { return m.Guest == guest }) {
			mounts = append(mounts, sandbox.Mount{Host: real, Guest: guest, Mode: sandbox.ReadOnly})
		}
		return guest
	}
	all := ""
	if i := slices.IndexFunc(bundles, isFile); i >= 0 {
		all = bundles[i]
	}
	if file := getenv("SSL_CERT_FILE"); filepath.IsAbs(file) {
		if guest := show(file); guest != "" {
			all = guest
		}
	}
	for _, name := range trusting {
		file := all
		if own := getenv(name); filepath.IsAbs(own) {
			if guest := show(own); guest != "" {
				file = guest
			}
		}
		if file != "" {
			env = append(env, name+"="+file)
		}
	}
	return env, mounts
}

// onlyCertificates is false for what cannot be read, and for what holds a key too.
func onlyCertificates(name string) bool {
	const most = 8 << 20
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > most {
		return false
	}
	text, err := os.ReadFile(name)
	return err == nil && bytes.Contains(text, []byte("-----BEGIN CERTIFICATE-----")) && !bytes.Contains(text, []byte("PRIVATE KEY-----"))
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
