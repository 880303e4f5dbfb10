//go:build linux

#include "textflag.h"

// func vfork(call, flags uintptr) (pid int, errno syscall.Errno)
TEXT ·vfork(SB), NOSPLIT|NOFRAME, $0-32
	MOVQ call+0(FP), AX
	MOVQ flags+8(FP), DI
	MOVQ $0, SI // the same stack
	MOVQ $0, DX
	MOVQ $0, R10
	MOVQ $0, R8
	POPQ R12 // the child will call others, and write over where we return to
	SYSCALL
	PUSHQ R12
	CMPQ AX, $0xfffffffffffff001
	JHS  failed
	MOVQ AX, pid+16(FP)
	MOVQ $0, errno+24(FP)
	RET

failed:
	NEGQ AX
	MOVQ $-1, pid+16(FP)
	MOVQ AX, errno+24(FP)
	RET
