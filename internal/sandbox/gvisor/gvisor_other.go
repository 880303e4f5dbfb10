//go:build !linux || !(amd64 || arm64 || riscv64)

package gvisor

import (
	"context"
	"runtime"

	"mgx"
	"mgx/internal/sandbox"
)

type driver struct{}

// New returns the driver, which this system cannot run.
func New() sandbox.Driver { return driver{} }

func (driver) Name() string { return "gvisor" }

func (driver) Probe(context.Context) sandbox.Report {
	return sandbox.Report{Driver: "gvisor", Checks: []sandbox.Check{{Name: "system", Detail: unsupported().Error()}}}
}

func (driver) Open(context.Context, sandbox.Spec) (sandbox.Box, error) { return nil, unsupported() }

func unsupported() error {
	return mgx.Errorf(mgx.KindConfig, "sandbox_unavailable",
		"the gvisor sandbox needs Linux on amd64, arm64 or riscv64, and this is %s on %s. To run commands without any walls, type --sandbox=off.",
		runtime.GOOS, runtime.GOARCH)
}
