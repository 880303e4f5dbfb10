//go:build linux

package seccomp

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_RISCV64

var refusedHere = []uint32{unix.SYS_KEXEC_FILE_LOAD, unix.SYS_LOOKUP_DCOOKIE}

var attributesHere, watchingHere []uint32

// rulesHere are for calls that older machines have besides.
func rulesHere() []Rule { return nil }
