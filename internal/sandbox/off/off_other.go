//go:build !unix

package off

import (
	"context"
	"runtime"

	"mgx"
	"mgx/internal/sandbox"
)

type driver struct{}

// New returns the driver, which this system cannot run.
func New() sandbox.Driver { return driver{} }

func (driver) Name() string { return "off" }

func (driver) Probe(context.Context) sandbox.Report {
	return sandbox.Report{Driver: "off", Checks: []sandbox.Check{{Name: "system", Detail: unsupported().Error()}}}
}

func (driver) Open(context.Context, sandbox.Spec) (sandbox.Box, error) { return nil, unsupported() }

func unsupported() error {
	return mgx.Errorf(mgx.KindConfig, "sandbox_unavailable", "commands of agents need a Unix system, and this is %s", runtime.GOOS)
}
