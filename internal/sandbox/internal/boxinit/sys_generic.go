//go:build linux && (arm64 || riscv64)

package boxinit

const (
	sysSeccomp   = 277
	sysPrlimit64 = 261
)
