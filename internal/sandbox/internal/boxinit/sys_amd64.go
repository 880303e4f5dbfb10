//go:build linux

package boxinit

const (
	sysSeccomp   = 317
	sysPrlimit64 = 302
)
