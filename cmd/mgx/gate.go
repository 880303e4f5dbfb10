package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
)

// hostList is a flag that may be given several times.
type hostList []string

func (h *hostList) String() string { return strings.Join(*h, ",") }
func (h *hostList) Type() string   { return "host:port" }
func (h *hostList) Set(v string) error {
	*h = append(*h, v)
	return nil
}

func addAllowHosts(flags *pflag.FlagSet) {
	flags.Var(new(hostList), "allow-host", "`HOST:PORT` that commands may reach; may be given several times; see docs/network.md (default: no network)")
}

// openGate gives a box a way to the hosts, if there are any.
func openGate(spec *sandbox.Spec, hosts []string) error {
	if len(hosts) == 0 {
		return nil
	}
	gate, mounts, err := gateTo(hosts)
	if err != nil {
		return err
	}
	spec.Gate, spec.Mounts = gate, append(spec.Mounts, mounts...)
	return nil
}

// gateTo makes a gate to hosts, and says what programs have to see for it.
func gateTo(hosts []string) (sandbox.Gate, []sandbox.Mount, error) {
	list, err := egress.NewList(hosts...)
	if err != nil {
		return nil, nil, err
	}
	env, mounts := egress.Environment(os.Getenv)
	return egress.New(list, egress.Options{Environ: env, Upstream: ownProxy, Places: gatePlaces()}), mounts, nil
}

// gatePlaces are those of all commands: an eighth of the files that this process may
// have open, of which a connection takes two.
var gatePlaces = sync.OnceValue(func() *egress.Places {
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) != nil {
		return nil
	}
	return egress.NewPlaces(int(min(files.Cur, 1<<24) / 16))
})

// ownProxy is the proxy that the operator's environment names for an address.
func ownProxy(u *url.URL) (*url.URL, error) {
	return http.ProxyFromEnvironment(&http.Request{URL: u})
}

// demandGate refuses at once what no box would be opened for.
func demandGate(ctx context.Context, s mgx.RunSettings) error {
	if len(s.AllowHosts) == 0 {
		return nil
	}
	if _, err := egress.NewList(s.AllowHosts...); err != nil {
		return err
	}
	if level := driver(s.Sandbox).Probe(ctx).Level; level != "" && !level.HasGate() {
		return sandbox.NoGate(level)
	}
	return nil
}

// tellVisits says what the gate refused, and what it could not reach.
func tellVisits(w io.Writer, visits []sandbox.Visit) {
	for _, v := range visits {
		to := cmp.Or(v.Host, "other hosts")
		if v.Port > 0 {
			to = net.JoinHostPort(v.Host, strconv.Itoa(v.Port))
		}
		times := ""
		if v.Times > 1 {
			times = fmt.Sprintf(", %d times", v.Times)
		}
		switch {
		case !v.Allowed:
			fmt.Fprintf(w, "mgx: the network refused %s (%s)%s\n", to, because(v.Reason), times)
		case v.Reason != "":
			fmt.Fprintf(w, "mgx: %s is allowed, and could not be reached (%s)%s\n", to, because(v.Reason), times)
		}
	}
}

func because(reason string) string {
	if words := egress.Words(reason); words != "" {
		return reason + ": " + words
	}
	return reason
}
