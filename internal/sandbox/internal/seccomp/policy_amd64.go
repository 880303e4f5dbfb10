//go:build linux

package seccomp

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

var refusedHere = []uint32{
	unix.SYS_KEXEC_FILE_LOAD, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_LOOKUP_DCOOKIE,
}

var (
	attributesHere = []uint32{unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT}
	watchingHere   = []uint32{unix.SYS_INOTIFY_INIT}
)

// rulesHere are for calls that younger machines never had.
func rulesHere() []Rule {
	return []Rule{
		{Call: unix.SYS_OPEN, Else: Allow, Cases: creates(1, 2)},
		{Call: unix.SYS_CREAT, Else: Allow, Cases: setsID(1)},
		{Call: unix.SYS_MKNOD, Else: Allow, Cases: makesNode(1)},
		{Call: unix.SYS_CHMOD, Else: Allow, Cases: setsID(1)},
	}
}
