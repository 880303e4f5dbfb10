//go:build amd64 || arm64 || riscv64

package native

import (
	"context"

	"mgx/internal/sandbox"
)

// Probe tries each piece by doing it.
func (d *driver) Probe(ctx context.Context) sandbox.Report {
	r := sandbox.Report{Driver: d.Name()}
	if err := d.try(ctx); err != nil {
		r.Checks = append(r.Checks, sandbox.Check{Name: "namespaces", Detail: err.Error()})
		return r
	}
	r.Level = sandbox.LevelBasic
	r.Checks = append(r.Checks, sandbox.Check{Name: "namespaces", OK: true})
	return r
}
