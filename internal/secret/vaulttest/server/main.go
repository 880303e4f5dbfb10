// Command server is a real HashiCorp Vault for the tests: its core, its HTTP API, the
// transit engine, AppRole, certificates and tokens, with files for storage. What the test wants of it
// (initialising, unsealing, mounts, policies) it does over HTTP, as an operator would.
//
//	server -listen 127.0.0.1:0 -data DIR [-cert FILE -key FILE]
//
// The first line on stdout is the address.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/vault"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	data := flag.String("data", "", "directory of the storage")
	certificate := flag.String("cert", "", "file of the certificate; none: no TLS")
	key := flag.String("key", "", "file of its key")
	flag.Parse()
	log.Fatal(serve(*listen, *data, *certificate, *key))
}

func serve(listen, data, certificate, key string) error {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn})
	storage, err := file.NewFileBackend(map[string]string{"path": data}, logger)
	if err != nil {
		return err
	}
	b := builtins{
		consts.PluginTypeSecrets:    {"transit": transit.Factory},
		consts.PluginTypeCredential: {"approle": approle.Factory, "cert": cert.Factory},
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		BuiltinRegistry:    b,
		Physical:           storage,
		StorageType:        "file",
		Logger:             logger,
		DisableMlock:       true,
		DefaultLeaseTTL:    time.Hour,
		MaxLeaseTTL:        24 * time.Hour,
		LogicalBackends:    b[consts.PluginTypeSecrets],
		CredentialBackends: b[consts.PluginTypeCredential],
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	address := "http://" + l.Addr().String()
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return err
		}
		address = "https://" + l.Addr().String()
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}) // as Vault's own listener does
	}
	fmt.Println(address)
	return http.Serve(l, vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}}))
}

// builtins are the engines that there are.
type builtins map[consts.PluginType]map[string]logical.Factory

func (b builtins) Contains(name string, of consts.PluginType) bool { return b[of][name] != nil }

func (b builtins) Get(name string, of consts.PluginType) (func() (any, error), bool) {
	f := b[of][name]
	return func() (any, error) { return f, nil }, f != nil
}

func (b builtins) Keys(of consts.PluginType) []string {
	return slices.Collect(maps.Keys(b[of]))
}

func (b builtins) DeprecationStatus(name string, of consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, b.Contains(name, of)
}

func (builtins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
