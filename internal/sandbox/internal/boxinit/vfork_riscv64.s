//go:build linux

#include "textflag.h"

// func vfork(call, flags uintptr) (pid int, errno syscall.Errno)
TEXT ·vfork(SB), NOSPLIT|NOFRAME, $0-32
	MOV  call+0(FP), A7
	MOV  flags+8(FP), A0
	MOV  ZERO, A1 // the same stack; where we return to is in a register
	MOV  ZERO, A2
	MOV  ZERO, A3
	MOV  ZERO, A4
	ECALL
	MOV  $-4096, T0
	BLTU T0, A0, failed
	MOV  A0, pid+16(FP)
	MOV  ZERO, errno+24(FP)
	RET

failed:
	SUB A0, ZERO, A0
	MOV $-1, T0
	MOV T0, pid+16(FP)
	MOV A0, errno+24(FP)
	RET
